//! The commit transaction: packs live, chunks and pages indexed, the name pointed, the session ended.

use std::collections::BTreeSet;

use rusqlite::{Transaction, params};

use crate::controller::ledger::{Access, CommitRows, LedgerError, MendedStash, PackId, SessionRow};
use crate::model::Digest;
use crate::model::manifest::Totals;
use crate::protocol::{BuildId, Committed};

use super::connection::{SqliteLedger, Sync};
use super::index::Indexer;
use super::rows::{STASH, find_stash, signed, stash};
use super::sessions::{drop_holds, require_open, whole_stash};

/// How long a commit's answer is kept for its repetition.
const ANSWER_SECONDS: i64 = 24 * 60 * 60;

impl SqliteLedger {
    pub(super) fn mend_stash(&self, access: &Access, mended: &MendedStash<'_>) -> Result<bool, LedgerError> {
        self.write_if(Sync::Durable, |transaction| {
            let stash = mended.stash;
            let same = transaction
                .prepare_cached("SELECT 1 FROM stashes WHERE id = ?1 AND root = ?2 AND patches IS ?3")?
                .exists(params![
                    stash.id,
                    stash.info.id.as_bytes(),
                    stash.info.patches.as_ref().map(Digest::as_bytes)
                ])?;
            if !same || keep_live(transaction, mended.packs)?.is_some() {
                return Ok((false, false));
            }
            mark_manifest(transaction, mended.manifest_packs)?;
            index_pages(transaction, access, mended.pages)?;
            refer_to(transaction, stash.id, mended.packs)?;
            Ok((true, true))
        })
    }

    pub(super) fn commit_known_root(
        &self,
        access: &Access,
        at: &SessionRow,
        root: Digest,
        patches: Option<Digest>,
        now: i64,
    ) -> Result<Option<Committed>, LedgerError> {
        self.write(Sync::Durable, |transaction| {
            require_open(transaction, at.id, now)?;
            let stored = patches.unwrap_or(root);
            let Some(source) = whole_stash(transaction, access, &stored, "1, 2")? else { return Ok(None) };
            transaction
                .prepare_cached(
                    "UPDATE packs SET state = 1, condemned_by = NULL
                     WHERE state = 2 AND id IN (SELECT pack FROM stash_packs WHERE stash = ?1)",
                )?
                .execute([source])?;
            let row = by_id(transaction, source)?;
            if row.info.id != root {
                return Ok(None);
            }
            let target = Target { access, at, root, patches: row.info.patches, totals: row.info.totals, now };
            let (id, replaced) = point(transaction, &target)?;
            if id != source {
                refer(transaction, id, source)?;
            }
            let committed = Committed { stash: by_id(transaction, id)?.info, replaced };
            finish(transaction, at, &committed, now)?;
            Ok(Some(committed))
        })
    }

    pub(super) fn commit_rows(
        &self,
        access: &Access,
        rows: &CommitRows<'_>,
    ) -> Result<Committed, LedgerError> {
        self.write(Sync::Durable, |transaction| {
            require_open(transaction, rows.session.id, rows.now)?;
            make_live(transaction, rows)?;
            if let Some(gone) = keep_live(transaction, rows.packs)? {
                return Err(LedgerError::PackGone(gone.0));
            }
            mark_manifest(transaction, rows.manifest_packs)?;
            index_chunks(transaction, access, rows)?;
            index_pages(transaction, access, rows.pages)?;
            let (root, patches, totals, now) = (rows.root, rows.patches, rows.totals, rows.now);
            let target = Target { access, at: rows.session, root, patches, totals, now };
            let (id, replaced) = point(transaction, &target)?;
            refer_to(transaction, id, rows.packs)?;
            let committed = Committed { stash: by_id(transaction, id)?.info, replaced };
            finish(transaction, rows.session, &committed, now)?;
            Ok(committed)
        })
    }
}

