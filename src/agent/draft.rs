//! A stash while it is made: what the walk found, and the content of each file as it becomes known.
//! Not yet a manifest: entries are made one by one when pages are, so that a million of them never stand twice.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::model::entry::Owner;
use crate::model::{Content, Digest, Entry, EntryKind, Timestamp};
use crate::workspace::stat::{FileType, Stat};
use crate::workspace::stat_cache::{StatCache, StatCacheWriter};
use crate::workspace::walk::{Found, Walk};

use super::error::Problem;
use super::held::Held;
use super::read_file::ReadFile;

/// Entries that are made at once: a few MB.
const ENTRIES_AT_ONCE: usize = 16 << 10;

/// The entries of a stash under way, in path order.
pub(super) struct Draft {
    /// What the walk found; the stat of a file that was read is that of the state that was read.
    pub(super) found: Vec<Found>,
    files: Vec<FileState>,
    /// For an inode with several names: each later name's index → the first one's.
    links: HashMap<usize, usize>,
    owner: bool,
    /// [`fingerprint`] of the walk; `None` once `found` is no longer what it saw.
    fingerprint: Option<Digest>,
    /// Entries that are not as they stand in the workspace.
    problems: Vec<Problem>,
}

/// What is known of an entry's content.
enum FileState {
    /// Not a regular file, or a later name of one.
    NoContent,
    /// Must be read.
    Unread,
    /// Taken from the stat cache, unopened.
    Cached(Held),
    /// Read in this run.
    Read(Held),
    /// Read, but changing under the reader: not to be trusted next time.
    Unstable(Held),
    /// Not in the stash.
    Dropped,
}

/// A digest of all that a stash of a walk follows from. `owner`: whether the stash keeps owners.
pub(super) fn fingerprint(walk: &Walk, owner: bool) -> Digest {
    let mut bytes = [u8::from(owner); 1 + Digest::LEN];
    bytes[1..].copy_from_slice(walk.fingerprint.as_bytes());
    Digest::of(&bytes)
}

impl Draft {
    /// Looks every file up in the cache.
    pub(super) fn new(walk: Walk, cache: &StatCache, owner: bool) -> Self {
        let fingerprint = Some(fingerprint(&walk, owner));
        let Walk { found, skipped, .. } = walk;
        let links = hard_links(&found);
        let state = |(index, found): (usize, &Found)| match found.stat.file_type() {
            FileType::File if links.contains_key(&index) => FileState::NoContent,
            FileType::File if found.stat.size == 0 => FileState::Cached(Content::default().into()),
            FileType::File => match cache.lookup(&found.stat) {
                Some(content) => FileState::Cached(content.into()),
                None => FileState::Unread,
            },
            _ => FileState::NoContent,
        };
        let files = found.par_iter().enumerate().map(state).collect();
        let problems = skipped.iter().filter_map(Problem::of_skipped).collect();
        Self { found, files, links, owner, fingerprint, problems }
    }

    /// Indices of the files that must be read.
    pub(super) fn unread(&self) -> Vec<usize> {
        self.indices(|state| matches!(state, FileState::Unread))
    }

    /// Indices and contents of the files that were taken from the cache and hold something.
    pub(super) fn cached(&self) -> impl Iterator<Item = (usize, &Held)> {
        self.files.iter().enumerate().filter_map(|(index, state)| match state {
            FileState::Cached(held) if self.found[index].stat.size > 0 => Some((index, held)),
            _ => None,
        })
    }

    /// What readers need, and what takes their outcomes, at the same time.
    pub(super) fn reading(&mut self) -> (&[Found], Outcomes<'_>) {
        let outcomes =
            Outcomes { files: &mut self.files, problems: &mut self.problems, restated: Vec::new() };
        (&self.found, outcomes)
    }

    /// Takes the stats of files that were read in a later state than the walk saw.
    pub(super) fn restate(&mut self, restated: Vec<(usize, Stat)>) {
        self.fingerprint = self.fingerprint.filter(|_| restated.is_empty());
        restated.into_iter().for_each(|(index, stat)| self.found[index].stat = stat);
    }

    /// Bytes of files whose content another name of theirs brings.
    pub(super) fn linked_bytes(&self) -> u64 {
        self.links.keys().map(|&index| self.found[index].stat.content_bytes()).sum()
    }

    /// How many entries came from the cache unopened, and the bytes of those files.
    pub(super) fn unopened(&self) -> (u64, u64) {
        self.cached()
            .fold((0, 0), |(files, bytes), (index, _)| (files + 1, bytes + self.found[index].stat.size))
    }

