//! The restore as its caller sees it: prepared, fed with bytes from any thread in any order, finished.
//! Not what appears in the target: that is `finish`.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::{RestoreError, at};
use super::finish::Restored;
use super::metadata::{desired_mode, finish_file};
use super::request::{FileId, Known, RestoreOptions, RestoreScope};
use super::site::{FolderPlace, Site, slot_name};
use super::staging::Staging;
use super::survey::survey;
use super::tree::Tree;
use crate::model::progress::Progress;
use crate::model::{Content, Entry, EntryPath};
use crate::workspace::beneath::{Folder, write_at};

/// Files that are written in several pieces are spread over this many locks …
const SHARDS: usize = 32;
/// … each of which keeps at most this many of them open: 256 handles in all.
const OPEN_PER_SHARD: usize = 8;
/// The mode of a file until its last byte is there; it may have to be opened again.
const UNFINISHED_MODE: u32 = 0o600;

/// A restore under way. Dropped before `finish`, it leaves the target as it was.
pub struct Restore<'a> {
    pub(super) site: Site,
    pub(super) progress: &'a Progress,
    pub(super) pool: rayon::ThreadPool,
    pub(super) written_bytes: AtomicU64,
    shards: Vec<Mutex<HashMap<usize, Unfinished>>>,
}

/// A file that has some of its bytes.
struct Unfinished {
    left_bytes: u64,
    /// `None` while others are written; opened again for the next piece.
    file: Option<Arc<File>>,
    last_use: u64,
}

impl<'a> Restore<'a> {
    /// Looks at `folder` (created if it is not there), and prepares the staging folders. Entries that are
    /// restored in part must not hard-link to entries that are not.
    pub fn prepare(
        folder: &Path,
        entries: Vec<Entry>,
        scope: RestoreScope,
        known: Known<'_>,
        options: RestoreOptions,
        progress: &'a Progress,
    ) -> Result<Self, RestoreError> {
        fs_err::create_dir_all(folder).map_err(RestoreError::Target)?;
        Self::prepare_in(Folder::open(folder)?, entries, scope, known, options, progress)
    }

