//! What a walk does with one folder: list it, choose among its names, look at each. Not how folders are scheduled.

use std::ffi::CStr;
use std::io::Read;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType as RawType, Mode, OFlags};
use rustix::io::Errno;

use crate::model::limits::MAX_PATH_BYTES;
use crate::model::{EntryPath, Xattr};
use crate::workspace::select::IgnoreLevel;
use crate::workspace::stat::{FileType, Stat};

use super::assemble::{Keep, Link, Listing};
use super::fingerprint;
use super::found::Found;
use super::names::{Names, TypeHint};
use super::skipped::{SkipReason, is_abandoned_restore};
use super::walker::{Walker, skipped};
use super::xattrs;

/// Bytes of a `.gitignore` that are read; git's own have no limit, but no such file is larger.
const MAX_IGNORE_FILE_BYTES: u64 = 4 << 20;

/// A folder to list.
#[derive(Debug)]
pub(super) struct Folder {
    /// Where its listing goes.
    pub(super) listing: usize,
    /// Relative to the workspace; empty for the workspace itself.
    pub(super) path: Box<[u8]>,
    /// The rules of the folders above it.
    pub(super) ignore: Option<Arc<IgnoreLevel>>,
}

/// A folder that was listed.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) handle: OwnedFd,
    pub(super) names: Names,
    /// The rules that hold in it.
    pub(super) ignore: Option<Arc<IgnoreLevel>>,
}

/// Some names of a folder to look at.
#[derive(Debug)]
pub(super) struct Part {
    /// Where the listing goes.
    pub(super) listing: usize,
    /// The folder, relative to the workspace.
    pub(super) path: Arc<[u8]>,
    /// All its names, sorted.
    pub(super) names: Arc<Names>,
    /// Those to look at.
    pub(super) range: Range<usize>,
    /// The rules that hold in it.
    pub(super) ignore: Option<Arc<IgnoreLevel>>,
    /// The folder, still open, if these are all its names. Parts that wait for a thread open it again, so that their
    /// number does not count against the limit of handles.
    pub(super) handle: Option<OwnedFd>,
}

/// What the selection wants of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Choice {
    take: bool,
    descend: bool,
}

