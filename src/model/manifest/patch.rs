//! A page told as what it has changed of another one: a stash of a nearly unchanged workspace need not bring a thousand
//! digests for each file that changed. Never a patch of a patch: the base is a page.

use std::cmp::Ordering;

use crate::model::entry::{ChunkRef, Entry, EntryKind, Timestamp};
use crate::model::wire::{Reader, Writer};
use crate::model::{Digest, limits};

use super::{ManifestError, page};

const MAGIC: &[u8; 8] = b"PNRPTCH1";
const NOUN: &str = "page patch";
/// The two lowest bits of a run say what becomes of so many entries.
const OP_BITS: u32 = 2;

/// What becomes of entries, in the order of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    /// The base's next entries stay as they are.
    Keep,
    /// The base's next entries are files with another time, size and only chunk.
    Change,
    /// The base's next entries are not there any more.
    Drop,
    /// The next of the added entries.
    Add,
}

const OPS: [Op; 4] = [Op::Keep, Op::Change, Op::Drop, Op::Add];

/// The patch that makes a page of the entries `new` from the page `digest`, whose entries are `base`; both in the order of paths.
pub fn encode(digest: &Digest, base: &[Entry], new: &[Entry]) -> Vec<u8> {
    let (mut runs, mut changed, mut added) = (Vec::new(), Vec::new(), Vec::new());
    let (mut left, mut right) = (base.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some(old), Some(new)) => old.path.cmp(&new.path),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let old = left.next_if(|_| order.is_le());
        let new = right.next_if(|_| order.is_ge());
        match (old, new) {
            (Some(old), Some(new)) if old == new => run(&mut runs, Op::Keep),
            (Some(old), Some(new)) if is_change(old, new) => {
                run(&mut runs, Op::Change);
                changed.push((old, new));
            }
            (old, new) => {
                if old.is_some() {
                    run(&mut runs, Op::Drop);
                }
                if let Some(entry) = new {
                    run(&mut runs, Op::Add);
                    added.push(entry.clone());
                }
            }
        }
    }
    let mut out = Writer::default();
    out.raw(MAGIC);
    out.raw(digest.as_bytes());
    out.varint(runs.len() as u64);
    for (op, count) in runs {
        out.varint(count << OP_BITS | op as u64);
    }
    let mut before = Timestamp::default();
    for (_, new) in &changed {
        out.zigzag(new.mtime.secs.wrapping_sub(before.secs));
        out.zigzag(i64::from(new.mtime.nanos) - i64::from(before.nanos));
        before = new.mtime;
    }
    for (old, new) in &changed {
        out.zigzag(size(new).wrapping_sub(size(old)) as i64);
    }
    let chunks = changed.iter().filter_map(|(_, new)| new.content()?.chunks.first());
    chunks.for_each(|chunk| out.raw(chunk.digest.as_bytes()));
    if !added.is_empty() {
        out.raw(&page::encode(&added));
    }
    out.0
}

/// The page that a patch is to be applied to.
pub fn base(patch: &[u8]) -> Result<Digest, ManifestError> {
    let mut input = Reader(patch.strip_prefix(MAGIC).ok_or(ManifestError::Magic(NOUN))?);
    let digest = input.raw(Digest::LEN).and_then(Digest::from_slice);
    digest.ok_or(ManifestError::Damaged(NOUN, "it ends early"))
}

/// The bytes of the page `digest`, made of `patch` and the bytes of its base.
pub fn apply(digest: &Digest, patch: &[u8], base: &[u8]) -> Result<Vec<u8>, ManifestError> {
    let damaged = |what| ManifestError::Damaged(NOUN, what);
    let records = patch.get(MAGIC.len() + Digest::LEN..).ok_or(damaged("it ends early"))?;
    let entries = patched(records, &page::decode(base)?)?.ok_or(damaged("its records do not add up"))?;
    let bytes = page::encode(&entries);
    match Digest::of(&bytes) == *digest {
        true => Ok(bytes),
        false => Err(damaged("it makes another page")),
    }
}

