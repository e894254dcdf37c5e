//! What can fail beneath a directory handle, with the path that it failed at. Not what a restore makes of it.

use std::io;
use std::path::PathBuf;

use crate::model::EntryPath;

/// Why a path beneath a folder could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum BeneathError {
    /// The folder itself cannot be opened.
    #[error("cannot open folder {}", .path.display())]
    Open {
        /// As the caller named it.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Something beneath it failed; a symlink where a folder was expected is `ELOOP` or `ENOTDIR`.
    #[error("cannot {action} {path}")]
    At {
        /// What was tried, as a verb.
        action: &'static str,
        /// Relative to the folder.
        path: EntryPath,
        /// What the operating system said.
        source: io::Error,
    },
}

impl BeneathError {
    /// Whether what was there before is gone: the path itself, or a folder above it, also where a symlink took its place.
    pub fn is_gone(&self) -> bool {
        let source = match self {
            Self::Open { source, .. } | Self::At { source, .. } => source,
        };
        let symlink = source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        symlink || matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    }
}
