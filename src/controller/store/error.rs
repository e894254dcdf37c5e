//! What fails in a store. Not what that means for a request.

use std::path::PathBuf;

use crate::model::PackName;

/// What failed in the store. Names the pack, never a URL.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An object could not be read, deleted or its folder made.
    #[error("cannot {doing} pack {pack}")]
    Object {
        /// The verb.
        doing: &'static str,
        /// The pack.
        pack: PackName,
        /// Why.
        source: std::io::Error,
    },
    /// The object ends before the range does.
    #[error("pack {pack} ends before byte {end}")]
    Range {
        /// The pack.
        pack: PackName,
        /// End of the range that was asked for.
        end: u64,
    },
    /// The store's folder could not be listed or made.
    #[error("cannot use the store's folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
