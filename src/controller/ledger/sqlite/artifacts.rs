//! Artifacts: announced, ended, deleted, found by name. Each trait method by the file that holds its SQL.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::controller::ledger::{
    Access, AnnouncedArtifact, Announcement, ArtifactLedger, ArtifactRow, ArtifactSearch, BlobRow, BlobState,
    BlobSweep, EndedUpload, FoundRows, LedgerError, SweptBlobs, UploadEnd,
};
use crate::model::Digest;
use crate::protocol::artifact::{ArtifactId, ArtifactState, BuildFacts, Job, NewArtifact};
use crate::protocol::{BuildId, Copied};

use super::artifact_rows::{BLOB, UUID, artifact_state, blob, find_artifact};
use super::commit::build_id;
use super::connection::{SqliteLedger, Sync};
use super::rows::{all, scope_list, signed};

const DAY_SECONDS: i64 = 24 * 60 * 60;

impl ArtifactLedger for SqliteLedger {
    fn announce(
        &self,
        access: &Access,
        announced: &Announcement<'_>,
    ) -> Result<Vec<AnnouncedArtifact>, LedgerError> {
        self.write(Sync::Ordered, |transaction| {
            let build = build_id(transaction, access, announced.build, announced.now)?;
            learn(transaction, build, announced.facts)?;
            let job = job_id(transaction, build, announced.job)?;
            let place = Place { access, build, job, now: announced.now };
            let each = announced.artifacts.iter().zip(announced.names);
            each.map(|(new, name)| announce_one(transaction, &place, new, name)).collect()
        })
    }

    fn artifact(&self, access: &Access, id: &ArtifactId) -> Result<Option<ArtifactRow>, LedgerError> {
        self.read(|transaction| find_artifact(transaction, access, id))
    }

    fn note_upload(&self, blob: i64, upload: &str) -> Result<Option<String>, LedgerError> {
        self.write(Sync::Ordered, |transaction| {
            transaction
                .prepare_cached(
                    "UPDATE blobs SET upload = ?2 WHERE id = ?1 AND state = 0 AND upload IS NULL",
                )?
                .execute(params![blob, upload])?;
            let sql = "SELECT upload FROM blobs WHERE id = ?1 AND state = 0";
            Ok(transaction
                .prepare_cached(sql)?
                .query_row([blob], |row| row.get::<_, Option<String>>(0))
                .optional()?
                .flatten())
        })
    }

    fn touch_upload(&self, blob: i64, now: i64) -> Result<bool, LedgerError> {
        self.write(Sync::Ordered, |transaction| {
            let sql = "UPDATE blobs SET touched_at = max(touched_at, ?2) WHERE id = ?1 AND state = 0";
            Ok(transaction.prepare_cached(sql)?.execute([blob, now])? == 1)
        })
    }

    fn end_uploads(
        &self,
        access: &Access,
        ended: &[EndedUpload],
    ) -> Result<Vec<(ArtifactState, Option<String>)>, LedgerError> {
        self.write(Sync::Durable, |transaction| {
            ended.iter().map(|ended| end_one(transaction, access, ended)).collect()
        })
    }

    fn delete_artifact(&self, access: &Access, id: &ArtifactId) -> Result<Option<bool>, LedgerError> {
        self.write(Sync::Durable, |transaction| {
            let Some(row) = find_artifact(transaction, access, id)?.filter(|row| row.own) else {
                return Ok(None);
            };
            let sql = "UPDATE artifacts SET state = 3 WHERE id = ?1 AND state IN (0, 1, 2)";
            Ok(Some(transaction.prepare_cached(sql)?.execute([row.number])? == 1))
        })
    }

    fn delete_below(&self, access: &Access, build: &BuildId, path: &str) -> Result<u64, LedgerError> {
        // `0` is the character behind `/`.
        let sql = "UPDATE artifacts SET state = 3 WHERE state IN (0, 2)
            AND build IN (SELECT id FROM builds WHERE scope = ?1 AND project = ?2 AND build = ?3)
            AND (?4 = '' OR path = ?4 OR (path > ?4 || '/' AND path < ?4 || '0'))";
        self.write(Sync::Durable, |transaction| {
            let parameters = params![access.write.0, build.project, build.build, path];
            Ok(transaction.prepare_cached(sql)?.execute(parameters)? as u64)
        })
    }

    fn search_artifacts(
        &self,
        access: &Access,
        search: &ArtifactSearch<'_>,
    ) -> Result<Option<FoundRows>, LedgerError> {
        self.search_builds(access, search)
    }

