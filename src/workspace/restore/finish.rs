//! The end of a restore: what was built appears in the target. Up to the first visible change everything that can
//! fail for want of space or leave has been done in the staging folders.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rustix::time::{ClockId, clock_gettime};

use super::error::{RestoreError, at};
use super::metadata::{apply, desired_mode};
use super::mirror::delete_extras;
use super::request::RestoreStats;
use super::site::{Fate, FolderPlace, Over, Site, slot_name};
use super::staging::Staging;
use super::write::Restore;
use crate::model::{Content, Entry, EntryKind, EntryPath, Timestamp};
use crate::workspace::beneath::Directory;
use crate::workspace::stat::Stat;

/// How long the end of a restore waits for the coarse clock to pass the last change: a few ticks of 4 to 10 ms. A
/// file whose ctime lies further ahead (a clock that was set back) is not waited for, and so not trusted later.
const MAX_CLOCK_WAIT: Duration = Duration::from_millis(100);

/// What a restore did.
pub struct Restored {
    /// Counts.
    pub stats: RestoreStats,
    /// Every regular file as it is now, but for those that nobody but root could look at again.
    pub files: RestoredFiles,
    /// By the clock that stamps inodes: later than the last change of every file.
    pub stamp: Timestamp,
}

/// The regular files of a restore with what they hold; an iterator, so that a million of them are not held twice.
pub struct RestoredFiles(std::iter::Zip<std::vec::IntoIter<Entry>, std::vec::IntoIter<OnceLock<Stat>>>);

impl Iterator for RestoredFiles {
    type Item = (Stat, Content);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.find_map(|(entry, stat)| match entry.kind {
            EntryKind::File(content) => Some((stat.into_inner()?, content)),
            _ => None,
        })
    }
}

/// An entry's index and what it is now, if it can be looked at.
type FreshStat = (usize, Option<Stat>);

pub(super) fn finish(restore: Restore<'_>) -> Result<Restored, RestoreError> {
    let missing = restore.wanted().find(|(file, ..)| restore.site.stats[file.0].get().is_none());
    if let Some((_, path, _)) = missing {
        return Err(RestoreError::Incomplete(path.clone()));
    }
    let (deleted, fresh) = restore.pool.install(|| appear(&restore))?;
    let mut site = restore.site;
    for area in &mut site.areas {
        area.staging.take().map_or(Ok(()), Staging::remove)?;
    }
    finish_existing_folders(&site)?;
    for (index, stat) in fresh {
        site.stats[index] = stat.map_or_else(OnceLock::new, OnceLock::from);
    }
    let stats = RestoreStats { deleted, written_bytes: restore.written_bytes.load(Relaxed), ..count(&site) };
    let ctimes = site.stats.iter().filter_map(|stat| stat.get().map(|stat| stat.ctime));
    let stamp = wait_until_after(ctimes.max());
    let files = RestoredFiles(site.tree.entries.into_iter().zip(site.stats));
    Ok(Restored { stats, files, stamp })
}

/// All that happens on paths of entries; returns how many names were deleted, and the stats that changed.
fn appear(restore: &Restore<'_>) -> Result<(u64, Vec<FreshStat>), RestoreError> {
    let site = &restore.site;
    let indices = || (0..site.tree.entries.len()).into_par_iter();
    indices().filter(|&index| site.is_staged(index)).try_for_each(|index| create_small(restore, index))?;
    site.tree
        .links
        .iter()
        .try_for_each(|&(target, link)| create_link(restore, target as usize, link as usize))?;
    finish_staged_folders(site)?;
    // From here on the target changes.
    make_writable(site);
    indices().filter(|&i| site.fates[i] == Fate::Correct).try_for_each(|index| correct(site, index))?;
    let deleted = if site.options.mirror { delete_extras(site)? } else { 0 };
    (0..site.tree.folders.len()).into_par_iter().try_for_each(|folder| place_folder(site, folder))?;
    indices().try_for_each(|index| place_entry(site, index))?;
    site.placed.store(true, Release);
    // What cannot be looked at any more (a folder that its owner may not search) is only not remembered.
    let fresh = indices().filter(|&index| has_stale_stat(site, index)).map(|index| {
        let folder = site.folder(site.tree.parents[index]).ok();
        let stat = folder.and_then(|folder| folder.stat(site.entry(index).path.file_name()).ok().flatten());
        (index, stat)
    });
    Ok((deleted, fresh.collect()))
}

