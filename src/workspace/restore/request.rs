//! What is asked of a restore, and the counts it answers with.

use crate::model::{ChunkRef, Content, EntryPath};
use crate::workspace::stat::Stat;

/// What is given back beyond content, permission bits and times.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreOptions {
    /// Delete what the entries do not name, within the scope.
    pub mirror: bool,
    /// Keep set-user-id and set-group-id bits.
    pub set_id: bool,
    /// Give back owners, where entries have them.
    pub owner: bool,
    /// Give back extended attributes.
    pub xattrs: bool,
    /// Worker threads; 0 for one for each processor.
    pub threads: usize,
}

/// What was asked for: bounds what `mirror` may delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreScope {
    /// The whole stash.
    Whole,
    /// These paths and what lies beneath them.
    Paths(Vec<EntryPath>),
}

impl RestoreScope {
    /// Whether a folder (`None`: the top) may lose what the entries do not name.
    pub(super) fn covers(&self, folder: Option<&EntryPath>) -> bool {
        match (self, folder) {
            (Self::Whole, _) => true,
            (Self::Paths(_), None) => false,
            (Self::Paths(paths), Some(folder)) => paths.iter().any(|path| folder.is_within(path)),
        }
    }
}

/// What the caller knows without reading: asked from several threads.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// What the stat cache says of a file that already exists.
    pub content: &'a (dyn Fn(&Stat) -> Option<Content> + Sync),
    /// The chunks of a file's bytes, for contents that are `listed`; `None` if they are not at hand, and the file is
    /// then written anew.
    pub chunks: &'a (dyn Fn(&Content) -> Option<Vec<ChunkRef>> + Sync),
}

/// A file of one restore: the index of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub usize);

/// What a restore did, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RestoreStats {
    /// Regular files that were written.
    pub written_files: u64,
    /// Regular files that were equal and stay the same inode.
    pub kept_files: u64,
    /// Folders among the entries.
    pub directories: u64,
    /// Symlinks among the entries.
    pub symlinks: u64,
    /// Hard links among the entries.
    pub hard_links: u64,
    /// Named pipes among the entries.
    pub fifos: u64,
    /// Names that `mirror` deleted, nested ones counted.
    pub deleted: u64,
    /// Bytes of the files that were written, holes included.
    pub written_bytes: u64,
}