fn make_live(transaction: &Transaction<'_>, rows: &CommitRows<'_>) -> Result<(), LedgerError> {
    let mut new = transaction.prepare_cached(
        "UPDATE packs SET state = 1, tail_len = ?3 WHERE id = ?1 AND session = ?2 AND state = 0",
    )?;
    for (pack, tail_len) in rows.new_packs {
        if new.execute([pack.0, signed(rows.session.id.0), signed(*tail_len)])? != 1 {
            return Err(LedgerError::PackGone(pack.0));
        }
    }
    Ok(())
}

/// Compare and set: a condemned pack comes back here or not at all. The first that is gone, if one is.
fn keep_live(transaction: &Transaction<'_>, packs: &[PackId]) -> Result<Option<PackId>, LedgerError> {
    let mut keep = transaction.prepare_cached(
        "UPDATE packs SET state = 1, condemned_by = NULL WHERE id = ?1 AND state IN (1, 2)",
    )?;
    for pack in packs {
        if keep.execute([pack.0])? != 1 {
            return Ok(Some(*pack));
        }
    }
    Ok(None)
}

fn mark_manifest(transaction: &Transaction<'_>, packs: &[PackId]) -> Result<(), LedgerError> {
    let mut mark =
        transaction.prepare_cached("UPDATE packs SET has_manifest = 1 WHERE id = ?1 AND has_manifest = 0")?;
    packs.iter().try_for_each(|pack| Ok(mark.execute([pack.0]).map(drop)?))
}

fn refer_to(transaction: &Transaction<'_>, stash: i64, packs: &[PackId]) -> Result<(), LedgerError> {
    transaction.prepare_cached("DELETE FROM stash_packs WHERE stash = ?1")?.execute([stash])?;
    let mut refer = transaction.prepare_cached("INSERT INTO stash_packs VALUES (?1, ?2)")?;
    packs.iter().try_for_each(|pack| Ok(refer.execute([stash, pack.0]).map(drop)?))
}

fn index_chunks(
    transaction: &Transaction<'_>,
    access: &Access,
    rows: &CommitRows<'_>,
) -> Result<(), LedgerError> {
    let mut index = Indexer::new(transaction, access.write)?;
    let mut healed = BTreeSet::new();
    for (digest, pack) in rows.chunks {
        if let Some(broken) = index.add(digest, *pack)? {
            healed.insert((broken, *pack));
        }
    }
    healed.into_iter().try_for_each(|(broken, new)| heal(transaction, broken, new))
}

/// Stashes that refer to a broken pack also refer to one that brought some of its chunks again.
fn heal(transaction: &Transaction<'_>, broken: PackId, new: PackId) -> Result<(), LedgerError> {
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO stash_packs SELECT stash, ?2 FROM stash_packs WHERE pack = ?1",
        )?
        .execute([broken.0, new.0])?;
    transaction
        .prepare_cached(
            "UPDATE packs SET has_manifest = 1
             WHERE id = ?2 AND (SELECT has_manifest FROM packs WHERE id = ?1) = 1",
        )?
        .execute([broken.0, new.0])?;
    Ok(())
}

fn index_pages(
    transaction: &Transaction<'_>,
    access: &Access,
    pages: &[(Digest, Vec<PackId>)],
) -> Result<(), LedgerError> {
    let mut clear = transaction.prepare_cached("DELETE FROM page_packs WHERE scope = ?1 AND page = ?2")?;
    let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO page_packs VALUES (?1, ?2, ?3)")?;
    for (page, packs) in pages {
        clear.execute(params![access.write.0, page.as_bytes()])?;
        for pack in packs {
            insert.execute(params![access.write.0, page.as_bytes(), pack.0])?;
        }
    }
    Ok(())
}

/// What a name shall point at.
struct Target<'a> {
    access: &'a Access,
    at: &'a SessionRow,
    root: Digest,
    patches: Option<Digest>,
    totals: Totals,
    now: i64,
}

