//! What only Linux has: `openat2`, `renameat2`, mount ids, `/proc/self/fd`, `O_PATH`. Each has a stand-in in
//! `portable`, with the same signature, that the tests run as well.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;

/// How often a resolution that a concurrent rename disturbed is tried again before its error is believed.
const MAX_TRIES: usize = 128;

/// Opens the folder `path` beneath `root`, following no symlink. The kernel resolves it in one call.
pub(super) fn open_folder(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        match fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries < MAX_TRIES => tries += 1,
            result => return Ok(result?),
        }
    }
}

/// Whether this kernel, and the sandbox around this process, let `openat2` through.
pub(super) fn is_available(root: BorrowedFd<'_>) -> bool {
    // Old container run-times answer EPERM rather than ENOSYS to calls that they do not know.
    !matches!(open_folder(root, b".").map_err(|e| e.raw_os_error()), Err(Some(code))
        if code == Errno::NOSYS.raw_os_error() || code == Errno::PERM.raw_os_error())
}

/// Swaps two names in one step.
pub(super) fn exchange(
    from: BorrowedFd<'_>,
    from_name: &[u8],
    to: BorrowedFd<'_>,
    to_name: &[u8],
) -> io::Result<()> {
    Ok(fs::renameat_with(from, from_name, to, to_name, RenameFlags::EXCHANGE)?)
}

/// The mount that holds `name`: bind mounts of one file system share a device, and no rename crosses them.
pub(super) fn mount_of(folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<u64> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let statx = fs::statx(folder, name, flags, StatxFlags::MNT_ID | StatxFlags::BASIC_STATS)?;
    match StatxFlags::from_bits_retain(statx.stx_mask).contains(StatxFlags::MNT_ID) {
        true => Ok(statx.stx_mnt_id),
        false => Ok(fs::makedev(statx.stx_dev_major, statx.stx_dev_minor)),
    }
}

/// Changes the mode of a file that cannot be opened for reading; a symlink is refused, not followed.
pub(super) fn set_mode(folder: BorrowedFd<'_>, name: &[u8], mode: Mode) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = fs::openat(folder, name, flags, Mode::empty())?;
    if fs::FileType::from_raw_mode(fs::fstat(&file)?.st_mode) == fs::FileType::Symlink {
        return Err(Errno::LOOP.into());
    }
    Ok(fs::chmod(format!("/proc/self/fd/{}", file.as_raw_fd()), mode)?)
}

/// A path that names `name` in `folder` for the calls that take no handle (`lsetxattr`).
pub(super) fn path_of(folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<PathBuf> {
    Ok(Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(OsStr::from_bytes(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::fs::PermissionsExt;

    /// Proves what no caller can be made to show: a symlink that takes a file's place after it could not be opened.
    #[test]
    fn a_mode_is_not_set_through_a_symlink() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("file"), "").unwrap();
        fs_err::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        let folder = fs_err::File::open(dir.path()).unwrap();
        let mode = || fs_err::metadata(dir.path().join("file")).unwrap().permissions().mode() & 0o7777;
        set_mode(folder.as_fd(), b"file", Mode::from_raw_mode(0o600)).unwrap();
        assert!(set_mode(folder.as_fd(), b"link", Mode::from_raw_mode(0o777)).is_err());
        assert_eq!(mode(), 0o600);
    }
}
