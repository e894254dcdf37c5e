//! The system calls of the walk in the form that every Unix has. Slower; [`super::linux`] falls back to these.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, Timespec};
use rustix::io::Result;

use crate::model::Timestamp;
use crate::workspace::stat::Stat;

use super::names::Names;

/// Opens a folder by its path beneath `root`, one component after the other, following no symlink.
pub(super) fn open_folder(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |folder: BorrowedFd<'_>, name: &[u8]| rustix::fs::openat(folder, name, flags, Mode::empty());
    let mut components = path.split(|&b| b == b'/');
    let mut folder = open(root, components.next().unwrap_or(b"."))?;
    for name in components {
        folder = open(folder.as_fd(), name)?;
    }
    Ok(folder)
}

/// Appends the names in a folder.
pub(super) fn list(folder: BorrowedFd<'_>, names: &mut Names) -> Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        names.push(entry.file_name(), entry.file_type().into());
    }
    Ok(())
}

/// Looks at one name, without following it.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // the fields' types differ between platforms
pub(super) fn stat(folder: BorrowedFd<'_>, name: &CStr) -> Result<Stat> {
    let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Stat {
        dev: found.st_dev as u64,
        ino: found.st_ino as u64,
        size: found.st_size as u64,
        blocks: found.st_blocks as u64,
        mtime: Timestamp { secs: found.st_mtime as i64, nanos: found.st_mtime_nsec as u32 },
        ctime: Timestamp { secs: found.st_ctime as i64, nanos: found.st_ctime_nsec as u32 },
        mode: found.st_mode as u32,
        nlink: found.st_nlink as u32,
        uid: found.st_uid,
        gid: found.st_gid,
    })
}

/// The time now, rounded down to a hundredth of a second: files may be stamped by a clock that lags by a tick.
pub(super) fn now() -> Timestamp {
    let Timestamp { secs, nanos } = timestamp(rustix::time::clock_gettime(rustix::time::ClockId::Realtime));
    match nanos.checked_sub(10_000_000) {
        Some(nanos) => Timestamp { secs, nanos },
        None => Timestamp { secs: secs - 1, nanos: nanos + 990_000_000 },
    }
}

/// From the C form.
#[allow(clippy::unnecessary_cast)] // `tv_nsec`'s type differs between platforms
pub(super) fn timestamp(time: Timespec) -> Timestamp {
    Timestamp { secs: time.tv_sec, nanos: time.tv_nsec as u32 }
}
