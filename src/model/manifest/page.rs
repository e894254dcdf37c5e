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
pub(super) mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::option;
    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    fn chunk() -> impl Strategy<Value = ChunkRef> {
        (any::<[u8; 32]>(), 1..=limits::MAX_FRAME_BYTES as u32)
            .prop_map(|(digest, len)| ChunkRef { digest: Digest::from_bytes(digest), len })
    }

    fn content() -> impl Strategy<Value = Content> {
        let listed = (any::<u64>(), vec(chunk(), 1..4));
        let listed = listed.prop_map(|(size, chunks)| Content { size, listed: true, chunks: chunks.into() });
        let plain = vec(chunk(), 0..5).prop_map(|chunks| {
            let size = chunks.iter().map(|chunk| u64::from(chunk.len)).sum();
            Content { size, listed: false, chunks: chunks.into() }
        });
        prop_oneof![plain, listed]
    }

    fn kind() -> impl Strategy<Value = EntryKind> {
        let symlink = vec(1..=255u8, 1..40).prop_map(|target| EntryKind::Symlink { target: target.into() });
        let file = content().prop_map(EntryKind::File);
        prop_oneof![Just(EntryKind::Directory), file, symlink, Just(EntryKind::Fifo)]
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let xattrs = btree_map(vec(1..=255u8, 1..6), vec(any::<u8>(), 0..6), 0..3).prop_map(|xattrs| {
            let xattr = |(name, value): (Vec<u8>, Vec<u8>)| Xattr { name: name.into(), value: value.into() };
            xattrs.into_iter().map(xattr).collect()
        });
        let owner = option::of((any::<u32>(), any::<u32>()).prop_map(|(uid, gid)| Owner { uid, gid }));
        (0..=0o7777u32, any::<i64>(), 0..1_000_000_000u32, owner, xattrs, kind()).prop_map(
            |(mode, secs, nanos, owner, xattrs, kind)| {
                let path = EntryPath::new(&b"-"[..]).expect("one plain byte is a path");
                Entry { path, mode, mtime: Timestamp { secs, nanos }, owner, xattrs, kind }
            },
        )
    }

    /// Entries in the order of their paths, the last of them perhaps a hard link to the first.
    pub(in crate::model::manifest) fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let component =
            vec(any::<u8>().prop_filter("a name's byte", |b| !matches!(b, 0 | b'/' | b'.')), 1..4);
        let path = vec(component, 1..4).prop_map(|components| components.join(&b'/'));
        let by_path = btree_map(path, entry(), 1..20);
        (by_path, any::<bool>()).prop_map(|(by_path, link)| {
            let named = |(path, entry): (Vec<u8>, Entry)| {
                let path = EntryPath::new(path).expect("components without `.`, `/` and NUL make a path");
                Entry { path, ..entry }
            };
            let mut entries: Vec<Entry> = by_path.into_iter().map(named).collect();
            entries.sort_by(|a, b| a.path.cmp(&b.path));
            let target = entries[0].path.clone();
            if let Some(last) = entries.last_mut().filter(|last| link && last.path != target) {
                last.kind = EntryKind::HardLink { target };
            }
            entries
        })
    }

    proptest! {
        #[test]
        fn any_entries_round_trip(entries in entries()) {
            prop_assert_eq!(decode(&encode(&entries)), Ok(entries));
        }

        #[test]
        fn every_cut_and_addition_is_an_error(entries in entries(), byte: u8) {
            let mut bytes = encode(&entries);
            for len in 0..bytes.len() {
                prop_assert!(decode(&bytes[..len]).is_err(), "cut at {}", len);
            }
            bytes.push(byte);
            prop_assert!(decode(&bytes).is_err());
        }

        /// Each page has one spelling: what decodes is what would be written.
        #[test]
        fn changed_bytes_are_an_error_or_another_page(entries in entries(), at: proptest::sample::Index, byte: u8) {
            let mut bytes = encode(&entries);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(other) = decode(&bytes) {
                prop_assert_eq!(encode(&other), bytes);
            }
        }

        #[test]
        fn noise_behind_the_magic_never_panics(noise in vec(any::<u8>(), 0..400)) {
            if let Ok(entries) = decode(&[&MAGIC[..], &noise].concat()) {
                prop_assert_eq!(encode(&entries), [&MAGIC[..], &noise].concat());
            }
        }
    }

    fn file(path: &str) -> Entry {
        let path = EntryPath::new(path.as_bytes()).expect("a test's path");
        let kind = EntryKind::Directory;
        Entry { path, mode: 0o755, mtime: Timestamp::default(), owner: None, xattrs: Box::default(), kind }
    }

    #[test]
    fn paths_out_of_order_or_twice_and_links_forward_are_refused() {
        for paths in [["b", "a"], ["a", "a"], ["a-b", "a/b"]] {
            let page = encode(&paths.map(file));
            assert!(matches!(decode(&page), Err(ManifestError::Order(_))), "{paths:?}");
        }
        for target in ["a", "b"] {
            let mut link = file("a");
            link.kind = EntryKind::HardLink { target: file(target).path };
            assert!(matches!(decode(&encode(&[link])), Err(ManifestError::HardLink(_))));
        }
    }

    #[test]
    fn flags_that_mean_nothing_yet_are_refused() {
        let bytes = encode(&[file("a")]);
        let at = MAGIC.len() + 4;
        assert_eq!(bytes[at], 0, "the flags of one folder called `a`");
        for flags in [1 << 5, 1 << 6, 1 << 7, 6, 7] {
            let mut changed = bytes.clone();
            changed[at] = flags;
            assert!(decode(&changed).is_err(), "{flags:#b}");
        }
    }

    #[test]
    fn claims_beyond_the_bytes_allocate_nothing() {
        for claim in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x80, 0x20], &[0]] {
            assert!(decode(&[&MAGIC[..], claim, &[0; 64]].concat()).is_err());
        }
    }

    #[test]
    fn an_insertion_changes_one_page() {
        let entries: Vec<Entry> = (0..20_000).map(|n| file(&format!("folder/{n:05}"))).collect();
        let mut inserted = entries.clone();
        inserted.insert(7000, file("folder/06999a"));
        let cut = |entries: &[Entry]| -> Vec<Vec<Entry>> {
            let mut cutter = Cutter::default();
            entries.split_inclusive(|entry| cutter.ends_after(entry)).map(<[Entry]>::to_vec).collect()
        };
        let pages =
            |entries: &[Entry]| -> Vec<Vec<u8>> { cut(entries).iter().map(|page| encode(page)).collect() };
        let (before, after) = (pages(&entries), pages(&inserted));
        assert!(before.len() > 8, "{} pages", before.len());
        assert!(after.iter().filter(|page| !before.contains(page)).count() <= 2);
        assert_eq!(cut(&entries).concat(), entries);
        assert!(cut(&entries).iter().all(|page| page.len() <= limits::PAGE_MAX_ENTRIES));
    }
}
