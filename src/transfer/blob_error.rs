//! Why the content of an artifact could not be sent or read. Names neither URL nor artifact: whoever asked knows which it was.

use std::io;

use crate::http::{Cause, HttpError};

use super::remote::RemoteError;

/// A failed PUT or GET of an artifact's content, or of a part of it.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// A file here, or the store as a folder, could not be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// It could not be moved by HTTP.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Its URL ended, and the controller gave no other.
    #[error("its URL has ended, and there is no other: {0}")]
    Renew(RemoteError),
    /// The controller, which hands it out with others, did not answer.
    #[error(transparent)]
    Together(RemoteError),
    /// The URL is of a kind that this program cannot follow.
    #[error("it is at {0}, which this pannier cannot reach")]
    Scheme(String),
    /// The file is not what was announced any more.
    #[error("it changed while it was sent")]
    Changed,
}

impl BlobError {
    /// Whether the run is to stop, so that the artifact itself is not at fault.
    pub const fn is_stop(&self) -> bool {
        matches!(self, Self::Http(HttpError { cause: Cause::Stopped, .. }))
    }
}
