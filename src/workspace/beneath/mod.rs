//! Every file-system access beneath one directory handle: the security boundary of extraction.
//!
//! Does: open folders so that no symlink, no `..` and no race leads out of the handle (`folder`, with its two back
//! ends `linux` and `portable`), act on one name of an opened folder without following it (`directory`,
//! `xattrs`), and write and find holes (`content`).
//! Does not: decide what is restored. It also does not protect against another process that moves a folder that
//! is already open out of the target: what is written goes where that folder went, as with any handle.
//! May import: `model`, `workspace::stat`.

mod content;
mod directory;
mod error;
mod folder;
mod linux;
mod portable;
mod xattrs;

pub use content::{data_ranges, write_at};
pub use directory::{Directory, FolderEntry};
pub(crate) use directory::{ids, stat_of, times};
pub use error::BeneathError;
pub use folder::Folder;
pub use xattrs::{file_xattrs, set_file_xattr};
