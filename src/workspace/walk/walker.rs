//! The parallel walk: one task a folder on a pool of threads. What is done with one folder is in `folder`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};

use crate::model::entry_path::Printable;
use crate::model::progress::Progress;
use crate::workspace::select::Selection;

use super::assemble::{Assembled, Listing, assemble};
use super::calls::Calls;
use super::error::WalkError;
use super::fingerprint;
use super::folder::{Folder, Listed, Part, read_ignore_file};
use super::found::{Walk, WalkOptions};
use super::skipped::{SkipReason, Skipped};

/// A folder of more names than this is looked at in parts of as many, by several threads.
pub(super) const PART_NAMES: usize = 4096;

/// Walks `dir` and gives what `selection` chooses.
///
/// What is found on the way and cannot be kept is listed in [`Walk::skipped`]; what vanishes meanwhile is simply
/// not there. `progress` counts entries and bytes as they are found.
pub fn walk(
    dir: &Path,
    selection: &Selection,
    options: &WalkOptions,
    progress: &Progress,
) -> Result<Walk, WalkError> {
    walk_with(Calls::Native, dir, selection, options, progress)
}

/// [`walk`], with a choice of system calls.
pub(super) fn walk_with(
    calls: Calls,
    dir: &Path,
    selection: &Selection,
    options: &WalkOptions,
    progress: &Progress,
) -> Result<Walk, WalkError> {
    let started = calls.now();
    let root = open_root(calls, dir)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads.max(1))
        .thread_name(|index| format!("walk-{index}"))
        .build()
        .map_err(WalkError::Threads)?;
    let walker = Walker {
        calls,
        root,
        selection,
        leave_out: inodes(&options.leave_out),
        xattrs: options.xattrs,
        progress,
        next_listing: AtomicUsize::new(1),
        listings: Mutex::default(),
    };
    let ignore =
        selection.uses_gitignore().then(|| read_ignore_file(&walker.root, b"", ".git/info/exclude", None));
    let top = Folder { listing: 0, path: Box::default(), ignore: ignore.flatten() };
    pool.scope(|scope| walker.spawn(scope, top));
    let count = walker.next_listing.into_inner();
    let done = walker.listings.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut listings: Vec<Option<Listing>> = Vec::new();
    listings.resize_with(count, || None);
    for (id, listing) in done {
        listings[id] = Some(listing); // every id was taken from the counter that gave `count`
    }
    let Assembled { found, skipped, fingerprints } = assemble(listings, progress);
    Ok(Walk { found, skipped, fingerprint: fingerprint::of_walk(&fingerprints, options.xattrs), started })
}

/// Opens the workspace, through symlinks if it is named by one, and proves that it may be listed.
fn open_root(calls: Calls, dir: &Path) -> Result<OwnedFd, WalkError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::empty())
        .and_then(|root| {
            calls.open_folder(std::os::fd::AsFd::as_fd(&root), b".")?;
            Ok(root)
        })
        .map_err(|errno| WalkError::Open { path: dir.to_owned(), source: errno.into() })
}

/// Device and inode of each folder that exists.
fn inodes(folders: &[PathBuf]) -> Vec<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let inode = |folder: &PathBuf| fs_err::metadata(folder).ok().map(|found| (found.dev(), found.ino()));
    folders.iter().filter_map(inode).collect()
}

/// What every task of a walk shares.
pub(super) struct Walker<'walk> {
    pub(super) calls: Calls,
    pub(super) root: OwnedFd,
    pub(super) selection: &'walk Selection,
    pub(super) leave_out: Vec<(u64, u64)>,
    pub(super) xattrs: bool,
    pub(super) progress: &'walk Progress,
    next_listing: AtomicUsize,
    listings: Mutex<Vec<(usize, Listing)>>,
}

impl Walker<'_> {
    /// A number for a listing to come.
    pub(super) fn new_listing(&self) -> usize {
        self.next_listing.fetch_add(1, Relaxed)
    }

    /// Reads `folder` on the pool, and what it holds after it. The pool takes the newest task first, so that the
    /// tasks that wait are those of one path's siblings, not of a whole level of the tree.
    fn spawn<'scope>(&'scope self, scope: &rayon::Scope<'scope>, folder: Folder) {
        scope.spawn(move |scope| match self.list(&folder) {
            Err(listing) => self.finish(folder.listing, *listing),
            Ok(listed) => self.look(scope, folder, listed),
        });
    }

    /// Looks at the names of a folder, here or, if there are many, in parts on the pool.
    fn look<'scope>(&'scope self, scope: &rayon::Scope<'scope>, folder: Folder, listed: Listed) {
        let Folder { listing, path, .. } = folder;
        let Listed { handle, names, ignore } = listed;
        let (path, names): (Arc<[u8]>, _) = (path.into(), Arc::new(names));
        let part = |listing, range, handle| Part {
            listing,
            path: Arc::clone(&path),
            names: Arc::clone(&names),
            range,
            ignore: ignore.clone(),
            handle,
        };
        if names.len() <= PART_NAMES {
            return self.run(scope, part(listing, 0..names.len(), Some(handle)));
        }
        drop(handle);
        let starts = (0..names.len()).step_by(PART_NAMES);
        let parts: Vec<Part> =
            starts.map(|start| part(self.new_listing(), start..start + PART_NAMES, None)).collect();
        let ids = parts.iter().map(|part| part.listing).collect();
        self.finish(listing, Listing { parts: ids, ..Listing::default() });
        for part in parts {
            scope.spawn(move |scope| self.run(scope, part));
        }
    }

    /// Looks at a part of a folder's names and sets out for the folders among them.
    fn run<'scope>(&'scope self, scope: &rayon::Scope<'scope>, part: Part) {
        let id = part.listing;
        let (listing, folders) = self.look_at(part);
        self.finish(id, listing);
        folders.into_iter().for_each(|folder| self.spawn(scope, folder));
    }

    fn finish(&self, id: usize, listing: Listing) {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner).push((id, listing));
    }
}

/// A path that is left out, `.` for the workspace itself.
pub(super) fn skipped(path: &[u8], reason: SkipReason) -> Skipped {
    let path = if path.is_empty() { b"." } else { path };
    Skipped { path: Printable(path.into()), reason }
}
