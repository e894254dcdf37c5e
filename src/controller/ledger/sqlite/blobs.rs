//! Blobs by themselves: what nothing needs, and what is gone.

use rusqlite::Transaction;

use crate::controller::ledger::{BlobSweep, LedgerError, SweptBlobs};

use super::artifact_rows::{BLOB, blob};
use super::connection::{SqliteLedger, Sync};
use super::rows::all;

impl SqliteLedger {
    pub(super) fn sweep_unneeded_blobs(&self, sweep: &BlobSweep) -> Result<SweptBlobs, LedgerError> {
        self.write_if(Sync::Durable, |transaction| {
            let expired = expire(transaction, sweep)?;
            // Within one transaction: an artifact that is announced now either refers to the blob already or finds it gone.
            transaction.execute(
                "UPDATE blobs SET state = 2 WHERE state IN (0, 1) AND NOT EXISTS
                   (SELECT 1 FROM artifacts a WHERE a.blob = blobs.id AND a.state IN (0, 2))",
                [],
            )?;
            let sql = format!("SELECT {BLOB} FROM blobs o WHERE o.state = 2 ORDER BY o.id");
            let deleted = all(transaction, &sql, [], blob)?;
            Ok((SweptBlobs { expired, deleted }, !sweep.dry_run))
        })
    }

    pub(super) fn drop_blobs(&self, blobs: &[i64]) -> Result<(), LedgerError> {
        self.write(Sync::Ordered, |transaction| {
            let mut forget = transaction.prepare_cached("DELETE FROM blobs WHERE id = ?1 AND state = 2")?;
            let mut part = transaction.prepare_cached("UPDATE artifacts SET blob = NULL WHERE blob = ?1")?;
            for blob in blobs {
                if forget.execute([blob])? == 1 {
                    part.execute([blob])?;
                }
            }
            Ok(())
        })
    }
}

/// Artifacts whose days are over, and those whose upload stands still. One that has its content already and was never
/// finished stands still since it was announced.
fn expire(transaction: &Transaction<'_>, sweep: &BlobSweep) -> Result<u64, LedgerError> {
    let over = transaction.execute(
        "UPDATE artifacts SET state = 4 WHERE keep_until <= ?1 AND keep_until IS NOT NULL AND state IN (0, 2)",
        [sweep.now],
    )?;
    let abandoned = transaction.execute(
        "UPDATE artifacts SET state = 4, why = 'its upload was abandoned' WHERE state = 0 AND created_at <= ?1
           AND NOT EXISTS (SELECT 1 FROM blobs o WHERE o.id = artifacts.blob AND o.touched_at > ?1)",
        [sweep.idle_since],
    )?;
    Ok((over + abandoned) as u64)
}
