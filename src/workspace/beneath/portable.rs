//! The stand-ins of `linux` for any other Unix, and for kernels and sandboxes without `openat2`.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;

/// Opens the folder `path` beneath `root` component by component; a symlink anywhere is `ENOTDIR` or `ELOOP`.
pub(super) fn open_folder(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |folder: BorrowedFd<'_>, name: &[u8]| fs::openat(folder, name, flags, Mode::empty());
    let mut components = path.split(|&byte| byte == b'/');
    // `split` yields at least one piece, and an empty one is refused by the system.
    let mut folder = open(root, components.next().unwrap_or_default())?;
    for name in components {
        folder = open(std::os::fd::AsFd::as_fd(&folder), name)?;
    }
    Ok(folder)
}

/// Not to be had: the caller removes first and renames then.
pub(super) fn exchange(_: BorrowedFd<'_>, _: &[u8], _: BorrowedFd<'_>, _: &[u8]) -> io::Result<()> {
    Err(Errno::NOSYS.into())
}

/// The device stands in for the mount.
pub(super) fn mount_of(folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<u64> {
    #[allow(clippy::useless_conversion, reason = "st_dev has another type elsewhere")]
    Ok(fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_dev.into())
}

/// A file that cannot be opened keeps its mode.
pub(super) fn set_mode(_: BorrowedFd<'_>, _: &[u8], _: Mode) -> io::Result<()> {
    Err(Errno::ACCESS.into())
}

/// There is no such path: attributes of symlinks are out of reach, and setting one is an error that says so.
pub(super) fn path_of(_: BorrowedFd<'_>, _: &[u8]) -> io::Result<PathBuf> {
    Err(Errno::OPNOTSUPP.into())
}
