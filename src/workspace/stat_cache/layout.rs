//! The bytes of a stat cache, little-endian. No I/O here.
//!
//! ```text
//! head:  magic "PNRSTAT2" | head bytes u64 | records u64 | slots u64 | chunks u64 | stash id 32 | fingerprint 32
//!        | remote: length u64, bytes | manifest root: length u64, bytes | its list of patches: length u64, bytes
//!        | BLAKE3 of each body block | BLAKE3 of all of the head before it
//! body:  slots × u32 (0: free, else record + 1) | records × 88 bytes | chunks × 36 bytes (digest, length u32)
//! ```

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::model::wire::{Reader, Writer};
use crate::model::{Digest, Timestamp};
use crate::workspace::stat::Stat;

pub(super) const MAGIC: &[u8; 8] = b"PNRSTAT2";
/// What is checked at once: BLAKE3 reaches its full speed at 16 KiB (1.6 µs), and the list of digests stays small
/// (220 KB for a million files).
pub(super) const BLOCK_BYTES: usize = 16 << 10;
pub(super) const SLOT_BYTES: usize = 4;
pub(super) const RECORD_BYTES: usize = 88;
/// In a fingerprint's place where there is none.
pub(super) const NONE: Digest = Digest::from_bytes([0; Digest::LEN]);
pub(super) const CHUNK_BYTES: usize = Digest::LEN + 4;
/// Bit of a record's chunk count that says that the chunks are chunk lists.
const LISTED: u32 = 1 << 31;

/// Where the cache of `workspace` lies: its canonical path's BLAKE3 in `cache_dir`.
pub fn cache_file(cache_dir: &Path, workspace: &Path) -> PathBuf {
    cache_dir.join(format!("{}.stat", Digest::of(canonical(workspace).as_os_str().as_bytes())))
}

/// The path without symlinks; what does not exist yet keeps its name beneath what does, and so its cache once it is made.
fn canonical(workspace: &Path) -> PathBuf {
    let absolute = std::path::absolute(workspace).unwrap_or_else(|_| workspace.to_owned());
    let resolved = absolute.ancestors().find_map(|existing| {
        let rest = absolute.strip_prefix(existing).ok()?;
        let base = fs_err::canonicalize(existing).ok()?;
        Some(if rest.as_os_str().is_empty() { base } else { base.join(rest) })
    });
    resolved.unwrap_or(absolute)
}

/// What a hit needs to agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) size: u64,
    mtime: Timestamp,
    ctime: Timestamp,
    file_type: u32,
}

impl Key {
    pub(super) fn of(stat: &Stat) -> Self {
        let Stat { dev, ino, size, mtime, ctime, mode, .. } = *stat;
        Self { dev, ino, size, mtime, ctime, file_type: mode & 0o170_000 }
    }
}

/// One file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Key,
    /// Number of chunks.
    pub(super) count: u32,
    /// Whether they are chunk lists.
    pub(super) listed: bool,
    /// The only chunk if it is not listed; else bytes 0 to 8 are the index of the first chunk in the body's table.
    pub(super) digest: [u8; Digest::LEN],
}

impl Record {
    /// Whether the chunk stands in the record itself.
    pub(super) const fn is_inline(&self) -> bool {
        self.count == 1 && !self.listed
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        let Key { dev, ino, size, mtime, ctime, file_type } = self.key;
        [dev, ino, size, mtime.secs as u64, ctime.secs as u64].into_iter().for_each(|value| out.u64(value));
        let count = self.count | if self.listed { LISTED } else { 0 };
        [mtime.nanos, ctime.nanos, file_type, count].into_iter().for_each(|value| out.u32(value));
        out.raw(&self.digest);
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader(bytes);
        let (dev, ino, size) = (input.u64()?, input.u64()?, input.u64()?);
        let (mtime, ctime) = (input.u64()? as i64, input.u64()? as i64);
        let mtime = Timestamp { secs: mtime, nanos: input.u32()? };
        let ctime = Timestamp { secs: ctime, nanos: input.u32()? };
        let (file_type, count) = (input.u32()?, input.u32()?);
        let digest = *Digest::from_slice(input.raw(Digest::LEN)?)?.as_bytes();
        let key = Key { dev, ino, size, mtime, ctime, file_type };
        Some(Self { key, count: count & !LISTED, listed: count & LISTED != 0, digest })
    }
}

