//! `stash`: a workspace into the store, moving only what the store misses.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use crate::model::Digest;
use crate::model::progress::Progress;
use crate::protocol::{BuildId, Commit, Committed, Open, Opened, StashName};
use crate::transfer::Remote;
use crate::workspace::beneath::Folder;
use crate::workspace::select::Selection;
use crate::workspace::stat_cache::{StatCache, StatCacheWriter};
use crate::workspace::walk::{self, Found, Skipped, Walk, WalkOptions};

use super::bases::Bases;
use super::digest_set::DigestSet;
use super::draft::{self, Draft};
use super::error::{AgentError, Problem};
use super::held::Held;
use super::manifest::{Manifest, Parent, feed_manifest};
use super::read::read_files;
use super::upload::{Feed, Journal, UploadOptions, UploadStats, Uploaded, journal_file, upload};

/// What to stash and under which name.
#[derive(Debug)]
pub struct StashRequest {
    /// The workspace.
    pub folder: PathBuf,
    /// The build that gets the stash.
    pub build: BuildId,
    /// Its name.
    pub name: StashName,
    /// Which paths.
    pub selection: Selection,
    /// Whether a stash of nothing is welcome.
    pub allow_empty: bool,
    /// Whether to keep numeric owners.
    pub owner: bool,
    /// Whether to keep extended attributes.
    pub xattrs: bool,
    /// Folders that are never part of a stash: the store, the cache.
    pub leave_out: Vec<PathBuf>,
    /// The stat cache of this workspace; `None` reads every file.
    pub cache_file: Option<PathBuf>,
    /// Compression and threads.
    pub upload: UploadOptions,
}

/// What a stash did.
#[derive(Debug)]
pub struct Stashed {
    /// The stash as the controller has it.
    pub committed: Committed,
    /// What moved.
    pub stats: UploadStats,
    /// Files that the stat cache proved unchanged, and their bytes.
    pub unopened: (u64, u64),
    /// Entries that are not in the stash as they stand in the workspace.
    pub problems: Vec<Problem>,
}

/// Stashes a workspace. Nothing is visible before the end; a failure leaves an earlier stash of that name alone.
pub fn stash(
    remote: &dyn Remote,
    request: &StashRequest,
    progress: &Progress,
) -> Result<Stashed, AgentError> {
    let clock = Instant::now();
    let walked = walk_workspace(request, progress)?;
    tracing::debug!(entries = walked.found.len(), elapsed = ?clock.elapsed(), "walked");
    let started = walked.started;
    let folder = Folder::open(&request.folder)?;
    let cache = request.cache_file.as_deref().map(StatCache::open).unwrap_or_default();
    let parent = parent_of(&cache, remote);
    if let Some(stashed) = stash_known(remote, request, &walked, (&cache, parent), progress)? {
        tracing::debug!(elapsed = ?clock.elapsed(), "committed as it was");
        return Ok(stashed);
    }
    let mut draft = Draft::new(walked, &cache, request.owner);
    let unopened = draft.unopened();
    note_unopened(progress, &draft, unopened);

    let open = Open {
        build: request.build.clone(),
        name: request.name.clone(),
        parent,
        resume: None,
        digests: Vec::new(),
    };
    let journal = Journal::open(journal_path(remote, request));
    let mut bases = request.cache_file.as_deref().map(Bases::open).unwrap_or_default();
    let (manifest, uploaded) = upload(remote, open, journal, request.upload, progress, |feed| {
        let unread = draft.unread();
        read_into(&mut draft, &folder, &unread, request, feed, progress)?;
        let parent = trusted_parent(parent, &cache, feed)?;
        if parent.is_none() {
            let lost = files_with_missing_chunks(&draft, feed)?;
            read_into(&mut draft, &folder, &lost, request, feed, progress)?;
        }
        tracing::debug!(elapsed = ?clock.elapsed(), "read");
        feed_manifest(draft.entries(), parent.as_ref(), &mut bases, feed)
    })?;
    tracing::debug!(packs = uploaded.packs.len(), elapsed = ?clock.elapsed(), "sent");
    let stats = uploaded.stats;
    let is_known = parent.is_some()
        && cache.root() == Some(manifest.id)
        && cache.fingerprint().is_some()
        && draft.is_all_cached(&cache);
    let memory = (!is_known).then(|| draft.remember(started));
    // The commit of a large stash wants memory of its own.
    drop(cache);
    let problems = draft.into_problems();
    let committed = thread::scope(|scope| {
        // Beside the commit: a cache whose stash was never committed only makes the next run ask about every digest.
        if let (Some(file), Some(memory)) = (&request.cache_file, memory) {
            scope.spawn(|| save_cache(memory, file, remote, &manifest));
            bases.save();
        }
        commit(remote, uploaded, &manifest)
    })?;
    tracing::debug!(elapsed = ?clock.elapsed(), "committed");
    Ok(Stashed { committed, stats, unopened, problems })
}

