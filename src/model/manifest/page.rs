//! About a thousand consecutive entries, column by column, so that like stands beside like when it is compressed.

use crate::model::entry::{ChunkRef, Content, Entry, EntryKind, Owner, Timestamp, Xattr};
use crate::model::entry_path::EntryPath;
use crate::model::wire::{Reader, Writer};
use crate::model::{Digest, limits};

use super::ManifestError;
use super::chunk_list::chunk_len;

const MAGIC: &[u8; 8] = b"PNRPAGE1";
const NOUN: &str = "page";
const KIND_MASK: u8 = 0b0000_0111;
const HAS_OWNER: u8 = 0b0000_1000;
const HAS_XATTRS: u8 = 0b0001_0000;

/// Says where one page ends and the next begins: after a path whose BLAKE3 says so, within bounds of count and weight.
///
/// A cut depends on the paths near it alone, so that an insertion changes one page, seldom two.
#[derive(Debug, Default)]
pub struct Cutter {
    count: usize,
    weight: usize,
}

impl Cutter {
    /// Takes the next entry in the order of paths; answers whether its page ends with it.
    pub fn ends_after(&mut self, entry: &Entry) -> bool {
        self.count += 1;
        self.weight += entry_weight(entry);
        let full = self.count >= limits::PAGE_MAX_ENTRIES || self.weight >= limits::PAGE_MAX_WEIGHT_BYTES;
        let ends = full || (self.count >= limits::PAGE_MIN_ENTRIES && path_cuts(&entry.path));
        if ends {
            *self = Self::default();
        }
        ends
    }
}

/// The first four bytes of the path's BLAKE3, little-endian, leave no rest modulo the average.
fn path_cuts(path: &EntryPath) -> bool {
    let digest = Digest::of(path.as_bytes());
    let [a, b, c, d, ..] = *digest.as_bytes();
    u32::from_le_bytes([a, b, c, d]) % limits::PAGE_AVERAGE_ENTRIES as u32 == 0
}

/// Upper bound of what an entry adds to an encoded page, in bytes (but for a few varints).
fn entry_weight(entry: &Entry) -> usize {
    let xattrs: usize = entry.xattrs.iter().map(|xattr| xattr.name.len() + xattr.value.len() + 6).sum();
    let kind = match &entry.kind {
        EntryKind::File(content) => content.chunks.len() * (Digest::LEN + 4),
        EntryKind::Symlink { target } => target.len(),
        EntryKind::HardLink { target } => target.as_bytes().len(),
        EntryKind::Directory | EntryKind::Fifo => 0,
    };
    entry.path.as_bytes().len() + xattrs + kind + 24
}

/// The bytes of a page.
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(entries.iter().map(entry_weight).sum()));
    out.raw(MAGIC);
    out.varint(entries.len() as u64);
    let mut previous: &[u8] = b"";
    for entry in entries {
        write_path(&mut out, previous, entry.path.as_bytes());
        previous = entry.path.as_bytes();
    }
    entries.iter().for_each(|entry| out.u8(flags(entry)));
    entries.iter().for_each(|entry| out.varint(entry.mode.into()));
    let mut previous = 0;
    for entry in entries {
        out.zigzag(entry.mtime.secs.wrapping_sub(previous));
        previous = entry.mtime.secs;
    }
    entries.iter().for_each(|entry| out.varint(entry.mtime.nanos.into()));
    write_contents(&mut out, entries);
    for entry in entries {
        match &entry.kind {
            EntryKind::Symlink { target } => out.bytes(target),
            EntryKind::HardLink { target } => out.bytes(target.as_bytes()),
            _ => {}
        }
    }
    for owner in entries.iter().filter_map(|entry| entry.owner) {
        out.varint(owner.uid.into());
        out.varint(owner.gid.into());
    }
    for entry in entries.iter().filter(|entry| !entry.xattrs.is_empty()) {
        out.varint(entry.xattrs.len() as u64);
        for xattr in &entry.xattrs {
            out.bytes(&xattr.name);
            out.bytes(&xattr.value);
        }
    }
    out.0
}

fn write_contents(out: &mut Writer, entries: &[Entry]) {
    let contents = || entries.iter().filter_map(Entry::content);
    contents().for_each(|content| out.varint(content.size));
    contents().for_each(|content| out.varint(content.chunks.len() as u64));
    for content in contents() {
        // The last length of a plain file follows from its size; a small file needs none.
        let told = content.chunks.len().saturating_sub(usize::from(!content.listed));
        content.chunks[..told].iter().for_each(|chunk| out.varint(chunk.len.into()));
    }
    contents().flat_map(|content| &content.chunks).for_each(|chunk| out.raw(chunk.digest.as_bytes()));
}

