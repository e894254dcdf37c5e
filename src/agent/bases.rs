//! Pages that the store holds as they are, kept beside the stat cache so that what changes of them can be sent as patches.
//! Only a cache: whether the store still holds one is asked before it is used, and a lost one costs bytes and nothing else.
//!
//! The file: `PNRBASE1` · for each page, in the order of paths: `u32` length of its first path, `u32` length of the page, digest, path, page.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use fs_err::File;

use crate::model::limits::{MAX_FRAME_BYTES, MAX_PATH_BYTES};
use crate::model::{Digest, EntryPath};

const MAGIC: &[u8; 8] = b"PNRBASE1";
/// Bytes before a page's path.
const HEAD_BYTES: u64 = 8 + Digest::LEN as u64;

/// The bases of earlier stashes, and those of the stash under way, which go to another file.
#[derive(Default)]
pub(super) struct Bases {
    /// By first path, ascending.
    known: Vec<Base>,
    file: Option<File>,
    /// Where they are kept; `None` if they are not.
    path: Option<PathBuf>,
    /// Those of `known` that stay, in order, for as long as there is no other to be kept.
    kept: Vec<usize>,
    next: Option<Next>,
}

/// A page that the store held as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    first: EntryPath,
    pub(super) digest: Digest,
    /// Where it stands in the file.
    start: u64,
    len: u32,
}

/// A file to be.
struct Next {
    out: BufWriter<File>,
    beside: PathBuf,
    /// Whether it has its name.
    is_done: bool,
}

impl Bases {
    /// Those that an earlier stash kept beside `cache_file`. What cannot be read or written costs a warning.
    pub(super) fn open(cache_file: &Path) -> Self {
        let path = cache_file.with_extension("pages");
        let known = match File::open(&path) {
            Ok(file) => read_heads(&file).map(|known| (known, Some(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Vec::new(), None)),
            Err(error) => Err(error),
        };
        let (known, file) = known.unwrap_or_else(|error| {
            tracing::warn!(%error, file = %path.display(), "the pages of earlier stashes cannot be read; not used");
            (Vec::new(), None)
        });
        Self { known, file, path: Some(path), kept: Vec::new(), next: None }
    }

    /// Whether there is somewhere to keep them.
    pub(super) const fn are_kept(&self) -> bool {
        self.path.is_some()
    }

    /// The base of a page that begins with `first`.
    pub(super) fn of(&self, first: &EntryPath) -> Option<&Base> {
        self.known.get(self.place(first)?)
    }

    /// Its bytes, if they are what they were.
    pub(super) fn bytes(&self, base: &Base) -> Option<Vec<u8>> {
        self.read(base).ok().filter(|bytes| Digest::of(bytes) == base.digest)
    }

    /// Keeps the base of a page that is stored as a patch of it.
    pub(super) fn keep(&mut self, first: &EntryPath) {
        let Some(at) = self.place(first) else { return };
        if self.next.is_none() {
            self.kept.push(at);
        } else {
            self.or_warn(|bases| bases.copy(at));
        }
    }

    /// Keeps a page that the store has as it is, for a page that begins with `first`.
    pub(super) fn add(&mut self, first: &EntryPath, digest: Digest, bytes: &[u8]) {
        match self.of(first).is_some_and(|base| base.digest == digest) {
            true => self.keep(first),
            false => self.or_warn(|bases| bases.begin()?.write(first, digest, bytes)),
        }
    }

    /// Puts what was kept in the place of what was known.
    pub(super) fn save(&mut self) {
        let is_same = self.next.is_none() && self.kept.len() == self.known.len();
        if !is_same {
            self.or_warn(|bases| {
                bases.begin()?;
                let next = bases.next.take().zip(bases.path.as_deref());
                next.map_or(Ok(()), |(next, path)| next.end(path))
            });
        }
    }

    /// The file to be, which begins with those that were kept so far.
    fn begin(&mut self) -> io::Result<&mut Next> {
        if self.next.is_none() {
            let path = self.path.as_deref().ok_or(io::ErrorKind::NotFound)?;
            self.next = Some(Next::begin(path)?);
            std::mem::take(&mut self.kept).into_iter().try_for_each(|at| self.copy(at))?;
        }
        self.next.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn copy(&mut self, at: usize) -> io::Result<()> {
        let Some(base) = self.known.get(at).cloned() else { return Ok(()) };
        let bytes = self.read(&base)?;
        self.next.as_mut().map_or(Ok(()), |next| next.write(&base.first, base.digest, &bytes))
    }

    fn read(&self, base: &Base) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; base.len as usize];
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.file().read_exact_at(&mut bytes, base.start)?;
        Ok(bytes)
    }

