//! Gives back the space of artifacts that are over. As with packs, a row says `deleted` before its object goes.

use crate::controller::error::ControllerError;
use crate::controller::ledger::{BlobRow, BlobState, BlobSweep};
use crate::controller::open::Controller;
use crate::controller::store::{StoredObject, UploadId};
use crate::model::{ObjectKind, ObjectName};
use crate::protocol::{GcOptions, GcReport};

/// An upload that did not move for so many seconds was abandoned. A request announces at most a thousand files of at most 64 MiB that
/// move without another word to the controller: at 3 MB/s, six hours of them.
const IDLE_SECONDS: i64 = 6 * 60 * 60;

impl Controller {
    /// Expires artifacts and deletes blobs that nothing needs.
    pub(in crate::controller) fn sweep_artifacts(
        &self,
        options: &GcOptions,
        report: &mut GcReport,
    ) -> Result<(), ControllerError> {
        let now = self.clock.now();
        let sweep = BlobSweep { now, idle_since: now - IDLE_SECONDS, dry_run: options.dry_run };
        let swept = self.ledger.sweep_blobs(&sweep)?;
        report.expired_artifacts += swept.expired;
        if options.dry_run {
            report.deleted_blobs += swept.deleted.len() as u64;
            report.deleted_bytes += swept.deleted.iter().map(|blob| blob.len).sum::<u64>();
            return Ok(());
        }
        for blob in &swept.deleted {
            report.deleted_bytes += self.delete_blob(blob)?;
            report.deleted_blobs += 1;
            self.ledger.forget_blobs(&[blob.id])?;
        }
        self.delete_orphaned_blobs(report)
    }

    fn delete_blob(&self, blob: &BlobRow) -> Result<u64, ControllerError> {
        let object = ObjectName::blob(blob.name);
        if let Some(upload) = &blob.upload {
            self.store.abort_parts(object, &UploadId(upload.clone()))?;
        }
        Ok(self.store.delete(&StoredObject::finished(object))?)
    }

    /// Objects without a row; the listing comes before the look at the ledger, as it does for packs.
    fn delete_orphaned_blobs(&self, report: &mut GcReport) -> Result<(), ControllerError> {
        let mut objects = Vec::new();
        self.store.list(ObjectKind::Blob, &mut |object| objects.push(object))?;
        for object in objects {
            let state = self.ledger.blob(object.object.name)?.map(|row| row.state);
            let wanted = match object.unfinished {
                Some(_) => state == Some(BlobState::Pending),
                None => state.is_some_and(|state| state != BlobState::Deleted),
            };
            if !wanted {
                report.deleted_bytes += self.store.delete(&object)?;
                report.deleted_blobs += 1;
            }
        }
        Ok(())
    }
}