/// A stash of a workspace in which nothing at all has changed: the parent under another name, or again under its own. `None` if anything has, or the
/// store does not have all of the parent any more.
fn stash_known(
    remote: &dyn Remote,
    request: &StashRequest,
    walked: &Walk,
    (cache, parent): (&StatCache, Option<Digest>),
    progress: &Progress,
) -> Result<Option<Stashed>, AgentError> {
    let (Some(root), Some(parent)) = (cache.root(), parent) else { return Ok(None) };
    if cache.fingerprint() != Some(draft::fingerprint(walked, request.owner)) {
        return Ok(None);
    }
    let open = Open {
        build: request.build.clone(),
        name: request.name.clone(),
        parent: Some(parent),
        resume: None,
        digests: Vec::new(),
    };
    let Opened { session, parent_accepted, .. } = remote.open(&open)?;
    if !parent_accepted {
        remote.release(session);
        return Ok(None);
    }
    let commit =
        Commit { session, root, patches: Some(parent).filter(|list| *list != root), packs: Vec::new() };
    let committed = remote.commit(&commit).inspect_err(|_| remote.release(session))?;
    progress.done_entries.add(walked.found.len() as u64);
    progress.done_bytes.add(walked.found.iter().map(|found| found.stat.content_bytes()).sum());
    let problems = walked.skipped.iter().filter_map(Problem::of_skipped).collect();
    let (stats, unopened) = (UploadStats::default(), contents(&walked.found));
    Ok(Some(Stashed { committed, stats, unopened, problems }))
}

/// How many files hold something, and their bytes; further names of a file are not counted again.
fn contents(found: &[Found]) -> (u64, u64) {
    let mut seen = HashSet::new();
    let files = found.iter().map(|found| &found.stat).filter(|stat| stat.content_bytes() > 0);
    let own = files.filter(|stat| stat.nlink == 1 || seen.insert((stat.dev, stat.ino)));
    own.fold((0, 0), |(files, bytes), stat| (files + 1, bytes + stat.size))
}

/// The entries that a stash would hold, and what it would pass over. Reads no file and asks no controller.
pub fn dry_run(
    request: &StashRequest,
    progress: &Progress,
) -> Result<(Vec<Found>, Vec<Problem>), AgentError> {
    let walked = walk_workspace(request, progress)?;
    let problems = walked.skipped.iter().filter_map(Problem::of_skipped).collect();
    Ok((walked.found, problems))
}

fn walk_workspace(request: &StashRequest, progress: &Progress) -> Result<Walk, AgentError> {
    let options = WalkOptions {
        leave_out: request.leave_out.clone(),
        xattrs: request.xattrs,
        threads: request.upload.threads,
    };
    let walked = walk::walk(&request.folder, &request.selection, &options, progress)?;
    if walked.found.is_empty() && !request.allow_empty {
        return Err(AgentError::Empty(request.name.clone()));
    }
    Ok(walked)
}

/// The stash that the cache was written for. Its digests are right whatever the store, but another ledger knows no
/// such stash.
fn parent_of(cache: &StatCache, remote: &dyn Remote) -> Option<Digest> {
    let list = Some(cache.patches_bytes()).filter(|list| !list.is_empty()).map(Digest::of);
    list.or_else(|| cache.root()).filter(|_| cache.remote() == remote.identity())
}