    fn build_numbered(
        &self,
        access: &Access,
        project: &str,
        number: &str,
    ) -> Result<Option<BuildId>, LedgerError> {
        let sql = format!(
            "SELECT build FROM builds WHERE scope IN ({}) AND project = ?1 AND number = ?2 ORDER BY id DESC LIMIT 1",
            scope_list(access)
        );
        let read = |row: &rusqlite::Row<'_>| Ok(BuildId { project: project.to_owned(), build: row.get(0)? });
        self.read(|transaction| Ok(all(transaction, &sql, [project, number], read)?.pop()))
    }

    fn copy_build(
        &self,
        access: &Access,
        from: &BuildId,
        to: &BuildId,
        now: i64,
    ) -> Result<Copied, LedgerError> {
        self.copy_all(access, from, to, now)
    }

    fn clear_stashes(&self, access: &Access, build: &BuildId) -> Result<u64, LedgerError> {
        self.forget_stashes(access, build)
    }

    fn blob(&self, name: [u8; 16]) -> Result<Option<BlobRow>, LedgerError> {
        let sql = format!("SELECT {BLOB} FROM blobs o WHERE o.name = ?1");
        self.read(|transaction| Ok(all(transaction, &sql, [name], blob)?.pop()))
    }

    fn sweep_blobs(&self, sweep: &BlobSweep) -> Result<SweptBlobs, LedgerError> {
        self.sweep_unneeded_blobs(sweep)
    }

    fn forget_blobs(&self, blobs: &[i64]) -> Result<(), LedgerError> {
        self.drop_blobs(blobs)
    }
}

/// What is known of a build is never forgotten by somebody who does not know it.
fn learn(transaction: &Transaction<'_>, build: i64, facts: &BuildFacts) -> Result<(), LedgerError> {
    if *facts == BuildFacts::default() {
        return Ok(());
    }
    transaction
        .prepare_cached(
            "UPDATE builds SET branch = coalesce(?2, branch), revision = coalesce(?3, revision),
               number = coalesce(?4, number) WHERE id = ?1",
        )?
        .execute(params![build, facts.branch, facts.commit, facts.number])?;
    Ok(())
}

/// The number of a job; made if it is new. A job is told apart by its attempt and shard too.
fn job_id(transaction: &Transaction<'_>, build: i64, job: &Job) -> Result<i64, LedgerError> {
    transaction
        .prepare_cached(
            "INSERT INTO jobs (build, job, step, label, attempt, shard) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![build, job.id, job.step, job.label, job.attempt, job.shard])?;
    Ok(transaction
        .prepare_cached(
            "UPDATE jobs SET step = coalesce(?5, step), label = coalesce(?6, label)
             WHERE build = ?1 AND job = ?2 AND attempt = ?3 AND coalesce(shard, '') = coalesce(?4, '')
             RETURNING id",
        )?
        .query_row(params![build, job.id, job.attempt, job.shard, job.step, job.label], |row| row.get(0))?)
}

/// Where artifacts are announced.
struct Place<'a> {
    access: &'a Access,
    build: i64,
    job: i64,
    now: i64,
}

fn announce_one(
    transaction: &Transaction<'_>,
    place: &Place<'_>,
    new: &NewArtifact,
    name: &[u8; 16],
) -> Result<AnnouncedArtifact, LedgerError> {
    if let Some(before) = announced_before(transaction, place, new)? {
        return Ok(before);
    }
    let content = match &new.link {
        Some(_) => None,
        None => match known_content(transaction, place.access, new)? {
            Some(known) => Some(known),
            None => Some(new_blob(transaction, place, new, name)?),
        },
    };
    let keep_until = new.keep_days.map(|days| place.now + i64::from(days) * DAY_SECONDS);
    let sql = format!(
        "INSERT INTO artifacts (uuid, build, job, key, path, absolute_path, mode, modified, link, content_type,
           len, sha1, sha256, blake3, state, created_at, keep_until, blob)
         VALUES ({UUID}, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 0, ?14, ?15, ?16) RETURNING uuid"
    );
    let id = transaction.prepare_cached(&sql)?.query_row(
        params![
            place.build,
            place.job,
            new.key,
            new.path,
            new.absolute_path,
            new.mode,
            new.modified,
            new.link,
            new.content_type,
            signed(new.len),
            new.sha1.0,
            new.sha256.0,
            new.blake3.as_ref().map(Digest::as_bytes),
            place.now,
            keep_until,
            content.as_ref().map(|blob| blob.id)
        ],
        |row| row.get(0),
    )?;
    Ok(AnnouncedArtifact { id: ArtifactId(id), state: ArtifactState::New, blob: content })
}

