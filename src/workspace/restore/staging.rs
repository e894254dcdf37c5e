//! The folder in which everything new is built: `.pannier-restore-<32 hex>` in the topmost folder of each mount.
//! Locked while its owner lives; what a killed owner left is removed by the next restore.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::error::{RestoreError, staging as at};
use crate::workspace::beneath::{Directory, Folder};
use crate::workspace::stat::FileType;

const PREFIX: &[u8] = b".pannier-restore-";
const RANDOM_BYTES: usize = 16;
/// How many names are tried when another restore takes ours for a leftover before it is locked.
const MAX_TRIES: usize = 16;

/// One staging folder; removed with all it holds when dropped.
pub(super) struct Staging {
    pub(super) folder: Folder,
    /// Bits that the umask, or an inherited access list, takes from the modes of new files.
    pub(super) mask: u32,
    home: Arc<Directory>,
    name: Option<Vec<u8>>,
    extras: AtomicU64,
    _lock: OwnedFd,
}

impl Staging {
    /// Creates and locks a staging folder in `home`.
    pub(super) fn create(home: &Arc<Directory>) -> Result<Self, RestoreError> {
        for _ in 0..MAX_TRIES {
            let name = random_name()?;
            home.create_dir(&name, 0o700).map_err(at("create"))?;
            if let Some(staging) = Self::claim(home, &name)? {
                return Ok(staging);
            }
        }
        Err(at("lock")(Errno::BUSY.into()))
    }

    /// Locks the folder `name`; `None` if another restore swept it away first.
    fn claim(home: &Arc<Directory>, name: &[u8]) -> Result<Option<Self>, RestoreError> {
        let opened = home.open_dir(name).and_then(|folder| Ok((folder.readable()?, folder)));
        let (lock, folder) = match opened {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at("open")(error)),
        };
        // Any other error: where folders cannot be locked nobody takes this one for a leftover either.
        if let Err(Errno::WOULDBLOCK) = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            return Ok(None);
        }
        let inode = folder.stat_self().map_err(at("open"))?.ino;
        if home.stat(name).map_err(at("open"))?.is_none_or(|stat| stat.ino != inode) {
            return Ok(None);
        }
        // Built first, so that an error below removes the folder.
        let folder = Folder::of(folder);
        let mut staging = Self {
            folder,
            mask: 0o777,
            home: Arc::clone(home),
            name: Some(name.to_vec()),
            extras: AtomicU64::new(0),
            _lock: lock,
        };
        // A set-group-id bit inherited from `home` would spread to every folder built here.
        home.set_mode(name, 0o700).map_err(at("prepare"))?;
        staging.mask = staging.probe_mask().map_err(at("prepare"))?;
        Ok(Some(staging))
    }

    /// The umask cannot be read without setting it for all threads, so a file is asked.
    fn probe_mask(&self) -> io::Result<u32> {
        let top = self.folder.top();
        let name = b"probe";
        drop(top.create_file(name, 0o777)?);
        let stat = top.stat(name)?.ok_or(io::ErrorKind::NotFound)?;
        top.remove_file(name)?;
        Ok(0o777 & !stat.permissions())
    }

    /// A name for something that is moved here to be deleted.
    pub(super) fn next_extra(&self) -> Vec<u8> {
        format!("extra-{}", self.extras.fetch_add(1, Relaxed)).into_bytes()
    }

    /// Removes the folder and what is left in it.
    pub(super) fn remove(mut self) -> Result<(), RestoreError> {
        match self.name.take() {
            Some(name) => self.home.remove_all(&name).map(drop).map_err(at("remove")),
            None => Ok(()),
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            // The error that led here is the one to report; the next restore sweeps what stays.
            let _ = self.home.remove_all(&name);
        }
    }
}

/// Whether a name is one of ours; such names are nobody's extras.
pub(super) fn is_staging_name(name: &[u8]) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|hex| {
        hex.len() == 2 * RANDOM_BYTES && hex.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Removes the staging folders in `home` whose owners do not live any more.
pub(super) fn sweep(home: &Directory) -> Result<(), RestoreError> {
    for entry in home.list().map_err(at("look for"))? {
        if !is_staging_name(&entry.name) {
            continue;
        }
        let is_folder = home.stat(&entry.name).map_err(at("look for"))?.map(|stat| stat.file_type());
        if is_folder != Some(FileType::Directory) {
            continue;
        }
        // Gone meanwhile, or not ours to open: not a leftover of this user's.
        let Ok(lock) = home.open_dir(&entry.name).and_then(|folder| folder.readable()) else { continue };
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            home.remove_all(&entry.name).map_err(at("remove a leftover of"))?;
        }
    }
    Ok(())
}

fn random_name() -> Result<Vec<u8>, RestoreError> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|error| at("name")(io::Error::other(error.to_string())))?;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok([PREFIX, hex.as_bytes()].concat())
}
