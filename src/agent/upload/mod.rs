//! From chunks to packs in the store: ask what is missing, compress that, pack it, send it.
//!
//! One thread feeds chunks in path order; behind it stand, each with a bounded queue before it:
//! the asker (which chunks are missing) → compressors (a frame each) → the packer (frames in order) → senders.
//! Memory is bounded by the queues: [`WINDOW_BYTES`] × 3, a frame for each queue slot, a pack for each sender and two.

mod packer;
mod session;
mod window;

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Mutex;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::model::progress::{Counter, Progress};
use crate::model::{Digest, PackName};
use crate::protocol::{Open, SessionId};
use crate::transfer::Remote;

use super::error::AgentError;
use packer::{Compressors, pack_frames, send_packs};
use session::Session;
use window::{Window, ask_and_frame};

/// Plaintext that is gathered before the controller is asked about it.
const WINDOW_BYTES: usize = 8 << 20;
/// Packs that are sent at the same time: one writes while the other waits for its disk or its answer.
const SENDERS: usize = 2;

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
pub(super) struct Uploaded {
    /// The session to commit.
    pub session: SessionId,
    /// The packs to name in the commit.
    pub packs: Vec<PackName>,
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
    /// Bytes of the packs that were sent.
    pub uploaded_bytes: u64,
    /// Packs that were sent.
    pub packs: u64,
}

#[derive(Debug, Default)]
struct Counters {
    new_chunks: Counter,
    new_bytes: Counter,
    new_manifest_bytes: Counter,
    uploaded_bytes: Counter,
}

/// Runs `feed` with a [`Feed`] and sends what the store misses of the chunks that it is given.
///
/// When `feed` or any thread behind it fails, the session is released and the first failure is returned.
pub(super) fn upload<R>(
    remote: &dyn Remote,
    open: Open,
    options: UploadOptions,
    progress: &Progress,
    feed: impl FnOnce(&mut Feed<'_>) -> Result<R, AgentError>,
) -> Result<(R, Uploaded), AgentError> {
    let session = Session::new(remote, open);
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
        scope.spawn(move || failure.keep(pack_frames(&frames, &packs_in), (frames, packs_in)));
        for _ in 0..SENDERS {
            let finished: Receiver<_> = finished_packs.clone();
            scope.spawn(move || {
                let result = send_packs(&finished, session, packs, counters, progress);
                failure.keep(result, finished);
            });
        }
        drop(finished_packs);
        let mut feeder = Feed {
            windows: windows_in,
            window: Window::default(),
            seen: DigestSet::default(),
            session,
            failure,
        };
        let fed = feed(&mut feeder)?;
        feeder.flush()?;
        Ok(fed)
    });
    match (failure.take(), fed) {
        (None, Ok(fed)) => Ok((fed, uploaded(&session, packs, &counters)?)),
        (Some(error), Err(AgentError::Stopped) | Ok(_)) | (_, Err(error)) => {
            session.release();
            Err(error)
        }
    }
}

fn uploaded(
    session: &Session<'_>,
    packs: Mutex<Vec<PackName>>,
    counters: &Counters,
) -> Result<Uploaded, AgentError> {
    let packs = packs.into_inner().map_err(|_| AgentError::Stopped)?;
    let stats = UploadStats {
        new_chunks: counters.new_chunks.sum(),
        new_bytes: counters.new_bytes.sum(),
        new_manifest_bytes: counters.new_manifest_bytes.sum(),
        uploaded_bytes: counters.uploaded_bytes.sum(),
        packs: packs.len() as u64,
    };
    Ok(Uploaded { session: session.id()?, packs, stats })
}

/// Where chunks go in, in path order, from one thread.
pub(super) struct Feed<'a> {
    windows: Sender<Window>,
    window: Window,
    seen: DigestSet,
    session: &'a Session<'a>,
    failure: &'a Failure,
}

impl Feed<'_> {
    /// Whether the store has every chunk of the parent named in [`Open`]. Opens the session if need be.
    pub(super) fn parent_accepted(&self) -> Result<bool, AgentError> {
        self.session.parent_accepted()
    }

    /// For each digest, in order: whether the store misses it.
    pub(super) fn missing(&self, digests: &[Digest]) -> Result<Vec<bool>, AgentError> {
        self.session.ask(digests)
    }

    /// A chunk of a file. A chunk that was given before is passed over.
    pub(super) fn chunk(&mut self, digest: Digest, bytes: &[u8]) -> Result<(), AgentError> {
        self.add(digest, bytes, false)
    }

    /// Chunks of files as ranges of `bytes`, which is taken as it is and not copied.
    pub(super) fn chunks(
        &mut self,
        bytes: Vec<u8>,
        chunks: &[(Digest, Range<usize>)],
    ) -> Result<(), AgentError> {
        let fresh: Vec<_> = chunks.iter().filter(|(digest, _)| self.seen.insert(*digest)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        if self.window.is_full(bytes.len(), fresh.len()) {
            self.flush()?;
        }
        self.window.take(bytes, fresh);
        Ok(())
    }

    /// A page or the root. After the first of them no file's chunk may follow.
    pub(super) fn manifest_chunk(&mut self, digest: Digest, bytes: &[u8]) -> Result<(), AgentError> {
        self.add(digest, bytes, true)
    }

    fn add(&mut self, digest: Digest, bytes: &[u8], manifest: bool) -> Result<(), AgentError> {
        if !self.seen.insert(digest) {
            return Ok(());
        }
        if self.window.is_full(bytes.len(), 1) {
            self.flush()?;
        }
        self.window.push(digest, bytes, manifest);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), AgentError> {
        let window = std::mem::take(&mut self.window);
        if window.is_empty() {
            return Ok(());
        }
        if self.failure.is_known() {
            return Err(AgentError::Stopped);
        }
        self.windows.send(window).map_err(|_| AgentError::Stopped)
    }
}

/// The first error of any thread.
#[derive(Default)]
struct Failure(Mutex<Option<AgentError>>);

impl Failure {
    /// Keeps a thread's error unless one was kept before, and only then drops the thread's channel ends, so that its
    /// neighbours see closed channels after the reason is known.
    fn keep<E>(&self, result: Result<(), AgentError>, ends: E) {
        if let Err(error) = result
            && !matches!(error, AgentError::Stopped)
            && let Ok(mut first) = self.0.lock()
        {
            first.get_or_insert(error);
        }
        drop(ends);
    }

    fn is_known(&self) -> bool {
        self.0.lock().is_ok_and(|first| first.is_some())
    }

    fn take(&self) -> Option<AgentError> {
        self.0.lock().ok()?.take()
    }
}

/// Digests are uniform already: their first eight bytes serve as the hash.
#[derive(Clone, Copy, Default)]
pub(super) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(head) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*head);
        }
    }

    /// Lengths of arrays are hashed too; they say nothing here.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A set of digests.
pub(super) type DigestSet = HashSet<Digest, BuildHasherDefault<DigestHasher>>;