fn note_unopened(progress: &Progress, draft: &Draft, unopened: (u64, u64)) {
    let to_read = draft.unread().len() as u64;
    progress.done_entries.add((draft.found.len() as u64).saturating_sub(to_read));
    progress.done_bytes.add(unopened.1 + draft.linked_bytes());
}

fn read_into(
    draft: &mut Draft,
    folder: &Folder,
    files: &[usize],
    request: &StashRequest,
    feed: &mut Feed<'_>,
    progress: &Progress,
) -> Result<(), AgentError> {
    let threads = request.upload.threads;
    let (found, mut outcomes) = draft.reading();
    let take = |index, found: &_, outcome| outcomes.take(index, found, outcome);
    read_files(folder, found, files, threads, feed, progress, take)?;
    let restated = outcomes.restated;
    draft.restate(restated);
    Ok(())
}

/// The cache's manifest, if the store vouches for every chunk of it.
fn trusted_parent(
    parent: Option<Digest>,
    cache: &StatCache,
    feed: &Feed<'_>,
) -> Result<Option<Parent>, AgentError> {
    match parent {
        Some(_) if feed.parent_accepted()? => Ok(Parent::decode(cache.root_bytes(), cache.patches_bytes())),
        _ => Ok(None),
    }
}

/// Files that were not opened because the cache knows them, but of which the store has lost something.
fn files_with_missing_chunks(draft: &Draft, feed: &Feed<'_>) -> Result<Vec<usize>, AgentError> {
    let known: DigestSet = draft.cached().flat_map(|(_, held)| held.digests()).collect();
    let known: Vec<Digest> = known.into_iter().collect();
    let answers = feed.missing(&known)?;
    let missing: DigestSet =
        known.into_iter().zip(answers).filter(|(_, missing)| *missing).map(|(digest, _)| digest).collect();
    // A chunk list that is there says nothing about the chunks that it names: such a file is read again.
    let is_lost = |held: &Held| held.is_listed() || held.digests().any(|digest| missing.contains(&digest));
    Ok(draft.cached().filter(|(_, held)| is_lost(held)).map(|(index, _)| index).collect())
}

fn commit(remote: &dyn Remote, uploaded: Uploaded, manifest: &Manifest) -> Result<Committed, AgentError> {
    let commit = Commit {
        session: uploaded.session,
        root: manifest.id,
        patches: manifest.patches(),
        packs: uploaded.packs,
    };
    match remote.commit(&commit) {
        Ok(committed) => {
            uploaded.journal.remove();
            Ok(committed)
        }
        // Everything is sent: the next run has only to commit it.
        Err(error) if error.is_retryable() && uploaded.journal.is_kept() => Err(error.into()),
        Err(error) => {
            remote.release(uploaded.session);
            uploaded.journal.remove();
            Err(error.into())
        }
    }
}

/// Where the journal of what was sent is kept. None for a controller in this process, whose sessions end with it.
fn journal_path(remote: &dyn Remote, request: &StashRequest) -> Option<PathBuf> {
    let cache_file = request.cache_file.as_deref()?;
    remote.transport().http()?;
    Some(journal_file(cache_file, &remote.identity(), &request.build, &request.name))
}

/// A cache that cannot be written costs time on the next run and nothing else, so it is no failure of this one.
fn save_cache(
    (writer, walked): (StatCacheWriter, Option<Digest>),
    file: &Path,
    remote: &dyn Remote,
    manifest: &Manifest,
) {
    let stored = (&manifest.root_bytes[..], &manifest.patches_bytes[..]);
    if let Err(error) = writer.save(file, &remote.identity(), manifest.id, stored, walked) {
        tracing::warn!(%error, "the stat cache was not written");
    }
}

impl Problem {
    /// What the walk passed over, in words; `None` for what needs no mention.
    pub(super) fn of_skipped(skipped: &Skipped) -> Option<Self> {
        Some(Self {
            path: skipped.path.to_string(),
            what: skipped.reason.to_string(),
            is_error: skipped.reason.is_error(),
        })
    }
}