/// Creates what needs no bytes: empty files, symlinks, fifos.
fn create_small(restore: &Restore<'_>, index: usize) -> Result<(), RestoreError> {
    let (site, entry) = (&restore.site, restore.site.entry(index));
    match &entry.kind {
        EntryKind::File(content) if content.size == 0 => return restore.write_whole(index, b""),
        EntryKind::Symlink { .. } | EntryKind::Fifo => {}
        EntryKind::File(_) | EntryKind::Directory | EntryKind::HardLink { .. } => return Ok(()),
    }
    let (folder, name) = site.place(index)?;
    let created = match &entry.kind {
        EntryKind::Symlink { target } => folder.symlink(target, &name),
        _ => folder.fifo(&name, 0o600),
    };
    let finished = created.and_then(|()| apply(entry, &folder, &name, &site.options, None));
    finished.map_err(at("create", &entry.path))?;
    restore.progress.done_entries.add(1);
    Ok(())
}

fn create_link(restore: &Restore<'_>, target: usize, link: usize) -> Result<(), RestoreError> {
    let site = &restore.site;
    if !site.is_staged(link) {
        return Ok(());
    }
    let (from, from_name) = site.place(target)?;
    let (to, to_name) = site.place(link)?;
    from.hard_link(&from_name, &to, &to_name).map_err(at("create hard link", &site.entry(link).path))?;
    restore.progress.done_entries.add(1);
    Ok(())
}

/// Deepest first, since giving a folder its mode may forbid to change what is in it.
fn finish_staged_folders(site: &Site) -> Result<(), RestoreError> {
    for (index, folder) in site.tree.folders.iter().enumerate().rev() {
        let Some((entry, path)) = folder.entry.zip(folder.path.as_ref()) else { continue };
        let (entry, seat) = (site.entry(entry as usize), site.seats[index]);
        let mask = || Ok::<_, RestoreError>(site.staging(seat.area)?.mask);
        let finished = match seat.place {
            FolderPlace::Existing(_) => continue,
            // A folder that its owner may not write cannot move to another parent: see `finish_existing_folders`.
            FolderPlace::Slot(..) if entry.mode & 0o200 == 0 => continue,
            FolderPlace::Slot(slot, _) => {
                let mode = (entry.mode & 0o777 | 0o700) & !mask()?;
                let folder = site.staging(seat.area)?.folder.top();
                apply(entry, folder, &slot_name(slot), &site.options, Some(mode))
            }
            FolderPlace::Within(_) => {
                let mode = (entry.mode & 0o777 | 0o700) & !mask()?;
                apply(entry, &*site.folder(folder.parent)?, path.file_name(), &site.options, Some(mode))
            }
        };
        finished.map_err(at("finish folder", path))?;
    }
    Ok(())
}

/// Lets the owner of existing folders write in them until they get their modes. Who may not change a mode will be
/// told so by what is written there.
fn make_writable(site: &Site) {
    if rustix::process::geteuid().is_root() {
        return;
    }
    for (index, folder) in site.tree.folders.iter().enumerate() {
        let FolderPlace::Existing(mode) = site.seats[index].place else { continue };
        let (Some(path), Some(_)) = (&folder.path, folder.entry) else { continue };
        if mode & 0o300 != 0o300
            && let Ok(parent) = site.folder(folder.parent)
        {
            let _ = parent.set_mode(path.file_name(), mode | 0o700);
        }
    }
}

fn correct(site: &Site, index: usize) -> Result<(), RestoreError> {
    let entry = site.entry(index);
    let (folder, name) = site.place(index)?;
    let mode = site.stats[index].get().map(Stat::permissions);
    apply(entry, &folder, &name, &site.options, mode).map_err(at("correct the metadata of", &entry.path))
}

fn place_folder(site: &Site, index: usize) -> Result<(), RestoreError> {
    let folder = &site.tree.folders[index];
    match (site.seats[index].place, &folder.path) {
        (FolderPlace::Slot(slot, over), Some(path)) => put(site, folder.parent, slot, over, true, path),
        _ => Ok(()),
    }
}

