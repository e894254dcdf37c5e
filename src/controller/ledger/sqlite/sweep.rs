//! Packs by themselves: named, set aside, condemned, deleted, found again.
//!
//! Order rests on session numbers, not clocks: a condemnation notes the highest number given out; the pack goes once
//! no open session has that number or a lower one.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::controller::ledger::{
    Access, GonePack, LedgerError, PackId, PackRow, PackState, RebuiltPack, ScopeId, Sweep, Swept,
};
use crate::model::PackName;
use crate::protocol::SessionId;

use super::connection::{SqliteLedger, Sync};
use super::index::{self, Indexer};
use super::rows::{PACK, all, pack, signed, state_number, unsigned};
use super::sessions::drop_holds;

const UNREFERRED: &str = "NOT EXISTS (SELECT 1 FROM stash_packs r WHERE r.pack = packs.id)";
/// One row while the ledger stands beside packs that it does not know.
const NEEDS_REBUILD: &str = "SELECT 1 FROM meta WHERE key = 'needs_rebuild'";
const UNPINNED: &str = "NOT EXISTS (SELECT 1 FROM pins WHERE pins.pack = packs.id)";

impl SqliteLedger {
    pub(super) fn insert_pending(&self, access: &Access, packs: &[PackRow]) -> Result<(), LedgerError> {
        self.write(Sync::Ordered, |transaction| {
            let mut open =
                transaction.prepare_cached("SELECT 1 FROM sessions WHERE id = ?1 AND state = 0")?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO packs (name, scope, state, len, tail_len, footer_digest, has_manifest, session)
                 VALUES (?1, ?2, 0, ?3, 0, ?4, 0, ?5)",
            )?;
            for row in packs {
                if !open.exists([signed(row.session.0)])? {
                    return Err(LedgerError::SessionEnded(row.session));
                }
                insert.execute(params![
                    row.name.0,
                    access.write.0,
                    signed(row.len),
                    row.footer_digest.as_bytes(),
                    signed(row.session.0)
                ])?;
            }
            Ok(())
        })
    }

    pub(super) fn pack_named(&self, name: PackName) -> Result<Option<PackRow>, LedgerError> {
        let sql = format!("SELECT {PACK} FROM packs p WHERE p.name = ?1");
        self.read(|transaction| Ok(all(transaction, &sql, [name.0], pack)?.pop()))
    }

    pub(super) fn pack_numbered(&self, id: PackId) -> Result<Option<PackRow>, LedgerError> {
        let sql = format!("SELECT {PACK} FROM packs p WHERE p.id = ?1");
        self.read(|transaction| Ok(all(transaction, &sql, [id.0], pack)?.pop()))
    }

    pub(super) fn packs_of_state(&self, state: PackState) -> Result<Vec<PackRow>, LedgerError> {
        let sql = format!("SELECT {PACK} FROM packs p WHERE p.state = ?1 ORDER BY p.id");
        self.read(|transaction| all(transaction, &sql, [state_number(state)], pack))
    }

    pub(super) fn set_aside(&self, name: PackName, why: &str) -> Result<bool, LedgerError> {
        self.write(Sync::Durable, |transaction| {
            let sql = "UPDATE packs SET state = 3, note = ?2 WHERE name = ?1 AND state IN (1, 2)";
            Ok(transaction.prepare_cached(sql)?.execute(params![name.0, why])? == 1)
        })
    }

    pub(super) fn sweep_packs(&self, sweep: &Sweep<'_>) -> Result<Swept, LedgerError> {
        let swept = self.write_if(Sync::Durable, |transaction| {
            let mut swept = Swept { reaped_sessions: reap(transaction, sweep)?, ..Swept::default() };
            swept.condemned = condemn(transaction)?;
            doom(transaction)?;
            swept.deleted =
                all(transaction, &format!("SELECT {PACK} FROM packs p WHERE p.state = 4"), [], pack)?;
            let kept = format!("SELECT count(*) FROM packs WHERE state IN (1, 2) AND {UNREFERRED}");
            swept.kept_for_sessions = transaction.query_row(&kept, [], |row| Ok(unsigned(row, 0)))??;
            if swept.kept_for_sessions > 0 {
                let sql = "SELECT max(expires_at) FROM sessions WHERE state = 0";
                swept.until = transaction.query_row(sql, [], |row| row.get(0))?;
            }
            Ok((swept, !sweep.dry_run))
        })?;
        if !sweep.dry_run {
            self.fold_log()?;
        }
        Ok(swept)
    }

    pub(super) fn drop_packs(&self, packs: &[GonePack]) -> Result<(), LedgerError> {
        let unknown = packs.iter().filter(|gone| gone.chunks.is_none());
        self.unindex_unknown(&unknown.map(|gone| gone.id).collect::<Vec<_>>())?;
        self.write(Sync::Ordered, |transaction| {
            for gone in packs {
                if !is_deleted(transaction, gone.id)? {
                    continue;
                }
                index::remove(transaction, gone.scope, gone.id, gone.chunks.as_deref().unwrap_or_default())?;
                // A page is known by all its packs or not at all.
                transaction
                    .prepare_cached(
                        "DELETE FROM page_packs
                         WHERE (scope, page) IN (SELECT scope, page FROM page_packs WHERE pack = ?1)",
                    )?
                    .execute([gone.id.0])?;
                for table in ["stash_packs", "pins"] {
                    let sql = format!("DELETE FROM {table} WHERE pack = ?1");
                    transaction.prepare_cached(&sql)?.execute([gone.id.0])?;
                }
                transaction.prepare_cached("DELETE FROM packs WHERE id = ?1")?.execute([gone.id.0])?;
            }
            Ok(())
        })
    }

    /// Looks through the whole index, a slice in each transaction, so that nobody waits long. An index by pack would
    /// cost every commit more than this costs the rare sweep that cannot read a footer.
    fn unindex_unknown(&self, packs: &[PackId]) -> Result<(), LedgerError> {
        if packs.is_empty() {
            return Ok(());
        }
        for slice in index::slices() {
            self.write(Sync::Ordered, |transaction| {
                let mut deleted = Vec::with_capacity(packs.len());
                for pack in packs {
                    if is_deleted(transaction, *pack)? {
                        deleted.push(*pack);
                    }
                }
                index::remove_slice(transaction, &slice, &deleted)
            })?;
        }
        Ok(())
    }

    pub(super) fn is_beside_unknown_packs(&self) -> Result<bool, LedgerError> {
        self.read(|transaction| Ok(transaction.prepare_cached(NEEDS_REBUILD)?.exists([])?))
    }

    pub(super) fn note_rebuilt(&self) -> Result<(), LedgerError> {
        self.write(Sync::Durable, |transaction| {
            transaction.execute("DELETE FROM meta WHERE key = 'needs_rebuild'", [])?;
            Ok(())
        })
    }

    pub(super) fn index_again(&self, scope: ScopeId, found: &RebuiltPack<'_>) -> Result<(), LedgerError> {
        self.write(Sync::Durable, |transaction| {
            // Beside a ledger that was never lost, a pack without a row is on its way out.
            transaction
                .prepare_cached(&format!(
                    "INSERT INTO packs (name, scope, state, len, tail_len, footer_digest, has_manifest, session)
                     SELECT ?1, ?2, 1, ?3, ?4, ?5, 0, 0 WHERE EXISTS ({NEEDS_REBUILD}) ON CONFLICT (name) DO NOTHING",
                ))?
                .execute(params![
                    found.name.0,
                    scope.0,
                    signed(found.len),
                    signed(found.tail_len),
                    found.footer_digest.as_bytes()
                ])?;
            let sql = "SELECT id, scope FROM packs WHERE name = ?1 AND state = 1";
            let row: Option<(i64, i64)> = transaction
                .prepare_cached(sql)?
                .query_row([found.name.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((id, scope)) = row else { return Ok(()) };
            let mut index = Indexer::new(transaction, ScopeId(scope))?;
            for chunk in found.chunks {
                index.add(&chunk.digest, PackId(id))?;
            }
            Ok(())
        })
    }
}

fn is_deleted(transaction: &Transaction<'_>, pack: PackId) -> Result<bool, LedgerError> {
    Ok(transaction.prepare_cached("SELECT 1 FROM packs WHERE id = ?1 AND state = 4")?.exists([pack.0])?)
}

fn reap(transaction: &Transaction<'_>, sweep: &Sweep<'_>) -> Result<u64, LedgerError> {
    let sql = "SELECT id FROM sessions WHERE state = 0 AND expires_at <= ?1";
    let mut dead = all(transaction, sql, [sweep.now], |row| Ok(SessionId(unsigned(row, 0)?)))?;
    dead.extend_from_slice(sweep.ended);
    let mut end = transaction.prepare_cached("UPDATE sessions SET state = 2 WHERE id = ?1 AND state = 0")?;
    let mut reaped = 0;
    for id in dead {
        if end.execute([signed(id.0)])? == 1 {
            drop_holds(transaction, id)?;
            reaped += 1;
        }
    }
    transaction
        .execute("DELETE FROM sessions WHERE state = 2 OR (state = 1 AND expires_at <= ?1)", [sweep.now])?;
    Ok(reaped)
}

fn condemn(transaction: &Transaction<'_>) -> Result<u64, LedgerError> {
    let sql = format!(
        "UPDATE packs SET state = 2, condemned_by = (SELECT coalesce(max(id), 0) FROM sessions)
         WHERE state = 1 AND {UNREFERRED} AND {UNPINNED}"
    );
    Ok(transaction.execute(&sql, [])? as u64)
}

fn doom(transaction: &Transaction<'_>) -> Result<(), LedgerError> {
    // No commit can bring a quarantined pack back; a reader may still be after what is whole in it.
    let sql = format!(
        "UPDATE packs SET state = 4 WHERE {UNREFERRED} AND {UNPINNED} AND (state = 3 OR (state = 2 AND NOT EXISTS
           (SELECT 1 FROM sessions WHERE sessions.state = 0 AND sessions.id <= packs.condemned_by)))"
    );
    transaction.execute(&sql, [])?;
    Ok(())
}
