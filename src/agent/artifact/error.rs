//! Why artifacts could not be sent, found or fetched. What happened to single ones on the way is a `Problem`.

use std::io;
use std::path::PathBuf;

/// What ended a run.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The folder that globs begin in cannot be used.
    #[error("cannot use the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A path that was given leads out of the folder.
    #[error("`{0}` leads out of its folder by `..`")]
    Parent(String),
}
