//! Sessions, leases and pins.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::controller::ledger::{Access, LedgerError, NewSession, OpenedSession, PackRow, SessionRow};
use crate::model::Digest;
use crate::protocol::{BuildId, Committed, SessionId, StashName};

use super::connection::{SqliteLedger, Sync};
use super::rows::{PACK, all, pack, scope_list, signed, unsigned};

impl SqliteLedger {
    pub(super) fn insert_session(
        &self,
        access: &Access,
        new: &NewSession<'_>,
    ) -> Result<OpenedSession, LedgerError> {
        self.write(Sync::Ordered, |transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO sessions (kind, state, scope, project, build, name, parent, expires_at, owner)
                     VALUES (0, 0, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    access.write.0,
                    new.build.project,
                    new.build.build,
                    new.name.as_str(),
                    new.parent.as_ref().map(Digest::as_bytes),
                    new.expires_at,
                    new.owner
                ])?;
            let id = transaction.last_insert_rowid();
            let whole = match new.parent {
                Some(parent) => whole_stash(transaction, access, &parent, "1")?,
                None => None,
            };
            if let Some(stash) = whole {
                transaction
                    .prepare_cached("INSERT INTO pins SELECT ?1, pack FROM stash_packs WHERE stash = ?2")?
                    .execute([id, stash])?;
            }
            Ok(OpenedSession { id: SessionId(id as u64), parent_accepted: whole.is_some() })
        })
    }

    pub(super) fn find_session(
        &self,
        access: &Access,
        id: SessionId,
        now: i64,
        lease: i64,
    ) -> Result<SessionRow, LedgerError> {
        let sql = "SELECT state, project, build, name, expires_at, answer FROM sessions
            WHERE id = ?1 AND kind = 0 AND scope = ?2";
        let (row, state, expires_at) = self.read(|transaction| {
            let mut statement = transaction.prepare_cached(sql)?;
            let mut rows = statement.query([signed(id.0), access.write.0])?;
            let row = rows.next()?.ok_or(LedgerError::SessionEnded(id))?;
            let name: String = row.get(3)?;
            let session = SessionRow {
                id,
                build: BuildId { project: row.get(1)?, build: row.get(2)? },
                name: StashName::try_from(name).map_err(|_| LedgerError::Row("session's name"))?,
                committed: row.get::<_, Option<String>>(5)?.map(|json| answer(&json)).transpose()?,
            };
            Ok((session, row.get::<_, i64>(0)?, row.get::<_, i64>(4)?))
        })?;
        match state {
            1 => Ok(row),
            0 if expires_at > now => {
                if expires_at - now < lease / 3 * 2 {
                    self.renew(id, now, lease)?;
                }
                Ok(row)
            }
            _ => Err(LedgerError::SessionEnded(id)),
        }
    }

    fn renew(&self, id: SessionId, now: i64, lease: i64) -> Result<(), LedgerError> {
        self.write(Sync::Ordered, |transaction| {
            let renewed = transaction
                .prepare_cached("UPDATE sessions SET expires_at = ?2 WHERE id = ?1 AND state = 0")?
                .execute([signed(id.0), now + lease])?;
            if renewed == 1 { Ok(()) } else { Err(LedgerError::SessionEnded(id)) }
        })
    }

    pub(super) fn renew_reader(
        &self,
        access: &Access,
        id: SessionId,
        now: i64,
        lease: i64,
    ) -> Result<Vec<PackRow>, LedgerError> {
        self.write(Sync::Ordered, |transaction| {
            let renewed = transaction
                .prepare_cached(
                    "UPDATE sessions SET expires_at = max(expires_at, ?3 + ?4)
                     WHERE id = ?1 AND scope = ?2 AND kind = 1 AND state = 0 AND expires_at > ?3",
                )?
                .execute([signed(id.0), access.write.0, now, lease])?;
            if renewed == 1 { pinned(transaction, id) } else { Err(LedgerError::SessionEnded(id)) }
        })
    }

    pub(super) fn close_session(&self, access: &Access, id: SessionId) -> Result<(), LedgerError> {
        self.write(Sync::Ordered, |transaction| {
            let ended = transaction
                .prepare_cached("UPDATE sessions SET state = 2 WHERE id = ?1 AND state = 0 AND scope = ?2")?
                .execute([signed(id.0), access.write.0])?;
            if ended == 1 { drop_holds(transaction, id) } else { Ok(()) }
        })
    }

    pub(super) fn open_sessions_in_processes(&self) -> Result<Vec<(SessionId, String)>, LedgerError> {
        let sql = "SELECT id, owner FROM sessions WHERE state = 0 AND owner IS NOT NULL";
        self.read(|transaction| {
            all(transaction, sql, [], |row| Ok((SessionId(unsigned(row, 0)?), row.get(1)?)))
        })
    }

    pub(super) fn pinned_packs(&self, id: SessionId) -> Result<Vec<PackRow>, LedgerError> {
        self.read(|transaction| pinned(transaction, id))
    }
}

fn pinned(transaction: &Transaction<'_>, id: SessionId) -> Result<Vec<PackRow>, LedgerError> {
    let sql = format!("SELECT {PACK} FROM pins JOIN packs p ON p.id = pins.pack WHERE pins.session = ?1");
    all(transaction, &sql, [signed(id.0)], pack)
}

fn answer(json: &str) -> Result<Committed, LedgerError> {
    serde_json::from_str(json).map_err(|_| LedgerError::Row("session's answer"))
}

/// Fails unless the session is open and its lease runs.
pub(super) fn require_open(
    transaction: &Transaction<'_>,
    id: SessionId,
    now: i64,
) -> Result<(), LedgerError> {
    let open = transaction
        .prepare_cached("SELECT 1 FROM sessions WHERE id = ?1 AND state = 0 AND expires_at > ?2")?
        .exists([signed(id.0), now])?;
    if open { Ok(()) } else { Err(LedgerError::SessionEnded(id)) }
}

/// A session's pins go, and its packs that were not committed become `deleted`.
pub(super) fn drop_holds(transaction: &Transaction<'_>, id: SessionId) -> Result<(), LedgerError> {
    transaction.prepare_cached("DELETE FROM pins WHERE session = ?1")?.execute([signed(id.0)])?;
    transaction
        .prepare_cached("UPDATE packs SET state = 4 WHERE session = ?1 AND state = 0")?
        .execute([signed(id.0)])?;
    Ok(())
}

/// A stash of the read scopes that is stored so, all of whose packs are in `states`. `stored` is its list of patches, or its root if
/// it has none.
pub(super) fn whole_stash(
    transaction: &Transaction<'_>,
    access: &Access,
    stored: &Digest,
    states: &str,
) -> Result<Option<i64>, LedgerError> {
    let sql = format!(
        "SELECT s.id FROM stashes s JOIN builds b ON b.id = s.build
         WHERE (s.patches = ?1 OR (s.root = ?1 AND s.patches IS NULL)) AND b.scope IN ({}) AND NOT EXISTS (
           SELECT 1 FROM stash_packs r LEFT JOIN packs p ON p.id = r.pack
           WHERE r.stash = s.id AND (p.state IS NULL OR p.state NOT IN ({states})))
         ORDER BY s.id DESC LIMIT 1",
        scope_list(access)
    );
    Ok(transaction.prepare_cached(&sql)?.query_row([stored.as_bytes()], |row| row.get(0)).optional()?)
}
