//! A folder and every path beneath it: resolves the folder that holds a path, then acts on its last name there.
//! Not what is done to the name: that is `directory`.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{self, Mode, OFlags};

use super::directory::{Directory, FolderEntry};
use super::error::BeneathError;
use super::{linux, portable};
use crate::model::{EntryPath, Owner, Timestamp, Xattr};
use crate::workspace::stat::Stat;

/// How folders are reached; chosen once, when the top is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackEnd {
    Linux,
    Portable,
}

/// A folder as the top of everything: no method reaches a path that is not beneath it.
#[derive(Clone, Debug)]
pub struct Folder(Arc<Directory>);

impl Folder {
    /// Opens `dir` (itself named by the user, so its own symlinks are followed).
    pub fn open(dir: &Path) -> Result<Self, BeneathError> {
        let Self(top) = Self::open_portable(dir)?;
        let back_end = if linux::is_available(top.fd()) { BackEnd::Linux } else { BackEnd::Portable };
        let fd = top.readable().map_err(|source| BeneathError::Open { path: dir.into(), source })?;
        Ok(Self(Arc::new(Directory { fd, back_end })))
    }

    /// Opens `dir` with the portable back end, whatever the kernel offers.
    pub fn open_portable(dir: &Path) -> Result<Self, BeneathError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match fs::open(dir, flags, Mode::empty()) {
            Ok(fd) => Ok(Self(Arc::new(Directory { fd, back_end: BackEnd::Portable }))),
            Err(error) => Err(BeneathError::Open { path: dir.into(), source: error.into() }),
        }
    }

    /// An opened folder as the top.
    pub fn of(directory: Directory) -> Self {
        Self(Arc::new(directory))
    }

    /// The top itself.
    pub fn top(&self) -> &Arc<Directory> {
        &self.0
    }

    /// Opens the folder at `path`, or the top for `None`.
    pub fn directory(&self, path: Option<&EntryPath>) -> Result<Arc<Directory>, BeneathError> {
        let Some(path) = path else { return Ok(Arc::clone(&self.0)) };
        let back_end = self.0.back_end;
        match back_end.open_folder(self.0.fd(), path.as_bytes()) {
            Ok(fd) => Ok(Arc::new(Directory { fd, back_end })),
            Err(source) => Err(BeneathError::At { action: "open folder", path: path.clone(), source }),
        }
    }

    /// What `path` is; `None` if it, or a folder above it, does not exist.
    pub fn stat(&self, path: &EntryPath) -> Result<Option<Stat>, BeneathError> {
        match self.act("stat", path, Directory::stat) {
            Err(BeneathError::At { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            result => result,
        }
    }

    /// See [`Directory::open_file`].
    pub fn open_file(&self, path: &EntryPath) -> Result<File, BeneathError> {
        self.act("open", path, Directory::open_file)
    }

    /// See [`Directory::create_file`].
    pub fn create_file(&self, path: &EntryPath, mode: u32) -> Result<File, BeneathError> {
        self.act("create", path, |folder, name| folder.create_file(name, mode))
    }

    /// See [`Directory::create_dir`].
    pub fn create_dir(&self, path: &EntryPath, mode: u32) -> Result<(), BeneathError> {
        self.act("create folder", path, |folder, name| folder.create_dir(name, mode))
    }

    /// See [`Directory::symlink`].
    pub fn symlink(&self, target: &[u8], path: &EntryPath) -> Result<(), BeneathError> {
        self.act("create symlink", path, |folder, name| folder.symlink(target, name))
    }

    /// See [`Directory::hard_link`].
    pub fn hard_link(&self, from: &EntryPath, to: &EntryPath) -> Result<(), BeneathError> {
        let source = self.directory(from.parent().as_ref())?;
        self.act("create hard link", to, |folder, name| source.hard_link(from.file_name(), folder, name))
    }

    /// See [`Directory::fifo`].
    pub fn fifo(&self, path: &EntryPath, mode: u32) -> Result<(), BeneathError> {
        self.act("create fifo", path, |folder, name| folder.fifo(name, mode))
    }

    /// See [`Directory::read_link`].
    pub fn read_link(&self, path: &EntryPath) -> Result<Box<[u8]>, BeneathError> {
        self.act("read symlink", path, Directory::read_link)
    }

    /// See [`Directory::rename`].
    pub fn rename(&self, from: &EntryPath, to: &EntryPath) -> Result<(), BeneathError> {
        let source = self.directory(from.parent().as_ref())?;
        self.act("rename to", to, |folder, name| source.rename(from.file_name(), folder, name))
    }

    /// See [`Directory::remove_file`].
    pub fn remove_file(&self, path: &EntryPath) -> Result<(), BeneathError> {
        self.act("remove", path, Directory::remove_file)
    }

    /// See [`Directory::remove_all`].
    pub fn remove_dir_all(&self, path: &EntryPath) -> Result<u64, BeneathError> {
        self.act("remove", path, Directory::remove_all)
    }

    /// See [`Directory::set_mode`].
    pub fn set_mode(&self, path: &EntryPath, mode: u32) -> Result<(), BeneathError> {
        self.act("set the mode of", path, |folder, name| folder.set_mode(name, mode))
    }

    /// See [`Directory::set_mtime`].
    pub fn set_mtime(&self, path: &EntryPath, mtime: Timestamp) -> Result<(), BeneathError> {
        self.act("set the mtime of", path, |folder, name| folder.set_mtime(name, mtime))
    }

    /// See [`Directory::set_owner`].
    pub fn set_owner(&self, path: &EntryPath, owner: Owner) -> Result<(), BeneathError> {
        self.act("set the owner of", path, |folder, name| folder.set_owner(name, owner))
    }

    /// See [`Directory::xattrs`].
    pub fn xattrs(&self, path: &EntryPath) -> Result<Vec<Xattr>, BeneathError> {
        self.act("read the attributes of", path, Directory::xattrs)
    }

    /// See [`Directory::set_xattr`].
    pub fn set_xattr(&self, path: &EntryPath, xattr: &Xattr) -> Result<(), BeneathError> {
        self.act("set an attribute of", path, |folder, name| folder.set_xattr(name, xattr))
    }

    /// The names in the folder at `path`, or at the top for `None`; see [`Directory::list`].
    pub fn list(&self, path: Option<&EntryPath>) -> Result<Vec<FolderEntry>, BeneathError> {
        let folder = self.directory(path)?;
        folder.list().map_err(|source| match path {
            Some(path) => BeneathError::At { action: "list", path: path.clone(), source },
            None => BeneathError::Open { path: PathBuf::from("."), source },
        })
    }

    fn act<T>(
        &self,
        action: &'static str,
        path: &EntryPath,
        act: impl FnOnce(&Directory, &[u8]) -> io::Result<T>,
    ) -> Result<T, BeneathError> {
        let folder = self.directory(path.parent().as_ref())?;
        act(&folder, path.file_name()).map_err(|source| BeneathError::At {
            action,
            path: path.clone(),
            source,
        })
    }
}

impl BackEnd {
    pub(super) fn open_folder(self, root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
        match self {
            Self::Linux => linux::open_folder(root, path),
            Self::Portable => portable::open_folder(root, path),
        }
    }

    pub(super) fn exchange(
        self,
        from: BorrowedFd<'_>,
        from_name: &[u8],
        to: BorrowedFd<'_>,
        to_name: &[u8],
    ) -> io::Result<()> {
        match self {
            Self::Linux => linux::exchange(from, from_name, to, to_name),
            Self::Portable => portable::exchange(from, from_name, to, to_name),
        }
    }

    pub(super) fn mount_of(self, folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<u64> {
        match self {
            Self::Linux => linux::mount_of(folder, name),
            Self::Portable => portable::mount_of(folder, name),
        }
    }

    pub(super) fn set_mode(self, folder: BorrowedFd<'_>, name: &[u8], mode: Mode) -> io::Result<()> {
        match self {
            Self::Linux => linux::set_mode(folder, name, mode),
            Self::Portable => portable::set_mode(folder, name, mode),
        }
    }

    pub(super) fn path_of(self, folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<PathBuf> {
        match self {
            Self::Linux => linux::path_of(folder, name),
            Self::Portable => portable::path_of(folder, name),
        }
    }
}
