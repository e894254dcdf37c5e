//! Where every entry stands: in the target as it is, or in a staging folder until `finish`.
//! Holds the survey's outcome; changes nothing.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::error::RestoreError;
use super::request::{RestoreOptions, RestoreScope};
use super::staging::Staging;
use super::tree::Tree;
use crate::model::{Entry, EntryPath};
use crate::workspace::beneath::{Directory, Folder};
use crate::workspace::stat::Stat;

/// Open folder handles kept for the next entry of the same folder: the only ones that outlive a call.
///
/// Measured on ext4, Linux 6.18, unoptimised build, six folders deep: a stat through a kept handle 2.3 µs, with an
/// `openat2` of the folder each time 6.5 µs, with the portable walk 24 µs.
const HANDLES: usize = 64;

/// A folder's index and its handle.
type OpenFolder = (u32, Arc<Directory>);

/// The target, the entries and where each belongs.
pub(super) struct Site {
    pub(super) target: Folder,
    pub(super) tree: Tree,
    pub(super) scope: RestoreScope,
    pub(super) options: RestoreOptions,
    /// One for each of `tree.folders`.
    pub(super) seats: Vec<FolderSeat>,
    /// One for each of `tree.entries`.
    pub(super) fates: Vec<Fate>,
    /// One for each of `tree.entries`: what is known of it, once it is as it will be.
    pub(super) stats: Vec<OnceLock<Stat>>,
    pub(super) areas: Vec<Area>,
    /// Set once the staged subtrees stand in the target: their folders are then found there.
    pub(super) placed: AtomicBool,
    handles: Vec<Mutex<Option<OpenFolder>>>,
}

/// The folders of the target that lie on one mount, between which a rename works.
pub(super) struct Area {
    pub(super) mount: u64,
    /// The topmost of them.
    pub(super) home: u32,
    /// How many slots of the staging folder are given away.
    pub(super) slots: u32,
    pub(super) staging: Option<Staging>,
}

#[derive(Clone, Copy)]
pub(super) struct FolderSeat {
    pub(super) area: u16,
    pub(super) place: FolderPlace,
}

#[derive(Clone, Copy)]
pub(super) enum FolderPlace {
    /// The target has it; its permission bits.
    Existing(u32),
    /// The topmost folder of a subtree that the target has not: built in a slot, renamed as a whole.
    Slot(u32, Over),
    /// Beneath that folder.
    Within(u32),
}

/// What becomes of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// A folder: see its seat.
    Folder,
    /// It is there and equal.
    Keep,
    /// It is there; only its metadata differ.
    Correct,
    /// Built in a slot of the staging folder, then renamed.
    Slot(u32, Over),
    /// Built in a folder that is itself staged.
    Within,
}

/// What stands in the target where something staged belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Over {
    Nothing,
    NonFolder,
    Folder,
}

impl Site {
    pub(super) fn new(target: Folder, tree: Tree, scope: RestoreScope, options: RestoreOptions) -> Self {
        Self {
            target,
            scope,
            options,
            seats: Vec::with_capacity(tree.folders.len()),
            fates: Vec::with_capacity(tree.entries.len()),
            stats: std::iter::repeat_with(OnceLock::new).take(tree.entries.len()).collect(),
            areas: Vec::new(),
            placed: AtomicBool::new(false),
            handles: std::iter::repeat_with(|| Mutex::new(None)).take(HANDLES).collect(),
            tree,
        }
    }

    /// A handle of a folder, opened from the top unless the last one asked for in its place is the same.
    pub(super) fn folder(&self, folder: u32) -> Result<Arc<Directory>, RestoreError> {
        let mut cached =
            self.handles[folder as usize % HANDLES].lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            Some((index, directory)) if *index == folder => Ok(Arc::clone(directory)),
            _ => {
                // One handle fewer is open while the next one is opened.
                *cached = None;
                let directory = self.open_folder(folder)?;
                *cached = Some((folder, Arc::clone(&directory)));
                Ok(directory)
            }
        }
    }

    fn open_folder(&self, folder: u32) -> Result<Arc<Directory>, RestoreError> {
        let seat = self.seats[folder as usize];
        let path = self.tree.folders[folder as usize].path.as_ref();
        let (slot, top) = match seat.place {
            _ if self.placed.load(Acquire) => return Ok(self.target.directory(path)?),
            FolderPlace::Existing(_) => return Ok(self.target.directory(path)?),
            FolderPlace::Slot(slot, _) => (slot, folder),
            FolderPlace::Within(top) => match self.seats[top as usize].place {
                FolderPlace::Slot(slot, _) => (slot, top),
                _ => return Err(not_staged()),
            },
        };
        let top_len = self.tree.folders[top as usize].path.as_ref().map_or(0, |path| path.as_bytes().len());
        let rest = path.map_or(&b""[..], |path| &path.as_bytes()[top_len..]);
        let staged = [slot_name(slot).as_slice(), rest].concat();
        let staged = EntryPath::new(staged).map_err(|_| not_staged())?;
        Ok(self.staging(seat.area)?.folder.directory(Some(&staged))?)
    }

    /// The folder and the name at which an entry can be reached now.
    pub(super) fn place(&self, index: usize) -> Result<(Arc<Directory>, Cow<'_, [u8]>), RestoreError> {
        let parent = self.tree.parents[index];
        match self.fates[index] {
            Fate::Slot(slot, _) => {
                let area = self.seats[parent as usize].area;
                Ok((Arc::clone(self.staging(area)?.folder.top()), slot_name(slot).into()))
            }
            _ => Ok((self.folder(parent)?, self.tree.entries[index].path.file_name().into())),
        }
    }

    pub(super) fn staging(&self, area: u16) -> Result<&Staging, RestoreError> {
        self.areas.get(area as usize).and_then(|area| area.staging.as_ref()).ok_or_else(not_staged)
    }

    pub(super) fn is_staged(&self, index: usize) -> bool {
        matches!(self.fates[index], Fate::Slot(..) | Fate::Within)
    }

    pub(super) fn entry(&self, index: usize) -> &Entry {
        &self.tree.entries[index]
    }
}

/// A slot's name in the staging folder.
pub(super) fn slot_name(slot: u32) -> Vec<u8> {
    slot.to_string().into_bytes()
}

fn not_staged() -> RestoreError {
    super::error::staging("find")(std::io::ErrorKind::NotFound.into())
}