fn patched(records: &[u8], base: &[Entry]) -> Result<Option<Vec<Entry>>, ManifestError> {
    let mut input = Reader(records);
    let Some((runs, changes)) = read_changes(&mut input, base) else { return Ok(None) };
    let added = if input.is_empty() { Vec::new() } else { page::decode(input.0)? };
    let (mut base, mut changes, mut added) = (base.iter(), changes.into_iter(), added.into_iter());
    let mut entries = Vec::new();
    for (op, count) in runs {
        for _ in 0..count {
            let entry = match op {
                Op::Keep => base.next().cloned(),
                Op::Change => base.next().and_then(|_| changes.next()),
                Op::Add => added.next(),
                Op::Drop => match base.next() {
                    Some(_) => continue,
                    None => None,
                },
            };
            let Some(entry) = entry.filter(|_| entries.len() < limits::PAGE_MAX_ENTRIES) else {
                return Ok(None);
            };
            entries.push(entry);
        }
    }
    let is_whole = base.next().is_none() && added.next().is_none() && !entries.is_empty();
    Ok(is_whole.then_some(entries))
}

type Runs = Vec<(Op, usize)>;

/// What becomes of which entries, and those that are changed, as they are then.
fn read_changes(input: &mut Reader<'_>, base: &[Entry]) -> Option<(Runs, Vec<Entry>)> {
    let count = input.count(1)?;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        let run = input.varint()?;
        let op = OPS[(run & ((1 << OP_BITS) - 1)) as usize];
        let entries = usize::try_from(run >> OP_BITS).ok()?;
        runs.push((op, Some(entries).filter(|entries| (1..=limits::PAGE_MAX_ENTRIES).contains(entries))?));
    }
    let mut changed = Vec::new();
    let mut at = 0;
    for (op, entries) in runs.iter().filter(|(op, _)| *op != Op::Add) {
        let these = base.get(at..at + entries)?;
        at += entries;
        if *op == Op::Change {
            changed.extend_from_slice(these);
        }
    }
    let mut before = Timestamp::default();
    for entry in &mut changed {
        let secs = before.secs.wrapping_add(input.zigzag()?);
        let nanos = i64::from(before.nanos).checked_add(input.zigzag()?)?;
        let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
        entry.mtime = Timestamp { secs, nanos };
        before = entry.mtime;
    }
    let mut sizes = Vec::with_capacity(changed.len());
    for entry in &changed {
        let size = size(entry).wrapping_add(input.zigzag()? as u64);
        sizes.push(
            u32::try_from(size).ok().filter(|size| (1..=limits::MAX_FRAME_BYTES as u32).contains(size))?,
        );
    }
    for (entry, len) in changed.iter_mut().zip(sizes) {
        let digest = Digest::from_slice(input.raw(Digest::LEN)?)?;
        let EntryKind::File(content) = &mut entry.kind else { return None };
        (content.size, content.listed) = (len.into(), false);
        content.chunks = Box::new([ChunkRef { digest, len }]);
    }
    Some((runs, changed))
}

/// Adds an entry to the last run, or begins one.
fn run(runs: &mut Vec<(Op, u64)>, op: Op) {
    match runs.last_mut().filter(|(last, _)| *last == op) {
        Some((_, count)) => *count += 1,
        None => runs.push((op, 1)),
    }
}

/// Whether all that differs is the time of a file, and its content, which is one chunk.
fn is_change(old: &Entry, new: &Entry) -> bool {
    let is_one = |content: &crate::model::Content| !content.listed && content.chunks.len() == 1;
    let same = (old.mode, old.owner, &old.xattrs) == (new.mode, new.owner, &new.xattrs);
    same && old.content().is_some() && new.content().is_some_and(is_one)
}

