//! What every ledger does, whichever database keeps it. Each method is one transaction.

use std::time::Duration;

use crate::model::{Digest, PackName};
use crate::protocol::{BuildId, Committed, SessionId, StashInfo, StashName};

use super::artifacts::ArtifactLedger;
use super::browse::BrowseLedger;
use super::error::LedgerError;
use super::rows::{
    Access, CommitRows, GonePack, MendedStash, NewReader, NewSession, OpenedReader, OpenedSession, PackId,
    PackRow, PackState, RebuiltPack, ScopeId, SessionRow, StashRow, Sweep, Swept,
};

/// Told of every transaction: `read` or `write`, and how long it took with its wait for a connection.
pub type TransactionObserver = Box<dyn Fn(&'static str, Duration) + Send + Sync>;

/// What every back end does alike; held by one conformance suite.
pub trait Ledger: ArtifactLedger + BrowseLedger + Send + Sync {
    /// Has `observer` told of every transaction from now on. The first one stays; a back end may tell nothing.
    fn observe(&self, _observer: TransactionObserver) {}

    /// A random name given when the ledger was made.
    fn identity(&self) -> Result<String, LedgerError>;
    /// Reads the whole database and says whether it is sound; [`LedgerError::Corrupt`] if it is not.
    fn check(&self) -> Result<(), LedgerError>;
    /// The scope of that tenant and name; made if it is new.
    fn scope(&self, tenant: &str, name: &str) -> Result<ScopeId, LedgerError>;

    /// Opens a session; accepts its parent if that is whole and readable, and pins its packs.
    fn open_session(&self, access: &Access, new: &NewSession<'_>) -> Result<OpenedSession, LedgerError>;
    /// The session of the write scope, if it is open or committed; renews an open one whose lease is a third gone.
    fn session(
        &self,
        access: &Access,
        session: SessionId,
        now: i64,
        lease: i64,
    ) -> Result<SessionRow, LedgerError>;
    /// Ends a session of the write scope: its pins go, its pending packs become `deleted`.
    fn end_session(&self, access: &Access, session: SessionId) -> Result<(), LedgerError>;
    /// Open sessions that live in a process, with its mark.
    fn owners(&self) -> Result<Vec<(SessionId, String)>, LedgerError>;
    /// Packs that are pinned to a session.
    fn pinned(&self, session: SessionId) -> Result<Vec<PackRow>, LedgerError>;

    /// For each digest whether it stands in a live pack of the read scopes; those packs are pinned.
    fn pin_present(
        &self,
        access: &Access,
        at: SessionId,
        digests: &[Digest],
    ) -> Result<Vec<bool>, LedgerError>;
    /// For each digest the live or condemned pack that holds it.
    fn locate(&self, access: &Access, digests: &[Digest]) -> Result<Vec<Option<PackId>>, LedgerError>;
    /// For each page the packs that hold it and all it refers to, if those are known and live or condemned.
    fn page_packs(&self, access: &Access, pages: &[Digest]) -> Result<Vec<Option<Vec<PackId>>>, LedgerError>;

    /// Writes down packs that a session is about to send.
    fn add_pending(&self, access: &Access, packs: &[PackRow]) -> Result<(), LedgerError>;
    /// A pack by name.
    fn pack(&self, name: PackName) -> Result<Option<PackRow>, LedgerError>;
    /// A pack by number.
    fn pack_by_id(&self, pack: PackId) -> Result<Option<PackRow>, LedgerError>;

    /// A commit without new packs of a root that a readable stash has, stored in the same way; `None` if there is no such stash.
    fn commit_known(
        &self,
        access: &Access,
        at: &SessionRow,
        root: Digest,
        patches: Option<Digest>,
        now: i64,
    ) -> Result<Option<Committed>, LedgerError>;
    /// A commit: packs live, chunks and pages indexed, the name pointed, the session ended; all or nothing.
    fn commit(&self, access: &Access, rows: &CommitRows<'_>) -> Result<Committed, LedgerError>;

    /// The stash of that name.
    fn find(
        &self,
        access: &Access,
        build: &BuildId,
        name: &StashName,
    ) -> Result<Option<StashRow>, LedgerError>;
    /// Opens a read session that pins a stash's packs. `None` without the stash.
    fn open_reader(&self, access: &Access, new: &NewReader<'_>) -> Result<Option<OpenedReader>, LedgerError>;
    /// The packs of an open read session that the write scope opened; its lease ends no earlier than `lease` from now.
    fn reader(
        &self,
        access: &Access,
        session: SessionId,
        now: i64,
        lease: i64,
    ) -> Result<Vec<PackRow>, LedgerError>;
    /// The stashes of a build, by name.
    fn list(&self, access: &Access, build: &BuildId) -> Result<Vec<StashInfo>, LedgerError>;
    /// Forgets a stash.
    fn remove(&self, access: &Access, build: &BuildId, name: &StashName) -> Result<bool, LedgerError>;
    /// Every stash of every scope, with the packs it refers to.
    fn all_stashes(&self) -> Result<Vec<StashRow>, LedgerError>;
    /// A stash by number.
    fn stash(&self, stash: i64) -> Result<Option<StashRow>, LedgerError>;
    /// The packs that a stash refers to, in any state.
    fn stash_packs(&self, stash: i64) -> Result<Vec<PackRow>, LedgerError>;
    /// Stashes that refer to a quarantined pack.
    fn broken_stashes(&self) -> Result<Vec<StashRow>, LedgerError>;
    /// Gives a stash other packs that hold all that it needs; `false` if it was changed or one of them left meanwhile.
    fn mend(&self, access: &Access, mended: &MendedStash<'_>) -> Result<bool, LedgerError>;

    /// Sets a pack aside: what it holds counts as missing. `false` unless it was live or condemned.
    fn quarantine(&self, pack: PackName, why: &str) -> Result<bool, LedgerError>;
    /// Packs in that state.
    fn packs_in(&self, state: PackState) -> Result<Vec<PackRow>, LedgerError>;
    /// Reaps dead sessions, condemns what nothing needs, marks `deleted` what no session can come back to, and purges
    /// the rows of sessions that ended; a committed one stays for a day.
    fn sweep(&self, sweep: &Sweep<'_>) -> Result<Swept, LedgerError>;
    /// Drops the rows of deleted packs, and what the index says of them. Interrupted, it leaves the packs `deleted`.
    fn forget(&self, packs: &[GonePack]) -> Result<(), LedgerError>;
    /// Whether the ledger was made beside packs that it does not know, and not rebuilt since.
    fn needs_rebuild(&self) -> Result<bool, LedgerError>;
    /// Every pack that can be known is known again.
    fn rebuilt(&self) -> Result<(), LedgerError>;
    /// Indexes a live pack anew from its footer; one without a row gets one while the ledger needs to be rebuilt.
    fn reindex(&self, scope: ScopeId, pack: &RebuiltPack<'_>) -> Result<(), LedgerError>;
}