    fn place(&self, first: &EntryPath) -> Option<usize> {
        self.known.binary_search_by(|base| base.first.cmp(first)).ok()
    }

    /// Keeps nothing from now on where that failed: the next run sends more, and that is all.
    fn or_warn(&mut self, work: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.path.is_none() {
            return;
        }
        if let Err(error) = work(self) {
            match error.kind() {
                io::ErrorKind::WouldBlock => tracing::debug!("another run keeps the pages of this workspace"),
                _ => tracing::warn!(%error, "the pages of this stash are not kept"),
            }
            (self.path, self.next) = (None, None);
        }
    }
}

impl Next {
    /// Begins a file beside `path`: always the same one, so that what a killed run has left is written over. Two runs do not share it.
    fn begin(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let beside = path.with_extension("pages.new");
        let file = fs_err::OpenOptions::new().write(true).create(true).truncate(false).open(&beside)?;
        file.file().try_lock()?;
        let (ours, there) = (file.metadata()?, fs_err::symlink_metadata(&beside)?);
        if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "another run has just kept its own"));
        }
        file.set_len(0)?;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        out.write_all(MAGIC)?;
        Ok(Self { out, beside, is_done: false })
    }

    fn write(&mut self, first: &EntryPath, digest: Digest, bytes: &[u8]) -> io::Result<()> {
        let path = first.as_bytes();
        self.out.write_all(&(path.len() as u32).to_le_bytes())?;
        self.out.write_all(&(bytes.len() as u32).to_le_bytes())?;
        self.out.write_all(digest.as_bytes())?;
        self.out.write_all(path)?;
        self.out.write_all(bytes)
    }

    fn end(mut self, path: &Path) -> io::Result<()> {
        self.out.flush()?;
        fs_err::rename(&self.beside, path)?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = fs_err::remove_file(&self.beside);
        }
    }
}

/// Every base but for its bytes, which are passed over.
fn read_heads(file: &File) -> io::Result<Vec<Base>> {
    let len = file.metadata()?.len();
    let mut input = BufReader::new(file);
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is of another version"));
    }
    let mut known: Vec<Base> = Vec::new();
    let mut at = MAGIC.len() as u64;
    while at < len {
        let mut head = [0; HEAD_BYTES as usize];
        input.read_exact(&mut head)?;
        let base = read_head(&head, &mut input, at)?;
        let end = base.start + u64::from(base.len);
        let ascends = known.last().is_none_or(|last| last.first < base.first);
        if end > len || !ascends {
            return Err(damaged());
        }
        input.seek_relative(i64::from(base.len))?;
        at = end;
        known.push(base);
    }
    Ok(known)
}

fn read_head(head: &[u8], input: &mut impl Read, at: u64) -> io::Result<Base> {
    let (lens, digest) = head.split_at(8);
    let number = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).map_err(|_| damaged());
    let (path_len, len) = (number(&lens[..4])?, number(&lens[4..])?);
    if path_len as usize > MAX_PATH_BYTES || len as usize > MAX_FRAME_BYTES {
        return Err(damaged());
    }
    let mut path = vec![0; path_len as usize];
    input.read_exact(&mut path)?;
    let first = EntryPath::new(path).map_err(|_| damaged())?;
    let digest = Digest::from_slice(digest).ok_or_else(damaged)?;
    Ok(Base { first, digest, start: at + HEAD_BYTES + u64::from(path_len), len })
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is damaged")
}
