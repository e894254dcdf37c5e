//! Cutting one file's bytes into chunks and naming them.
//!
//! Does: `cdc` (cut points, FastCDC 2020), `chunker` (a file's bytes in, chunks and their digests out).
//! Does not: read the file system, compress, or know what is stored.
//! May import: `model`.

pub mod cdc;
pub mod chunker;
mod gear;

pub use chunker::Chunker;