    /// The entries of the stash, in path order; made side by side, some thousands at a time.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + Send {
        let blocks = (0..self.found.len()).step_by(ENTRIES_AT_ONCE);
        blocks.flat_map(|start| {
            let block = start..self.found.len().min(start + ENTRIES_AT_ONCE);
            block.into_par_iter().filter_map(|index| self.entry(index)).collect::<Vec<Entry>>()
        })
    }

    /// Whether everything in the cache was hit and nothing else is known, so that writing it again changes nothing.
    pub(super) fn is_all_cached(&self, cache: &StatCache) -> bool {
        let cached = self.cached().count();
        cached == cache.len() && !self.files.iter().any(|state| matches!(state, FileState::Read(_)))
    }

    /// The next stat cache: every trustworthy content of a file whose last change is older than `stamp`; and the fingerprint of a walk that finds all of it
    /// unchanged, if every content is among them.
    pub(super) fn remember(&self, stamp: Timestamp) -> (StatCacheWriter, Option<Digest>) {
        let mut writer = StatCacheWriter::new(stamp);
        for (found, state) in self.found.iter().zip(&self.files) {
            if let FileState::Cached(held) | FileState::Read(held) = state
                && found.stat.size > 0
            {
                writer.push(&found.stat, &held.content(found.stat.size));
            }
        }
        let is_known = |state: &FileState| {
            matches!(state, FileState::NoContent | FileState::Cached(_) | FileState::Read(_))
        };
        let is_whole = writer.is_whole() && self.files.iter().all(is_known);
        (writer, self.fingerprint.filter(|_| is_whole))
    }

    /// Frees everything but the entries that are not as they stand in the workspace.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    fn entry(&self, index: usize) -> Option<Entry> {
        let kind = match self.links.get(&index) {
            // The name that owns the data cannot be read, so this one cannot either; it is named as the problem.
            Some(&first) if matches!(self.files[first], FileState::Dropped) => return None,
            Some(&first) => EntryKind::HardLink { target: self.found[first].path.clone() },
            None => self.kind(index)?,
        };
        let found = &self.found[index];
        let owner = self.owner.then_some(Owner { uid: found.stat.uid, gid: found.stat.gid });
        // All names of an inode say the same, also when it was read in a later state than the walk saw.
        let stat: &Stat = self.links.get(&index).map_or(&found.stat, |&first| &self.found[first].stat);
        Some(Entry {
            path: found.path.clone(),
            mode: stat.permissions(),
            mtime: stat.mtime,
            owner,
            xattrs: found.xattrs.clone(),
            kind,
        })
    }

    fn kind(&self, index: usize) -> Option<EntryKind> {
        let found = &self.found[index];
        match found.stat.file_type() {
            FileType::Directory => Some(EntryKind::Directory),
            FileType::Fifo => Some(EntryKind::Fifo),
            FileType::Symlink => Some(EntryKind::Symlink { target: found.target.clone()? }),
            FileType::File => match &self.files[index] {
                FileState::Cached(held) | FileState::Read(held) | FileState::Unstable(held) => {
                    Some(EntryKind::File(held.content(found.stat.size)))
                }
                FileState::NoContent | FileState::Unread | FileState::Dropped => None,
            },
            FileType::Other => None,
        }
    }

    fn indices(&self, wanted: impl Fn(&FileState) -> bool) -> Vec<usize> {
        self.files.iter().enumerate().filter(|(_, state)| wanted(state)).map(|(index, _)| index).collect()
    }
}

/// Takes the outcomes of reading files, one by one, so that they are never held twice.
pub(super) struct Outcomes<'a> {
    files: &'a mut [FileState],
    problems: &'a mut Vec<Problem>,
    /// To be given to [`Draft::restate`].
    pub(super) restated: Vec<(usize, Stat)>,
}

impl Outcomes<'_> {
    pub(super) fn take(&mut self, index: usize, found: &Found, outcome: ReadFile) {
        let mut problem = |what: &str| {
            self.problems.push(Problem {
                path: found.path.to_string(),
                what: what.to_owned(),
                is_error: true,
            });
        };
        let mut restate = |stat: Stat| {
            if stat != found.stat {
                self.restated.push((index, stat));
            }
        };
        self.files[index] = match outcome {
            ReadFile::Whole(content, stat) => {
                restate(stat);
                FileState::Read(content.into())
            }
            ReadFile::Changing(content, stat) => {
                problem("changed while it was read; its last reading is in the stash");
                // What was read is what the stash holds, whatever size the file has by now.
                restate(Stat { size: content.size, ..stat });
                FileState::Unstable(content.into())
            }
            ReadFile::Vanished => {
                problem("vanished before it was read");
                FileState::Dropped
            }
            ReadFile::Unreadable(why) => {
                problem(&why);
                FileState::Dropped
            }
        };
    }
}

/// For each name of an inode but the first: the index of the first.
fn hard_links(found: &[Found]) -> HashMap<usize, usize> {
    let mut first = HashMap::new();
    let mut links = HashMap::new();
    for (index, found) in found.iter().enumerate() {
        if found.stat.nlink > 1 && found.stat.file_type() != FileType::Directory {
            match first.get(&(found.stat.dev, found.stat.ino)) {
                Some(&owner) => drop(links.insert(index, owner)),
                None => drop(first.insert((found.stat.dev, found.stat.ino), index)),
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves that a stash without owners is not taken for one with them, nor one walk for another.
    #[test]
    fn a_fingerprint_is_of_walk_and_owners() {
        let walk = |bytes| Walk {
            found: Vec::new(),
            skipped: Vec::new(),
            fingerprint: Digest::of(bytes),
            started: Timestamp::default(),
        };
        let same = fingerprint(&walk(b"a"), false);
        assert_eq!(fingerprint(&walk(b"a"), false), same);
        assert_ne!(fingerprint(&walk(b"a"), true), same);
        assert_ne!(fingerprint(&walk(b"b"), false), same);
    }
}
