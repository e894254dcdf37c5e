//! Whether what lies in the store is what was announced: its length always, its SHA-256 as far as somebody can compare it.

use aws_lc_rs::digest::{Context, SHA256};

use crate::controller::error::ControllerError;
use crate::controller::ledger::{ArtifactRow, BlobRow};
use crate::controller::open::Controller;
use crate::controller::store::{StoreError, UploadId, WholeIntent};
use crate::model::{ObjectName, Sha256};
use crate::protocol::artifact::SentPart;

/// Longest blob that is read again where its store did not compare its SHA-256: no content passes a controller but this, and a part's
/// worth is what it reads of a pack too.
const READ_AGAIN_BYTES: u64 = 64 << 20;
/// Pieces in which it is read.
const PIECE_BYTES: u64 = 4 << 20;

/// What arrived.
pub(super) enum Arrived {
    /// What was announced. `verified` if its SHA-256 was compared.
    Whole { verified: bool },
    /// Something else, or nothing.
    Wrong(String),
}

impl Controller {
    /// Looks at a blob whose sender says that it is there; completes it if it went up in parts.
    pub(super) fn look_at(
        &self,
        row: &ArtifactRow,
        blob: &BlobRow,
        parts: &[SentPart],
    ) -> Result<Arrived, ControllerError> {
        let object = ObjectName::blob(blob.name);
        self.store.settle(object)?;
        let mut verified = self.store.checks_sha256();
        if let Some(upload) = &blob.upload {
            let whole = WholeIntent { len: blob.len, sha256: row.sha256 };
            let completed = self.store.complete_parts(object, &UploadId(upload.clone()), &whole, parts);
            verified = match completed {
                Ok(verified) => verified,
                // An earlier request whose answer was lost may have completed it.
                Err(StoreError::Parts { why, .. }) if self.store.head(object)? != Some(blob.len) => {
                    return Ok(Arrived::Wrong(format!("its parts do not make it: {why}")));
                }
                Err(StoreError::Parts { .. }) => false,
                Err(error) => return Err(error.into()),
            };
        }
        match self.store.head(object)? {
            None => return Ok(Arrived::Wrong("it is not in the store".to_owned())),
            Some(len) if len != blob.len => {
                return Ok(Arrived::Wrong(format!("it is {len} bytes long in the store, not {}", blob.len)));
            }
            Some(_) => {}
        }
        if !verified && blob.len <= READ_AGAIN_BYTES {
            let found = self.sha256_of(object, blob.len)?;
            if found != row.sha256 {
                return Ok(Arrived::Wrong(format!("its SHA-256 is {found}, not {}", row.sha256)));
            }
            verified = true;
        }
        Ok(Arrived::Whole { verified })
    }

    fn sha256_of(&self, object: ObjectName, len: u64) -> Result<Sha256, ControllerError> {
        let mut context = Context::new(&SHA256);
        let mut at = 0;
        while at < len {
            let end = len.min(at + PIECE_BYTES);
            context.update(&self.store.read(object, at..end)?);
            at = end;
        }
        let mut sum = Sha256([0; 32]);
        sum.0.copy_from_slice(context.finish().as_ref());
        Ok(sum)
    }
}
