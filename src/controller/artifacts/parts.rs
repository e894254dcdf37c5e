//! Parts of an upload are signed when they are about to be sent, a few at a time.

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::{ArtifactRow, BlobRow, BlobState};
use crate::controller::open::Controller;
use crate::controller::store::{PutIntent, UploadId};
use crate::controller::writing::at_most;
use crate::model::{ObjectName, SignedUrl};
use crate::protocol::artifact::{ArtifactId, ArtifactState, MAX_PARTS, PartIntent};

use super::check::unfit;

/// Parts that one request may name.
const MAX_SIGNED_PARTS: u64 = 1000;

impl Controller {
    /// PUTs for parts of an upload that is under way, in the order of `parts`; for part 1 of one that is no upload in parts a
    /// PUT of the whole.
    pub fn sign_parts(
        &self,
        caller: &Caller,
        id: &ArtifactId,
        parts: &[PartIntent],
    ) -> Result<Vec<SignedUrl>, ControllerError> {
        at_most("parts in one request", parts.len() as u64, MAX_SIGNED_PARTS)?;
        let (row, blob) = self.pending_upload(caller, id)?;
        let Some(part_bytes) = self.part_bytes(blob.len) else {
            return parts.iter().map(|part| self.sign_whole(&row, &blob, part)).collect();
        };
        let upload = self.upload_of(&blob)?;
        let sign = |part: &PartIntent| {
            let offset = u64::from(part.number.saturating_sub(1)).saturating_mul(part_bytes);
            let len = blob.len.saturating_sub(offset).min(part_bytes);
            if part.number == 0 || len == 0 || part.len != len {
                return Err(unfit(format!(
                    "artifact {:?} has no part {} of {} bytes",
                    row.path, part.number, part.len
                )));
            }
            Ok(self.store.sign_part(ObjectName::blob(blob.name), &upload, part, offset, true)?)
        };
        parts.iter().map(sign).collect()
    }

    /// PUTs for the parts of an upload whose sender can send no header of ours, and has cut the whole into parts of `lens`
    /// bytes; `None` where the store's PUTs need headers.
    pub fn sign_foreign_parts(
        &self,
        caller: &Caller,
        id: &ArtifactId,
        lens: &[u64],
    ) -> Result<Option<Vec<SignedUrl>>, ControllerError> {
        at_most("parts of an upload", lens.len() as u64, MAX_PARTS)?;
        let (row, blob) = self.pending_upload(caller, id)?;
        if lens.iter().try_fold(0u64, |sum, len| sum.checked_add(*len)) != Some(blob.len) {
            return Err(unfit(format!(
                "the parts of artifact {:?} are not its {} bytes",
                row.path, blob.len
            )));
        }
        if !self.store.has_plain_parts() {
            return Ok(None);
        }
        let (upload, object) = (self.upload_of(&blob)?, ObjectName::blob(blob.name));
        let (mut urls, mut offset) = (Vec::with_capacity(lens.len()), 0);
        for (number, &len) in (1..).zip(lens) {
            let part = PartIntent { number, len, crc32c: 0 };
            let url = self.store.sign_part(object, &upload, &part, offset, false)?;
            // Every client tells the length.
            if url.headers.keys().any(|name| name != "content-length") {
                return Ok(None);
            }
            urls.push(url);
            offset += len;
        }
        Ok(Some(urls))
    }

    fn sign_whole(
        &self,
        row: &ArtifactRow,
        blob: &BlobRow,
        part: &PartIntent,
    ) -> Result<SignedUrl, ControllerError> {
        if (part.number, part.len) != (1, blob.len) {
            return Err(unfit(format!("artifact {:?} goes up in one PUT of {} bytes", row.path, blob.len)));
        }
        let intent = PutIntent { len: blob.len, crc32c: Some(part.crc32c), sha256: Some(row.sha256) };
        self.sign_blob(blob, &intent)
    }

    /// An artifact of the caller's that waits for its content. It counts as moving from now on.
    pub(super) fn pending_upload(
        &self,
        caller: &Caller,
        id: &ArtifactId,
    ) -> Result<(ArtifactRow, BlobRow), ControllerError> {
        let row = self.own_artifact(caller, id)?;
        let over = |state| ControllerError::UploadOver { id: id.clone(), state };
        match row.blob.clone().filter(|blob| blob.state == BlobState::Pending) {
            Some(blob) if row.state == ArtifactState::New => {
                let moves = self.ledger.touch_upload(blob.id, self.clock.now())?;
                if moves { Ok((row, blob)) } else { Err(over(row.state)) }
            }
            _ => Err(over(row.state)),
        }
    }

    /// What the store calls the upload of a blob's parts; begun by whoever asks first.
    fn upload_of(&self, blob: &BlobRow) -> Result<UploadId, ControllerError> {
        if let Some(upload) = &blob.upload {
            return Ok(UploadId(upload.clone()));
        }
        let object = ObjectName::blob(blob.name);
        let begun = self.store.begin_parts(object, blob.len)?;
        match self.ledger.note_upload(blob.id, &begun.0)? {
            Some(noted) if noted == begun.0 => Ok(begun),
            noted => {
                self.store.abort_parts(object, &begun)?;
                let gone = || unfit("this upload has just ended".to_owned());
                noted.map(UploadId).ok_or_else(gone)
            }
        }
    }
}
