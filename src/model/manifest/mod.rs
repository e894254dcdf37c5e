//! A stash's table of contents: a root that lists pages, pages that list entries, and chunk lists for large files
//! (`docs/format.md`, "Manifest"); pages may be stored as patches of others. Holds digests, never places: packs may move without a manifest changing.

pub mod chunk_list;
pub mod page;
pub mod patch;
pub mod patches;
pub mod root;

pub use patches::Patches;
pub use root::{PageRef, Root, Totals};

use super::entry_path::EntryPath;

/// Why some bytes are not a root, a page or a chunk list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The magic is another's, or of a version that this program does not know.
    #[error("not a {0}, or written by a newer pannier")]
    Magic(&'static str),
    /// The bytes end early, run on, or break a rule of the format.
    #[error("a damaged {0}: {1}")]
    Damaged(&'static str, &'static str),
    /// A path stands twice or out of order.
    #[error("a damaged page: `{0}` is out of order")]
    Order(EntryPath),
    /// A hard link's target does not stand before it.
    #[error("a damaged page: hard link `{0}` points forward")]
    HardLink(EntryPath),
}
