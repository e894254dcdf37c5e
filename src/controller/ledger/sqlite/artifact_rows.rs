//! Rows of artifacts and blobs to values. The one place that knows the order of their columns and the numbers of states.

use rusqlite::{Row, Transaction, params};

use crate::controller::ledger::{Access, ArtifactRow, BlobRow, BlobState, LedgerError};
use crate::model::{Digest, Sha1, Sha256};
use crate::protocol::BuildId;
use crate::protocol::artifact::{ArtifactId, ArtifactState, Job};

use super::rows::{all, scope_list, unsigned};

/// A new random UUID (RFC 9562, version 4).
pub(super) const UUID: &str = "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4'
  || substr(hex(randomblob(2)), 2) || '-' || substr('89AB', (random() & 3) + 1, 1)
  || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))";

/// Columns that [`blob`] reads, from `blobs AS o`.
pub(super) const BLOB: &str = "o.id, o.name, o.state, o.len, o.upload";

/// What [`artifact`] reads, but for `SELECT`, [`BLOB`] and the conditions over `a` (artifacts), `b` (builds), `j` (jobs).
const ARTIFACT: &str = "a.id, a.uuid, b.scope, b.project, b.build, j.job, j.step, j.label, j.attempt, j.shard,
  a.path, a.absolute_path, a.len, a.mode, a.modified, a.link, a.content_type, a.sha1, a.sha256, a.blake3, a.state,
  a.why, a.created_at";

/// A query of artifacts with their builds, jobs and blobs, as far as `WHERE`.
pub(super) fn artifacts_where(condition: &str) -> String {
    format!(
        "SELECT {BLOB}, {ARTIFACT} FROM artifacts a JOIN builds b ON b.id = a.build JOIN jobs j ON j.id = a.job
         LEFT JOIN blobs o ON o.id = a.blob WHERE {condition}"
    )
}

pub(super) const fn state_number(state: ArtifactState) -> i64 {
    match state {
        ArtifactState::New => 0,
        ArtifactState::Error => 1,
        ArtifactState::Finished => 2,
        ArtifactState::Deleted => 3,
        ArtifactState::Expired => 4,
    }
}

pub(super) fn artifact_state(number: i64) -> Result<ArtifactState, LedgerError> {
    use ArtifactState::{Deleted, Error, Expired, Finished, New};
    let states = [New, Error, Finished, Deleted, Expired];
    let state = usize::try_from(number).ok().and_then(|number| states.get(number).copied());
    state.ok_or(LedgerError::Row("artifact state"))
}

pub(super) fn blob(row: &Row<'_>) -> Result<BlobRow, LedgerError> {
    let state = match row.get(2)? {
        0 => BlobState::Pending,
        1 => BlobState::Live,
        2 => BlobState::Deleted,
        _ => return Err(LedgerError::Row("blob state")),
    };
    Ok(BlobRow { id: row.get(0)?, name: row.get(1)?, state, len: unsigned(row, 3)?, upload: row.get(4)? })
}

/// An artifact as whoever writes to the scope of `access` sees it.
pub(super) fn artifact(row: &Row<'_>, access: &Access) -> Result<ArtifactRow, LedgerError> {
    let has_blob = row.get::<_, Option<i64>>(0)?.is_some();
    let job = Job {
        id: row.get(10)?,
        step: row.get(11)?,
        label: row.get(12)?,
        attempt: row.get(13)?,
        shard: row.get(14)?,
    };
    Ok(ArtifactRow {
        blob: if has_blob { Some(blob(row)?) } else { None },
        number: row.get(5)?,
        id: ArtifactId(row.get(6)?),
        own: row.get::<_, i64>(7)? == access.write.0,
        build: BuildId { project: row.get(8)?, build: row.get(9)? },
        job,
        path: row.get(15)?,
        absolute_path: row.get(16)?,
        len: unsigned(row, 17)?,
        mode: row.get(18)?,
        modified: row.get(19)?,
        link: row.get(20)?,
        content_type: row.get(21)?,
        sha1: Sha1(row.get(22)?),
        sha256: Sha256(row.get(23)?),
        blake3: row.get::<_, Option<[u8; 32]>>(24)?.map(Digest::from_bytes),
        state: artifact_state(row.get(25)?)?,
        why: row.get(26)?,
        created_at: row.get(27)?,
    })
}

/// The artifact of that name in the read scopes.
pub(super) fn find_artifact(
    transaction: &Transaction<'_>,
    access: &Access,
    id: &ArtifactId,
) -> Result<Option<ArtifactRow>, LedgerError> {
    let sql = artifacts_where(&format!("a.uuid = ?1 AND b.scope IN ({})", scope_list(access)));
    Ok(all(transaction, &sql, [&id.0], |row| artifact(row, access))?.pop())
}

/// The numbers of the builds of that name in the read scopes.
pub(super) fn builds_named(
    transaction: &Transaction<'_>,
    access: &Access,
    build: &BuildId,
) -> Result<Vec<i64>, LedgerError> {
    let sql = format!(
        "SELECT id FROM builds WHERE scope IN ({}) AND project = ?1 AND build = ?2 ORDER BY id",
        scope_list(access)
    );
    all(transaction, &sql, params![build.project, build.build], |row| Ok(row.get(0)?))
}
