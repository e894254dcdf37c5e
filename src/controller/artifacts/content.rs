//! Whether what lies in the store is what was announced: its length, and its SHA-256 by whoever can compare it.

use crate::controller::error::ControllerError;
use crate::controller::ledger::{ArtifactRow, BlobRow};
use crate::controller::open::Controller;
use crate::controller::store::{StoreError, UploadId, WholeIntent};
use crate::model::{ObjectName, Sha256};
use crate::protocol::artifact::{PART_BYTES, SentPart};

use super::content_sums::{Summed, sha256_of};

/// Longest blob whose SHA-256 is made while the request waits, where its store did not compare it; longer ones are read in the background. No content passes
/// a controller but this.
const READ_AT_ONCE_BYTES: u64 = PART_BYTES;

/// What arrived.
pub(super) enum Arrived {
    /// What was announced: somebody other than its sender compared its SHA-256.
    Whole,
    /// Something else, or nothing.
    Wrong(String),
    /// It is being read; the next look may know.
    Unread,
}

/// How an object came to be.
enum Made {
    /// Its store compared its SHA-256.
    Compared,
    /// Of what was sent; nobody compared it.
    Now,
    /// By an earlier request, perhaps of other parts.
    Before,
    /// It did not, and why.
    Not(String),
}

impl Controller {
    /// Looks at a blob whose sender says that it is there; completes it if it went up in parts. `came` is the SHA-256 of what came through this
    /// process.
    pub(super) fn look_at(
        &self,
        row: &ArtifactRow,
        blob: &BlobRow,
        parts: &[SentPart],
        came: Option<Sha256>,
    ) -> Result<Arrived, ControllerError> {
        let object = ObjectName::blob(blob.name);
        match self.content_sums.take(object) {
            Summed::Underway => return Ok(Arrived::Unread),
            Summed::Ended(sum) => return Ok(compared(row, sum?)),
            Summed::Never => {}
        }
        let made = self.make(object, row, blob, parts)?;
        if let Made::Not(why) = made {
            return Ok(Arrived::Wrong(why));
        }
        match self.store.head(object)? {
            None => return Ok(Arrived::Wrong("it is not in the store".to_owned())),
            Some(len) if len != blob.len => {
                return Ok(Arrived::Wrong(format!("it is {len} bytes long in the store, not {}", blob.len)));
            }
            Some(_) => {}
        }
        match (made, came) {
            (Made::Compared, _) => return Ok(Arrived::Whole),
            (Made::Now, Some(sum)) => return Ok(compared(row, sum)),
            _ => {}
        }
        if blob.len <= READ_AT_ONCE_BYTES {
            let read_bytes = self.content_sums.read_bytes();
            return Ok(compared(row, sha256_of(&*self.store, object, blob.len, 1, read_bytes)?));
        }
        self.content_sums.begin(&self.store, object, blob.len);
        Ok(Arrived::Unread)
    }

    /// Makes an object of what was sent.
    fn make(
        &self,
        object: ObjectName,
        row: &ArtifactRow,
        blob: &BlobRow,
        parts: &[SentPart],
    ) -> Result<Made, ControllerError> {
        self.store.settle(object)?;
        let made = |is_compared| if is_compared { Made::Compared } else { Made::Now };
        let Some(upload) = &blob.upload else { return Ok(made(self.store.checks_sha256())) };
        let whole = WholeIntent { len: blob.len, sha256: row.sha256 };
        match self.store.complete_parts(object, &UploadId(upload.clone()), &whole, parts) {
            Ok(is_compared) => Ok(made(is_compared)),
            Err(StoreError::Parts { why, .. }) => match self.store.head(object)? == Some(blob.len) {
                // The answer was lost.
                true => Ok(Made::Before),
                false => Ok(Made::Not(format!("its parts do not make it: {why}"))),
            },
            Err(error) => Err(error.into()),
        }
    }
}

fn compared(row: &ArtifactRow, found: Sha256) -> Arrived {
    match found == row.sha256 {
        true => Arrived::Whole,
        false => Arrived::Wrong(format!("its SHA-256 is {found}, not {}", row.sha256)),
    }
}