/// Reads a page: paths strictly ascending, chunk lengths adding up, no value outside its range.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, ManifestError> {
    let records = bytes.strip_prefix(MAGIC).ok_or(ManifestError::Magic(NOUN))?;
    let damaged = ManifestError::Damaged(NOUN, "its records do not add up");
    let entries = decode_records(records).ok_or(damaged)?;
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].path >= pair[1].path) {
        return Err(ManifestError::Order(pair[1].path.clone()));
    }
    let forward =
        |entry: &&Entry| matches!(&entry.kind, EntryKind::HardLink { target } if *target >= entry.path);
    match entries.iter().find(forward) {
        Some(entry) => Err(ManifestError::HardLink(entry.path.clone())),
        None => Ok(entries),
    }
}

fn decode_records(records: &[u8]) -> Option<Vec<Entry>> {
    let mut input = Reader(records);
    let count = input.count(5).filter(|count| (1..=limits::PAGE_MAX_ENTRIES).contains(count))?;
    let mut path = Vec::new();
    let mut paths = Vec::with_capacity(count);
    for _ in 0..count {
        path = read_path(&mut input, &path)?;
        paths.push(EntryPath::new(path.clone()).ok()?);
    }
    // A bit without a meaning would be lost on the way back, and one page would have two spellings.
    let known = |flags: &u8| flags & !(KIND_MASK | HAS_OWNER | HAS_XATTRS) == 0;
    let flags = input.raw(count).filter(|flags| flags.iter().all(known))?;
    let modes = column(count, || input.varint().filter(|&mode| mode <= 0o7777).map(|mode| mode as u32))?;
    let mut secs = 0i64;
    let secs = column(count, || {
        secs = secs.wrapping_add(input.zigzag()?);
        Some(secs)
    })?;
    let nanos =
        column(count, || input.varint().filter(|&nanos| nanos < 1_000_000_000).map(|nanos| nanos as u32))?;
    let mut kinds = decode_kinds(&mut input, flags)?.into_iter();
    let mut owners = vec![None; count];
    for (owner, _) in owners.iter_mut().zip(flags).filter(|(_, flags)| *flags & HAS_OWNER != 0) {
        let mut id = || u32::try_from(input.varint()?).ok();
        *owner = Some(Owner { uid: id()?, gid: id()? });
    }
    let mut entries = Vec::with_capacity(count);
    for (index, path) in paths.into_iter().enumerate() {
        let mtime = Timestamp { secs: secs[index], nanos: nanos[index] };
        let xattrs = if flags[index] & HAS_XATTRS == 0 { Box::default() } else { decode_xattrs(&mut input)? };
        let kind = kinds.next()?;
        entries.push(Entry { path, mode: modes[index], mtime, owner: owners[index], xattrs, kind });
    }
    input.is_empty().then_some(entries)
}

fn decode_kinds(input: &mut Reader<'_>, flags: &[u8]) -> Option<Vec<EntryKind>> {
    let mut contents = decode_contents(input, flags)?.into_iter();
    flags
        .iter()
        .map(|flags| {
            Some(match flags & KIND_MASK {
                0 => EntryKind::Directory,
                1 | 2 => EntryKind::File(contents.next()?),
                3 => EntryKind::Symlink { target: symlink_target(input.bytes()?)? },
                4 => EntryKind::HardLink { target: EntryPath::new(input.bytes()?).ok()? },
                5 => EntryKind::Fifo,
                _ => return None,
            })
        })
        .collect()
}

fn decode_contents(input: &mut Reader<'_>, flags: &[u8]) -> Option<Vec<Content>> {
    let listed: Vec<bool> = flags
        .iter()
        .map(|flags| flags & KIND_MASK)
        .filter(|kind| matches!(kind, 1 | 2))
        .map(|kind| kind == 2)
        .collect();
    let sizes = column(listed.len(), || input.varint())?;
    let counts = column(listed.len(), || input.count(1))?;
    let mut lengths = Vec::with_capacity(listed.len());
    for ((&size, &count), &listed) in sizes.iter().zip(&counts).zip(&listed) {
        lengths.push(decode_lengths(input, size, count, listed)?);
    }
    let mut contents = Vec::with_capacity(listed.len());
    for ((size, listed), lengths) in sizes.into_iter().zip(listed).zip(lengths) {
        let chunk = |len| Some(ChunkRef { digest: Digest::from_slice(input.raw(Digest::LEN)?)?, len });
        let chunks = lengths.into_iter().map(chunk).collect::<Option<Box<[_]>>>()?;
        contents.push(Content { size, listed, chunks });
    }
    Some(contents)
}