fn size(entry: &Entry) -> u64 {
    entry.content().map_or(0, |content| content.size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use proptest::sample::select;

    use super::*;
    use crate::model::manifest::page::tests::entries;
    use crate::model::{Content, EntryPath};

    fn file(path: &str, seed: u8, secs: i64) -> Entry {
        let chunk = ChunkRef { digest: Digest::of(&[seed]), len: u32::from(seed) + 1 };
        let content = Content { size: chunk.len.into(), listed: false, chunks: Box::new([chunk]) };
        Entry {
            path: EntryPath::new(path.as_bytes()).unwrap(),
            mode: 0o644,
            mtime: Timestamp { secs, nanos: u32::from(seed) * 1000 },
            owner: None,
            xattrs: Box::default(),
            kind: EntryKind::File(content),
        }
    }

    fn folder(count: usize) -> Vec<Entry> {
        (0..count).map(|at| file(&format!("{at:05}"), (at % 251) as u8, 1_000_000)).collect()
    }

    /// The patch, after it was applied.
    fn round_trip(base: &[Entry], new: &[Entry]) -> Vec<u8> {
        let (base_bytes, new_bytes) = (page::encode(base), page::encode(new));
        let digest = Digest::of(&base_bytes);
        let patch = encode(&digest, base, new);
        assert_eq!(super::base(&patch), Ok(digest));
        assert_eq!(apply(&Digest::of(&new_bytes), &patch, &base_bytes), Ok(new_bytes));
        patch
    }

    proptest! {
        /// Any page can be told as a patch of any other.
        #[test]
        fn any_two_pages_make_a_patch(base in entries(), new in entries(), shared in any::<u32>()) {
            round_trip(&base, &new);
            round_trip(&base, &base);
            // Some entries of each, which share most of them.
            let both: std::collections::BTreeMap<_, _> =
                base.iter().chain(&new).map(|entry| (entry.path.clone(), entry.clone())).collect();
            let pick = |bits: u32| -> Vec<Entry> {
                let is_in = |(at, _): &(usize, &Entry)| bits >> (at % 32) & 1 == 0;
                both.values().enumerate().filter(is_in).map(|(_, entry)| entry.clone())
                    .filter(|entry| !matches!(entry.kind, EntryKind::HardLink { .. })).collect()
            };
            let (some, others) = (pick(shared), pick(shared.rotate_left(7)));
            if !some.is_empty() && !others.is_empty() {
                round_trip(&some, &others);
            }
        }

        /// Damage is an error and never another page.
        #[test]
        fn every_cut_and_flip_is_an_error(base in entries(), new in entries(), at in any::<usize>(), bit in select(vec![1u8, 128])) {
            let (base_bytes, new_bytes) = (page::encode(&base), page::encode(&new));
            let patch = encode(&Digest::of(&base_bytes), &base, &new);
            let digest = Digest::of(&new_bytes);
            prop_assert!(apply(&digest, &patch[..at % patch.len()], &base_bytes).is_err());
            let mut flipped = patch.clone();
            flipped[MAGIC.len() + Digest::LEN + at % (patch.len() - MAGIC.len() - Digest::LEN)] ^= bit;
            if let Ok(bytes) = apply(&digest, &flipped, &base_bytes) {
                prop_assert_eq!(bytes, new_bytes);
            }
        }
    }

    /// What a changed file costs is what the benchmark's aim leaves: 43 bytes are its digest, its time, its size and its place.
    #[test]
    fn a_changed_file_costs_little_more_than_its_digest() {
        let base = folder(1000);
        let mut new = base.clone();
        for at in (0..1000).step_by(100) {
            let changed = file(&format!("{at:05}"), (at / 7 % 200) as u8 + 30, 1_700_000_000);
            new[at] = changed;
        }
        let patch = round_trip(&base, &new);
        assert!(patch.len() < 10 * 43 + 8 + 32 + 10, "{}", patch.len());
    }

    #[test]
    fn another_base_or_another_page_is_refused() {
        let (base, new) = (folder(10), folder(12));
        let (base_bytes, new_bytes) = (page::encode(&base), page::encode(&new));
        let patch = encode(&Digest::of(&base_bytes), &base, &new);
        let other = page::encode(&folder(11));
        assert!(apply(&Digest::of(&new_bytes), &patch, &other).is_err());
        assert!(apply(&Digest::of(&base_bytes), &patch, &base_bytes).is_err());
        assert!(matches!(super::base(&base_bytes), Err(ManifestError::Magic(_))));
    }
}
