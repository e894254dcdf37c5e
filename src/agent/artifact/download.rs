//! `artifact download`: what a query finds, into a folder, several at once.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::agent::error::Problem;
use crate::model::EntryPath;
use crate::model::progress::Progress;
use crate::protocol::BuildId;
use crate::protocol::artifact::{ArtifactId, ArtifactInfo};
use crate::transfer::gate::Gate;
use crate::transfer::get_blob::BlobSource;
use crate::transfer::{ArtifactRemote, BlobError};
use crate::workspace::beneath::{Directory, Folder};

use super::batches::{Placed, batches};
use super::collect::printable;
use super::destination::Placement;
use super::error::ArtifactError;
use super::fetch::{
    Content, FetchError, Fetched, PIECE_BYTES, fetch, is_there, link, make_folders, read_small,
};
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
    let (mut links, files) = run.place(&placement, matches.artifacts);
    if !request.links {
        links.clear();
    }
    progress.found_entries.add((files.len() + links.len()) as u64);
    progress.found_bytes.add(files.iter().map(|(_, artifact)| artifact.len).sum());
    let batches = batches(files, |artifact| remote.hands_out(artifact));
    thread::scope(|scope| {
        for _ in 0..batches.len().min(run.gate.most() as usize) {
            scope.spawn(|| run.fetch_batches(&batches));
        }
    });
    // After the files, none of which can then be led astray by one of them.
    links.iter().for_each(|placed| run.make_link(placed));
    run.finish()
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

    fn fetch_batches(&self, batches: &[Vec<Placed>]) {
        while !self.is_over()
            && let Some(batch) = batches.get(self.next.fetch_add(1, Ordering::Relaxed))
        {
            let mut waiting = Vec::with_capacity(batch.len());
            let mut last = None;
            for (place, artifact) in batch {
                match self.prepare(place, artifact, &mut last) {
                    Ok(Some(parent)) => waiting.push((parent, place, artifact)),
                    Ok(None) => self.note(place, artifact, Fetched::Kept),
                    Err(error) => self.failed(artifact, error),
                }
            }
            let contents =
                self.contents(&waiting.iter().map(|(_, _, artifact)| *artifact).collect::<Vec<_>>());
            for ((parent, place, artifact), content) in waiting.into_iter().zip(contents) {
                if self.is_over() {
                    return;
                }
                match self.fetch_file(&parent, place, artifact, content) {
                    Ok(()) => self.note(place, artifact, Fetched::Written),
                    Err(error) => self.failed(artifact, error),
                }
            }
        }
    }

    /// The folder that it goes to, which may be the `last` one's; `None` if it is there already.
    fn prepare(
        &self,
        place: &EntryPath,
        artifact: &ArtifactInfo,
        last: &mut Option<(Option<EntryPath>, Arc<Directory>)>,
    ) -> Result<Option<Arc<Directory>>, FetchError> {
        let path = place.parent();
        let parent = match last.take().filter(|(known, _)| *known == path) {
            Some((_, parent)) => parent,
            None => make_folders(&self.folder, place)?,
        };
        *last = Some((path, Arc::clone(&parent)));
        if is_there(&parent, place, artifact, self.progress) {
            self.progress.done_bytes.add(artifact.len);
            return Ok(None);
        }
        Ok(Some(parent))
    }

    /// What the controller hands out of several at once; `None` for the others.
    fn contents(&self, artifacts: &[&ArtifactInfo]) -> Vec<Option<Vec<u8>>> {
        let none = || vec![None; artifacts.len()];
        if artifacts.len() < 2 {
            return none();
        }
        let bytes = artifacts.iter().map(|artifact| artifact.len).sum();
        let _permit = self.gate.enter(bytes);
        match self.remote.contents(artifacts) {
            Ok(contents) => {
                self.gate.moved(bytes);
                contents
            }
            Err(error) => {
                if let Some(artifact) = artifacts.first() {
                    self.failed(artifact, BlobError::Together(error).into());
                }
                none()
            }
        }
    }

    /// Names what could not be fetched. A store that is away, and a signal, end the run.
    fn failed(&self, artifact: &ArtifactInfo, error: FetchError) {
        match error {
            FetchError::Stopped => {}
            FetchError::Blob(error) if error.is_stop() => {}
            FetchError::Blob(source) if is_away(&source) => {
                let error = ArtifactError::Fetch { path: printable(artifact.path.as_bytes()), source };
                self.lock_failure().get_or_insert(error);
            }
            error => self.problem(&artifact.path, said(&error)),
        }
    }

    fn fetch_file(
        &self,
        parent: &Directory,
        place: &EntryPath,
        artifact: &ArtifactInfo,
        content: Option<Vec<u8>>,
    ) -> Result<(), FetchError> {
        let _lane = (artifact.len > PIECE_BYTES).then(|| self.large.enter(0));
        let source = BlobSource::new(self.remote, &self.gate, artifact)?;
        // A small one is verified before anything is written: nothing unfinished stands about while the store is waited for.
        let content = match content {
            Some(bytes) => Content::Held(bytes),
            None if artifact.len <= PIECE_BYTES => {
                Content::Held(read_small(artifact, &source, self.progress)?)
            }
            None => Content::Elsewhere(&source),
        };
        fetch(parent, place, artifact, &content, self.queue(place), self.progress)
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
        BlobError::Renew(error) | BlobError::Together(error) => error.is_retryable(),
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
