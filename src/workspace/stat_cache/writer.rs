//! Collecting what a stash or an unstash learned, and saving it. Not how it is looked up.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::model::wire::Writer;
use crate::model::{Content, Digest, Timestamp};
use crate::workspace::stat::Stat;

use super::error::StatCacheError;
use super::layout::{BLOCK_BYTES, Head, Key, NONE, RECORD_BYTES, Record, Sizes, first_slot};

/// A cache to be; 88 bytes of memory a file, and 36 a chunk of a file of several.
#[derive(Debug)]
pub struct StatCacheWriter {
    stamp: Timestamp,
    records: Vec<Record>,
    chunks: Writer,
    chunk_count: u64,
    /// Whether there was something that it may not remember.
    is_partial: bool,
}

impl StatCacheWriter {
    /// Begins a cache of what was seen since `stamp`, the file system's time before the first file was looked at.
    pub fn new(stamp: Timestamp) -> Self {
        Self { stamp, records: Vec::new(), chunks: Writer::default(), chunk_count: 0, is_partial: false }
    }

    /// Remembers that the file with this `stat` has this content.
    ///
    /// Not if its mtime or ctime is as late as the writer's stamp: such a file may change again within the same
    /// tick of the clock, and would look the same. Not if `content` is of another size either.
    pub fn push(&mut self, stat: &Stat, content: &Content) {
        let racy = stat.mtime >= self.stamp || stat.ctime >= self.stamp;
        let count = u32::try_from(content.chunks.len()).unwrap_or(u32::MAX);
        if racy || content.size != stat.size || count > i32::MAX as u32 {
            self.is_partial = true;
            return;
        }
        let mut record =
            Record { key: Key::of(stat), count, listed: content.listed, digest: [0; Digest::LEN] };
        match &*content.chunks {
            [chunk] if record.is_inline() && u64::from(chunk.len) == stat.size => {
                record.digest = *chunk.digest.as_bytes();
            }
            [_] if record.is_inline() => {
                self.is_partial = true; // lengths that do not add up are nobody's content
                return;
            }
            chunks => {
                record.digest[..8].copy_from_slice(&self.chunk_count.to_le_bytes());
                self.chunk_count += u64::from(count);
                for chunk in chunks {
                    self.chunks.raw(chunk.digest.as_bytes());
                    self.chunks.u32(chunk.len);
                }
            }
        }
        self.records.push(record);
    }

    /// Whether everything that was pushed is remembered.
    pub const fn is_whole(&self) -> bool {
        !self.is_partial
    }

    /// Writes the cache beside `file` and renames it there. Nothing is synced: what a power loss tears is noticed.
    ///
    /// `root` is the stash that all of it belongs to, `root_bytes` its encoded manifest root, `patches_bytes` its encoded list of patched
    /// pages (empty if it has none), `remote` the identity of its ledger, `fingerprint` that of the walk, if everything in it was pushed and is remembered.
    pub fn save(
        self,
        file: &Path,
        remote: &str,
        root: Digest,
        (root_bytes, patches_bytes): (&[u8], &[u8]),
        fingerprint: Option<Digest>,
    ) -> Result<(), StatCacheError> {
        let Some((records, slots)) = index(self.records) else {
            return Err(StatCacheError::TooMany { path: file.to_owned(), entries: u32::MAX as usize });
        };
        let sizes =
            Sizes { records: records.len() as u64, slots: slots.len() as u64, chunks: self.chunk_count };
        let mut head = Head {
            sizes,
            root,
            fingerprint: fingerprint.unwrap_or(NONE),
            remote: remote.to_owned(),
            root_bytes: root_bytes.to_vec(),
            patches_bytes: patches_bytes.to_vec(),
            blocks: Vec::new(),
        };
        let write = |beside: &Path| -> io::Result<()> {
            let body_bytes = sizes.body_bytes().ok_or(io::ErrorKind::FileTooLarge)?;
            let blocks = body_bytes.div_ceil(BLOCK_BYTES as u64) as usize;
            let mut out = fs_err::OpenOptions::new().write(true).create_new(true).open(beside)?;
            out.seek(SeekFrom::Start(head.len(blocks) as u64))?;
            let mut body = BlockWriter::new(out);
            slots.iter().try_for_each(|slot| body.write(&slot.to_le_bytes()))?;
            let mut bytes = Writer(Vec::with_capacity(RECORD_BYTES));
            for record in &records {
                bytes.0.clear();
                record.encode(&mut bytes);
                body.write(&bytes.0)?;
            }
            body.write(&self.chunks.0)?;
            let (mut out, blocks) = body.finish()?;
            head.blocks = blocks;
            out.seek(SeekFrom::Start(0))?;
            out.write_all(&head.encode())
        };
        replace(file, write).map_err(|source| StatCacheError::Write { path: file.to_owned(), source })
    }
}

/// One record for each inode, the last that was pushed, and the slots that lead to them; `None` if they are too many.
fn index(mut records: Vec<Record>) -> Option<(Vec<Record>, Vec<u32>)> {
    let slot_count = records.len().checked_mul(2)?.max(2).checked_next_power_of_two()?;
    u32::try_from(slot_count).ok()?;
    let mut slots = vec![0u32; slot_count];
    let mut kept = 0;
    for next in 0..records.len() {
        let record = records[next];
        let (dev, ino) = (record.key.dev, record.key.ino);
        let mut slot = first_slot(dev, ino, slot_count as u64) as usize;
        loop {
            // The slots are at most half full, so a free one comes.
            let Some(index) = slots[slot].checked_sub(1) else {
                records[kept] = record;
                kept += 1;
                slots[slot] = kept as u32;
                break;
            };
            let known = &mut records[index as usize];
            if (known.key.dev, known.key.ino) == (dev, ino) {
                *known = record;
                break;
            }
            slot = (slot + 1) % slot_count;
        }
    }
    records.truncate(kept);
    Some((records, slots))
}

/// Writes a body and takes the digest of each block of it.
struct BlockWriter {
    out: fs_err::File,
    block: Vec<u8>,
    digests: Vec<Digest>,
}

impl BlockWriter {
    fn new(out: fs_err::File) -> Self {
        Self { out, block: Vec::with_capacity(BLOCK_BYTES), digests: Vec::new() }
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (head, tail) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(head);
            bytes = tail;
            if self.block.len() == BLOCK_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.digests.push(Digest::of(&self.block));
        self.out.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<(fs_err::File, Vec<Digest>)> {
        if !self.block.is_empty() {
            self.flush()?;
        }
        Ok((self.out, self.digests))
    }
}

/// Lets `write` fill a new file beside `file`, then renames it there; removes it if anything fails.
fn replace(file: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let random = getrandom::u64().map_err(io::Error::other)?;
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{random:016x}.new"));
    let beside = PathBuf::from(name);
    if let Some(folder) = file.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let done = write(&beside).and_then(|()| fs_err::rename(&beside, file));
    if done.is_err() {
        // What is left behind does no harm; the first error is the one that matters.
        let _ = fs_err::remove_file(&beside);
    }
    done
}
