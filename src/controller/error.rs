//! What the controller answers when it cannot do what was asked: one text for the agent, one for the log.
//! Not the agent's `RemoteError`, which the embedded mode and the HTTP routes make from this.

use std::path::PathBuf;

use crate::controller::ledger::{Fault, LedgerError};
use crate::controller::store::StoreError;
use crate::model::manifest::ManifestError;
use crate::model::{Digest, PackName};
use crate::pack::PackError;
use crate::protocol::artifact::{ArtifactId, ArtifactState};
use crate::protocol::{BuildId, SessionId, StashName};

/// Kinds of failure that an agent treats differently; the same five as the agent's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The stash, build or session does not exist, or may not be seen.
    NotFound,
    /// The request itself is wrong; repeating it cannot help.
    Refused,
    /// The session's lease ended; a new session can succeed.
    SessionEnded,
    /// Something that was committed is damaged.
    Damaged,
    /// A passing fault; the same request may succeed later.
    Unavailable,
}

/// Why a request failed. `Display` is for the log; [`ControllerError::outside`] is what an agent may read.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// The build has no stash of that name; up to five that it has.
    #[error("No such saved stash ‘{name}’{}", listing(.others))]
    NoStash {
        /// The name asked for.
        name: StashName,
        /// Other stashes of the build.
        others: Vec<StashName>,
    },
    /// The caller may not see this build, or nobody has made it.
    #[error("no {0} is there, or this token may not see it")]
    NoBuild(BuildId),
    /// The caller may read this build, and not write to it.
    #[error("this token may not write to {0}")]
    ForeignBuild(BuildId),
    /// The caller has one job, and it is another one.
    #[error("this token may not write artifacts of job {0}")]
    ForeignJob(String),
    /// The caller may not see this artifact, or nobody has made it.
    #[error("no artifact {} is there, or this token may not see it", .0.0)]
    NoArtifact(ArtifactId),
    /// The build has no such file, nor a folder.
    #[error("no artifact of {build} is at {path:?} or below it")]
    NoFile {
        /// The path asked for.
        path: String,
        /// Where it was looked for.
        build: BuildId,
    },
    /// An artifact that waits for no content.
    #[error("artifact {} takes no content: it is {}", .id.0, .state.word())]
    UploadOver {
        /// The artifact.
        id: ArtifactId,
        /// Where it stands in its life; `new` if its content is there already.
        state: ArtifactState,
    },
    /// A request that makes no sense, in words for whoever sent it.
    #[error("{0}")]
    Unfit(String),
    /// The request is for those who run the controller.
    #[error("this needs a token of those who run the controller")]
    NotOperator,
    /// A token that cannot be made.
    #[error("this token cannot be made: {0}")]
    Token(String),
    /// The session is over: its lease ended, or it was committed or released.
    #[error("session {} has ended", .0.0)]
    SessionEnded(SessionId),
    /// A request that exceeds a limit of the protocol.
    #[error("{what}: {asked} are more than {most}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much the request has.
        asked: u64,
        /// The limit.
        most: u64,
    },
    /// A commit names a pack that its session was not given.
    #[error("pack {0} does not belong to this session")]
    ForeignPack(PackName),
    /// A pack in the store is not as long as was announced, or not there.
    #[error("pack {pack} is {found:?} bytes long in the store, not {announced}")]
    PackLength {
        /// The pack.
        pack: PackName,
        /// Its length in the store, if it is there.
        found: Option<u64>,
        /// The length that was announced.
        announced: u64,
    },
    /// A pack's footer, trailer or one of its frames cannot be read.
    #[error("pack {pack} is damaged")]
    Pack {
        /// The pack.
        pack: PackName,
        /// What is wrong with it.
        source: PackError,
    },
    /// A pack's footer is not the one that was announced.
    #[error("pack {0} does not carry the footer that was announced")]
    FooterDigest(PackName),
    /// A frame does not give the chunk that the footer promises.
    #[error("chunk {} in pack {pack} is damaged", .digest.short())]
    DamagedChunk {
        /// The pack.
        pack: PackName,
        /// The chunk.
        digest: Digest,
    },
    /// A root, page or chunk list cannot be read.
    #[error("the manifest part {} is damaged", .digest.short())]
    Manifest {
        /// The chunk that holds it.
        digest: Digest,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A reference leads to no chunk that the session may read.
    #[error("chunk {0} is referred to, and nothing readable holds it")]
    MissingChunk(Digest),
    /// The ledger is gone while its packs are there.
    #[error("the ledger {0} is missing or empty, but its store holds packs")]
    LedgerLost(PathBuf),
    /// The ledger was made beside packs that it does not know.
    #[error("the ledger was lost, and its packs are not indexed again yet")]
    NeedsRebuild,
    /// The kernel gave no random bytes for a pack's name.
    #[error("no name could be made for a pack")]
    Random(#[source] getrandom::Error),
    /// Content that an agent sent through this process could not be handed on.
    #[error("the store did not take what was to be relayed")]
    Relay(#[source] crate::http::HttpError),
    /// The data folder cannot be made or read.
    #[error("cannot use the data folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The ledger failed.
    #[error(transparent)]
    Ledger(LedgerError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ControllerError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoStash { .. } | Self::NoBuild(_) | Self::NoArtifact(_) | Self::NoFile { .. } => {
                ErrorKind::NotFound
            }
            Self::SessionEnded(_) => ErrorKind::SessionEnded,
            Self::ForeignBuild(_)
            | Self::ForeignJob(_)
            | Self::UploadOver { .. }
            | Self::Unfit(_)
            | Self::NotOperator
            | Self::Token(_)
            | Self::NeedsRebuild
            | Self::TooMuch { .. }
            | Self::ForeignPack(_)
            | Self::PackLength { .. }
            | Self::FooterDigest(_) => ErrorKind::Refused,
            Self::Pack { .. } | Self::DamagedChunk { .. } | Self::Manifest { .. } => ErrorKind::Damaged,
            Self::MissingChunk(_) | Self::LedgerLost(_) => ErrorKind::Damaged,
            Self::Ledger(LedgerError::Corrupt { .. } | LedgerError::PackGone(_)) => ErrorKind::Damaged,
            Self::Ledger(LedgerError::NewerSchema { .. }) => ErrorKind::Refused,
            Self::Store(StoreError::Range { .. }) => ErrorKind::Damaged,
            Self::Folder { .. } | Self::Random(_) | Self::Relay(_) | Self::Ledger(_) | Self::Store(_) => {
                ErrorKind::Unavailable
            }
        }
    }

    /// Whether a disk of the controller's own is full: asking again soon cannot help.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Ledger(LedgerError::Database { fault, .. }) => *fault == Fault::Full,
            Self::Folder { source, .. }
            | Self::Store(StoreError::Object { source, .. } | StoreError::Folder { source, .. }) => {
                use std::io::ErrorKind::{QuotaExceeded, StorageFull};
                matches!(source.kind(), StorageFull | QuotaExceeded)
            }
            _ => false,
        }
    }

    /// The text for an agent: nothing about SQL, and no path of the controller's but where it must be mended.
    pub fn outside(&self) -> String {
        match self {
            Self::Ledger(LedgerError::Database { .. }) => "the ledger cannot be read or written now".into(),
            Self::Ledger(error) => error.to_string(),
            Self::Store(_) | Self::Relay(_) => "the store cannot be read or written now".into(),
            other => other.to_string(),
        }
    }

    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NeedsRebuild | Self::LedgerLost(_) | Self::Ledger(LedgerError::Corrupt { .. }) => Some(
                "pannier verify --rebuild-index restores every whole stash from the packs, in build `recovered` of \
                 project `local`; the names of stashes come back only from a copy of the ledger",
            ),
            Self::Ledger(LedgerError::NewerSchema { .. }) => {
                Some("use the newer pannier that wrote this folder")
            }
            Self::SessionEnded(_) => Some("run the command again"),
            Self::Ledger(LedgerError::PackGone(_)) | Self::MissingChunk(_) => Some("stash again"),
            Self::Ledger(LedgerError::Database { fault, .. }) => disk_hint(*fault),
            Self::Folder { .. } | Self::Store(StoreError::Object { .. } | StoreError::Folder { .. }) => {
                Some(UNWRITABLE)
            }
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

/// What to do where the file system said no; a full one is told apart by its own code.
const UNWRITABLE: &str = "check that PANNIER_URL names a folder that this user may read and write";

/// What to do about a database that its file system failed.
fn disk_hint(fault: Fault) -> Option<&'static str> {
    match fault {
        Fault::Full => Some("free some space and run the command again; what was stored before is untouched"),
        // The log's shared memory on a full disk fails with this code.
        Fault::Broken => Some(
            "free some space, or check the disk of the folder that PANNIER_URL names, and run the command again",
        ),
        Fault::Unwritable => Some(UNWRITABLE),
        Fault::Other => None,
    }
}

impl From<LedgerError> for ControllerError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::SessionEnded(session) => Self::SessionEnded(session),
            LedgerError::ForeignPack(pack) => Self::ForeignPack(pack),
            other => Self::Ledger(other),
        }
    }
}

/// What failed and why, in one line for a report.
pub(super) fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

fn listing(names: &[StashName]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("‘{name}’")).collect();
    if names.is_empty() { String::new() } else { format!("; this build has {}", names.join(", ")) }
}
