//! Uploads end: each is looked at, then all end in one transaction. A store that is down ends none of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::{BlobState, EndedUpload, UploadEnd};
use crate::controller::open::Controller;
use crate::controller::store::UploadId;
use crate::controller::writing::at_most;
use crate::model::ObjectName;
use crate::protocol::artifact::{ArtifactState, FinishArtifact, FinishedArtifact, MAX_ARTIFACTS};

use super::content::Arrived;

/// Looks into a store at once: they wait for it, not for a core.
const LOOKS: usize = 16;

impl Controller {
    /// Ends uploads; each answer says how its own ended. One that ended before stays as it is.
    pub fn finish_artifacts(
        &self,
        caller: &Caller,
        uploads: &[FinishArtifact],
    ) -> Result<Vec<FinishedArtifact>, ControllerError> {
        at_most("artifacts in one request", uploads.len() as u64, MAX_ARTIFACTS as u64)?;
        let looked = all_at_once(uploads, |upload| self.end_of(caller, upload))?;
        let (ended, arrived): (Vec<_>, Vec<_>) = looked.into_iter().unzip();
        self.store.persist(&arrived.into_iter().flatten().collect::<Vec<_>>())?;
        let states = self.ledger.end_uploads(&caller.access, &ended)?;
        let finished: Vec<FinishedArtifact> = ended
            .into_iter()
            .zip(states)
            .map(|(ended, (state, why))| FinishedArtifact { id: ended.id, state, why })
            .collect();
        let failed = finished.iter().filter(|upload| upload.state != ArtifactState::Finished).count();
        tracing::info!(artifacts = finished.len(), failed, "uploads ended");
        Ok(finished)
    }

    /// How an upload ends, and the object that it brought.
    fn end_of(
        &self,
        caller: &Caller,
        upload: &FinishArtifact,
    ) -> Result<(EndedUpload, Option<ObjectName>), ControllerError> {
        let row = self.own_artifact(caller, &upload.id)?;
        let pending = row.blob.as_ref().filter(|blob| blob.state == BlobState::Pending);
        let mut arrived = None;
        let end = match pending {
            _ if upload.failed => UploadEnd::Failed("its agent could not send it".to_owned()),
            // Over already, or nothing was to be sent: the ledger knows how it stands.
            None => UploadEnd::Finished { verified: false },
            Some(_) if row.state != ArtifactState::New => UploadEnd::Finished { verified: false },
            Some(blob) => match self.look_at(&row, blob, &upload.parts)? {
                Arrived::Whole { verified } => {
                    arrived = Some(ObjectName::blob(blob.name));
                    UploadEnd::Finished { verified }
                }
                Arrived::Wrong(why) => UploadEnd::Failed(why),
            },
        };
        if let (UploadEnd::Failed(why), Some(blob)) = (&end, pending) {
            tracing::warn!(artifact = upload.id.0, path = row.path, why, "upload failed");
            if let Some(upload) = &blob.upload {
                self.store.abort_parts(ObjectName::blob(blob.name), &UploadId(upload.clone()))?;
            }
        }
        Ok((EndedUpload { id: upload.id.clone(), end }, arrived))
    }
}

/// Does `work` for each, several at once; the answers in order, or the first failure.
fn all_at_once<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, ControllerError> + Sync,
) -> Result<Vec<R>, ControllerError> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
    std::thread::scope(|scope| {
        for _ in 0..LOOKS.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = work(item);
                    if result.is_err() {
                        next.store(items.len(), Ordering::Relaxed);
                    }
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
