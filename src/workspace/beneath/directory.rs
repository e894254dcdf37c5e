//! One opened folder, and what can be done to one name in it without following that name anywhere.
//! Not how the folder was reached: that is `folder`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::folder::BackEnd;
use super::xattrs;
use crate::model::{Owner, Timestamp, Xattr};
use crate::workspace::stat::{FileType, Stat};

/// How many nested folders are open at once while a tree is removed.
const MAX_DEPTH: usize = 64;

/// A handle of a folder. Every `name` is one component: anything else is `EINVAL`.
#[derive(Debug)]
pub struct Directory {
    pub(super) fd: OwnedFd,
    pub(super) back_end: BackEnd,
}

/// One name of a listed folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FolderEntry {
    /// The name; never `.` or `..`.
    pub name: Box<[u8]>,
}

impl Directory {
    /// What `name` is, or `None` if there is no such name. A symlink is itself, not its target.
    pub fn stat(&self, name: &[u8]) -> io::Result<Option<Stat>> {
        match fs::statat(&self.fd, component(name)?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(convert(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What this folder itself is.
    pub fn stat_self(&self) -> io::Result<Stat> {
        Ok(convert(&fs::fstat(&self.fd)?))
    }

    /// The mount that holds `name`, as a number to compare: no rename and no hard link crosses mounts.
    pub fn mount_of(&self, name: &[u8]) -> io::Result<u64> {
        self.back_end.mount_of(self.fd(), component(name)?)
    }

    /// The mount that holds this folder; see [`Directory::mount_of`].
    pub fn mount(&self) -> io::Result<u64> {
        self.back_end.mount_of(self.fd(), b".")
    }

    /// Opens a regular file for reading; anything else is refused.
    pub fn open_file(&self, name: &[u8]) -> io::Result<File> {
        let file = self.open(name, OFlags::RDONLY | OFlags::NONBLOCK)?;
        regular(file)
    }

    /// Opens whatever `name` is for reading, but no symlink, and without waiting for a fifo's writer. It is for the
    /// caller to see by `stat_of` that it is the file that was meant, which saves the `fstat` of
    /// [`Directory::open_file`].
    pub fn open_unchecked(&self, name: &[u8]) -> io::Result<File> {
        self.open(name, OFlags::RDONLY | OFlags::NONBLOCK)
    }

    /// Opens a regular file that this run created, to write more of it.
    pub fn reopen_file(&self, name: &[u8]) -> io::Result<File> {
        regular(self.open(name, OFlags::WRONLY | OFlags::NONBLOCK)?)
    }

    /// Creates a file that must not exist; `mode` is cut by the umask.
    pub fn create_file(&self, name: &[u8], mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(&self.fd, component(name)?, flags, Mode::from_raw_mode(mode))?.into())
    }

    /// Creates a folder that must not exist; `mode` is cut by the umask.
    pub fn create_dir(&self, name: &[u8], mode: u32) -> io::Result<()> {
        Ok(fs::mkdirat(&self.fd, component(name)?, Mode::from_raw_mode(mode))?)
    }

    /// Creates a symlink that says `target`.
    pub fn symlink(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        Ok(fs::symlinkat(target, &self.fd, component(name)?)?)
    }

    /// Gives what `from` is in this folder a second name `to_name` in `to`; a symlink is linked itself.
    pub fn hard_link(&self, from: &[u8], to: &Self, to_name: &[u8]) -> io::Result<()> {
        Ok(fs::linkat(&self.fd, component(from)?, &to.fd, component(to_name)?, AtFlags::empty())?)
    }

    /// Creates a named pipe; `mode` is cut by the umask.
    pub fn fifo(&self, name: &[u8], mode: u32) -> io::Result<()> {
        Ok(fs::mknodat(&self.fd, component(name)?, fs::FileType::Fifo, Mode::from_raw_mode(mode), 0)?)
    }

    /// What a symlink says.
    pub fn read_link(&self, name: &[u8]) -> io::Result<Box<[u8]>> {
        Ok(fs::readlinkat(&self.fd, component(name)?, Vec::new())?.into_bytes().into())
    }

    /// Renames `from` to `to_name` in `to`, replacing a file or symlink there.
    pub fn rename(&self, from: &[u8], to: &Self, to_name: &[u8]) -> io::Result<()> {
        Ok(fs::renameat(&self.fd, component(from)?, &to.fd, component(to_name)?)?)
    }

    /// Swaps two names in one step; `ENOSYS` or `EINVAL` where the system cannot.
    pub fn exchange(&self, name: &[u8], other: &Self, other_name: &[u8]) -> io::Result<()> {
        self.back_end.exchange(self.fd(), component(name)?, other.fd(), component(other_name)?)
    }

    /// Removes a name that is not a folder.
    pub fn remove_file(&self, name: &[u8]) -> io::Result<()> {
        Ok(fs::unlinkat(&self.fd, component(name)?, AtFlags::empty())?)
    }

    /// Removes an empty folder.
    pub fn remove_dir(&self, name: &[u8]) -> io::Result<()> {
        Ok(fs::unlinkat(&self.fd, component(name)?, AtFlags::REMOVEDIR)?)
    }

    /// Removes whatever `name` is, a folder with all it holds; links are removed, not followed.
    /// Returns how many names went. A name that is gone already counts as none.
    pub fn remove_all(&self, name: &[u8]) -> io::Result<u64> {
        match fs::unlinkat(&self.fd, component(name)?, AtFlags::empty()) {
            Ok(()) => return Ok(1),
            Err(Errno::NOENT) => return Ok(0),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        remove_tree(self, name)
    }

    /// Opens the folder `name`.
    pub fn open_dir(&self, name: &[u8]) -> io::Result<Self> {
        let fd = self.back_end.open_folder(self.fd(), component(name)?)?;
        Ok(Self { fd, back_end: self.back_end })
    }

    /// Sets permission, set-id and sticky bits; a symlink is refused.
    pub fn set_mode(&self, name: &[u8], mode: u32) -> io::Result<()> {
        let mode = Mode::from_raw_mode(mode);
        match self.open(name, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => Ok(fs::fchmod(&file, mode)?),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.back_end.set_mode(self.fd(), name, mode)
            }
            Err(error) => Err(error),
        }
    }

    /// Sets the time of last change; of a symlink, its own.
    pub fn set_mtime(&self, name: &[u8], mtime: Timestamp) -> io::Result<()> {
        Ok(fs::utimensat(&self.fd, component(name)?, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Sets owner and group; of a symlink, its own. Clears set-id bits, so modes are set afterwards.
    pub fn set_owner(&self, name: &[u8], owner: Owner) -> io::Result<()> {
        let (uid, gid) = ids(owner);
        Ok(fs::chownat(&self.fd, component(name)?, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// The attributes of `name`, sorted by name; of a symlink, its own. None of what cannot be opened where the system
    /// has no path to it (the portable back end): symlinks there have no attributes, rather than no restore.
    pub fn xattrs(&self, name: &[u8]) -> io::Result<Vec<Xattr>> {
        match self.open(name, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => xattrs::file_xattrs(&file),
            Err(error) if needs_path(&error) => match self.path_of(name) {
                Ok(path) => xattrs::link_xattrs(&path),
                Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => Ok(Vec::new()),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Sets one attribute of `name`; of a symlink, its own.
    pub fn set_xattr(&self, name: &[u8], xattr: &Xattr) -> io::Result<()> {
        match self.open(name, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => xattrs::set_file_xattr(&file, xattr),
            Err(error) if needs_path(&error) => xattrs::set_link_xattr(&self.path_of(name)?, xattr),
            Err(error) => Err(error),
        }
    }

    /// Removes one attribute of `name`; of a symlink, its own.
    pub fn remove_xattr(&self, name: &[u8], xattr: &[u8]) -> io::Result<()> {
        match self.open(name, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => xattrs::remove_file_xattr(&file, xattr),
            Err(error) if needs_path(&error) => xattrs::remove_link_xattr(&self.path_of(name)?, xattr),
            Err(error) => Err(error),
        }
    }

    /// The names in this folder, in no order.
    pub fn list(&self) -> io::Result<Vec<FolderEntry>> {
        let mut names = Vec::new();
        for entry in fs::Dir::new(self.readable()?)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(FolderEntry { name: name.into() });
            }
        }
        Ok(names)
    }

    /// Another handle of this folder that can be listed and locked.
    pub fn readable(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(fs::openat(&self.fd, ".", flags, Mode::empty())?)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn open(&self, name: &[u8], flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(&self.fd, component(name)?, flags, Mode::empty())?.into())
    }

    fn path_of(&self, name: &[u8]) -> io::Result<std::path::PathBuf> {
        self.back_end.path_of(self.fd(), component(name)?)
    }
}

/// What an open file is.
pub(crate) fn stat_of(file: &File) -> io::Result<Stat> {
    Ok(convert(&fs::fstat(file)?))
}

/// The argument of `futimens` that sets only the time of last change.
pub(crate) fn times(mtime: Timestamp) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.secs, tv_nsec: mtime.nanos.into() },
    }
}

/// The arguments of `fchown`.
pub(crate) fn ids(owner: Owner) -> (fs::Uid, fs::Gid) {
    (fs::Uid::from_raw(owner.uid), fs::Gid::from_raw(owner.gid))
}

/// A folder that is being emptied: its name, its handle, and the folders in it that are still there.
type Emptying = (Box<[u8]>, Directory, Vec<Box<[u8]>>);

fn remove_tree(parent: &Directory, name: &[u8]) -> io::Result<u64> {
    // An explicit stack: the depth of a tree is somebody else's choice.
    let mut removed = 0;
    let mut stack: Vec<Emptying> = vec![empty(parent, name.into(), &mut removed)?];
    let mut moved = 0;
    loop {
        let depth = stack.len();
        let Some((_, folder, nested)) = stack.last_mut() else { break };
        let Some(next) = nested.pop() else {
            let Some((name, ..)) = stack.pop() else { break };
            stack.last().map_or(parent, |(_, folder, _)| folder).remove_dir(&name)?;
            removed += 1;
            continue;
        };
        if depth < MAX_DEPTH {
            let emptied = empty(folder, next, &mut removed)?;
            stack.push(emptied);
            continue;
        }
        // Deeper ones move up to the first, so that no tree takes more handles than this.
        let aside = format!(".pannier-deep-{moved}").into_bytes().into_boxed_slice();
        moved += 1;
        if let [(_, first, pending), .., (_, folder, _)] = &mut *stack {
            folder.rename(&next, first, &aside)?;
            pending.push(aside);
        }
    }
    Ok(removed)
}

/// Removes all names of a folder but for the folders in it.
fn empty(parent: &Directory, name: Box<[u8]>, removed: &mut u64) -> io::Result<Emptying> {
    let folder = open_to_empty(parent, &name)?;
    let mut nested = Vec::new();
    for entry in folder.list()? {
        match fs::unlinkat(&folder.fd, &*entry.name, AtFlags::empty()) {
            Ok(()) => *removed += 1,
            Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => nested.push(entry.name),
            Err(error) => return Err(error.into()),
        }
    }
    Ok((name, folder, nested))
}

/// Opens a folder whose names are about to go, and lets its owner write where the mode forbids it.
fn open_to_empty(parent: &Directory, name: &[u8]) -> io::Result<Directory> {
    let writable = |stat: &Stat| stat.permissions() & 0o700 == 0o700;
    if let Some(stat) = parent.stat(name)?
        && stat.file_type() == FileType::Directory
        && !writable(&stat)
    {
        // Without leave to do it the removal itself says why.
        let _ = parent.set_mode(name, 0o700);
    }
    parent.open_dir(name)
}

/// One component, or `EINVAL`: the names come from `EntryPath` and from listings, and this holds them to it.
fn component(name: &[u8]) -> io::Result<&[u8]> {
    let bad = matches!(name, b"" | b"." | b"..") || name.iter().any(|&byte| byte == b'/' || byte == 0);
    if bad { Err(Errno::INVAL.into()) } else { Ok(name) }
}

fn regular(file: File) -> io::Result<File> {
    match stat_of(&file)?.file_type() {
        FileType::File => Ok(file),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// A symlink cannot be opened, and a file without read permission not by everyone.
fn needs_path(error: &io::Error) -> bool {
    [Errno::LOOP, Errno::ACCESS, Errno::NXIO].iter().any(|e| error.raw_os_error() == Some(e.raw_os_error()))
}

#[allow(clippy::unnecessary_cast, clippy::cast_lossless, reason = "the fields' types differ between systems")]
fn convert(stat: &fs::Stat) -> Stat {
    let time = |secs: i64, nanos: u64| Timestamp { secs, nanos: nanos as u32 };
    Stat {
        dev: stat.st_dev as u64,
        ino: stat.st_ino as u64,
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        mtime: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
        ctime: time(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        mode: stat.st_mode as u32,
        nlink: stat.st_nlink as u32,
        uid: stat.st_uid as u32,
        gid: stat.st_gid as u32,
    }
}
