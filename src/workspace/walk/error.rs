//! Why there is no walk at all. What a walk meets on its way is a [`super::Skipped`] instead.

use std::io;
use std::path::PathBuf;

/// A walk that could not begin.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The workspace is not there, is no folder, or may not be read.
    #[error("cannot read the workspace {}", path.display())]
    Open {
        /// The workspace as it was named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No worker threads.
    #[error("cannot start threads to walk the workspace")]
    Threads(#[source] rayon::ThreadPoolBuildError),
}
