//! Looking files up in a saved cache. Not how it is written.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::model::{ChunkRef, Content, Digest};
use crate::workspace::stat::Stat;

use super::layout::{
    BLOCK_BYTES, CHUNK_BYTES, Head, Key, NONE, RECORD_BYTES, Record, SLOT_BYTES, first_slot,
};
use super::mapped::Mapped;

/// A saved cache, or an empty one. Look-ups may run on any number of threads.
#[derive(Debug, Default)]
pub struct StatCache(Option<Loaded>);

#[derive(Debug)]
struct Loaded {
    file: Mapped,
    head: Head,
    body_start: usize,
    /// For each block of the body: [`UNCHECKED`], [`GOOD`] or [`BAD`].
    checked: Vec<AtomicU8>,
}

const UNCHECKED: u8 = 0;
const GOOD: u8 = 1;
const BAD: u8 = 2;

impl StatCache {
    /// Opens the cache in `file`. One that is absent, damaged or of another version is empty.
    pub fn open(file: &Path) -> Self {
        match Mapped::open(file) {
            Ok(mapped) => {
                let loaded = Loaded::new(mapped);
                if loaded.is_none() {
                    tracing::warn!(file = %file.display(), "the stat cache is damaged or of another version; not used");
                }
                Self(loaded)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self(None),
            Err(error) => {
                tracing::warn!(%error, "the stat cache cannot be read; not used");
                Self(None)
            }
        }
    }

    /// The content of the file with this `stat`, if it was pushed with the same device, inode, size, times and type.
    pub fn lookup(&self, stat: &Stat) -> Option<Content> {
        self.0.as_ref()?.lookup(&Key::of(stat))
    }

    /// The stash that every digest in the cache belongs to.
    pub fn root(&self) -> Option<Digest> {
        self.0.as_ref().map(|loaded| loaded.head.root)
    }

    /// The manifest root of that stash, encoded; empty for an empty cache.
    pub fn root_bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |loaded| &loaded.head.root_bytes)
    }

    /// The list of that stash's pages that are stored as patches, encoded; empty if none are.
    pub fn patches_bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |loaded| &loaded.head.patches_bytes)
    }

    /// Of the walk that gave that stash, if every content in it is in the cache.
    pub fn fingerprint(&self) -> Option<Digest> {
        self.0.as_ref().map(|loaded| loaded.head.fingerprint).filter(|fingerprint| *fingerprint != NONE)
    }

    /// Identity of the ledger that knows that stash; empty for an empty cache.
    pub fn remote(&self) -> &str {
        self.0.as_ref().map_or("", |loaded| &loaded.head.remote)
    }

    /// How many inodes it knows.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |loaded| loaded.head.sizes.records as usize)
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Loaded {
    fn new(file: Mapped) -> Option<Self> {
        let (head, body_start) = Head::decode(&file)?;
        let checked = head.blocks.iter().map(|_| AtomicU8::new(UNCHECKED)).collect();
        Some(Self { file, head, body_start, checked })
    }

    fn lookup(&self, key: &Key) -> Option<Content> {
        let sizes = self.head.sizes;
        let mut slot = first_slot(key.dev, key.ino, sizes.slots);
        for _ in 0..=sizes.records {
            let number = self.body(slot as usize * SLOT_BYTES, SLOT_BYTES)?;
            let index = u64::from(u32::from_le_bytes(number.try_into().ok()?)).checked_sub(1)?;
            let start = self.records_start() + usize::try_from(index).ok()?.checked_mul(RECORD_BYTES)?;
            let record = Record::decode(self.body(start, RECORD_BYTES)?)?;
            if (record.key.dev, record.key.ino) == (key.dev, key.ino) {
                return if record.key == *key { self.content(&record, key) } else { None };
            }
            slot = (slot + 1) & (sizes.slots - 1);
        }
        None
    }

    fn content(&self, record: &Record, key: &Key) -> Option<Content> {
        let (size, listed) = (key.size, record.listed);
        if record.is_inline() {
            let chunk =
                ChunkRef { digest: Digest::from_bytes(record.digest), len: u32::try_from(size).ok()? };
            return Some(Content { size, listed, chunks: [chunk].into() });
        }
        let count = record.count as usize;
        let first = usize::try_from(u64::from_le_bytes(*record.digest.first_chunk()?)).ok()?;
        let table = self.records_start() + self.head.sizes.records as usize * RECORD_BYTES;
        let start = table.checked_add(first.checked_mul(CHUNK_BYTES)?)?;
        let bytes = self.body(start, count.checked_mul(CHUNK_BYTES)?)?;
        let chunk = |bytes: &[u8]| {
            let (digest, len) = bytes.split_at_checked(Digest::LEN)?;
            Some(ChunkRef {
                digest: Digest::from_slice(digest)?,
                len: u32::from_le_bytes(len.try_into().ok()?),
            })
        };
        let chunks = bytes.chunks_exact(CHUNK_BYTES).map(chunk).collect::<Option<_>>()?;
        Some(Content { size, listed, chunks })
    }

    fn records_start(&self) -> usize {
        self.head.sizes.slots as usize * SLOT_BYTES
    }

    /// `len` bytes of the body from `start`, if they are there and what was written.
    fn body(&self, start: usize, len: usize) -> Option<&[u8]> {
        let body = self.file.get(self.body_start..)?;
        let bytes = body.get(start..start.checked_add(len)?)?;
        let blocks: Range<usize> = start / BLOCK_BYTES..(start + len).div_ceil(BLOCK_BYTES);
        { blocks }.all(|block| self.is_good(body, block)).then_some(bytes)
    }

    fn is_good(&self, body: &[u8], block: usize) -> bool {
        let Some((state, digest)) = self.checked.get(block).zip(self.head.blocks.get(block)) else {
            return false;
        };
        match state.load(Relaxed) {
            UNCHECKED => {
                let start = block * BLOCK_BYTES;
                let bytes = body.get(start..body.len().min(start + BLOCK_BYTES)).unwrap_or_default();
                let good = Digest::of(bytes) == *digest;
                if !good {
                    tracing::warn!(block, "a block of the stat cache is damaged; its files are read again");
                }
                state.store(if good { GOOD } else { BAD }, Relaxed);
                good
            }
            state => state == GOOD,
        }
    }
}