impl Walker<'_> {
    /// Lists a folder; if it cannot be listed, the listing that says so.
    pub(super) fn list(&self, folder: &Folder) -> Result<Listed, Box<Listing>> {
        let unreadable = |errno: Errno| {
            let skipped = vec![skipped(&folder.path, SkipReason::Unreadable(errno.into()))];
            Box::new(Listing { skipped, ..Listing::default() })
        };
        let handle = match self.open(&folder.path) {
            Err(Errno::NOENT) => return Err(Box::new(Listing { gone: true, ..Listing::default() })),
            handle => handle.map_err(unreadable)?,
        };
        let mut names = Names::default();
        self.calls.list(handle.as_fd(), &mut names).map_err(unreadable)?;
        names.sort();
        let mut ignore = folder.ignore.clone();
        if self.selection.uses_gitignore() && names.contains(b".gitignore") {
            ignore = read_ignore_file(&handle, &folder.path, ".gitignore", ignore);
        }
        Ok(Listed { handle, names, ignore })
    }

    fn open(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        self.calls.open_folder(self.root.as_fd(), if path.is_empty() { b"." } else { path })
    }

    /// Looks at each name of `part`; gives the entries, and the folders among them that are to be listed.
    pub(super) fn look_at(&self, mut part: Part) -> (Listing, Vec<Folder>) {
        let (mut listing, mut folders) = (Listing::default(), Vec::new());
        let handle = match part.handle.take().map_or_else(|| self.open(&part.path), Ok) {
            Err(Errno::NOENT) => return (listing, folders),
            Err(errno) => {
                listing.skipped.push(skipped(&part.path, SkipReason::Unreadable(errno.into())));
                return (listing, folders);
            }
            Ok(handle) => handle,
        };
        let part = &part;
        let mut path = part.path.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        let folder_bytes = path.len();
        let above = part.path.split(|&b| b == b'/').filter(|component| !component.is_empty());
        let mut components: Vec<&[u8]> = above.collect();
        let mut file_bytes = 0;
        listing.entries.reserve_exact(part.range.len().min(part.names.len()));
        for (name, hint) in part.names.iter(part.range.clone()) {
            path.truncate(folder_bytes);
            path.extend_from_slice(name.to_bytes());
            components.push(name.to_bytes());
            let at = At { handle: handle.as_fd(), name, path: &path, components: &components, part };
            if let Some(folder) = self.look_at_name(&at, hint, &mut listing) {
                folders.push(folder);
            }
            components.pop();
        }
        listing.entries.shrink_to_fit();
        listing.fingerprint = Some(fingerprint::of_folder(&part.path, &listing.entries));
        for entry in listing.entries.iter().filter(|entry| entry.stat.file_type() == FileType::File) {
            file_bytes += entry.stat.size;
        }
        // A folder that is kept only if it holds something is counted once that is known.
        let unsure = listing.links.iter().filter(|link| link.keep == Keep::IfAnything).count();
        self.progress.found_entries.add((listing.entries.len() - unsure) as u64);
        self.progress.found_bytes.add(file_bytes);
        (listing, folders)
    }

    /// Looks at one name; the folder to list if it is one.
    fn look_at_name(&self, at: &At<'_>, hint: TypeHint, listing: &mut Listing) -> Option<Folder> {
        let hinted = hint == TypeHint::Folder;
        if hint != TypeHint::Unknown && !self.choose(at, hinted).is_anything() {
            return None;
        }
        let mut skip = |reason| listing.skipped.push(skipped(at.path, reason));
        let stat = match self.calls.stat(at.handle, at.name) {
            Err(Errno::NOENT) => return None,
            Err(errno) => {
                skip(SkipReason::Unreadable(errno.into()));
                return None;
            }
            Ok(stat) => stat,
        };
        let is_folder = stat.file_type() == FileType::Directory;
        let choice = self.choose(at, is_folder);
        if !choice.is_anything() {
            return None;
        }
        if let Some(reason) = self.refuse(at, &stat) {
            skip(reason);
            return None;
        }
        let Ok(path) = EntryPath::new(at.path) else {
            skip(SkipReason::PathTooLong); // the only rule that a name on disk can break
            return None;
        };
        let target = match self.target(at, &stat) {
            Err(Errno::NOENT) => return None,
            Err(errno) => {
                skip(SkipReason::Unreadable(errno.into()));
                return None;
            }
            Ok(target) => target,
        };
        let xattrs = self.xattrs(at, &mut skip);
        let index = listing.entries.len();
        listing.entries.push(Found { path, stat, target, xattrs });
        if !choice.descend {
            return None;
        }
        let id = self.new_listing();
        let keep = if choice.take { Keep::Always } else { Keep::IfAnything };
        listing.links.push(Link { index, listing: id, keep });
        Some(Folder { listing: id, path: at.path.into(), ignore: at.part.ignore.clone() })
    }

    fn choose(&self, at: &At<'_>, is_folder: bool) -> Choice {
        if at.part.ignore.as_ref().is_some_and(|ignore| ignore.ignores(at.path, is_folder)) {
            return Choice { take: false, descend: false };
        }
        if self.selection.takes_everything() {
            return Choice { take: true, descend: is_folder };
        }
        match is_folder {
            true => Choice {
                take: self.selection.takes_folder(at.components),
                descend: !self.selection.may_prune(at.components),
            },
            false => Choice { take: self.selection.takes(at.components), descend: false },
        }
    }

    /// Why a chosen entry is no part of a stash, if it is none.
    fn refuse(&self, at: &At<'_>, stat: &Stat) -> Option<SkipReason> {
        match stat.file_type() {
            FileType::Other => {
                let socket = RawType::from_raw_mode(stat.mode as _) == RawType::Socket;
                Some(if socket { SkipReason::Socket } else { SkipReason::Device })
            }
            _ if at.path.len() > MAX_PATH_BYTES => Some(SkipReason::PathTooLong),
            FileType::Directory if is_abandoned_restore(at.name.to_bytes()) => {
                Some(SkipReason::AbandonedRestore)
            }
            FileType::Directory if self.leave_out.contains(&(stat.dev, stat.ino)) => {
                Some(SkipReason::LeftOut)
            }
            _ => None,
        }
    }

    fn target(&self, at: &At<'_>, stat: &Stat) -> rustix::io::Result<Option<Box<[u8]>>> {
        if stat.file_type() != FileType::Symlink {
            return Ok(None);
        }
        let target = rustix::fs::readlinkat(at.handle, at.name, Vec::new())?;
        Ok(Some(target.into_bytes().into()))
    }

    fn xattrs(&self, at: &At<'_>, mut skip: impl FnMut(SkipReason)) -> Box<[Xattr]> {
        if !self.xattrs {
            return Box::default();
        }
        match xattrs::read(at.handle, at.name) {
            Ok(Some(xattrs)) => return xattrs,
            Ok(None) => skip(SkipReason::XattrsTooLarge),
            Err(Errno::NOENT) => {}
            Err(errno) => skip(SkipReason::Unreadable(errno.into())),
        }
        Box::default()
    }
}

impl Choice {
    const fn is_anything(self) -> bool {
        self.take || self.descend
    }
}

/// One name of a folder.
struct At<'a> {
    handle: BorrowedFd<'a>,
    name: &'a CStr,
    path: &'a [u8],
    components: &'a [&'a [u8]],
    part: &'a Part,
}

/// The rules of the file `name` in `folder`, on top of `above`; `above` alone if it cannot be read.
pub(super) fn read_ignore_file(
    handle: &OwnedFd,
    folder: &[u8],
    name: &str,
    above: Option<Arc<IgnoreLevel>>,
) -> Option<Arc<IgnoreLevel>> {
    // Non-blocking, since anything may have this name, a fifo too.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(handle, name, flags, Mode::empty()) else { return above };
    let mut text = Vec::new();
    let file = std::fs::File::from(file);
    let is_file = file.metadata().is_ok_and(|found| found.is_file());
    if !is_file || file.take(MAX_IGNORE_FILE_BYTES).read_to_end(&mut text).is_err() {
        return above;
    }
    Some(Arc::new(IgnoreLevel::new(folder, &text, above)))
}
