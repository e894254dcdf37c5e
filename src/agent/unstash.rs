//! `unstash`: a stash back into a folder, leaving alone what is there already.

use std::path::PathBuf;

use crate::model::manifest::Root;
use crate::model::progress::Progress;
use crate::model::{Content, Entry, EntryKind, EntryPath};
use crate::protocol::{BuildId, StashInfo, StashName};
use crate::transfer::Remote;
use crate::workspace::restore::{Known, Restore, RestoreOptions, RestoreScope, RestoreStats, Restored};
use crate::workspace::stat::Stat;
use crate::workspace::stat_cache::{StatCache, StatCacheWriter};

use super::bases::Bases;
use super::error::AgentError;
use super::fetch::{FetchStats, fetch_into};
use super::open_stash::OpenStash;

/// What to give back, and where.
#[derive(Debug)]
pub struct UnstashRequest {
    /// The folder; made if it is not there.
    pub folder: PathBuf,
    /// The build that has the stash.
    pub build: BuildId,
    /// Its name.
    pub name: StashName,
    /// The paths to restore with all beneath them; none for the whole stash.
    pub paths: Vec<EntryPath>,
    /// How to write them.
    pub restore: RestoreOptions,
    /// The stat cache of this workspace; `None` compares by content alone.
    pub cache_file: Option<PathBuf>,
}

/// What an unstash did.
#[derive(Debug)]
pub struct Unstashed {
    /// The stash.
    pub info: StashInfo,
    /// What was written, kept and deleted.
    pub restored: RestoreStats,
    /// What was fetched.
    pub fetched: FetchStats,
}

/// Restores a stash. What was in the folder stays as it was until everything new is there.
pub fn unstash(
    remote: &dyn Remote,
    request: &UnstashRequest,
    progress: &Progress,
) -> Result<Unstashed, AgentError> {
    let stash = OpenStash::open(remote, &request.build, &request.name)?;
    let root = stash.root()?;
    let mut bases = request.cache_file.as_deref().map(Bases::open).unwrap_or_default();
    let entries = match request.paths.is_empty() {
        true => stash.all_entries(&root, &mut bases)?,
        false => whole_links(&stash, &root, stash.entries(&root, &request.paths)?)?,
    };
    note_found(progress, &entries);

    let cache = request.cache_file.as_deref().map(StatCache::open).unwrap_or_default();
    let scope = match request.paths.is_empty() {
        true => RestoreScope::Whole,
        false => RestoreScope::Paths(request.paths.clone()),
    };
    let known = Known {
        content: &|stat: &Stat| cache.lookup(stat),
        chunks: &|content: &Content| stash.chunks_of(&"a file", content).ok(),
    };
    let restore = Restore::prepare(&request.folder, entries, scope, known, request.restore, progress)?;
    let fetched = fetch_into(&stash, &restore, request.restore.threads, progress)?;
    let restored = restore.finish()?;
    let stats = restored.stats;

    if let Some(file) = &request.cache_file {
        drop(cache);
        save_cache(file, remote, &stash, &root, restored);
        if request.paths.is_empty() {
            bases.save();
        }
    }
    Ok(Unstashed { info: stash.info.clone(), restored: stats, fetched })
}

/// Replaces hard links whose first name is not among the entries: the first of them gets the content, the rest link
/// to that one.
fn whole_links(
    stash: &OpenStash<'_>,
    root: &Root,
    mut entries: Vec<Entry>,
) -> Result<Vec<Entry>, AgentError> {
    for index in 0..entries.len() {
        let EntryKind::HardLink { target } = &entries[index].kind else { continue };
        if entries.binary_search_by(|entry| entry.path.cmp(target)).is_ok() {
            continue;
        }
        let target = target.clone();
        let owner = stash
            .entries(root, std::slice::from_ref(&target))?
            .into_iter()
            .find(|entry| entry.path == target);
        let missing = || AgentError::NoSuchPath { path: target.clone(), stash: stash.info.name.clone() };
        let path = entries[index].path.clone();
        entries[index] = Entry { path: path.clone(), ..owner.ok_or_else(missing)? };
        for later in &mut entries[index + 1..] {
            if matches!(&later.kind, EntryKind::HardLink { target: other } if *other == target) {
                later.kind = EntryKind::HardLink { target: path.clone() };
            }
        }
    }
    Ok(entries)
}

fn note_found(progress: &Progress, entries: &[Entry]) {
    progress.found_entries.add(entries.len() as u64);
    progress.found_bytes.add(entries.iter().filter_map(Entry::content).map(|content| content.size).sum());
}

/// A cache that cannot be written costs time on the next run and nothing else, so it is no failure of this one.
fn save_cache(
    file: &std::path::Path,
    remote: &dyn Remote,
    stash: &OpenStash<'_>,
    root: &Root,
    restored: Restored,
) {
    let list = stash.patches(root).map(|patches| patches.encode(&stash.info.id, root).unwrap_or_default());
    let Ok(patches) = list else { return };
    let mut writer = StatCacheWriter::new(restored.stamp);
    for (stat, content) in restored.files.filter(|(_, content)| content.size > 0) {
        writer.push(&stat, &content);
    }
    if let Err(error) = writer.save(file, &remote.identity(), stash.info.id, (&root.encode(), &patches), None)
    {
        tracing::warn!(%error, "the stat cache was not written");
    }
}
