//! The extended attributes of one entry, read without following it. They are kept as they are, of any namespace.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{Mode, OFlags, lgetxattr, lgetxattr_query, llistxattr, llistxattr_query};
use rustix::io::{Errno, Result};

use crate::model::Xattr;
use crate::model::limits::MAX_XATTR_BYTES;

/// How often the attributes may grow between asking for their size and reading them.
const TRIES: usize = 8;

/// The attributes, sorted by name; `None` if they are larger than [`MAX_XATTR_BYTES`] together.
pub(super) fn read(folder: BorrowedFd<'_>, name: &CStr) -> Result<Option<Box<[Xattr]>>> {
    // There is no `llistxattrat` before Linux 6.13, and a symlink or fifo cannot be opened for `flistxattr`.
    let mut path = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    let path = CString::new(path).map_err(|_| Errno::INVAL)?;
    match read_path(&path) {
        Err(Errno::NOTSUP) => Ok(Some(Box::default())),
        // Without /proc every entry would seem to have vanished.
        Err(Errno::NOENT) if exists(folder, name) => Err(Errno::NOSYS),
        read => read,
    }
}

fn exists(folder: BorrowedFd<'_>, name: &CStr) -> bool {
    rustix::fs::openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).is_ok()
}

fn read_path(path: &CStr) -> Result<Option<Box<[Xattr]>>> {
    let names = grown(|| llistxattr_query(path), |buffer| llistxattr(path, buffer))?;
    let (mut xattrs, mut total_bytes) = (Vec::new(), 0);
    for name in names.split_inclusive(|&b| b == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let value = match grown(|| lgetxattr_query(path, name), |buffer| lgetxattr(path, name, buffer)) {
            Err(Errno::NODATA) => continue,
            value => value?,
        };
        total_bytes += name.to_bytes().len() + value.len();
        if total_bytes > MAX_XATTR_BYTES {
            return Ok(None);
        }
        xattrs.push(Xattr { name: name.to_bytes().into(), value: value.into() });
    }
    xattrs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(Some(xattrs.into()))
}

/// Reads what `size` announces; again if it has grown since.
fn grown(size: impl Fn() -> Result<usize>, read: impl Fn(&mut [u8]) -> Result<usize>) -> Result<Vec<u8>> {
    for _ in 0..TRIES {
        let mut buffer = vec![0; size()?];
        if buffer.is_empty() {
            return Ok(buffer);
        }
        match read(&mut buffer) {
            Err(Errno::RANGE) => {}
            len => {
                buffer.truncate(len?);
                return Ok(buffer);
            }
        }
    }
    Err(Errno::RANGE)
}
