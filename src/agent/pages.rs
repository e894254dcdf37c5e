//! The pages of an open stash, as they are or out of a patch and its base; each verified.

use std::collections::HashMap;
use std::ops::Range;

use crate::model::manifest::{ManifestError, PageRef, Patches, Root, page, patch};
use crate::model::{ChunkRef, Digest, Entry};

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
                in_order.read(&chunks, &MANIFEST, |bytes| each(self.entries_of(bytes)?))?;
                continue;
            }
            for group in group.chunks(PATCHED_AT_ONCE) {
                let patched = group.iter().filter_map(|page| Some((page.chunk.digest, patch_of(page)?)));
                for bytes in self.patched(&patched.collect::<Vec<_>>())? {
                    each(self.entries_of(&bytes)?)?;
                }
            }
        }
        Ok(())
    }

    /// The bytes of pages, each with its patch.
    fn patched(&self, pages: &[(Digest, Digest)]) -> Result<Vec<Vec<u8>>, AgentError> {
        let broken = |source: ManifestError| self.manifest_error(source);
        let patches = self.read_whole(&pages.iter().map(|(_, patch)| *patch).collect::<Vec<_>>())?;
        let patch_of = |patch: &Digest| patches.get(patch).map_or(&[][..], |bytes| bytes);
        let bases: Vec<Digest> = pages
            .iter()
            .map(|(_, patch)| patch::base(patch_of(patch)).map_err(broken))
            .collect::<Result<_, _>>()?;
        let base_bytes = self.read_whole(&bases)?;
        let base_of = |base: &Digest| base_bytes.get(base).map_or(&[][..], |bytes| bytes);
        let apply = |((page, patch), base): (&(Digest, Digest), &Digest)| {
            patch::apply(page, patch_of(patch), base_of(base)).map_err(broken)
        };
        pages.iter().zip(&bases).map(apply).collect()
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