/// Points the name at the root; the stash's number, and whether it pointed elsewhere before.
fn point(transaction: &Transaction<'_>, target: &Target<'_>) -> Result<(i64, bool), LedgerError> {
    let own = Access { write: target.access.write, read: vec![target.access.write] };
    let patches = target.patches.as_ref().map(Digest::as_bytes);
    let before = find_stash(transaction, &own, &target.at.build, &target.at.name)?;
    if let Some(row) = before.as_ref().filter(|row| row.info.id == target.root) {
        transaction
            .prepare_cached("UPDATE stashes SET committed_at = ?2, patches = ?3 WHERE id = ?1")?
            .execute(params![row.id, target.now, patches])?;
        return Ok((row.id, false));
    }
    let build = build_id(transaction, target.access, &target.at.build, target.now)?;
    let totals = target.totals;
    let id = transaction
        .prepare_cached(
            "INSERT INTO stashes (build, name, root, entries, files, directories, symlinks, hard_links, bytes,
               committed_at, patches) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (build, name) DO UPDATE SET root = excluded.root, entries = excluded.entries,
               files = excluded.files, directories = excluded.directories, symlinks = excluded.symlinks,
               hard_links = excluded.hard_links, bytes = excluded.bytes, committed_at = excluded.committed_at,
               patches = excluded.patches
             RETURNING id",
        )?
        .query_row(
            params![
                build,
                target.at.name.as_str(),
                target.root.as_bytes(),
                signed(totals.entries),
                signed(totals.files),
                signed(totals.directories),
                signed(totals.symlinks),
                signed(totals.hard_links),
                signed(totals.bytes),
                target.now,
                patches
            ],
            |row| row.get(0),
        )?;
    Ok((id, before.is_some()))
}

/// Gives stash `to` exactly the packs of stash `from`.
pub(super) fn refer(transaction: &Transaction<'_>, to: i64, from: i64) -> Result<(), LedgerError> {
    transaction.prepare_cached("DELETE FROM stash_packs WHERE stash = ?1")?.execute([to])?;
    transaction
        .prepare_cached("INSERT INTO stash_packs SELECT ?1, pack FROM stash_packs WHERE stash = ?2")?
        .execute([to, from])?;
    Ok(())
}

/// The number of a build in the write scope; made if it is new.
pub(super) fn build_id(
    transaction: &Transaction<'_>,
    access: &Access,
    build: &BuildId,
    now: i64,
) -> Result<i64, LedgerError> {
    transaction
        .prepare_cached(
            "INSERT INTO builds (scope, project, build, created_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (scope, project, build) DO NOTHING",
        )?
        .execute(params![access.write.0, build.project, build.build, now])?;
    let mut statement = transaction
        .prepare_cached("SELECT id FROM builds WHERE scope = ?1 AND project = ?2 AND build = ?3")?;
    Ok(statement.query_row(params![access.write.0, build.project, build.build], |row| row.get(0))?)
}

/// The session has committed, and can be asked for its answer for a day.
fn finish(
    transaction: &Transaction<'_>,
    at: &SessionRow,
    committed: &Committed,
    now: i64,
) -> Result<(), LedgerError> {
    let answer = serde_json::to_string(committed).map_err(|_| LedgerError::Row("answer"))?;
    transaction
        .prepare_cached(
            "UPDATE sessions SET state = 1, root = ?2, answer = ?3, expires_at = ?4 WHERE id = ?1",
        )?
        .execute(params![signed(at.id.0), committed.stash.id.as_bytes(), answer, now + ANSWER_SECONDS])?;
    drop_holds(transaction, at.id)
}

fn by_id(transaction: &Transaction<'_>, id: i64) -> Result<crate::controller::ledger::StashRow, LedgerError> {
    let mut statement = transaction.prepare_cached(&format!("{STASH} WHERE s.id = ?1"))?;
    let mut rows = statement.query([id])?;
    stash(rows.next()?.ok_or(LedgerError::Row("stash"))?)
}
