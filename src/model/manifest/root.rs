//! The root of a manifest: totals and the list of pages. Its digest is the stash's id.

use crate::model::entry::{ChunkRef, Entry, EntryKind};
use crate::model::entry_path::EntryPath;
use crate::model::wire::{Reader, Writer};
use crate::model::{Digest, limits::PAGE_MAX_ENTRIES};

use super::ManifestError;
use super::chunk_list::chunk_len;
use super::page::{read_path, write_path};

const MAGIC: &[u8; 8] = b"PNRROOT1";
const NOUN: &str = "manifest root";
/// Canonical tar, version 1 (`docs/format.md`).
pub const TAR_FORMAT: u64 = 1;
/// FastCDC 2020, normalization 2, 16/64/256 KiB, files of at most 64 KiB whole (`docs/format.md`).
pub const CHUNKER_ID: u64 = 1;

/// The root of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Root {
    /// Sums over all pages.
    pub totals: Totals,
    /// The pages, in the order of their paths.
    pub pages: Vec<PageRef>,
}

/// A page by name, with what it takes to choose it without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRef {
    /// The page as a chunk.
    pub chunk: ChunkRef,
    /// How many entries it holds; at least 1.
    pub entries: u32,
    /// The path of its first entry.
    pub first: EntryPath,
}

/// What a stash holds, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Entries of every kind.
    pub entries: u64,
    /// Regular files, hard links not counted again.
    pub files: u64,
    /// Folders.
    pub directories: u64,
    /// Symlinks.
    pub symlinks: u64,
    /// Further names of files that were counted already.
    pub hard_links: u64,
    /// Bytes of the regular files, holes included.
    pub bytes: u64,
}

impl Totals {
    /// Counts one more entry.
    pub fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        match &entry.kind {
            EntryKind::File(content) => {
                self.files += 1;
                self.bytes += content.size;
            }
            EntryKind::Directory => self.directories += 1,
            EntryKind::Symlink { .. } => self.symlinks += 1,
            EntryKind::HardLink { .. } => self.hard_links += 1,
            EntryKind::Fifo => {}
        }
    }
}

impl Root {
    /// The bytes of the root.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.raw(MAGIC);
        out.varint(TAR_FORMAT);
        out.varint(CHUNKER_ID);
        let Totals { entries, files, directories, symlinks, hard_links, bytes } = self.totals;
        [entries, files, directories, symlinks, hard_links, bytes].into_iter().for_each(|n| out.varint(n));
        out.varint(self.pages.len() as u64);
        let mut previous: &[u8] = b"";
        for page in &self.pages {
            out.raw(page.chunk.digest.as_bytes());
            out.varint(page.chunk.len.into());
            out.varint(page.entries.into());
            write_path(&mut out, previous, page.first.as_bytes());
            previous = page.first.as_bytes();
        }
        out.0
    }

    /// Reads a root.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let records = bytes.strip_prefix(MAGIC).ok_or(ManifestError::Magic(NOUN))?;
        let mut input = Reader(records);
        let versions = input.varint().zip(input.varint());
        match versions.ok_or(ManifestError::Damaged(NOUN, "its versions cannot be read"))? {
            (TAR_FORMAT, CHUNKER_ID) => {}
            _ => return Err(ManifestError::Magic(NOUN)),
        }
        let root = decode_records(input).ok_or(ManifestError::Damaged(NOUN, "its records do not add up"))?;
        match root.pages.windows(2).find(|pair| pair[0].first >= pair[1].first) {
            Some(pair) => Err(ManifestError::Order(pair[1].first.clone())),
            None => Ok(root),
        }
    }

    /// The pages that can hold `path` or anything beneath it, as indices into [`Root::pages`].
    pub fn pages_within(&self, path: &EntryPath) -> std::ops::Range<usize> {
        let start = self.pages.partition_point(|page| page.first <= *path).saturating_sub(1);
        let end = self.pages.partition_point(|page| page.first <= *path || page.first.is_within(path));
        start..end
    }
}

fn decode_records(mut input: Reader<'_>) -> Option<Root> {
    let mut number = || input.varint();
    let totals = Totals {
        entries: number()?,
        files: number()?,
        directories: number()?,
        symlinks: number()?,
        hard_links: number()?,
        bytes: number()?,
    };
    let count = input.count(Digest::LEN + 4)?;
    let mut pages = Vec::with_capacity(count);
    let mut previous: Vec<u8> = Vec::new();
    for _ in 0..count {
        let digest = Digest::from_slice(input.raw(Digest::LEN)?)?;
        let chunk = ChunkRef { digest, len: chunk_len(&mut input)? };
        let entries = input.varint().filter(|n| (1..=PAGE_MAX_ENTRIES as u64).contains(n))? as u32;
        previous = read_path(&mut input, &previous)?;
        pages.push(PageRef { chunk, entries, first: EntryPath::new(previous.clone()).ok()? });
    }
    let entries: u64 = pages.iter().map(|page| u64::from(page.entries)).sum();
    (input.is_empty() && entries == totals.entries).then_some(Root { totals, pages })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Root {
        let page = |first: &str, entries| PageRef {
            chunk: ChunkRef { digest: Digest::of(first.as_bytes()), len: 100 },
            entries,
            first: EntryPath::new(first.as_bytes()).unwrap(),
        };
        let totals = Totals { entries: 60, files: 50, directories: 10, bytes: 1 << 40, ..Totals::default() };
        Root { totals, pages: vec![page("a", 10), page("a/b/c", 20), page("a-b", 30)] }
    }

    #[test]
    fn round_trips_and_refuses_every_cut() {
        let bytes = root().encode();
        assert_eq!(Root::decode(&bytes), Ok(root()));
        assert_eq!(Root::decode(&Root::default().encode()), Ok(Root::default()));
        for len in 0..bytes.len() {
            assert!(Root::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn pages_are_chosen_by_path() {
        let within = |path: &str| root().pages_within(&EntryPath::new(path.as_bytes()).unwrap());
        assert_eq!(within("a"), 0..2);
        assert_eq!(within("a/b"), 0..2);
        assert_eq!(within("a/c"), 1..2);
        assert_eq!(within("z"), 2..3);
    }

    /// Found by fuzzing: a version that could not be read was passed over, and the root had two spellings.
    #[test]
    fn versions_that_are_no_shortest_varint_are_refused() {
        let bytes = Root::default().encode();
        let (magic, records) = bytes.split_at(MAGIC.len());
        let spelled = |versions: &[u8]| Root::decode(&[magic, versions, &records[2..]].concat());
        assert_eq!(spelled(&[1, 1]), Ok(Root::default()));
        for versions in [&[1, 0xff, 0xff, 0xff, 0][..], &[0x81, 0, 1], &[1, 0x81, 0]] {
            assert!(matches!(spelled(versions), Err(ManifestError::Damaged(..))), "{versions:?}");
        }
    }

    #[test]
    fn pages_out_of_order_are_refused() {
        let mut bad = root();
        bad.pages.swap(0, 1);
        assert!(matches!(Root::decode(&bad.encode()), Err(ManifestError::Order(_))));
    }
}
