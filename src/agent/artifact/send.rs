//! The stage of an upload that moves content: whole files and parts, several at once. Which ones, others say.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::model::SignedUrl;
use crate::protocol::artifact::{ArtifactId, FinishArtifact, PartIntent};
use crate::transfer::put_blob::{Payload, put_blob};
use crate::transfer::remote::RemoteErrorKind;
use crate::transfer::{BlobError, RemoteError};
use crate::workspace::beneath::stat_of;

use super::collect::printable;
use super::error::ArtifactError;
use super::finish::Ended;
use super::hash::open;
use super::parts::PartsUpload;
use super::ready::Ready;
use super::upload::Line;

/// What a file that is read while it is sent takes of memory.
pub(super) const STREAMED_BYTES: u64 = 512 << 10;

/// Something that has to be sent.
pub(super) enum Task<'a> {
    /// A file, in one PUT.
    Whole { id: ArtifactId, put: SignedUrl, ready: Box<Ready<'a>> },
    /// A part of a file.
    Part { upload: Arc<PartsUpload<'a>>, number: u32 },
}

/// Sends until there is nothing more to send. A file that cannot be sent is named when its upload ends.
pub(super) fn send<'a>(line: &'a Line<'_>, tasks: &Receiver<Task<'a>>, ended: &Sender<Ended>) {
    for task in tasks {
        if line.is_over() {
            continue; // what was announced expires, or goes on when the command runs again
        }
        let done = match task {
            Task::Whole { id, put, ready } => {
                let sent = send_whole(line, &id, &put, &ready);
                let path = &ready.new.path;
                settle(line, path, sent).map(|failure| {
                    let finish = FinishArtifact { id, failed: failure.is_some(), parts: Vec::new() };
                    Ended { why: failure, ..Ended::of(&ready, finish, true) }
                })
            }
            Task::Part { upload, number } => {
                let sent = upload.send(line, number);
                settle(line, upload.path(), sent).and_then(|failure| upload.part_ended(failure))
            }
        };
        if let Some(done) = done {
            // The last stage outlives this one.
            drop(ended.send(done));
        }
    }
}

/// `None` if nothing is to be said of it: the run is over. Otherwise why it failed, if it did.
fn settle(line: &Line<'_>, path: &str, sent: Result<(), BlobError>) -> Option<Option<String>> {
    let error = match sent {
        Ok(()) => return Some(None),
        Err(error) => error,
    };
    if error.is_stop() || line.progress.stop.is_stopped() {
        return None;
    }
    match error {
        // Tried for as long as is worth it: the next file would fare no better.
        BlobError::Http(ref cause) if cause.is_retryable() => {
            line.fail(ArtifactError::Send { path: printable(path.as_bytes()), source: error });
            None
        }
        BlobError::Renew(RemoteError { kind: RemoteErrorKind::Unavailable, .. }) => {
            line.fail(ArtifactError::Send { path: printable(path.as_bytes()), source: error });
            None
        }
        error => Some(Some(error.to_string())),
    }
}

fn send_whole(line: &Line<'_>, id: &ArtifactId, put: &SignedUrl, ready: &Ready<'_>) -> Result<(), BlobError> {
    let len = ready.new.len;
    let renew = || {
        let parts = [PartIntent { number: 1, len, crc32c: ready.crc32c }];
        first(line.remote.sign_parts(id, &parts)?)
    };
    let transport = line.remote.transport();
    if let Some(kept) = &ready.kept {
        let _permit = line.gate.enter(kept.len());
        put_blob(
            transport,
            &line.gate,
            &line.progress.stop,
            put,
            &Payload::Bytes(kept.bytes.clone()),
            renew,
        )?;
    } else {
        let _permit = line.gate.enter(STREAMED_BYTES);
        let file = Arc::new(open(&line.request.found[ready.index].absolute)?);
        let is_same = || Ok::<_, BlobError>(ready.stat.is_some_and(|stat| same(&stat_of(&file), &stat)));
        if !is_same()? {
            return Err(BlobError::Changed);
        }
        let payload = Payload::File { file: Arc::clone(&file), start: 0, len, crc32c: ready.crc32c };
        let sent = put_blob(transport, &line.gate, &line.progress.stop, put, &payload, renew);
        // A store may have noticed too, in words that say less.
        if !is_same()? {
            return Err(BlobError::Changed);
        }
        sent?;
    }
    line.progress.moved_bytes.add(len);
    Ok(())
}

/// Whether a file is in the state that it was hashed in.
pub(super) fn same(
    now: &std::io::Result<crate::workspace::stat::Stat>,
    then: &crate::workspace::stat::Stat,
) -> bool {
    now.as_ref().is_ok_and(|now| now.is_same_state(then))
}

/// The one URL that was asked for.
pub(super) fn first(urls: Vec<SignedUrl>) -> Result<SignedUrl, RemoteError> {
    let none = || RemoteError::new(RemoteErrorKind::Refused, "the controller signed nothing");
    urls.into_iter().next().ok_or_else(none)
}
