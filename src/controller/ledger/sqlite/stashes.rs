//! Finding, listing, copying and forgetting stashes; read sessions.

use rusqlite::{Transaction, params};

use crate::controller::ledger::{Access, LedgerError, NewReader, OpenedReader, PackRow, StashRow};
use crate::protocol::{BuildId, SessionId, StashInfo, StashName};

use super::connection::{SqliteLedger, Sync};
use super::rows::{PACK, STASH, all, find_stash, pack, scope_list, stash};

impl SqliteLedger {
    pub(super) fn find_by_name(
        &self,
        access: &Access,
        build: &BuildId,
        name: &StashName,
    ) -> Result<Option<StashRow>, LedgerError> {
        self.read(|transaction| find_stash(transaction, access, build, name))
    }

    pub(super) fn insert_reader(
        &self,
        access: &Access,
        new: &NewReader<'_>,
    ) -> Result<Option<OpenedReader>, LedgerError> {
        self.write(Sync::Ordered, |transaction| {
            let inserted = transaction
                .prepare_cached(
                    "INSERT INTO sessions (kind, state, scope, project, build, name, parent, expires_at, owner)
                     SELECT 1, 0, ?2, b.project, b.build, s.name, s.root, ?3, ?4
                     FROM stashes s JOIN builds b ON b.id = s.build WHERE s.id = ?1",
                )?
                .execute(params![new.stash, access.write.0, new.expires_at, new.owner])?;
            let session = transaction.last_insert_rowid();
            let Some(stash) = by_number(transaction, new.stash)?.filter(|_| inserted > 0) else {
                return Ok(None);
            };
            let sql = format!(
                "SELECT {PACK} FROM stash_packs r JOIN packs p ON p.id = r.pack
                 WHERE r.stash = ?1 AND p.state IN (1, 2, 3) ORDER BY p.state = 3, p.id"
            );
            let packs = all(transaction, &sql, [new.stash], pack)?;
            let mut pin = transaction.prepare_cached("INSERT INTO pins VALUES (?1, ?2)")?;
            for row in &packs {
                pin.execute([session, row.id.0])?;
            }
            Ok(Some(OpenedReader { session: SessionId(session as u64), stash, packs }))
        })
    }

    pub(super) fn list_build(&self, access: &Access, build: &BuildId) -> Result<Vec<StashInfo>, LedgerError> {
        self.read(|transaction| {
            Ok(of_build(transaction, access, build)?.into_iter().map(|row| row.info).collect())
        })
    }

    pub(super) fn remove_stash(
        &self,
        access: &Access,
        build: &BuildId,
        name: &StashName,
    ) -> Result<bool, LedgerError> {
        let own = Access { write: access.write, read: vec![access.write] };
        self.write(Sync::Durable, |transaction| {
            let Some(row) = find_stash(transaction, &own, build, name)? else { return Ok(false) };
            transaction.prepare_cached("DELETE FROM stash_packs WHERE stash = ?1")?.execute([row.id])?;
            transaction.prepare_cached("DELETE FROM stashes WHERE id = ?1")?.execute([row.id])?;
            Ok(true)
        })
    }

    pub(super) fn every_stash(&self) -> Result<Vec<StashRow>, LedgerError> {
        self.read(|transaction| all(transaction, &format!("{STASH} ORDER BY s.id"), [], stash))
    }

    pub(super) fn stash_numbered(&self, id: i64) -> Result<Option<StashRow>, LedgerError> {
        self.read(|transaction| by_number(transaction, id))
    }

    pub(super) fn stashes_on_quarantined_packs(&self) -> Result<Vec<StashRow>, LedgerError> {
        let sql = format!(
            "{STASH} WHERE s.id IN (SELECT r.stash FROM packs q JOIN stash_packs r ON r.pack = q.id WHERE q.state = 3)
             ORDER BY s.id"
        );
        self.read(|transaction| all(transaction, &sql, [], stash))
    }

    pub(super) fn packs_of(&self, stash: i64) -> Result<Vec<PackRow>, LedgerError> {
        let sql = format!(
            "SELECT {PACK} FROM stash_packs r JOIN packs p ON p.id = r.pack WHERE r.stash = ?1 ORDER BY p.id"
        );
        self.read(|transaction| all(transaction, &sql, [stash], pack))
    }
}

fn by_number(transaction: &Transaction<'_>, id: i64) -> Result<Option<StashRow>, LedgerError> {
    Ok(all(transaction, &format!("{STASH} WHERE s.id = ?1"), [id], stash)?.pop())
}

pub(super) fn of_build(
    transaction: &Transaction<'_>,
    access: &Access,
    build: &BuildId,
) -> Result<Vec<StashRow>, LedgerError> {
    let sql = format!(
        "{STASH} WHERE b.scope IN ({}) AND b.project = ?1 AND b.build = ?2 ORDER BY s.name",
        scope_list(access)
    );
    all(transaction, &sql, params![build.project, build.build], stash)
}
