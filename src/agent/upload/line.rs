//! The threads of one upload, from start to end, and what they add up to.

use std::sync::Mutex;
use std::thread;

use crossbeam_channel::{Receiver, bounded};

use crate::agent::error::AgentError;
use crate::agent::failure::Failure;
use crate::model::PackName;
use crate::model::progress::{Counter, Progress};
use crate::protocol::{Open, SessionId};
use crate::transfer::Remote;

use super::feed::Feed;
use super::journal::Journal;
use super::packer::{Compressors, pack_frames, send_packs};
use super::session::Session;
use super::window::{Window, ask_and_frame};

/// How to compress and with how many threads.
#[derive(Clone, Copy, Debug)]
pub struct UploadOptions {
    /// The zstd level of new frames.
    pub level: i32,
    /// Threads that compress.
    pub threads: usize,
}

/// What was sent, once everything is durable in the store and ready to commit.
#[derive(Debug)]
pub(in crate::agent) struct Uploaded {
    /// The session to commit.
    pub session: SessionId,
    /// The packs to name in the commit.
    pub packs: Vec<PackName>,
    /// What of them an agent that is killed now need not send again.
    pub journal: Journal,
    /// Sums.
    pub stats: UploadStats,
}

/// What was fed and what of it had to move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct UploadStats {
    /// Distinct chunks that the store did not have.
    pub new_chunks: u64,
    /// Their plaintext bytes.
    pub new_bytes: u64,
    /// Plaintext bytes among them that belong to the manifest.
    pub new_manifest_bytes: u64,
    /// Bytes of the frames that hold the files' new chunks, after compression.
    pub new_stored_bytes: u64,
    /// Bytes of the packs that were sent.
    pub uploaded_bytes: u64,
    /// Packs that were sent.
    pub packs: u64,
    /// Packs of this session that an agent before this one had sent, before it was killed.
    pub resumed_packs: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) new_chunks: Counter,
    pub(super) new_bytes: Counter,
    pub(super) new_manifest_bytes: Counter,
    pub(super) new_stored_bytes: Counter,
    pub(super) uploaded_bytes: Counter,
}

/// Runs `feed` with a [`Feed`] and sends what the store misses of the chunks that it is given.
///
/// When `feed` or any thread behind it fails, the first failure is returned, and the session is released; but if only the
/// network or the other side failed, session and journal stay for the next run to go on with.
pub(in crate::agent) fn upload<R>(
    remote: &dyn Remote,
    open: Open,
    journal: Journal,
    options: UploadOptions,
    progress: &Progress,
    feed: impl FnOnce(&mut Feed<'_>) -> Result<R, AgentError>,
) -> Result<(R, Uploaded), AgentError> {
    let session = Session::new(remote, open, journal);
    let failure = Failure::default();
    let counters = Counters::default();
    let packs = Mutex::new(Vec::new());
    let (windows_in, windows) = bounded::<Window>(1);
    let (packs_in, finished_packs) = bounded(0);
    let fed = thread::scope(|scope| {
        let (compressors, frames) = Compressors::start(scope, options);
        let (session, packs, counters, failure) = (&session, &packs, &counters, &failure);
        scope.spawn(move || {
            let result = ask_and_frame(&windows, session, &compressors, counters, progress);
            failure.keep(result, (windows, compressors));
        });
        scope.spawn(move || failure.keep(pack_frames(&frames, &packs_in, counters), (frames, packs_in)));
        for _ in 0..remote.transport().puts().most() {
            let finished: Receiver<_> = finished_packs.clone();
            scope.spawn(move || {
                let result = send_packs(&finished, session, packs, counters, progress);
                failure.keep(result, finished);
            });
        }
        drop(finished_packs);
        let mut feeder = Feed::new(windows_in, session, failure, &progress.stop);
        let fed = feed(&mut feeder)?;
        feeder.flush()?;
        Ok(fed)
    });
    // Packs that were still being sent are done or given up; a stop since then must not lead to a commit.
    let fed = if progress.stop.is_stopped() { Err(AgentError::Stopped) } else { fed };
    match (failure.take(), fed) {
        (None, Ok(fed)) => Ok((fed, uploaded(session, packs, &counters)?)),
        (Some(error), Err(AgentError::Stopped) | Ok(_)) | (_, Err(error)) => {
            // What was sent may be all that another run has to send, if it can go on where this one ended.
            let goes_on = error.is_retryable() && !progress.stop.is_stopped() && session.is_kept();
            if !goes_on {
                session.release();
            }
            Err(error)
        }
    }
}

fn uploaded(
    session: Session<'_>,
    packs: Mutex<Vec<PackName>>,
    counters: &Counters,
) -> Result<Uploaded, AgentError> {
    let sent = packs.into_inner().map_err(|_| AgentError::Stopped)?;
    let id = session.id()?;
    let earlier = session.sent_earlier()?;
    let stats = UploadStats {
        new_chunks: counters.new_chunks.sum(),
        new_bytes: counters.new_bytes.sum(),
        new_manifest_bytes: counters.new_manifest_bytes.sum(),
        new_stored_bytes: counters.new_stored_bytes.sum(),
        uploaded_bytes: counters.uploaded_bytes.sum(),
        packs: sent.len() as u64,
        resumed_packs: earlier.len() as u64,
    };
    let packs = [earlier, sent].concat();
    Ok(Uploaded { session: id, packs, journal: session.into_journal(), stats })
}
