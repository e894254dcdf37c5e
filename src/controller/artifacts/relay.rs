//! Where content goes that can only come through this process: from agents that know neither our headers nor another
//! store's ways. Not the moving itself.

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::BlobState;
use crate::controller::open::Controller;
use crate::controller::store::PutIntent;
use crate::model::ObjectName;
use crate::protocol::artifact::{ArtifactId, ArtifactState, PART_BYTES};

use super::check::unfit;

/// What becomes of content that an agent is about to send through this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum RelayTo {
    /// It is there already: it is read and dropped.
    Nowhere,
    /// It becomes that object.
    Object {
        /// The object.
        object: ObjectName,
        /// What it has to be.
        intent: PutIntent,
    },
}

impl Controller {
    /// Where the content of an artifact of the caller's goes.
    pub(in crate::controller) fn relay_target(
        &self,
        caller: &Caller,
        id: &ArtifactId,
    ) -> Result<RelayTo, ControllerError> {
        let row = self.own_artifact(caller, id)?;
        let is_known = row.blob.as_ref().is_none_or(|blob| blob.state == BlobState::Live);
        if row.state == ArtifactState::Finished || (row.state == ArtifactState::New && is_known) {
            return Ok(RelayTo::Nowhere);
        }
        let (row, blob) = self.pending_upload(caller, id)?;
        if blob.len > PART_BYTES && !self.store.has_parts() {
            return Err(unfit(format!(
                "artifact {:?} has {} bytes, and this store takes no parts with the encryption that it was given: \
                 `pannier artifact upload` sends it in one PUT",
                row.path, blob.len
            )));
        }
        let intent = PutIntent { len: blob.len, crc32c: None, sha256: Some(row.sha256) };
        Ok(RelayTo::Object { object: ObjectName::blob(blob.name), intent })
    }

    /// Bytes of the pieces in which an artifact of `len` bytes is relayed to a store elsewhere.
    pub(in crate::controller) fn relay_piece_bytes(&self, len: u64) -> u64 {
        self.part_bytes(len).unwrap_or(len)
    }
}
