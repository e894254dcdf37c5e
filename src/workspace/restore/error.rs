//! Why a restore cannot start or go on, with the path it is about.

use std::io;

use crate::model::EntryPath;
use crate::workspace::beneath::BeneathError;

/// What fails a restore. Up to the first error of `finish` the target is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The target folder, or a folder in it, cannot be opened.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
    /// The target folder cannot be created.
    #[error("cannot create the folder to restore to")]
    Target(#[source] io::Error),
    /// One entry failed.
    #[error("cannot {action} {path}")]
    At {
        /// What was tried, as a verb.
        action: &'static str,
        /// The entry, or a name beneath the target.
        path: EntryPath,
        /// What the operating system said.
        source: io::Error,
    },
    /// The staging folder failed.
    #[error("cannot {action} the staging folder of this restore")]
    Staging {
        /// What was tried, as a verb.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// Two entries have one path.
    #[error("{0} is there twice")]
    Duplicate(EntryPath),
    /// An entry lies beneath one that is no folder.
    #[error("{beneath} cannot exist: {path} is a {noun}, not a folder")]
    NotAFolder {
        /// What is no folder.
        path: EntryPath,
        /// What it is.
        noun: &'static str,
        /// The entry beneath it.
        beneath: EntryPath,
    },
    /// A hard link to something that is not restored with it.
    #[error("hard link {link} needs {target}, which is no file of this restore")]
    LinkTarget {
        /// The link.
        link: EntryPath,
        /// What it links to.
        target: EntryPath,
    },
    /// A folder stands where another kind of entry belongs.
    #[error("{path} is a folder here and a {noun} in the stash")]
    FolderInTheWay {
        /// The folder.
        path: EntryPath,
        /// What the stash has there.
        noun: &'static str,
    },
    /// Bytes for a file that needs none, or more than it has.
    #[error("{len} bytes at {offset} were not asked for in {path}")]
    NotWanted {
        /// The file.
        path: EntryPath,
        /// Where they would go.
        offset: u64,
        /// How many there are.
        len: u64,
    },
    /// A number that names no file.
    #[error("there is no file {0} in this restore")]
    NoSuchFile(usize),
    /// `finish` came before all bytes did.
    #[error("{0} has not got all of its bytes")]
    Incomplete(EntryPath),
    /// More entries than can be counted.
    #[error("{0} entries are too many for one restore")]
    TooMany(usize),
    /// The worker threads did not start.
    #[error("cannot start worker threads")]
    Threads(#[source] rayon::ThreadPoolBuildError),
}

impl RestoreError {
    /// What the user may do next, for a `hint:` line.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::FolderInTheWay { .. } => Some("--mirror replaces the folder"),
            _ => None,
        }
    }
}

/// For `map_err`: names what was tried and where.
pub(super) fn at(action: &'static str, path: &EntryPath) -> impl FnOnce(io::Error) -> RestoreError {
    move |source| RestoreError::At { action, path: path.clone(), source }
}

pub(super) fn staging(action: &'static str) -> impl FnOnce(io::Error) -> RestoreError {
    move |source| RestoreError::Staging { action, source }
}
