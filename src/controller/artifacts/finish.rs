//! Uploads end: each is looked at, then all end in one transaction. A store that is down ends none of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::{BlobState, EndedUpload, UploadEnd};
use crate::controller::open::Controller;
use crate::controller::store::UploadId;
use crate::controller::writing::at_most;
use crate::model::{ObjectName, Sha256};
use crate::protocol::artifact::{ArtifactId, ArtifactState, FinishArtifact, FinishedArtifact, MAX_ARTIFACTS};

use super::content::Arrived;

/// Looks into a store at once: they wait for it, not for a core.
const LOOKS: usize = 16;
/// What is said of an upload that did not end yet.
const UNREAD: &str = "its content is being read, to be compared with its SHA-256";

/// How far the end of an upload is.
struct Looked {
    id: ArtifactId,
    /// None while its content is read.
    end: Option<UploadEnd>,
    /// The object that it brought.
    brought: Option<ObjectName>,
}

impl Controller {
    /// Ends uploads; each answer says how its own ended. One that ended before stays as it is; one whose content is still read stays `new`, and is to be asked
    /// about again.
    pub fn finish_artifacts(
        &self,
        caller: &Caller,
        uploads: &[FinishArtifact],
    ) -> Result<Vec<FinishedArtifact>, ControllerError> {
        at_most("artifacts in one request", uploads.len() as u64, MAX_ARTIFACTS as u64)?;
        self.end_all(caller, all_at_once(uploads, |upload| self.end_of(caller, upload, None))?)
    }

    /// Ends one upload that came through this process, where its SHA-256 was made.
    pub(in crate::controller) fn finish_relayed(
        &self,
        caller: &Caller,
        upload: &FinishArtifact,
        came: Option<Sha256>,
    ) -> Result<Vec<FinishedArtifact>, ControllerError> {
        self.end_all(caller, vec![self.end_of(caller, upload, came)?])
    }

    /// Bytes of artifacts that were read since the start, as no store had compared them.
    pub(in crate::controller) fn read_artifact_bytes(&self) -> u64 {
        self.content_sums.read_bytes().load(Ordering::Relaxed)
    }

    fn end_all(
        &self,
        caller: &Caller,
        looked: Vec<Looked>,
    ) -> Result<Vec<FinishedArtifact>, ControllerError> {
        let brought: Vec<ObjectName> = looked.iter().filter_map(|looked| looked.brought).collect();
        self.store.persist(&brought)?;
        let end = |looked: &Looked| Some(EndedUpload { id: looked.id.clone(), end: looked.end.clone()? });
        let ended: Vec<EndedUpload> = looked.iter().filter_map(end).collect();
        let states = match ended.is_empty() {
            true => Vec::new(),
            false => self.ledger.end_uploads(&caller.access, &ended)?,
        };
        let mut states = states.into_iter();
        let answer = |looked: Looked| {
            let ended = looked.end.and_then(|_| states.next());
            let (state, why) = ended.unwrap_or_else(|| (ArtifactState::New, Some(UNREAD.to_owned())));
            FinishedArtifact { id: looked.id, state, why }
        };
        let finished: Vec<FinishedArtifact> = looked.into_iter().map(answer).collect();
        if !ended.is_empty() {
            let failed = finished.iter().filter(|upload| upload.state == ArtifactState::Error).count();
            tracing::info!(artifacts = ended.len(), failed, "uploads ended");
        }
        Ok(finished)
    }

    fn end_of(
        &self,
        caller: &Caller,
        upload: &FinishArtifact,
        came: Option<Sha256>,
    ) -> Result<Looked, ControllerError> {
        let row = self.own_artifact(caller, &upload.id)?;
        let pending = row.blob.as_ref().filter(|blob| blob.state == BlobState::Pending);
        let mut brought = None;
        let end = match pending {
            _ if upload.failed => UploadEnd::Failed("its agent could not send it".to_owned()),
            // Over already, or nothing was to be sent: the ledger knows how it stands.
            None => UploadEnd::Finished { verified: false },
            Some(_) if row.state != ArtifactState::New => UploadEnd::Finished { verified: false },
            Some(blob) => match self.look_at(&row, blob, &upload.parts, came)? {
                Arrived::Whole => {
                    brought = Some(ObjectName::blob(blob.name));
                    UploadEnd::Finished { verified: true }
                }
                Arrived::Wrong(why) => UploadEnd::Failed(why),
                Arrived::Unread => {
                    // It moves as long as somebody asks.
                    self.ledger.touch_upload(blob.id, self.clock.now())?;
                    return Ok(Looked { id: upload.id.clone(), end: None, brought });
                }
            },
        };
        if let (UploadEnd::Failed(why), Some(blob)) = (&end, pending) {
            tracing::warn!(artifact = upload.id.0, path = row.path, why, "upload failed");
            if let Some(upload) = &blob.upload {
                self.store.abort_parts(ObjectName::blob(blob.name), &UploadId(upload.clone()))?;
            }
        }
        Ok(Looked { id: upload.id.clone(), end: Some(end), brought })
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
