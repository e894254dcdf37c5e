//! What is known of files that have not changed: `stat` → chunks, in one file per workspace.
//!
//! Does: give a file's content without opening it when its `stat` is what it was, and say to which stash and which
//! ledger all of it belongs. A cache that is absent, damaged or of another version is an empty one.
//! Does not: walk, hash, or decide what to do with a hit.
//! May import: `model`.
//!
//! The file is only ever replaced by rename, and mapped (`mapped`). Its head is checked by a BLAKE3 at once; what
//! follows lies in blocks of 16 KiB whose BLAKE3 stands in the head, each checked when it is first looked into. So
//! opening costs the same however large the cache is, one look-up costs at most a few blocks, and no torn or
//! flipped byte can come out as a digest.

mod error;
mod layout;
mod mapped;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use error::StatCacheError;
pub use layout::cache_file;
pub use reader::StatCache;
pub use writer::StatCacheWriter;