/// The artifact that an earlier request with the same key made; whoever asks again is about to send.
fn announced_before(
    transaction: &Transaction<'_>,
    place: &Place<'_>,
    new: &NewArtifact,
) -> Result<Option<AnnouncedArtifact>, LedgerError> {
    let sql = format!(
        "SELECT {BLOB}, a.uuid, a.state FROM artifacts a LEFT JOIN blobs o ON o.id = a.blob
         WHERE a.job = ?1 AND a.key = ?2 AND a.path = ?3 AND a.sha256 = ?4 AND a.state IN (0, 2)"
    );
    let read = |row: &rusqlite::Row<'_>| {
        let has_blob = row.get::<_, Option<i64>>(0)?.is_some();
        Ok(AnnouncedArtifact {
            blob: if has_blob { Some(blob(row)?) } else { None },
            id: ArtifactId(row.get(5)?),
            state: artifact_state(row.get(6)?)?,
        })
    };
    let parameters = params![place.job, new.key, new.path, new.sha256.0];
    let found = all(transaction, &sql, parameters, read)?.pop();
    if let Some(pending) = found.as_ref().and_then(|found| found.blob.as_ref())
        && pending.state == BlobState::Pending
    {
        transaction
            .prepare_cached("UPDATE blobs SET touched_at = max(touched_at, ?2) WHERE id = ?1")?
            .execute([pending.id, place.now])?;
    }
    Ok(found)
}

/// A finished blob of that content: one whose SHA-256 was checked in any of the read scopes, or one of the own scope.
fn known_content(
    transaction: &Transaction<'_>,
    access: &Access,
    new: &NewArtifact,
) -> Result<Option<BlobRow>, LedgerError> {
    let sql = format!(
        "SELECT {BLOB} FROM blobs o WHERE o.sha256 = ?1 AND o.len = ?2 AND o.state = 1 AND o.scope IN ({})
           AND (o.verified = 1 OR o.scope = ?3) ORDER BY o.verified DESC, o.id LIMIT 1",
        scope_list(access)
    );
    let parameters = params![new.sha256.0, signed(new.len), access.write.0];
    Ok(all(transaction, &sql, parameters, blob)?.pop())
}

fn new_blob(
    transaction: &Transaction<'_>,
    place: &Place<'_>,
    new: &NewArtifact,
    name: &[u8; 16],
) -> Result<BlobRow, LedgerError> {
    transaction
        .prepare_cached(
            "INSERT INTO blobs (name, scope, state, len, sha1, sha256, blake3, touched_at)
             VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            name,
            place.access.write.0,
            signed(new.len),
            new.sha1.0,
            new.sha256.0,
            new.blake3.as_ref().map(Digest::as_bytes),
            place.now
        ])?;
    let id = transaction.last_insert_rowid();
    Ok(BlobRow { id, name: *name, state: BlobState::Pending, len: new.len, upload: None })
}

fn end_one(
    transaction: &Transaction<'_>,
    access: &Access,
    ended: &EndedUpload,
) -> Result<(ArtifactState, Option<String>), LedgerError> {
    let Some(row) = find_artifact(transaction, access, &ended.id)?.filter(|row| row.own) else {
        return Ok((ArtifactState::Error, Some("there is no such artifact any more".to_owned())));
    };
    if row.state != ArtifactState::New {
        return Ok((row.state, row.why));
    }
    let (state, why, blob_state, verified) = match &ended.end {
        UploadEnd::Finished { verified } => (ArtifactState::Finished, None, 1, *verified),
        UploadEnd::Failed(why) => (ArtifactState::Error, Some(why.clone()), 2, false),
    };
    transaction
        .prepare_cached("UPDATE artifacts SET state = ?2, why = ?3 WHERE id = ?1")?
        .execute(params![row.number, super::artifact_rows::state_number(state), why])?;
    if let Some(blob) = row.blob.filter(|blob| blob.state == BlobState::Pending) {
        transaction
            .prepare_cached("UPDATE blobs SET state = ?2, verified = ?3 WHERE id = ?1 AND state = 0")?
            .execute(params![blob.id, blob_state, verified])?;
    }
    Ok((state, why))
}