    /// The same in a folder that is open already.
    pub fn prepare_in(
        folder: Folder,
        entries: Vec<Entry>,
        scope: RestoreScope,
        known: Known<'_>,
        options: RestoreOptions,
        progress: &'a Progress,
    ) -> Result<Self, RestoreError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build();
        let pool = pool.map_err(RestoreError::Threads)?;
        let mut site = Site::new(folder, Tree::build(entries)?, scope, options);
        pool.install(|| survey(&mut site, &known))?;
        create_stagings(&mut site)?;
        create_folders(&site)?;
        for index in (0..site.tree.entries.len()).filter(|&index| !site.is_staged(index)) {
            progress.done_entries.add(1);
            progress.done_bytes.add(site.entry(index).content().map_or(0, |content| content.size));
        }
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Ok(Self { site, progress, pool, written_bytes: AtomicU64::new(0), shards })
    }

    /// The files whose bytes are needed, in the order of their paths; empty files need none.
    pub fn wanted(&self) -> impl Iterator<Item = (FileId, &EntryPath, &Content)> {
        (0..self.site.tree.entries.len()).filter(|&index| self.site.is_staged(index)).filter_map(|index| {
            let entry = self.site.entry(index);
            let content = entry.content().filter(|content| content.size > 0)?;
            Some((FileId(index), &entry.path, content))
        })
    }

    /// Takes `bytes` at `offset` of a wanted file. From any thread, in any order, each byte once; whoever brings
    /// the last one also gives the file its metadata.
    pub fn write(&self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), RestoreError> {
        let len = bytes.len() as u64;
        let size = self.check_piece(file, offset, len)?;
        if len == size {
            self.write_whole(file.0, bytes)?;
        } else if !bytes.is_empty() {
            let write = |open: &File| write_at(open, offset, bytes).map(drop);
            self.write_piece(file, (offset, len), size, write)?;
        }
        self.count_bytes(len);
        Ok(())
    }

    /// As [`Restore::write`] for `len` zeros: a hole, which takes no longer for being large.
    pub fn write_zeros(&self, file: FileId, offset: u64, len: u64) -> Result<(), RestoreError> {
        let size = self.check_piece(file, offset, len)?;
        if len > 0 {
            self.write_piece(file, (offset, len), size, |_| Ok(()))?;
        }
        self.count_bytes(len);
        Ok(())
    }

    /// The size of the wanted file that such a piece lies in.
    fn check_piece(&self, file: FileId, offset: u64, len: u64) -> Result<u64, RestoreError> {
        let FileId(index) = file;
        let entry = self.site.tree.entries.get(index).ok_or(RestoreError::NoSuchFile(index))?;
        let content = entry.content().filter(|_| self.site.is_staged(index));
        let fits = |size: u64| offset.checked_add(len).is_some_and(|end| end <= size);
        let size = content.map(|content| content.size).filter(|&size| fits(size));
        size.filter(|_| self.site.stats[index].get().is_none()).ok_or_else(|| self.refused(file, offset, len))
    }

    fn refused(&self, file: FileId, offset: u64, len: u64) -> RestoreError {
        RestoreError::NotWanted { path: self.site.entry(file.0).path.clone(), offset, len }
    }

    fn write_piece(
        &self,
        file: FileId,
        (offset, len): (u64, u64),
        size: u64,
        write: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<(), RestoreError> {
        let open = self.begin_piece(file.0, size)?;
        write(&open).map_err(at("write", &self.site.entry(file.0).path))?;
        self.end_piece(file.0, &open, len)
            .map_err(|error| error.unwrap_or_else(|| self.refused(file, offset, len)))
    }

    fn count_bytes(&self, len: u64) {
        self.progress.done_bytes.add(len);
        self.written_bytes.fetch_add(len, Relaxed);
    }

    /// Lets everything appear: links, deletions, renames, metadata of folders.
    pub fn finish(self) -> Result<Restored, RestoreError> {
        super::finish::finish(self)
    }

    /// A file that comes in one piece: create, write, times, close.
    pub(super) fn write_whole(&self, index: usize, bytes: &[u8]) -> Result<(), RestoreError> {
        let (entry, options) = (self.site.entry(index), &self.site.options);
        let (folder, name) = self.site.place(index)?;
        let area = self.site.seats[self.site.tree.parents[index] as usize].area;
        let mask = self.site.staging(area)?.mask;
        // Attributes cannot be set on a file that its owner may not write.
        let mode = if options.xattrs { UNFINISHED_MODE } else { desired_mode(entry, options) & 0o777 };
        let stat = folder.create_file(&name, mode).and_then(|file| {
            let end = write_at(&file, 0, bytes)?;
            if end < bytes.len() as u64 {
                rustix::fs::ftruncate(&file, bytes.len() as u64)?;
            }
            finish_file(&file, entry, options, mode & !mask)
        });
        self.done(index, stat.map_err(at("write", &entry.path))?);
        Ok(())
    }

    fn done(&self, index: usize, stat: crate::workspace::stat::Stat) {
        let _ = self.site.stats[index].set(stat);
        self.progress.done_entries.add(1);
    }

    fn shard(&self, index: usize) -> MutexGuard<'_, HashMap<usize, Unfinished>> {
        self.shards[index % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open file of a wanted entry; created with its final size by its first piece.
    fn begin_piece(&self, index: usize, size: u64) -> Result<Arc<File>, RestoreError> {
        let mut shard = self.shard(index);
        let now = 1 + shard.values().map(|unfinished| unfinished.last_use).max().unwrap_or(0);
        if let Some(Unfinished { file: Some(file), last_use, .. }) = shard.get_mut(&index) {
            *last_use = now;
            return Ok(Arc::clone(file));
        }
        close_oldest(&mut shard);
        let path = &self.site.entry(index).path;
        let (folder, name) = self.site.place(index)?;
        let opened = match shard.contains_key(&index) {
            true => folder.reopen_file(&name),
            false => folder.create_file(&name, UNFINISHED_MODE).and_then(|file| {
                rustix::fs::ftruncate(&file, size)?;
                Ok(file)
            }),
        };
        let file = Arc::new(opened.map_err(at("write", path))?);
        let unfinished =
            shard.entry(index).or_insert(Unfinished { left_bytes: size, file: None, last_use: now });
        unfinished.file = Some(Arc::clone(&file));
        unfinished.last_use = now;
        Ok(file)
    }

    /// Counts a piece; the last one finishes the file. `Err(None)` when more bytes came than the file has.
    fn end_piece(&self, index: usize, file: &File, len: u64) -> Result<(), Option<RestoreError>> {
        let mut shard = self.shard(index);
        let unfinished = shard.get_mut(&index).ok_or(None)?;
        unfinished.left_bytes = unfinished.left_bytes.checked_sub(len).ok_or(None)?;
        if unfinished.left_bytes > 0 {
            return Ok(());
        }
        shard.remove(&index);
        drop(shard);
        let entry = self.site.entry(index);
        // The mode to compare with is one that no entry has, so that it is always set.
        let stat = finish_file(file, entry, &self.site.options, u32::MAX);
        self.done(index, stat.map_err(|error| Some(at("write", &entry.path)(error)))?);
        Ok(())
    }
}

fn close_oldest(shard: &mut HashMap<usize, Unfinished>) {
    let open = shard.values_mut().filter(|unfinished| unfinished.file.is_some());
    if open.count() < OPEN_PER_SHARD {
        return;
    }
    let open = shard.values_mut().filter(|unfinished| unfinished.file.is_some());
    if let Some(oldest) = open.min_by_key(|unfinished| unfinished.last_use) {
        oldest.file = None;
    }
}

fn create_stagings(site: &mut Site) -> Result<(), RestoreError> {
    for index in 0..site.areas.len() {
        if site.areas[index].slots > 0 || site.options.mirror {
            let home = site.folder(site.areas[index].home)?;
            site.areas[index].staging = Some(Staging::create(&home)?);
        }
    }
    Ok(())
}

/// Creates every staged folder, each writable for its owner until `finish`.
fn create_folders(site: &Site) -> Result<(), RestoreError> {
    for (index, folder) in site.tree.folders.iter().enumerate() {
        let Some(path) = &folder.path else { continue };
        let entry = folder.entry.map(|entry| site.entry(entry as usize));
        let mode = entry.map_or(0o777, |entry| entry.mode & 0o777) | 0o700;
        let seat = site.seats[index];
        let created: io::Result<()> = match seat.place {
            FolderPlace::Existing(_) => continue,
            FolderPlace::Slot(slot, _) => {
                site.staging(seat.area)?.folder.top().create_dir(&slot_name(slot), mode)
            }
            FolderPlace::Within(_) => site.folder(folder.parent)?.create_dir(path.file_name(), mode),
        };
        created.map_err(at("create folder", path))?;
    }
    Ok(())
}
