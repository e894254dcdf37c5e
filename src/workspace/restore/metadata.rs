//! Giving mode, owner, attributes and times to what is written. In that order: a change of owner clears set-id
//! bits, and everything but the last changes the time.

use std::fs::File;
use std::io;

use super::request::RestoreOptions;
use crate::model::{Entry, EntryKind, Xattr};
use crate::workspace::beneath::{Directory, ids, set_file_xattr, stat_of, times};
use crate::workspace::stat::Stat;

const SET_ID_BITS: u32 = 0o6000;

/// The permission bits that an entry gets: its own, without set-id bits unless they are asked for.
pub(super) fn desired_mode(entry: &Entry, options: &RestoreOptions) -> u32 {
    entry.mode & if options.set_id { 0o7777 } else { 0o7777 & !SET_ID_BITS }
}

/// Finishes a file that this restore wrote, which has `mode` now; returns what it is after its last change.
pub(super) fn finish_file(
    file: &File,
    entry: &Entry,
    options: &RestoreOptions,
    mode: u32,
) -> io::Result<Stat> {
    let owner = entry.owner.filter(|_| options.owner);
    if let Some(owner) = owner {
        let (uid, gid) = ids(owner);
        rustix::fs::fchown(file, Some(uid), Some(gid))?;
    }
    let desired = desired_mode(entry, options);
    if options.xattrs {
        entry.xattrs.iter().try_for_each(|xattr| set_file_xattr(file, xattr))?;
    }
    if desired != mode || owner.is_some() || options.xattrs {
        rustix::fs::fchmod(file, rustix::fs::Mode::from_raw_mode(desired))?;
    }
    rustix::fs::futimens(file, &times(entry.mtime))?;
    stat_of(file)
}

/// Gives an entry's metadata to `name`, which has the mode `mode` now (`None`: unknown).
pub(super) fn apply(
    entry: &Entry,
    folder: &Directory,
    name: &[u8],
    options: &RestoreOptions,
    mode: Option<u32>,
) -> io::Result<()> {
    let owner = entry.owner.filter(|_| options.owner);
    if let Some(owner) = owner {
        folder.set_owner(name, owner)?;
    }
    if options.xattrs {
        apply_xattrs(entry, folder, name)?;
    }
    let desired = desired_mode(entry, options);
    let is_symlink = matches!(entry.kind, EntryKind::Symlink { .. });
    if !is_symlink && (mode != Some(desired) || owner.is_some() || options.xattrs) {
        folder.set_mode(name, desired)?;
    }
    folder.set_mtime(name, entry.mtime)
}

/// What `name` has now, if that is not what the entry wants. Names outside `user.` that the entry does not have
/// are the system's (labels, access lists) and count for nothing.
pub(super) fn differing_xattrs(
    entry: &Entry,
    folder: &Directory,
    name: &[u8],
) -> io::Result<Option<Vec<Xattr>>> {
    let found = folder.xattrs(name)?;
    let wanted_are_there = entry.xattrs.iter().all(|xattr| found.contains(xattr));
    let extra = found.iter().any(|xattr| is_extra(xattr, entry));
    Ok((!wanted_are_there || extra).then_some(found))
}

fn apply_xattrs(entry: &Entry, folder: &Directory, name: &[u8]) -> io::Result<()> {
    let Some(found) = differing_xattrs(entry, folder, name)? else { return Ok(()) };
    for xattr in found.iter().filter(|xattr| is_extra(xattr, entry)) {
        folder.remove_xattr(name, &xattr.name)?;
    }
    entry.xattrs.iter().filter(|xattr| !found.contains(xattr)).try_for_each(|x| folder.set_xattr(name, x))
}

fn is_extra(xattr: &Xattr, entry: &Entry) -> bool {
    xattr.name.starts_with(b"user.") && !entry.xattrs.iter().any(|wanted| wanted.name == xattr.name)
}
