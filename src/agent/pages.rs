//! The pages of an open stash, as they are or out of a patch and its base; each verified.

use std::collections::HashMap;
use std::ops::Range;

use crate::model::manifest::{ManifestError, PageRef, Patches, Root, page, patch};
use crate::model::{ChunkRef, Digest, Entry};

use super::bases::Bases;
use super::error::AgentError;
use super::in_order::InOrder;
use super::open_stash::{MANIFEST, OpenStash};

/// Patched pages that are put together at once, with their bases: some MiB.
const PATCHED_AT_ONCE: usize = 32;

impl OpenStash<'_> {
    /// Which pages of the root are stored as patches.
    pub(super) fn patches(&self, root: &Root) -> Result<Patches, AgentError> {
        let Some(list) = self.info.patches else { return Ok(Patches::default()) };
        let bytes = self.read_whole(&[list])?.remove(&list).unwrap_or_default();
        Patches::decode(&bytes, &self.info.id, root).map_err(|source| self.manifest_error(source))
    }

    /// The entries of some pages, a page at a time and in order.
    pub fn pages(
        &self,
        root: &Root,
        pages: Range<usize>,
        each: impl FnMut(Vec<Entry>) -> Result<(), AgentError>,
    ) -> Result<(), AgentError> {
        self.pages_with_bases(root, pages, &mut Bases::default(), each)
    }

    /// The same, keeping what the store has as it is of each page: itself, or the base of its patch.
    pub(super) fn pages_with_bases(
        &self,
        root: &Root,
        pages: Range<usize>,
        bases: &mut Bases,
        mut each: impl FnMut(Vec<Entry>) -> Result<(), AgentError>,
    ) -> Result<(), AgentError> {
        let patches = self.patches(root)?;
        // One that stands there as it is needs no patch, which may be lost.
        let patch_of = |page: &PageRef| {
            let patch = patches.of(&page.chunk.digest);
            patch.filter(|_| self.place(&page.chunk.digest, &MANIFEST).is_err())
        };
        let mut in_order = InOrder::new(self);
        for group in root.pages[pages].chunk_by(|a, b| patch_of(a).is_some() == patch_of(b).is_some()) {
            if group.iter().all(|page| patch_of(page).is_none()) {
                let chunks: Vec<ChunkRef> = group.iter().map(|page| page.chunk).collect();
                let mut next = group.iter();
                in_order.read(&chunks, &MANIFEST, |bytes| {
                    let page = next.next();
                    page.into_iter().for_each(|page| bases.add(&page.first, page.chunk.digest, bytes));
                    each(self.entries_of(bytes)?)
                })?;
                continue;
            }
            for group in group.chunks(PATCHED_AT_ONCE) {
                let patched = group.iter().filter_map(|page| Some((page, patch_of(page)?)));
                self.patched(&patched.collect::<Vec<_>>(), bases, &mut each)?;
            }
        }
        Ok(())
    }

    /// The entries of pages, each with its patch.
    fn patched(
        &self,
        pages: &[(&PageRef, Digest)],
        bases: &mut Bases,
        each: &mut impl FnMut(Vec<Entry>) -> Result<(), AgentError>,
    ) -> Result<(), AgentError> {
        let broken = |source: ManifestError| self.manifest_error(source);
        let patches = self.read_whole(&pages.iter().map(|(_, patch)| *patch).collect::<Vec<_>>())?;
        let patch_of = |patch: &Digest| patches.get(patch).map_or(&[][..], |bytes| bytes);
        let base_of = |(_, patch): &(&PageRef, Digest)| patch::base(patch_of(patch)).map_err(broken);
        let names: Vec<Digest> = pages.iter().map(base_of).collect::<Result<_, _>>()?;
        let read = self.read_whole(&names)?;
        for ((page, patch), name) in pages.iter().zip(&names) {
            let base = read.get(name).map_or(&[][..], |bytes| bytes);
            let bytes = patch::apply(&page.chunk.digest, patch_of(patch), base).map_err(broken)?;
            bases.add(&page.first, *name, base);
            each(self.entries_of(&bytes)?)?;
        }
        Ok(())
    }

    /// Whole chunks by digest, whose lengths their packs know.
    fn read_whole(&self, digests: &[Digest]) -> Result<HashMap<Digest, Vec<u8>>, AgentError> {
        let chunks = digests.iter().map(|digest| self.chunk_ref(digest, &MANIFEST));
        let chunks: Vec<ChunkRef> = chunks.collect::<Result<_, _>>()?;
        let mut read = HashMap::with_capacity(chunks.len());
        let mut next = digests.iter();
        InOrder::new(self).read(&chunks, &MANIFEST, |bytes| {
            read.extend(next.next().map(|digest| (*digest, bytes.to_vec())));
            Ok(())
        })?;
        Ok(read)
    }

    fn entries_of(&self, bytes: &[u8]) -> Result<Vec<Entry>, AgentError> {
        page::decode(bytes).map_err(|source| self.manifest_error(source))
    }
}
