//! What a walk is asked and what it gives. No I/O here.

use std::path::PathBuf;

use crate::model::{Digest, EntryPath, Timestamp, Xattr};
use crate::workspace::stat::Stat;

use super::skipped::Skipped;

/// How to walk.
#[derive(Clone, Debug, Default)]
pub struct WalkOptions {
    /// Folders (the store, the cache) that are no part of the workspace even if they lie inside it. They are known
    /// by device and inode, so that any spelling will do; those that do not exist do not count.
    pub leave_out: Vec<PathBuf>,
    /// Whether to read extended attributes: one system call more for each entry.
    pub xattrs: bool,
    /// Threads to walk with; 0 counts as 1.
    pub threads: usize,
}

/// A workspace as it stood.
#[derive(Debug)]
pub struct Walk {
    /// The entries, sorted by path; the workspace itself is none of them. A folder stands before what it holds.
    pub found: Vec<Found>,
    /// What is on disk and not in `found`, though it was selected; sorted by path.
    pub skipped: Vec<Skipped>,
    /// Of everything in `found`: the same as long as nothing changes.
    pub fingerprint: Digest,
    /// The file system's time before the first folder was read: a file that is stamped as late as this, or later,
    /// may change again without its stamp showing it.
    pub started: Timestamp,
}

/// One entry on disk: a folder, file, symlink or fifo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it stands, relative to the workspace.
    pub path: EntryPath,
    /// What the file system says of it.
    pub stat: Stat,
    /// What a symlink says; `None` for everything else.
    pub target: Option<Box<[u8]>>,
    /// Extended attributes, sorted by name; empty unless they were asked for.
    pub xattrs: Box<[Xattr]>,
}