/// The slot where the search for an inode begins: SplitMix64's mix of both numbers.
pub(super) fn first_slot(dev: u64, ino: u64, slots: u64) -> u64 {
    let mut x = ino ^ dev.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) & slots.wrapping_sub(1)
}

/// The sizes that the body follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Sizes {
    pub(super) records: u64,
    /// A power of two, more than `records`.
    pub(super) slots: u64,
    pub(super) chunks: u64,
}

impl Sizes {
    /// Bytes of the body; `None` if they are more than there can be.
    pub(super) fn body_bytes(self) -> Option<u64> {
        let slots = self.slots.checked_mul(SLOT_BYTES as u64)?;
        let records = self.records.checked_mul(RECORD_BYTES as u64)?;
        slots.checked_add(records)?.checked_add(self.chunks.checked_mul(CHUNK_BYTES as u64)?)
    }
}

/// The head, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) sizes: Sizes,
    pub(super) root: Digest,
    /// Of the walk that found all of it; zeros where some content is not in the cache.
    pub(super) fingerprint: Digest,
    pub(super) remote: String,
    pub(super) root_bytes: Vec<u8>,
    pub(super) patches_bytes: Vec<u8>,
    pub(super) blocks: Vec<Digest>,
}

impl Head {
    /// Bytes that [`Head::encode`] gives.
    pub(super) fn len(&self, blocks: usize) -> usize {
        let texts = self.remote.len() + self.root_bytes.len() + self.patches_bytes.len();
        8 * 8 + 2 * Digest::LEN + texts + (blocks + 1) * Digest::LEN
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let len = self.len(self.blocks.len());
        let mut out = Writer(Vec::with_capacity(len));
        out.raw(MAGIC);
        [len as u64, self.sizes.records, self.sizes.slots, self.sizes.chunks]
            .into_iter()
            .for_each(|n| out.u64(n));
        out.raw(self.root.as_bytes());
        out.raw(self.fingerprint.as_bytes());
        for bytes in [self.remote.as_bytes(), &self.root_bytes, &self.patches_bytes] {
            out.u64(bytes.len() as u64);
            out.raw(bytes);
        }
        self.blocks.iter().for_each(|block| out.raw(block.as_bytes()));
        let check = Digest::of(&out.0);
        out.raw(check.as_bytes());
        out.0
    }

    /// Reads the head of a whole cache file, and where its body begins. `None` for anything that was not written
    /// by [`Head::encode`] in front of a body of the size that it announces.
    pub(super) fn decode(file: &[u8]) -> Option<(Self, usize)> {
        let mut input = Reader(file.strip_prefix(MAGIC)?);
        let head_bytes = usize::try_from(input.u64()?).ok()?;
        let (checked, check) = file.get(..head_bytes)?.split_last_chunk::<{ Digest::LEN }>()?;
        if Digest::of(checked) != Digest::from_bytes(*check) {
            return None;
        }
        input = Reader(checked.get(16..)?);
        let sizes = Sizes { records: input.u64()?, slots: input.u64()?, chunks: input.u64()? };
        let root = Digest::from_slice(input.raw(Digest::LEN)?)?;
        let fingerprint = Digest::from_slice(input.raw(Digest::LEN)?)?;
        let mut bytes = || {
            let len = usize::try_from(input.u64()?).ok()?;
            input.raw(len)
        };
        let remote = String::from_utf8(bytes()?.to_vec()).ok()?;
        let root_bytes = bytes()?.to_vec();
        let patches_bytes = bytes()?.to_vec();
        let blocks: Vec<Digest> =
            input.0.chunks(Digest::LEN).map(Digest::from_slice).collect::<Option<_>>()?;
        let body_bytes = (file.len() - head_bytes) as u64;
        let fits = sizes.body_bytes() == Some(body_bytes)
            && body_bytes.div_ceil(BLOCK_BYTES as u64) == blocks.len() as u64
            && sizes.slots.is_power_of_two()
            && sizes.slots > sizes.records;
        fits.then_some((
            Self { sizes, root, fingerprint, remote, root_bytes, patches_bytes, blocks },
            head_bytes,
        ))
    }
}
