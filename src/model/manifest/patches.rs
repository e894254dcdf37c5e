//! Which pages of a root are stored as patches. Belongs to a stash beside its root: another stash of the same id may have none.

use std::collections::HashMap;

use crate::model::Digest;
use crate::model::wire::{Reader, Writer};

use super::{ManifestError, Root};

const MAGIC: &[u8; 8] = b"PNRPTCL1";
const NOUN: &str = "list of page patches";

/// Pages by digest, each with its patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patches(HashMap<Digest, Digest>);

impl Patches {
    /// Notes that `page` is stored as `patch`.
    pub fn insert(&mut self, page: Digest, patch: Digest) {
        self.0.insert(page, patch);
    }

    /// The patch of `page`; `None` if it is stored as it is.
    pub fn of(&self, page: &Digest) -> Option<Digest> {
        self.0.get(page).copied()
    }

    /// The bytes of the list for the pages of `root`, whose digest is `id`; `None` if none of them is a patch.
    pub fn encode(&self, id: &Digest, root: &Root) -> Option<Vec<u8>> {
        let patches: Vec<(usize, Digest)> = root
            .pages
            .iter()
            .enumerate()
            .filter_map(|(at, page)| Some((at, self.of(&page.chunk.digest)?)))
            .collect();
        if patches.is_empty() {
            return None;
        }
        let mut out = Writer::default();
        out.raw(MAGIC);
        out.raw(id.as_bytes());
        out.varint(patches.len() as u64);
        let mut next = 0;
        for (at, _) in &patches {
            out.varint((at - next) as u64);
            next = at + 1;
        }
        patches.iter().for_each(|(_, patch)| out.raw(patch.as_bytes()));
        Some(out.0)
    }

    /// The root that a list is of; `None` if it is no list.
    pub fn root(bytes: &[u8]) -> Option<Digest> {
        Digest::from_slice(bytes.strip_prefix(MAGIC)?.get(..Digest::LEN)?)
    }

    /// Reads a list for the pages of `root`, whose digest is `id`.
    pub fn decode(bytes: &[u8], id: &Digest, root: &Root) -> Result<Self, ManifestError> {
        let of = Self::root(bytes).ok_or(ManifestError::Magic(NOUN))?;
        if of != *id {
            return Err(ManifestError::Damaged(NOUN, "it is of another stash"));
        }
        let records = bytes.get(MAGIC.len() + Digest::LEN..).unwrap_or_default();
        decode_records(records, root).ok_or(ManifestError::Damaged(NOUN, "its records do not add up"))
    }
}

fn decode_records(records: &[u8], root: &Root) -> Option<Patches> {
    let mut input = Reader(records);
    let count = input.count(1 + Digest::LEN).filter(|count| *count > 0)?;
    let mut pages = Vec::with_capacity(count);
    let mut next = 0usize;
    for _ in 0..count {
        let at = next.checked_add(usize::try_from(input.varint()?).ok()?)?;
        pages.push(root.pages.get(at)?.chunk.digest);
        next = at + 1;
    }
    let mut patches = Patches::default();
    for page in pages {
        patches.insert(page, Digest::from_slice(input.raw(Digest::LEN)?)?);
    }
    input.is_empty().then_some(patches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::manifest::{PageRef, Totals};
    use crate::model::{ChunkRef, EntryPath};

    #[test]
    fn round_trips_and_refuses_every_cut_and_another_root() {
        let page = |at: u32| PageRef {
            chunk: ChunkRef { digest: Digest::of(&at.to_le_bytes()), len: 100 },
            entries: 10,
            first: EntryPath::new(format!("{at:03}").as_bytes()).unwrap(),
        };
        let root =
            Root { totals: Totals { entries: 400, ..Totals::default() }, pages: (0..40).map(page).collect() };
        let id = Digest::of(&root.encode());
        let mut patches = Patches::default();
        assert_eq!(patches.encode(&id, &root), None);
        for at in [0, 1, 17, 39] {
            patches.insert(root.pages[at].chunk.digest, Digest::of(&[at as u8]));
        }
        let bytes = patches.encode(&id, &root).unwrap();
        assert_eq!(Patches::root(&bytes), Some(id));
        assert_eq!(Patches::decode(&bytes, &id, &root), Ok(patches));
        assert!(Patches::decode(&bytes, &Digest::of(b"other"), &root).is_err());
        assert!(
            Patches::decode(&bytes, &id, &Root { pages: root.pages[..39].to_vec(), ..root.clone() }).is_err()
        );
        for len in 0..bytes.len() {
            assert!(Patches::decode(&bytes[..len], &id, &root).is_err(), "cut at {len}");
        }
    }
}