fn place_entry(site: &Site, index: usize) -> Result<(), RestoreError> {
    match site.fates[index] {
        Fate::Slot(slot, over) => {
            put(site, site.tree.parents[index], slot, over, false, &site.entry(index).path)
        }
        _ => Ok(()),
    }
}

/// Renames a slot to its path. What cannot be replaced by a plain rename is swapped, so that there is no moment
/// without either; where the system cannot swap, the old one goes aside first.
fn put(
    site: &Site,
    parent: u32,
    slot: u32,
    over: Over,
    is_folder: bool,
    path: &EntryPath,
) -> Result<(), RestoreError> {
    let staging = site.staging(site.seats[parent as usize].area)?;
    let (from, slot) = (staging.folder.top(), slot_name(slot));
    let to: &Directory = &*site.folder(parent)?;
    let name = path.file_name();
    let plain = matches!((over, is_folder), (Over::Nothing, _) | (Over::NonFolder, false));
    let swap = || from.exchange(&slot, to, name).is_ok();
    // A folder moves to another parent only if its owner may write it; this one is on its way out.
    let make_movable = || over == Over::Folder && to.set_mode(name, 0o700).is_ok();
    let swapped = !plain && (swap() || (make_movable() && swap()));
    let placed = match (plain, swapped) {
        (true, _) => from.rename(&slot, to, name),
        // The old one is in the slot now, and goes with the staging folder.
        (false, true) => Ok(()),
        (false, false) => {
            let aside = to.rename(name, from, &staging.next_extra());
            aside.and_then(|()| from.rename(&slot, to, name))
        }
    };
    placed.map_err(at("put in place", path))
}

/// Modes and times of folders that the target had, and of staged ones that could not get theirs before they moved.
fn finish_existing_folders(site: &Site) -> Result<(), RestoreError> {
    for (index, folder) in site.tree.folders.iter().enumerate().rev() {
        let Some((entry, path)) = folder.entry.zip(folder.path.as_ref()) else { continue };
        let entry = site.entry(entry as usize);
        let is_late = matches!(site.seats[index].place, FolderPlace::Slot(..)) && entry.mode & 0o200 == 0;
        if !is_late && !matches!(site.seats[index].place, FolderPlace::Existing(_)) {
            continue;
        }
        let (parent, name) = (site.folder(folder.parent)?, path.file_name());
        let stat = parent.stat(name).map_err(at("stat", path))?;
        let is_done = stat.is_some_and(|stat| {
            stat.permissions() == desired_mode(entry, &site.options) && stat.mtime == entry.mtime
        });
        if !is_done || site.options.owner || site.options.xattrs {
            let mode = stat.map(|stat| stat.permissions());
            apply(entry, &parent, name, &site.options, mode).map_err(at("finish folder", path))?;
        }
    }
    Ok(())
}

/// Whether a file has changed since its stat was taken: by a correction, by its own rename, or by a name more or less.
fn has_stale_stat(site: &Site, index: usize) -> bool {
    let is_file = matches!(site.entry(index).kind, EntryKind::File(_));
    let moved = matches!(site.fates[index], Fate::Correct | Fate::Slot(..));
    let shared = || site.stats[index].get().is_some_and(|stat| stat.nlink > 1);
    is_file && (moved || shared() || site.tree.links_to(index as u32).next().is_some())
}

fn count(site: &Site) -> RestoreStats {
    let mut stats = RestoreStats::default();
    for (index, entry) in site.tree.entries.iter().enumerate() {
        match &entry.kind {
            EntryKind::File(_) if site.is_staged(index) => stats.written_files += 1,
            EntryKind::File(_) => stats.kept_files += 1,
            EntryKind::Directory => stats.directories += 1,
            EntryKind::Symlink { .. } => stats.symlinks += 1,
            EntryKind::HardLink { .. } => stats.hard_links += 1,
            EntryKind::Fifo => stats.fifos += 1,
        }
    }
    stats
}

/// The time of the clock that stamps inodes, once it is later than `last`.
fn wait_until_after(last: Option<Timestamp>) -> Timestamp {
    let start = std::time::Instant::now();
    loop {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        let now = Timestamp { secs: now.tv_sec, nanos: u32::try_from(now.tv_nsec).unwrap_or(0) };
        if last.is_none_or(|last| now > last) || start.elapsed() > MAX_CLOCK_WAIT {
            return now;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
