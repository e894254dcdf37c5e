//! The `Ledger` trait on SQLite: each method by the file that holds its SQL. Nothing else.

use rusqlite::OptionalExtension;

use crate::controller::ledger::{
    Access, CommitRows, GonePack, Ledger, LedgerError, MendedStash, NewReader, NewSession, OpenedReader,
    OpenedSession, PackId, PackRow, PackState, RebuiltPack, ScopeId, SessionRow, StashRow, Sweep, Swept,
    TransactionObserver,
};
use crate::model::{Digest, PackName};
use crate::protocol::{BuildId, Committed, SessionId, StashInfo, StashName};

use super::connection::{SqliteLedger, Sync};
use super::error::{corrupt, named};

impl Ledger for SqliteLedger {
    fn observe(&self, observer: TransactionObserver) {
        // Whoever came first goes on hearing.
        let _ = self.observer.set(observer);
    }

    fn identity(&self) -> Result<String, LedgerError> {
        let sql = "SELECT value FROM meta WHERE key = 'identity'";
        self.read(|transaction| Ok(transaction.query_row(sql, [], |row| row.get(0))?))
    }

    fn check(&self) -> Result<(), LedgerError> {
        // `quick_check` leaves out only that indices agree with their tables; a rebuild makes those anew.
        let said: String = self
            .read(|transaction| Ok(transaction.pragma_query_value(None, "quick_check", |row| row.get(0))?))?;
        match said.as_str() {
            "ok" => Ok(()),
            _ => Err(named(corrupt(said), self.path())),
        }
    }

    fn scope(&self, tenant: &str, name: &str) -> Result<ScopeId, LedgerError> {
        let find =
            "SELECT s.id FROM scopes s JOIN tenants t ON t.id = s.tenant WHERE t.name = ?1 AND s.name = ?2";
        // Every request of a token names its scope, and hardly any makes it.
        let known = self.read(|transaction| {
            Ok(transaction.prepare_cached(find)?.query_row([tenant, name], |row| row.get(0)).optional()?)
        })?;
        if let Some(known) = known {
            return Ok(ScopeId(known));
        }
        self.write(Sync::Ordered, |transaction| {
            transaction.execute("INSERT OR IGNORE INTO tenants (name) VALUES (?1)", [tenant])?;
            transaction.execute(
                "INSERT OR IGNORE INTO scopes (tenant, name) SELECT id, ?2 FROM tenants WHERE name = ?1",
                [tenant, name],
            )?;
            Ok(ScopeId(transaction.query_row(find, [tenant, name], |row| row.get(0))?))
        })
    }

    fn open_session(&self, access: &Access, new: &NewSession<'_>) -> Result<OpenedSession, LedgerError> {
        self.insert_session(access, new)
    }

    fn session(
        &self,
        access: &Access,
        session: SessionId,
        now: i64,
        lease: i64,
    ) -> Result<SessionRow, LedgerError> {
        self.find_session(access, session, now, lease)
    }

    fn end_session(&self, access: &Access, session: SessionId) -> Result<(), LedgerError> {
        self.close_session(access, session)
    }

    fn owners(&self) -> Result<Vec<(SessionId, String)>, LedgerError> {
        self.open_sessions_in_processes()
    }

    fn pinned(&self, session: SessionId) -> Result<Vec<PackRow>, LedgerError> {
        self.pinned_packs(session)
    }

    fn pin_present(
        &self,
        access: &Access,
        at: SessionId,
        digests: &[Digest],
    ) -> Result<Vec<bool>, LedgerError> {
        self.pin_present_chunks(access, at, digests)
    }

    fn locate(&self, access: &Access, digests: &[Digest]) -> Result<Vec<Option<PackId>>, LedgerError> {
        self.locate_chunks(access, digests)
    }

    fn page_packs(&self, access: &Access, pages: &[Digest]) -> Result<Vec<Option<Vec<PackId>>>, LedgerError> {
        self.known_pages(access, pages)
    }

    fn add_pending(&self, access: &Access, packs: &[PackRow]) -> Result<(), LedgerError> {
        self.insert_pending(access, packs)
    }

    fn pack(&self, name: PackName) -> Result<Option<PackRow>, LedgerError> {
        self.pack_named(name)
    }

    fn pack_by_id(&self, pack: PackId) -> Result<Option<PackRow>, LedgerError> {
        self.pack_numbered(pack)
    }

    fn commit_known(
        &self,
        access: &Access,
        at: &SessionRow,
        root: Digest,
        patches: Option<Digest>,
        now: i64,
    ) -> Result<Option<Committed>, LedgerError> {
        self.commit_known_root(access, at, root, patches, now)
    }

    fn commit(&self, access: &Access, rows: &CommitRows<'_>) -> Result<Committed, LedgerError> {
        self.commit_rows(access, rows)
    }

    fn find(
        &self,
        access: &Access,
        build: &BuildId,
        name: &StashName,
    ) -> Result<Option<StashRow>, LedgerError> {
        self.find_by_name(access, build, name)
    }

    fn open_reader(&self, access: &Access, new: &NewReader<'_>) -> Result<Option<OpenedReader>, LedgerError> {
        self.insert_reader(access, new)
    }

    fn reader(
        &self,
        access: &Access,
        session: SessionId,
        now: i64,
        lease: i64,
    ) -> Result<Vec<PackRow>, LedgerError> {
        self.renew_reader(access, session, now, lease)
    }

    fn list(&self, access: &Access, build: &BuildId) -> Result<Vec<StashInfo>, LedgerError> {
        self.list_build(access, build)
    }

    fn remove(&self, access: &Access, build: &BuildId, name: &StashName) -> Result<bool, LedgerError> {
        self.remove_stash(access, build, name)
    }

    fn all_stashes(&self) -> Result<Vec<StashRow>, LedgerError> {
        self.every_stash()
    }

    fn stash(&self, stash: i64) -> Result<Option<StashRow>, LedgerError> {
        self.stash_numbered(stash)
    }

    fn stash_packs(&self, stash: i64) -> Result<Vec<PackRow>, LedgerError> {
        self.packs_of(stash)
    }

    fn broken_stashes(&self) -> Result<Vec<StashRow>, LedgerError> {
        self.stashes_on_quarantined_packs()
    }

    fn mend(&self, access: &Access, mended: &MendedStash<'_>) -> Result<bool, LedgerError> {
        self.mend_stash(access, mended)
    }

    fn quarantine(&self, pack: PackName, why: &str) -> Result<bool, LedgerError> {
        self.set_aside(pack, why)
    }

    fn packs_in(&self, state: PackState) -> Result<Vec<PackRow>, LedgerError> {
        self.packs_of_state(state)
    }

    fn sweep(&self, sweep: &Sweep<'_>) -> Result<Swept, LedgerError> {
        self.sweep_packs(sweep)
    }

    fn forget(&self, packs: &[GonePack]) -> Result<(), LedgerError> {
        self.drop_packs(packs)
    }

    fn needs_rebuild(&self) -> Result<bool, LedgerError> {
        self.is_beside_unknown_packs()
    }

    fn rebuilt(&self) -> Result<(), LedgerError> {
        self.note_rebuilt()
    }

    fn reindex(&self, scope: ScopeId, pack: &RebuiltPack<'_>) -> Result<(), LedgerError> {
        self.index_again(scope, pack)
    }
}
