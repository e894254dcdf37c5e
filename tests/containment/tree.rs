//! Trees of entries, their restore, and what lstat says of the outcome. Not a test.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pannier::model::progress::Progress;
use pannier::model::{ChunkRef, Content, Digest, Entry, EntryKind, EntryPath, Timestamp};
use pannier::workspace::beneath::Folder;
use pannier::workspace::restore::{Known, Restore, RestoreError, RestoreOptions, RestoreScope, Restored};

pub(crate) type Open = fn(&Path) -> Folder;
pub(crate) const BACK_ENDS: [Open; 2] =
    [|dir| Folder::open(dir).unwrap(), |dir| Folder::open_portable(dir).unwrap()];
pub(crate) const NOTHING_KNOWN: Known<'static> = Known { content: &|_| None, chunks: &|_| None };
const PIECE: usize = 50_000;

/// Entries with the bytes of their files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree(pub(crate) Vec<(Entry, Vec<u8>)>);

pub(crate) fn path(bytes: impl AsRef<[u8]>) -> EntryPath {
    EntryPath::new(bytes.as_ref()).unwrap()
}

pub(crate) fn content(bytes: &[u8]) -> Content {
    let chunks =
        bytes.chunks(PIECE).map(|b| ChunkRef { digest: Digest::of(b), len: b.len() as u32 }).collect();
    Content { size: bytes.len() as u64, listed: false, chunks }
}

impl Tree {
    pub(crate) fn add(
        &mut self,
        at: impl AsRef<[u8]>,
        mode: u32,
        mtime: (i64, u32),
        kind: EntryKind,
    ) -> &mut Self {
        let mtime = Timestamp { secs: mtime.0, nanos: mtime.1 };
        let entry = Entry { path: path(at), mode, mtime, owner: None, xattrs: Box::default(), kind };
        self.0.push((entry, Vec::new()));
        self
    }
    pub(crate) fn file(
        &mut self,
        at: impl AsRef<[u8]>,
        mode: u32,
        mtime: (i64, u32),
        bytes: &[u8],
    ) -> &mut Self {
        self.add(at, mode, mtime, EntryKind::File(content(bytes)));
        self.0.last_mut().unwrap().1 = bytes.to_vec();
        self
    }
    pub(crate) fn dir(&mut self, at: impl AsRef<[u8]>, mode: u32) -> &mut Self {
        self.add(at, mode, (1_000_000_000, 5), EntryKind::Directory)
    }
    pub(crate) fn link(&mut self, at: impl AsRef<[u8]>, target: &str) -> &mut Self {
        let target = target.as_bytes().into();
        self.add(at, 0o777, (1_100_000_000, 7), EntryKind::Symlink { target })
    }
    pub(crate) fn hard(&mut self, at: impl AsRef<[u8]>, target: &str) -> &mut Self {
        let target = path(target);
        let entry = self.0.iter().find(|e| e.0.path == target).map(|e| (e.0.mode, e.0.mtime));
        let (mode, mtime) = entry.unwrap_or_default();
        self.add(at, mode, (mtime.secs, mtime.nanos), EntryKind::HardLink { target })
    }
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.iter().map(|e| e.0.clone()).collect()
    }
    pub(crate) fn bytes(&self, at: &EntryPath) -> &[u8] {
        &self.0.iter().find(|e| e.0.path == *at).unwrap().1
    }
}

pub(crate) fn prepare<'a>(
    folder: Folder,
    tree: &Tree,
    options: RestoreOptions,
    progress: &'a Progress,
) -> Result<Restore<'a>, RestoreError> {
    Restore::prepare_in(folder, tree.entries(), RestoreScope::Whole, NOTHING_KNOWN, options, progress)
}

pub(crate) fn restore_with(
    folder: Folder,
    tree: &Tree,
    options: RestoreOptions,
) -> Result<Restored, RestoreError> {
    let progress = Progress::default();
    let restore = prepare(folder, tree, options, &progress)?;
    let wanted: Vec<_> = restore.wanted().map(|(id, path, _)| (id, path.clone())).collect();
    // Two threads, from behind, so that the pieces of one file come from both and out of order.
    std::thread::scope(|scope| {
        let write = |odd: usize| {
            for (id, path) in &wanted {
                let pieces: Vec<_> = tree.bytes(path).chunks(PIECE).enumerate().collect();
                for (index, piece) in pieces.iter().rev().filter(|(index, _)| index % 2 == odd) {
                    restore.write(*id, (index * PIECE) as u64, piece)?;
                }
            }
            Ok::<_, RestoreError>(())
        };
        let other = scope.spawn(move || write(1));
        let mine = write(0);
        other.join().unwrap().and(mine)
    })?;
    restore.finish()
}

pub(crate) fn restore(folder: Folder, tree: &Tree, mirror: bool) -> Result<Restored, RestoreError> {
    restore_with(folder, tree, RestoreOptions { mirror, threads: 2, ..Default::default() })
}

/// All that lstat says of a tree, with content, symlink targets and which names share an inode.
pub(crate) fn oracle(dir: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut first_names: BTreeMap<u64, PathBuf> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(dir).min_depth(1).sort_by_file_name() {
        let entry = entry.unwrap();
        let meta = fs::symlink_metadata(entry.path()).unwrap();
        let name = entry.path().strip_prefix(dir).unwrap().to_owned();
        let what = match meta.file_type() {
            kind if kind.is_dir() => "dir".to_owned(),
            kind if kind.is_symlink() => format!("link {:?}", fs::read_link(entry.path()).unwrap()),
            kind if kind.is_file() => format!("file {}", Digest::of(&fs::read(entry.path()).unwrap())),
            _ => "other".to_owned(),
        };
        let same = if meta.is_dir() { &name } else { first_names.entry(meta.ino()).or_insert(name.clone()) };
        let mtime = (meta.mtime(), meta.mtime_nsec());
        let line = format!("{what} {:o} {mtime:?} as {same:?}", meta.mode());
        found.insert(name.as_os_str().as_bytes().to_vec(), line);
    }
    found
}

/// What [`oracle`] must say of a tree that was restored to an empty folder without set-id bits.
pub(crate) fn expectation(tree: &Tree) -> BTreeMap<Vec<u8>, String> {
    let mut found = BTreeMap::new();
    for node in &tree.0 {
        let path = &node.0.path;
        let real = match &node.0.kind {
            EntryKind::HardLink { target } => tree.0.iter().find(|e| e.0.path == *target).unwrap(),
            _ => node,
        };
        let names = tree.0.iter().filter(|e| match &e.0.kind {
            EntryKind::HardLink { target } => *target == real.0.path,
            _ => e.0.path == real.0.path,
        });
        let same = names.map(|e| &e.0.path).min().unwrap();
        let os = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        let (what, kind_bits) = match &real.0.kind {
            EntryKind::Directory => ("dir".to_owned(), 0o040_000),
            EntryKind::Symlink { target } => (format!("link {:?}", os(target)), 0o120_000),
            EntryKind::File(_) => (format!("file {}", Digest::of(&real.1)), 0o100_000),
            _ => ("other".to_owned(), 0o010_000),
        };
        let mtime = (real.0.mtime.secs, i64::from(real.0.mtime.nanos));
        let mode = kind_bits | real.0.mode & 0o1777;
        let line = format!("{what} {mode:o} {mtime:?} as {:?}", os(same.as_bytes()));
        found.insert(path.as_bytes().to_vec(), line);
    }
    found
}
