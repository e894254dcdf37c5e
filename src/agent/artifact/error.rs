//! Why artifacts could not be sent, found or fetched. What happened to single ones on the way is a `Problem`.

use std::io;
use std::path::PathBuf;

use crate::protocol::BuildId;
use crate::transfer::{BlobError, RemoteError};
use crate::workspace::beneath::BeneathError;

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
    /// The controller said no, or could not be asked.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The store was asked for as long as is worth it.
    #[error("could not send `{path}`")]
    Send {
        /// The artifact that was being sent.
        path: String,
        /// Why.
        #[source]
        source: BlobError,
    },
    /// The same of a download.
    #[error("could not fetch `{path}`")]
    Fetch {
        /// The artifact that was being fetched.
        path: String,
        /// Why.
        #[source]
        source: BlobError,
    },
    /// The folder to download to cannot be used.
    #[error(transparent)]
    Destination(#[from] BeneathError),
    /// Nothing fits a query.
    #[error("No artifacts match `{query}` in {place}")]
    NoMatch {
        /// The query.
        query: String,
        /// Where was looked.
        place: String,
    },
    /// A query without a `*` fits several artifacts.
    #[error("Multiple artifacts were found for query: `{query}`. Try scoping by the job ID or name.")]
    Ambiguous {
        /// The query.
        query: String,
        /// The jobs that made them.
        jobs: Vec<String>,
    },
    /// A query that has to name one artifact fits several.
    #[error("`{query}` matches {count} artifacts in {build}, and one is wanted")]
    NotOne {
        /// The query.
        query: String,
        /// How many.
        count: usize,
        /// The build.
        build: BuildId,
    },
    /// The run was to end early.
    #[error("stopped")]
    Stopped,
}