/// The lengths of a file's chunks; for a plain file the last is what the others leave of `size`.
fn decode_lengths(input: &mut Reader<'_>, size: u64, count: usize, listed: bool) -> Option<Vec<u32>> {
    if listed {
        return (count > 0).then(|| column(count, || chunk_len(input)))?;
    }
    if count > limits::MAX_INLINE_CHUNKS || (count == 0) != (size == 0) {
        return None;
    }
    let mut lengths = column(count.saturating_sub(1), || chunk_len(input))?;
    if count > 0 {
        let told: u64 = lengths.iter().map(|&len| u64::from(len)).sum();
        let last =
            size.checked_sub(told).filter(|last| (1..=limits::MAX_FRAME_BYTES as u64).contains(last))?;
        lengths.push(last as u32);
    }
    Some(lengths)
}

fn decode_xattrs(input: &mut Reader<'_>) -> Option<Box<[Xattr]>> {
    let count = input.count(2).filter(|&count| count > 0)?;
    let xattrs = column(count, || {
        let name = input.bytes().filter(|name| !name.is_empty() && !name.contains(&0))?;
        Some(Xattr { name: name.into(), value: input.bytes()?.into() })
    })?;
    xattrs.windows(2).all(|pair| pair[0].name < pair[1].name).then(|| xattrs.into())
}

fn symlink_target(bytes: &[u8]) -> Option<Box<[u8]>> {
    let fits = !bytes.is_empty() && bytes.len() <= limits::MAX_PATH_BYTES && !bytes.contains(&0);
    fits.then(|| bytes.into())
}

fn column<T>(count: usize, mut read: impl FnMut() -> Option<T>) -> Option<Vec<T>> {
    (0..count).map(|_| read()).collect()
}

fn flags(entry: &Entry) -> u8 {
    let kind = match &entry.kind {
        EntryKind::Directory => 0,
        EntryKind::File(content) => 1 + u8::from(content.listed),
        EntryKind::Symlink { .. } => 3,
        EntryKind::HardLink { .. } => 4,
        EntryKind::Fifo => 5,
    };
    let owner = if entry.owner.is_some() { HAS_OWNER } else { 0 };
    let xattrs = if entry.xattrs.is_empty() { 0 } else { HAS_XATTRS };
    kind | owner | xattrs
}

/// A path as the length of what it shares with `previous`, then the rest.
pub(super) fn write_path(out: &mut Writer, previous: &[u8], path: &[u8]) {
    let shared = previous.iter().zip(path).take_while(|(a, b)| a == b).count();
    out.varint(shared as u64);
    out.bytes(&path[shared..]);
}

/// Reads what [`write_path`] wrote; the shared length must be the longest possible, so that each path has one spelling.
pub(super) fn read_path(input: &mut Reader<'_>, previous: &[u8]) -> Option<Vec<u8>> {
    let shared = usize::try_from(input.varint()?).ok()?;
    let head = previous.get(..shared)?;
    let tail = input.bytes()?;
    if tail.first().is_some_and(|first| previous.get(shared) == Some(first)) {
        return None;
    }
    let fits = shared + tail.len() <= limits::MAX_PATH_BYTES;
    fits.then(|| [head, tail].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_without_a_meaning_are_refused() {
        let path = EntryPath::new(&b"a"[..]).unwrap();
        let mtime = Timestamp::default();
        let kind = EntryKind::Directory;
        let entry = Entry { path, mode: 0o755, mtime, owner: None, xattrs: Box::default(), kind };
        let bytes = encode(&[entry]);
        // Magic, count, then shared length, length and bytes of the path: the flags are the next byte.
        let at = MAGIC.len() + 4;
        for bit in [0x20, 0x40, 0x80] {
            let mut broken = bytes.clone();
            broken[at] |= bit;
            assert!(decode(&broken).is_err(), "bit {bit:#x}");
        }
        assert!(decode(&bytes).is_ok());
    }
}
