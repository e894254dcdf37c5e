//! `artifact download`: what a query finds, into a folder, several at once.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::agent::error::Problem;
use crate::model::EntryPath;
use crate::model::progress::Progress;
use crate::protocol::BuildId;
use crate::protocol::artifact::{ArtifactId, ArtifactInfo};
use crate::transfer::gate::Gate;
use crate::transfer::get_blob::BlobSource;
use crate::transfer::{ArtifactRemote, BlobError};
use crate::workspace::beneath::Folder;

use super::collect::printable;
use super::destination::Placement;
use super::error::ArtifactError;
use super::fetch::{FetchError, Fetched, PIECE_BYTES, fetch, is_there, link, make_folders};
use super::query::Search;

/// Files that are read by several threads each, at once: what bounds memory.
const LARGE_AT_ONCE: u32 = 2;
/// Folders that are written to at once.
const QUEUES: usize = 64;

/// What to fetch, and where to.
#[derive(Debug)]
pub struct DownloadRequest {
    /// What is wanted.
    pub search: Search,
    /// The folder; it has to be there.
    pub folder: PathBuf,
    /// Whether symlinks that were kept as such are made; left out otherwise.
    pub links: bool,
    /// How many are fetched at once, if somebody says so.
    pub concurrency: Option<u32>,
}

/// What became of them.
#[derive(Debug)]
pub struct DownloadedArtifacts {
    /// The build that they came from; none if nothing says.
    pub build: Option<BuildId>,
    /// Those that are there, by path.
    pub artifacts: Vec<DownloadedArtifact>,
    /// Those that are not, and why.
    pub problems: Vec<Problem>,
    /// Bytes of those that were fetched.
    pub fetched_bytes: u64,
    /// How many were there already.
    pub kept: u64,
}

/// An artifact that is there.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DownloadedArtifact {
    /// Its name in the ledger.
    pub id: ArtifactId,
    /// Its path as an artifact.
    pub path: String,
    /// Where it is, below the folder.
    pub place: String,
    /// Bytes.
    pub len: u64,
    /// Whether it was fetched; it was there already otherwise.
    pub fetched: bool,
}

struct Run<'a> {
    remote: &'a dyn ArtifactRemote,
    folder: Folder,
    progress: &'a Progress,
    gate: Gate,
    large: Gate,
    /// By folder; several share one.
    queues: [Mutex<()>; QUEUES],
    next: AtomicUsize,
    done: Mutex<DownloadedArtifacts>,
    failure: Mutex<Option<ArtifactError>>,
}

/// An artifact and its place.
type Placed = (EntryPath, ArtifactInfo);

/// Fetches what the query finds. An artifact that cannot be fetched or is damaged is named, leaves what was there before, and the others go
/// on; a store that is away ends the run.
pub fn download(
    remote: &dyn ArtifactRemote,
    request: &DownloadRequest,
    progress: &Progress,
) -> Result<DownloadedArtifacts, ArtifactError> {
    let folder = Folder::open(&request.folder)?;
    let matches = request.search.newest(remote)?;
    let run = Run {
        remote,
        folder,
        progress,
        gate: remote.transport().blobs(request.concurrency),
        large: Gate::beginning(LARGE_AT_ONCE, LARGE_AT_ONCE, u64::MAX),
        queues: std::array::from_fn(|_| Mutex::default()),
        next: AtomicUsize::new(0),
        done: Mutex::new(DownloadedArtifacts {
            build: matches.build,
            artifacts: Vec::new(),
            problems: Vec::new(),
            fetched_bytes: 0,
            kept: 0,
        }),
        failure: Mutex::default(),
    };
    let placement = Placement::new(&request.search.query.path, &request.folder);
    let (mut links, mut files) = run.place(&placement, matches.artifacts);
    if !request.links {
        links.clear();
    }
    progress.found_entries.add((files.len() + links.len()) as u64);
    progress.found_bytes.add(files.iter().map(|(_, artifact)| artifact.len).sum());
    in_turn(&mut files);
    thread::scope(|scope| {
        for _ in 0..files.len().min(run.gate.most() as usize) {
            scope.spawn(|| run.fetch_files(&files));
        }
    });
    // After the files, none of which can then be led astray by one of them.
    links.iter().for_each(|placed| run.make_link(placed));
    run.finish()
}

/// The first files of all folders, then the second ones, and so on, so that those who write at once write to different folders. The large
/// ones last: whoever waits among them keeps no small one waiting.
fn in_turn(files: &mut Vec<Placed>) {
    let mut ranks: HashMap<Option<EntryPath>, u32> = HashMap::new();
    let mut ranked: Vec<(bool, u32, Placed)> = Vec::with_capacity(files.len());
    for placed in files.drain(..) {
        let rank = ranks.entry(placed.0.parent()).or_default();
        *rank += 1;
        ranked.push((placed.1.len > PIECE_BYTES, *rank, placed));
    }
    ranked.sort_by_key(|(is_large, rank, _)| (*is_large, *rank));
    files.extend(ranked.into_iter().map(|(_, _, placed)| placed));
}

