//! What the disk store asks of Linux alone, and how it does without elsewhere.

use std::io;
use std::path::Path;

/// A whole file of at most `most` bytes, if neither opening nor reading it waits for a disk; `None` for any other reason too.
#[cfg(target_os = "linux")]
pub(super) fn read_cached(path: &Path, most: u64) -> Option<Vec<u8>> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat2};
    use rustix::io::{ReadWriteFlags, preadv2};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
    let len = fstat(&file).ok().and_then(|stat| u64::try_from(stat.st_size).ok())?;
    if len > most {
        return None;
    }
    let mut bytes = vec![0; len as usize];
    let read = preadv2(&file, &mut [io::IoSliceMut::new(&mut bytes)], 0, ReadWriteFlags::NOWAIT).ok()?;
    (read == bytes.len()).then_some(bytes)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read_cached(_path: &Path, _most: u64) -> Option<Vec<u8>> {
    None
}

/// Makes everything on the file system of `folder` durable; `false` where the system has no call for that.
#[cfg(target_os = "linux")]
pub(super) fn sync_file_system(folder: &Path) -> io::Result<bool> {
    rustix::fs::syncfs(fs_err::File::open(folder)?.file())?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn sync_file_system(_folder: &Path) -> io::Result<bool> {
    Ok(false)
}
