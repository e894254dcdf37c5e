//! Tar at a workspace's end: canonical bytes out of a manifest's entries, entries out of any tar.
//!
//! Does: `writer` (canonical tar, `docs/format.md`), `reader` (v7, ustar, PAX, GNU long names and sparse files),
//! `seekable` (zstd frames with a seek table).
//! Does not: touch the file system, cut content into chunks, or decide what a stash holds.
//! May import: `model`.

mod blocks;
mod body;
mod decimal;
mod entry_name;
mod error;
mod header;
mod magic;
mod metadata;
mod number;
mod reader;
mod records;
pub mod seekable;
mod sparse;
mod writer;
mod xattr_name;

pub use body::Piece;
pub use error::TarError;
pub use magic::is_zstd;
pub use reader::{Reader, TarEntry, TarKind};
pub use writer::Writer;

/// Bytes of a tar block: headers are one, content is padded to a multiple.
const BLOCK_BYTES: usize = 512;

#[cfg(test)]
mod tests;
