//! `artifact upload`: files are hashed, announced, sent and ended at the same time, in a line of stages with bounds between them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::agent::error::Problem;
use crate::model::progress::Progress;
use crate::model::{Digest, Sha1, Sha256};
use crate::protocol::BuildId;
use crate::protocol::artifact::{ArtifactId, BuildFacts, Job, MAX_ARTIFACTS};
use crate::transfer::ArtifactRemote;
use crate::transfer::gate::Gate;

use super::announce::{announce, read_files};
use super::collect::{Found, printable};
use super::error::ArtifactError;
use super::finish::{Ended, end_uploads};
use super::ready::{Budget, Ready};
use super::send::{Task, send};

/// How long a request waits for more to be asked about.
pub(super) const GATHER: Duration = Duration::from_millis(50);
/// A request about files of so many bytes together waits until all are hashed, or it is full: it takes no time to speak of.
const SMALL_BYTES: u64 = 64 << 20;
/// Files that are hashed and wait to be announced.
const HASHED_AHEAD: usize = MAX_ARTIFACTS;
/// What is announced and waits to be sent.
const SENT_AHEAD: usize = 2 * MAX_ARTIFACTS;

/// What to send, and as what.
#[derive(Debug)]
pub struct UploadRequest {
    /// The build that gets the artifacts.
    pub build: BuildId,
    /// More about it.
    pub facts: BuildFacts,
    /// The job that makes them.
    pub job: Job,
    /// The files.
    pub found: Vec<Found>,
    /// The media type of all of them; each by its extension without.
    pub content_type: Option<String>,
    /// Days that they are kept; the build's life without.
    pub keep_days: Option<u32>,
    /// How many are sent at once, if somebody says so.
    pub concurrency: Option<u32>,
    /// Threads that hash.
    pub threads: usize,
    /// Where it is remembered which parts were sent.
    pub journals: Option<PathBuf>,
}

/// What became of the files.
#[derive(Debug, Default)]
pub struct UploadedArtifacts {
    /// Those that are finished, by path.
    pub artifacts: Vec<UploadedArtifact>,
    /// Those that are not, and why.
    pub problems: Vec<Problem>,
    /// Bytes of all that are finished.
    pub bytes: u64,
    /// Files that had to be sent.
    pub sent_files: u64,
    /// Their bytes.
    pub sent_bytes: u64,
}

/// An artifact that is all there.
#[derive(Clone, Debug, serde::Serialize)]
pub struct UploadedArtifact {
    /// Its name in the ledger.
    pub id: ArtifactId,
    /// Its path.
    pub path: String,
    /// Bytes.
    pub len: u64,
    /// SHA-1.
    pub sha1: Sha1,
    /// SHA-256.
    pub sha256: Sha256,
    /// BLAKE3-256.
    pub blake3: Digest,
    /// Whether its content had to be sent.
    pub sent: bool,
}

/// What all stages share.
pub(super) struct Line<'a> {
    pub(super) remote: &'a dyn ArtifactRemote,
    pub(super) request: &'a UploadRequest,
    pub(super) progress: &'a Progress,
    pub(super) gate: Gate,
    pub(super) budget: Budget,
    pub(super) uploaded: Mutex<UploadedArtifacts>,
    /// The file that is hashed next.
    pub(super) next: AtomicUsize,
    failure: Mutex<Option<ArtifactError>>,
}

/// Sends the files. Those that cannot be sent are named and the others go on; a controller or a store that is away ends the run, and what was
/// sent by then need not be sent again.
pub fn upload(
    remote: &dyn ArtifactRemote,
    request: &UploadRequest,
    progress: &Progress,
) -> Result<UploadedArtifacts, ArtifactError> {
    note_found(request, progress);
    let line = Line {
        remote,
        request,
        progress,
        gate: remote.transport().blobs(request.concurrency),
        budget: Budget::default(),
        uploaded: Mutex::default(),
        next: AtomicUsize::new(0),
        failure: Mutex::default(),
    };
    run(&line);
    if let Some(error) = line.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    if progress.stop.is_stopped() {
        return Err(ArtifactError::Stopped);
    }
    let mut uploaded = line.uploaded.into_inner().unwrap_or_else(PoisonError::into_inner);
    uploaded.artifacts.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    uploaded.problems.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(uploaded)
}

fn run(line: &Line<'_>) {
    thread::scope(|scope| {
        let (hashed_in, hashed) = bounded::<Ready<'_>>(HASHED_AHEAD);
        let (tasks_in, tasks) = bounded::<Task<'_>>(SENT_AHEAD);
        let (ended_in, ended) = unbounded::<Ended>();
        for _ in 0..line.request.threads.max(1) {
            let hashed: Sender<Ready<'_>> = hashed_in.clone();
            scope.spawn(move || read_files(line, &hashed));
        }
        drop(hashed_in);
        for _ in 0..line.gate.most() {
            let (tasks, ended): (Receiver<Task<'_>>, Sender<Ended>) = (tasks.clone(), ended_in.clone());
            scope.spawn(move || send(line, &tasks, &ended));
        }
        drop(tasks);
        scope.spawn(move || announce(line, &hashed, &tasks_in, &ended_in));
        end_uploads(line, &ended);
    });
}

fn note_found(request: &UploadRequest, progress: &Progress) {
    progress.found_entries.add(request.found.len() as u64);
    progress.found_bytes.add(request.found.iter().map(Found::len).sum());
}

impl Line<'_> {
    /// Whether nothing new is to be begun.
    pub(super) fn is_over(&self) -> bool {
        self.progress.stop.is_stopped() || self.lock_failure().is_some()
    }

    /// How long an announcement waits for more files.
    pub(super) fn patience(&self) -> Option<Duration> {
        let bytes: u64 = self.request.found.iter().map(Found::len).sum();
        (bytes > SMALL_BYTES).then_some(GATHER)
    }

    /// Ends the run with that error, unless another came first.
    pub(super) fn fail(&self, error: ArtifactError) {
        self.lock_failure().get_or_insert(error);
    }

    /// Names a file that cannot be sent.
    pub(super) fn problem(&self, index: usize, what: String) {
        let path = printable(self.request.found[index].path.as_bytes());
        self.progress.done_entries.add(1);
        self.uploaded().problems.push(Problem { path, what, is_error: true });
    }

    pub(super) fn uploaded(&self) -> std::sync::MutexGuard<'_, UploadedArtifacts> {
        // Every list and sum is whole between any two statements.
        self.uploaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next file to hash.
    pub(super) fn take_next(&self) -> Option<usize> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.request.found.len()).then_some(index)
    }

    fn lock_failure(&self) -> std::sync::MutexGuard<'_, Option<ArtifactError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes within `moment` of the first, or until no more can, at most `most`; nothing once the channel is closed and empty.
pub(super) fn gather<T>(receiver: &Receiver<T>, most: usize, moment: Option<Duration>) -> Vec<T> {
    let mut gathered: Vec<T> = receiver.recv().into_iter().collect();
    let until = moment.map(|moment| Instant::now() + moment);
    let next = || match until {
        Some(until) => receiver.recv_deadline(until).ok(),
        None => receiver.recv().ok(),
    };
    while !gathered.is_empty()
        && gathered.len() < most
        && let Some(next) = next()
    {
        gathered.push(next);
    }
    gathered
}
