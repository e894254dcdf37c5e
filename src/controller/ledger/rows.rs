//! What goes into a ledger and comes out of it: plain values, the same for every back end.

use crate::model::manifest::Totals;
use crate::model::{ChunkRef, Digest, PackName};
use crate::protocol::{BuildId, Committed, SessionId, StashInfo, StashName};

/// A scope's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeId(pub i64);

/// A pack's number in one ledger; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackId(pub i64);

/// What a request may do: one scope to write to, some to read from (the first that has a chunk wins).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where stashes, packs and chunks are written.
    pub write: ScopeId,
    /// Where they are looked up; holds `write` where what was written may be read again.
    pub read: Vec<ScopeId>,
}

/// The life of a pack: pending → live → condemned → deleted; quarantined once found damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackState {
    /// Named, perhaps being sent; seen by its session alone.
    Pending,
    /// Readable and indexed.
    Live,
    /// Nothing refers to it: missing to new sessions, still readable, and an older session may bring it back.
    Condemned,
    /// Found damaged: what it holds counts as missing.
    Quarantined,
    /// Its object is gone or about to go; written before the object is deleted.
    Deleted,
}

/// A pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackRow {
    /// Its number; any in a row that is to be added.
    pub id: PackId,
    /// Its name in the store.
    pub name: PackName,
    /// Its scope.
    pub scope: ScopeId,
    /// Where it stands in its life.
    pub state: PackState,
    /// Bytes of the object.
    pub len: u64,
    /// Bytes of footer and trailer; 0 while pending.
    pub tail_len: u64,
    /// BLAKE3-256 of its footer, as announced.
    pub footer_digest: Digest,
    /// Whether roots, pages or chunk lists stand in it.
    pub has_manifest: bool,
    /// The session that sent it.
    pub session: SessionId,
}

/// A session to open.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// Where the stash will stand.
    pub build: &'a BuildId,
    /// Its name.
    pub name: &'a StashName,
    /// The root that the agent knows already.
    pub parent: Option<Digest>,
    /// When the lease ends.
    pub expires_at: i64,
    /// The mark of the process that it ends with, if it is one of this machine's.
    pub owner: Option<&'a str>,
}

/// A read session to open.
#[derive(Clone, Copy, Debug)]
pub struct NewReader<'a> {
    /// The stash to read.
    pub stash: i64,
    /// When the lease ends.
    pub expires_at: i64,
    /// As in [`NewSession`].
    pub owner: Option<&'a str>,
}

/// A read session that was opened. Stash and packs are of one moment: a stash that is replaced meanwhile changes neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedReader {
    /// Its number.
    pub session: SessionId,
    /// What is read.
    pub stash: StashRow,
    /// The packs that it refers to, now pinned; quarantined ones last.
    pub packs: Vec<PackRow>,
}

/// A session that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedSession {
    /// Its number, above that of every earlier session.
    pub id: SessionId,
    /// Whether the parent's packs are all live and now pinned.
    pub parent_accepted: bool,
}

/// A write session as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Its number.
    pub id: SessionId,
    /// Where the stash will stand.
    pub build: BuildId,
    /// Its name.
    pub name: StashName,
    /// The answer that was given, if it has committed.
    pub committed: Option<Committed>,
}

/// All that one commit writes.
#[derive(Debug)]
pub struct CommitRows<'a> {
    /// The session to end.
    pub session: &'a SessionRow,
    /// The stash's id.
    pub root: Digest,
    /// The list of its pages that are stored as patches.
    pub patches: Option<Digest>,
    /// What it holds.
    pub totals: Totals,
    /// New packs: number and bytes of footer and trailer.
    pub new_packs: &'a [(PackId, u64)],
    /// Chunks of the new packs, sorted by digest.
    pub chunks: &'a [(Digest, PackId)],
    /// Pages that were followed, each with the packs that hold it and all it refers to.
    pub pages: &'a [(Digest, Vec<PackId>)],
    /// Every pack that the stash needs, sorted.
    pub packs: &'a [PackId],
    /// Those of them that hold root, pages or chunk lists.
    pub manifest_packs: &'a [PackId],
    /// The controller's clock.
    pub now: i64,
}

/// A stash with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StashRow {
    /// Its number.
    pub id: i64,
    /// The scope of its build.
    pub scope: ScopeId,
    /// What the protocol tells of it.
    pub info: StashInfo,
}

/// Other packs for a stash that refers to a quarantined one.
#[derive(Debug)]
pub struct MendedStash<'a> {
    /// The stash as it was followed.
    pub stash: &'a StashRow,
    /// As in [`CommitRows`].
    pub pages: &'a [(Digest, Vec<PackId>)],
    /// As in [`CommitRows`].
    pub packs: &'a [PackId],
    /// As in [`CommitRows`].
    pub manifest_packs: &'a [PackId],
}

/// What to do where no ledger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// Nothing: there are packs, so there was a ledger.
    Refuse,
    /// Make one.
    New,
    /// Make one that knows that it does not know the packs beside it.
    BesidePacks,
}

/// How to sweep.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// The controller's clock.
    pub now: i64,
    /// Compute everything, then change nothing.
    pub dry_run: bool,
    /// Sessions whose process is gone.
    pub ended: &'a [SessionId],
}

/// What a sweep found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions whose lease or process had ended.
    pub reaped_sessions: u64,
    /// Packs newly condemned.
    pub condemned: u64,
    /// All packs in state `deleted`, of this sweep or of one that was interrupted.
    pub deleted: Vec<PackRow>,
    /// Packs that only open sessions keep.
    pub kept_for_sessions: u64,
    /// When the last of those sessions ends by itself.
    pub until: Option<i64>,
}

/// A pack whose object is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GonePack {
    /// Its number.
    pub id: PackId,
    /// Its scope.
    pub scope: ScopeId,
    /// The chunks that the index may name it for; `None` if that is not known, and the whole index has to be looked
    /// through.
    pub chunks: Option<Vec<Digest>>,
}

/// A pack found in the store by a rebuild.
#[derive(Debug)]
pub struct RebuiltPack<'a> {
    /// Its name.
    pub name: PackName,
    /// Bytes of the object.
    pub len: u64,
    /// Bytes of footer and trailer.
    pub tail_len: u64,
    /// Digest of its footer.
    pub footer_digest: Digest,
    /// What it holds.
    pub chunks: &'a [ChunkRef],
}
