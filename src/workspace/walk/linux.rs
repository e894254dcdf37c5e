//! The system calls that only Linux has: `openat2`, `getdents64`, `statx`, the coarse clock. [`super::portable`] has
//! the same functions for everywhere else, and for kernels that lack these.

use std::cell::RefCell;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, ResolveFlags, StatxFlags, StatxTimestamp, makedev};
use rustix::io::{Errno, Result};
use rustix::time::{ClockId, clock_gettime};

use crate::model::Timestamp;
use crate::workspace::stat::Stat;

use super::names::Names;
use super::portable;

/// What `getdents64` fills at once: about 1,500 names, some 20 system calls for a folder of 30,000.
const LIST_BUFFER_BYTES: usize = 64 << 10;

thread_local! {
    static LIST_BUFFER: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(LIST_BUFFER_BYTES));
}

/// Opens a folder by its path beneath `root`, in one call that follows no symlink at any component.
pub(super) fn open_folder(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
        // Kernels before 5.6, and containers whose seccomp filter does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => portable::open_folder(root, path),
        opened => opened,
    }
}

/// Appends the names in a folder.
pub(super) fn list(folder: BorrowedFd<'_>, names: &mut Names) -> Result<()> {
    LIST_BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        let mut entries = RawDir::new(folder, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            names.push(entry.file_name(), entry.file_type().into());
        }
        Ok(())
    })
}

/// Looks at one name, without following it. A network file system may answer from its cache.
pub(super) fn stat(folder: BorrowedFd<'_>, name: &CStr) -> Result<Stat> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    let found = match rustix::fs::statx(folder, name, flags, StatxFlags::BASIC_STATS) {
        // Kernels before 4.11, and containers whose seccomp filter does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => return portable::stat(folder, name),
        found => found?,
    };
    let time = |time: StatxTimestamp| Timestamp { secs: time.tv_sec, nanos: time.tv_nsec };
    Ok(Stat {
        dev: makedev(found.stx_dev_major, found.stx_dev_minor),
        ino: found.stx_ino,
        size: found.stx_size,
        blocks: found.stx_blocks,
        mtime: time(found.stx_mtime),
        ctime: time(found.stx_ctime),
        mode: found.stx_mode.into(),
        nlink: found.stx_nlink,
        uid: found.stx_uid,
        gid: found.stx_gid,
    })
}

/// The time that the kernel would stamp a file with now. The precise clock runs up to a tick ahead of it.
pub(super) fn now() -> Timestamp {
    portable::timestamp(clock_gettime(ClockId::RealtimeCoarse))
}
