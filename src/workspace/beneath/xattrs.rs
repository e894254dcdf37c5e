//! Extended attributes of an open file, and of a symlink by name. Not which of them a stash keeps.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{self, XattrFlags};

use crate::model::Xattr;

/// Linux's largest list of names and largest value (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const MAX_BYTES: usize = 64 << 10;

/// All attributes of an open file or folder, sorted by name; none where the file system has none.
pub fn file_xattrs(file: &File) -> io::Result<Vec<Xattr>> {
    collect(|buffer| fs::flistxattr(file, buffer), |name, buffer| fs::fgetxattr(file, name, buffer))
}

/// Sets one attribute of an open file or folder.
pub fn set_file_xattr(file: &File, xattr: &Xattr) -> io::Result<()> {
    Ok(fs::fsetxattr(file, &*xattr.name, &xattr.value, XattrFlags::empty())?)
}

pub(super) fn remove_file_xattr(file: &File, name: &[u8]) -> io::Result<()> {
    Ok(fs::fremovexattr(file, name)?)
}

/// The attributes of what `path` names, not of what it links to.
pub(super) fn link_xattrs(path: &Path) -> io::Result<Vec<Xattr>> {
    collect(|buffer| fs::llistxattr(path, buffer), |name, buffer| fs::lgetxattr(path, name, buffer))
}

pub(super) fn set_link_xattr(path: &Path, xattr: &Xattr) -> io::Result<()> {
    Ok(fs::lsetxattr(path, &*xattr.name, &xattr.value, XattrFlags::empty())?)
}

pub(super) fn remove_link_xattr(path: &Path, name: &[u8]) -> io::Result<()> {
    Ok(fs::lremovexattr(path, name)?)
}

fn collect(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    read: impl Fn(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Vec<Xattr>> {
    let mut names = vec![0; MAX_BYTES];
    match list(&mut names) {
        Ok(len) => names.truncate(len),
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    }
    let mut value = vec![0; if names.is_empty() { 0 } else { MAX_BYTES }];
    let mut xattrs = Vec::new();
    for name in names.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        match read(name, &mut value) {
            Ok(len) => xattrs.push(Xattr { name: name.into(), value: value[..len].into() }),
            Err(rustix::io::Errno::NODATA) => {} // removed since it was listed
            Err(error) => return Err(error.into()),
        }
    }
    xattrs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(xattrs)
}
