//! Pages that the store holds as they are, kept beside the stat cache so that what changes of them can be sent as patches.
//! Only a cache: whether the store still holds one is asked before it is used, and a lost one costs bytes and nothing else.
//!
//! The file: `PNRBASE1` · for each page, in the order of paths: `u32` length of its first path, `u32` length of the page, digest, path, page.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fs_err::File;

use crate::model::limits::{MAX_FRAME_BYTES, MAX_PATH_BYTES};
use crate::model::manifest::PageRef;
use crate::model::{Digest, EntryPath};

const MAGIC: &[u8; 8] = b"PNRBASE1";
/// Bytes before a page's path.
const HEAD_BYTES: u64 = 8 + Digest::LEN as u64;

/// The bases of earlier stashes, and those of the stash under way, which go to another file.
#[derive(Default)]
pub(super) struct Bases {
    /// By first path, ascending; empty where there is nothing to keep them in.
    known: Vec<Base>,
    file: Option<File>,
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

struct Next {
    out: BufWriter<File>,
    path: PathBuf,
    beside: PathBuf,
    /// Whether it differs from what is known.
    is_new: bool,
    count: usize,
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
        let next = Next::begin(path).inspect_err(|error| tracing::warn!(%error, "pages are not kept"));
        Self { known, file, next: next.ok() }
    }

    /// Whether there is somewhere to keep them.
    pub(super) const fn are_kept(&self) -> bool {
        self.next.is_some()
    }

    /// The base of a page that begins with `first`.
    pub(super) fn of(&self, first: &EntryPath) -> Option<&Base> {
        let at = self.known.binary_search_by(|base| base.first.cmp(first)).ok()?;
        self.known.get(at)
    }

    /// Its bytes, if they are what they were.
    pub(super) fn bytes(&self, base: &Base) -> Option<Vec<u8>> {
        let mut bytes = vec![0; base.len as usize];
        self.file.as_ref()?.file().read_exact_at(&mut bytes, base.start).ok()?;
        (Digest::of(&bytes) == base.digest).then_some(bytes)
    }

    /// Keeps the base of a page that is stored as a patch of it, or stands in the store unchanged.
    pub(super) fn keep(&mut self, first: &EntryPath) {
        let Some(base) = self.of(first).cloned() else { return };
        let mut bytes = vec![0; base.len as usize];
        let read =
            self.file.as_ref().is_some_and(|file| file.file().read_exact_at(&mut bytes, base.start).is_ok());
        if read {
            self.push(&base.first, base.digest, &bytes, false);
        }
    }

    /// Keeps a page that the store has as it is.
    pub(super) fn add(&mut self, page: &PageRef, bytes: &[u8]) {
        let is_new = self.of(&page.first).is_none_or(|base| base.digest != page.chunk.digest);
        self.push(&page.first, page.chunk.digest, bytes, is_new);
    }

    /// Puts what was kept in the place of what was known.
    pub(super) fn save(&mut self) {
        let Some(next) = self.next.take() else { return };
        let is_same = !next.is_new && next.count == self.known.len();
        if let Err(error) = next.end(is_same) {
            tracing::warn!(%error, "the pages of this stash are not kept");
        }
    }

    fn push(&mut self, first: &EntryPath, digest: Digest, bytes: &[u8], is_new: bool) {
        let Some(next) = &mut self.next else { return };
        if let Err(error) = next.write(first, digest, bytes) {
            tracing::warn!(%error, "pages are not kept");
            self.next = None;
            return;
        }
        next.is_new |= is_new;
        next.count += 1;
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        // What was renamed is not there any more.
        let _ = fs_err::remove_file(&self.beside);
    }
}

impl Next {
    fn begin(path: PathBuf) -> io::Result<Self> {
        let random = getrandom::u64().map_err(io::Error::other)?;
        let mut name = path.clone().into_os_string();
        name.push(format!(".{random:016x}.new"));
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let beside = PathBuf::from(name);
        let mut out = BufWriter::with_capacity(1 << 18, File::create_new(&beside)?);
        out.write_all(MAGIC)?;
        Ok(Self { out, path, beside, is_new: false, count: 0 })
    }

    fn write(&mut self, first: &EntryPath, digest: Digest, bytes: &[u8]) -> io::Result<()> {
        let path = first.as_bytes();
        self.out.write_all(&(path.len() as u32).to_le_bytes())?;
        self.out.write_all(&(bytes.len() as u32).to_le_bytes())?;
        self.out.write_all(digest.as_bytes())?;
        self.out.write_all(path)?;
        self.out.write_all(bytes)
    }

    fn end(mut self, is_same: bool) -> io::Result<()> {
        if is_same {
            return Ok(());
        }
        self.out.flush()?;
        fs_err::rename(&self.beside, &self.path)
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
