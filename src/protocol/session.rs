//! The writing half of the protocol: open a session, ask what is missing, sign packs, commit.

use crate::model::{Digest, PackName, SignedUrl};

use super::build::{BuildId, StashName};

/// A session by its number in the ledger; a lease on everything that was answered "present" to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub u64);

/// Opens a session for one stash, and asks about the first digests with the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Where the stash will stand.
    pub build: BuildId,
    /// Its name.
    pub name: StashName,
    /// A stash whose chunks the agent need not ask about, if it is still whole and the agent may read it: its list of patches, or
    /// its id if it has none.
    pub parent: Option<Digest>,
    /// The session of an agent that was killed, to go on with: it is answered again if it is still open, of this build and
    /// name, and may be written by the caller. Otherwise a new one is.
    pub resume: Option<SessionId>,
    /// The first digests to ask about; at most [`crate::model::limits::MAX_MISSING_DIGESTS`].
    pub digests: Vec<Digest>,
}

/// The answer to [`Open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The new session, or the one that was to be resumed. Packs that were sent under that one still count.
    pub session: SessionId,
    /// Whether every chunk of `parent` is there and pinned to the session; never of a resumed one. Otherwise the agent asks about each.
    pub parent_accepted: bool,
    /// For each digest of the request, in order: whether it is missing.
    pub missing: Vec<bool>,
}

/// A finished pack that an agent is about to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PackIntent {
    /// Bytes of the whole pack; at most [`crate::model::limits::MAX_PACK_BYTES`].
    pub len: u64,
    /// BLAKE3-256 of the pack's footer, which names everything in it.
    pub footer_digest: Digest,
    /// CRC-32C (Castagnoli) of the whole pack, signed into the PUT where the store checks one (S3, GCS).
    pub crc32c: u32,
}

/// Where to send a pack.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SignedPack {
    /// The name that the controller gave it.
    pub name: PackName,
    /// A create-only PUT, bound to the intended length.
    pub put: SignedUrl,
}

/// Makes a session's packs live and points the stash's name at its root, in one transaction.
///
/// Repeating a commit of the same session and root gives the same answer (the session is the idempotency key).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The session to end.
    pub session: SessionId,
    /// The stash's id: a chunk in one of the packs, or one that the store already has.
    pub root: Digest,
    /// The list of the root's pages that are stored as patches; a chunk like the root. None if all are stored as they are.
    pub patches: Option<Digest>,
    /// The packs that were sent.
    pub packs: Vec<PackName>,
}