impl Run<'_> {
    /// Symlinks and files, each with its place; what has none, or another's, is named.
    fn place(&self, placement: &Placement, artifacts: Vec<ArtifactInfo>) -> (Vec<Placed>, Vec<Placed>) {
        let mut taken = HashSet::new();
        let mut placed = Vec::with_capacity(artifacts.len());
        for artifact in artifacts {
            match placement.of(&artifact.path) {
                Err(error) => self.problem(&artifact.path, format!("it has no place in the folder: {error}")),
                Ok(place) if !taken.insert(place.clone()) => {
                    self.problem(&artifact.path, format!("another artifact goes to {place}"));
                }
                Ok(place) => placed.push((place, artifact)),
            }
        }
        placed.into_iter().partition(|(_, artifact)| artifact.link.is_some())
    }

    fn fetch_files(&self, files: &[Placed]) {
        while !self.is_over()
            && let Some((place, artifact)) = files.get(self.next.fetch_add(1, Ordering::Relaxed))
        {
            match self.fetch_file(place, artifact) {
                Ok(fetched) => self.note(place, artifact, fetched),
                Err(FetchError::Stopped) => return,
                Err(FetchError::Blob(error)) if error.is_stop() => return,
                Err(FetchError::Blob(source)) if is_away(&source) => {
                    let error = ArtifactError::Fetch { path: printable(artifact.path.as_bytes()), source };
                    self.lock_failure().get_or_insert(error);
                }
                Err(error) => self.problem(&artifact.path, said(&error)),
            }
        }
    }

    fn fetch_file(&self, place: &EntryPath, artifact: &ArtifactInfo) -> Result<Fetched, FetchError> {
        let parent = make_folders(&self.folder, place)?;
        if is_there(&parent, place, artifact, self.progress) {
            self.progress.done_bytes.add(artifact.len);
            return Ok(Fetched::Kept);
        }
        let _lane = (artifact.len > PIECE_BYTES).then(|| self.large.enter(0));
        let source = BlobSource::new(self.remote, &self.gate, artifact)?;
        fetch(&parent, place, artifact, &source, self.queue(place), self.progress)?;
        Ok(Fetched::Written)
    }

    /// Where those stand who write to the folder of `place`.
    fn queue(&self, place: &EntryPath) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        place.parent().hash(&mut hasher);
        &self.queues[hasher.finish() as usize % QUEUES]
    }

    fn make_link(&self, (place, artifact): &Placed) {
        if self.is_over() {
            return;
        }
        let target = artifact.link.as_deref().unwrap_or_default();
        let made = make_folders(&self.folder, place).and_then(|parent| link(&parent, place, target));
        match made {
            Ok(()) => self.note(place, artifact, Fetched::Written),
            Err(error) => self.problem(&artifact.path, said(&error)),
        }
    }

    fn note(&self, place: &EntryPath, artifact: &ArtifactInfo, fetched: Fetched) {
        self.progress.done_entries.add(1);
        let mut done = self.lock();
        let written = fetched == Fetched::Written;
        if written {
            done.fetched_bytes += artifact.len;
        } else {
            done.kept += 1;
        }
        done.artifacts.push(DownloadedArtifact {
            id: artifact.id.clone(),
            path: artifact.path.clone(),
            place: place.to_string(),
            len: artifact.len,
            fetched: written,
        });
    }

    fn problem(&self, path: &str, what: String) {
        let path = printable(path.as_bytes());
        self.lock().problems.push(Problem { path, what, is_error: true });
    }

    fn is_over(&self) -> bool {
        self.progress.stop.is_stopped() || self.lock_failure().is_some()
    }

    fn finish(self) -> Result<DownloadedArtifacts, ArtifactError> {
        if let Some(error) = self.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        if self.progress.stop.is_stopped() {
            return Err(ArtifactError::Stopped);
        }
        let mut done = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.artifacts.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        done.problems.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(done)
    }

    fn lock(&self) -> MutexGuard<'_, DownloadedArtifacts> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_failure(&self) -> MutexGuard<'_, Option<ArtifactError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the next artifact would fare no better: tried for as long as is worth it.
fn is_away(error: &BlobError) -> bool {
    match error {
        BlobError::Http(error) => error.is_retryable(),
        BlobError::Renew(error) => error.is_retryable(),
        _ => false,
    }
}

/// An error and what lies behind it, in one line.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = error.to_string();
        if !text.contains(&why) {
            text += &format!(": {why}");
        }
        cause = error.source();
    }
    text
}
