//! What concerns a whole build: giving all that it has to another by reference, and forgetting its stashes.

use rusqlite::{Transaction, params};

use crate::controller::ledger::{Access, LedgerError, StashRow};
use crate::protocol::{BuildId, Copied};

use super::artifact_rows::{UUID, builds_named};
use super::commit::{build_id, refer};
use super::connection::{SqliteLedger, Sync};
use super::stashes::of_build;

impl SqliteLedger {
    pub(super) fn copy_all(
        &self,
        access: &Access,
        from: &BuildId,
        to: &BuildId,
        now: i64,
    ) -> Result<Copied, LedgerError> {
        self.write_if(Sync::Durable, |transaction| {
            let stashes = of_build(transaction, access, from)?;
            let builds = builds_named(transaction, access, from)?;
            let mut copied = Copied { stashes: stashes.len() as u64, artifacts: 0 };
            for build in &builds {
                copied.artifacts += count_finished(transaction, *build)?;
            }
            if from == to || copied == Copied::default() {
                return Ok((copied, false));
            }
            let target = build_id(transaction, access, to, now)?;
            for row in &stashes {
                copy_stash(transaction, row, target, now)?;
            }
            // A build of the same name in another scope is read too, and one's own may be among them.
            for build in builds.iter().filter(|build| **build != target) {
                copy_artifacts(transaction, *build, target, now)?;
            }
            Ok((copied, true))
        })
    }

    pub(super) fn forget_stashes(&self, access: &Access, build: &BuildId) -> Result<u64, LedgerError> {
        let own = "SELECT s.id FROM stashes s JOIN builds b ON b.id = s.build
            WHERE b.scope = ?1 AND b.project = ?2 AND b.build = ?3";
        let parameters = params![access.write.0, build.project, build.build];
        self.write(Sync::Durable, |transaction| {
            let packs = format!("DELETE FROM stash_packs WHERE stash IN ({own})");
            transaction.prepare_cached(&packs)?.execute(parameters)?;
            let stashes = format!("DELETE FROM stashes WHERE id IN ({own})");
            Ok(transaction.prepare_cached(&stashes)?.execute(parameters)? as u64)
        })
    }
}

fn count_finished(transaction: &Transaction<'_>, build: i64) -> Result<u64, LedgerError> {
    let sql = "SELECT count(*) FROM artifacts WHERE build = ?1 AND state = 2";
    let count: i64 = transaction.prepare_cached(sql)?.query_row([build], |row| row.get(0))?;
    u64::try_from(count).map_err(|_| LedgerError::Row("count"))
}

fn copy_stash(
    transaction: &Transaction<'_>,
    row: &StashRow,
    build: i64,
    now: i64,
) -> Result<(), LedgerError> {
    let id: i64 = transaction
        .prepare_cached(
            "INSERT INTO stashes (build, name, root, entries, files, directories, symlinks, hard_links, bytes,
               committed_at, patches)
             SELECT ?2, name, root, entries, files, directories, symlinks, hard_links, bytes, ?3, patches
             FROM stashes WHERE id = ?1
             ON CONFLICT (build, name) DO UPDATE SET root = excluded.root, entries = excluded.entries,
               files = excluded.files, directories = excluded.directories, symlinks = excluded.symlinks,
               hard_links = excluded.hard_links, bytes = excluded.bytes, committed_at = excluded.committed_at,
               patches = excluded.patches
             RETURNING id",
        )?
        .query_row(params![row.id, build, now], |row| row.get(0))?;
    refer(transaction, id, row.id)
}

/// Jobs come along, so that steps and attempts mean the same there. The key names the source: a repeated copy adds none.
fn copy_artifacts(transaction: &Transaction<'_>, from: i64, to: i64, now: i64) -> Result<(), LedgerError> {
    transaction
        .prepare_cached(
            "INSERT INTO jobs (build, job, step, label, attempt, shard)
             SELECT ?2, job, step, label, attempt, shard FROM jobs WHERE build = ?1
             ON CONFLICT DO NOTHING",
        )?
        .execute([from, to])?;
    let sql = format!(
        "INSERT INTO artifacts (uuid, build, job, key, path, absolute_path, mode, modified, link, content_type,
           len, sha1, sha256, blake3, state, created_at, keep_until, blob)
         SELECT {UUID}, ?2, t.id, 'copy of ' || a.uuid, a.path, a.absolute_path, a.mode, a.modified, a.link,
           a.content_type, a.len, a.sha1, a.sha256, a.blake3, 2, ?3, a.keep_until, a.blob
         FROM artifacts a JOIN jobs j ON j.id = a.job
           JOIN jobs t ON t.build = ?2 AND t.job = j.job AND t.attempt = j.attempt
             AND coalesce(t.shard, '') = coalesce(j.shard, '')
         WHERE a.build = ?1 AND a.state = 2 ORDER BY a.id
         ON CONFLICT DO NOTHING"
    );
    transaction.prepare_cached(&sql)?.execute(params![from, to, now])?;
    Ok(())
}
