//! Why a stash, unstash, export or import failed, and what happened to single entries on the way.

use std::path::PathBuf;

use crate::model::manifest::ManifestError;
use crate::model::{Digest, EntryPath, PackName};
use crate::pack::PackError;
use crate::protocol::StashName;
use crate::tar::TarError;
use crate::transfer::{RemoteError, TransferError};
use crate::workspace::beneath::BeneathError;
use crate::workspace::restore::RestoreError;
use crate::workspace::walk::WalkError;

/// What ended a run. Nothing is visible in the store or half-written in the workspace after it.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The patterns chose nothing.
    #[error("No files included in stash `{0}`")]
    Empty(StashName),
    /// The workspace could not be walked.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A path beneath the workspace could not be used.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
    /// The workspace could not be written.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The controller said no, or could not be asked.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A pack could not be sent or read.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// A tar could not be read or written.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A pack's bytes are not what they should be. It has been reported, and counts as missing from now on.
    #[error("pack {pack} is damaged, so stash `{stash}` cannot be read whole")]
    DamagedPack {
        /// The pack.
        pack: PackName,
        /// The stash that was being read.
        stash: StashName,
        /// What is wrong with it.
        #[source]
        source: PackError,
    },
    /// A root, page or chunk list cannot be read.
    #[error("the manifest of stash `{stash}` cannot be read")]
    Manifest {
        /// The stash.
        stash: StashName,
        /// What is wrong with it.
        #[source]
        source: ManifestError,
    },
    /// No pack of the stash holds a chunk that its manifest names.
    #[error("chunk {chunk} of {what} is in no pack of stash `{stash}`")]
    NoSuchChunk {
        /// The chunk.
        chunk: Digest,
        /// The path that needs it, or the manifest.
        what: String,
        /// The stash.
        stash: StashName,
    },
    /// A path that was asked for is not in the stash.
    #[error("stash `{stash}` has no `{path}`")]
    NoSuchPath {
        /// The path.
        path: EntryPath,
        /// The stash.
        stash: StashName,
    },
    /// An imported tar contradicts itself.
    #[error("`{path}` cannot be imported: {why}")]
    Import {
        /// The path in the tar.
        path: EntryPath,
        /// What contradicts what.
        why: String,
    },
    /// A file beside the workspace (the stat cache, an export) could not be written.
    #[error("could not write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another part of the run failed first, and its own error is the one to show; or the run was to end early.
    #[error("stopped")]
    Stopped,
}

impl AgentError {
    /// Whether the same run may succeed later: the network or the other side failed, and nothing else.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Remote(error) => error.is_retryable(),
            Self::Transfer(error) => error.is_retryable(),
            _ => false,
        }
    }
}

/// An entry that is not in the stash as it stands in the workspace.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Problem {
    /// The path, as people read it.
    pub path: String,
    /// What happened to it.
    pub what: String,
    /// Whether the exit code should say so.
    pub is_error: bool,
}
