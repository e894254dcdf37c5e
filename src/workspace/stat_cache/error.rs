//! Why a cache cannot be saved. One that cannot be read is empty and no error.

use std::io;
use std::path::PathBuf;

/// A cache that was not saved; the one that was there before still is.
#[derive(Debug, thiserror::Error)]
pub enum StatCacheError {
    /// A call failed.
    #[error("cannot write the stat cache {}", path.display())]
    Write {
        /// The cache's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More than the format can number.
    #[error("{entries} files are too many for the stat cache {}", path.display())]
    TooMany {
        /// The cache's file.
        path: PathBuf,
        /// Files that were pushed.
        entries: usize,
    },
}
