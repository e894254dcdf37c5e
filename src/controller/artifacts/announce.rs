//! Artifacts are announced: their rows first, then where their content goes. Nothing is in the store yet.

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::{AnnouncedArtifact, Announcement, BlobRow, BlobState};
use crate::controller::open::Controller;
use crate::controller::store::PutIntent;
use crate::controller::writing::{at_most, random_name};
use crate::model::{ObjectName, SignedUrl};
use crate::protocol::artifact::{
    ArtifactState, CreatedArtifact, MAX_ARTIFACTS, MAX_PARTS, NewArtifact, NewArtifacts, PART_BYTES, Upload,
};

use super::check;

impl Controller {
    /// Makes artifacts in state `new`, or finds those that an earlier request with the same keys made, and says where
    /// their content goes.
    pub fn create_artifacts(
        &self,
        caller: &Caller,
        request: &NewArtifacts,
    ) -> Result<Vec<CreatedArtifact>, ControllerError> {
        at_most("artifacts in one request", request.artifacts.len() as u64, MAX_ARTIFACTS as u64)?;
        caller.require_write(&request.build)?;
        let job = caller.require_job(&request.job)?;
        check::job(&job)?;
        check::facts(&request.facts)?;
        request.artifacts.iter().try_for_each(check::artifact)?;
        let names = request.artifacts.iter().map(|_| Ok(random_name()?.0));
        let announcement = Announcement {
            build: &request.build,
            facts: &request.facts,
            job: &job,
            artifacts: &request.artifacts,
            names: &names.collect::<Result<Vec<_>, ControllerError>>()?,
            now: self.clock.now(),
        };
        let announced = self.ledger.announce(&caller.access, &announcement)?;
        let each = announced.into_iter().zip(&request.artifacts);
        let created: Vec<CreatedArtifact> =
            each.map(|(announced, new)| self.created(announced, new)).collect::<Result<_, _>>()?;
        tracing::debug!(artifacts = created.len(), job = job.id, "artifacts announced");
        Ok(created)
    }

    fn created(
        &self,
        announced: AnnouncedArtifact,
        new: &NewArtifact,
    ) -> Result<CreatedArtifact, ControllerError> {
        let pending = announced.blob.filter(|blob| blob.state == BlobState::Pending);
        let upload = match pending {
            _ if announced.state == ArtifactState::Finished => Upload::Finished,
            None => Upload::Known,
            Some(blob) => match self.part_bytes(blob.len) {
                Some(part_bytes) => Upload::Parts { part_bytes },
                None => {
                    let intent = PutIntent { len: blob.len, crc32c: new.crc32c, sha256: Some(new.sha256) };
                    Upload::Whole { put: self.sign_blob(&blob, &intent)? }
                }
            },
        };
        Ok(CreatedArtifact { id: announced.id, upload })
    }

    /// Bytes of a part of a blob of that length; `None` if it goes up in one PUT.
    pub(super) fn part_bytes(&self, len: u64) -> Option<u64> {
        let parted = len > PART_BYTES && self.store.has_parts();
        // Larger ones where ten thousand would not do.
        parted.then(|| len.div_ceil(MAX_PARTS).next_multiple_of(1 << 20).max(PART_BYTES))
    }

    pub(super) fn sign_blob(&self, blob: &BlobRow, intent: &PutIntent) -> Result<SignedUrl, ControllerError> {
        Ok(self.store.sign_put(ObjectName::blob(blob.name), intent)?)
    }
}
