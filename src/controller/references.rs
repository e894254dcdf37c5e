//! Follows a root to every pack that it needs, reading only pages and chunk lists that no earlier commit has followed.
//! Changes nothing.

use std::collections::{BTreeSet, HashMap};

use rayon::prelude::*;

use crate::controller::error::ControllerError;
use crate::controller::ledger::{Access, PackId, PackRow, PackState};
use crate::controller::open::Controller;
use crate::controller::pack_source::{ChunkSource, read_tail};
use crate::model::manifest::{Patches, Root, chunk_list, page, patch};
use crate::model::{Digest, Entry};
use crate::protocol::SessionId;

/// Pages that are followed together, …
const PAGES_AT_ONCE: usize = 64;
/// … those that are held to be decoded side by side: some MB, …
const PAGES_IN_MEMORY: usize = 16;
/// … and chunks of large files that are looked up together: 10 MB of digests.
const CHUNKS_AT_ONCE: usize = 1 << 18;

/// Chunks that one thread looks up: with fewer it costs more to have others help.
const CHUNKS_A_THREAD: usize = 1 << 12;

/// A page, and the patch that it is stored as, if it is.
#[derive(Clone, Copy)]
struct StoredPage {
    page: Digest,
    patch: Option<Digest>,
}

impl StoredPage {
    /// By what it is known that it was followed: its digest, and that of its patch, which makes no other page.
    fn key(&self) -> Digest {
        match self.patch {
            Some(patch) => Digest::of(&[*self.page.as_bytes(), *patch.as_bytes()].concat()),
            None => self.page,
        }
    }
}

/// A page as it was read: its bytes, or a patch and those of its base.
struct ReadPage {
    page: Digest,
    patch: Option<(Digest, Vec<u8>)>,
    bytes: Vec<u8>,
    /// Its number among the parts.
    part: usize,
}

impl ReadPage {
    /// The chunks of its files, and the lists of those that are large; each with the page's number.
    fn contents(&self) -> Result<[Vec<(Digest, usize)>; 2], ControllerError> {
        let patched = self.patch.as_ref().map(|(digest, patch)| {
            patch::apply(&self.page, patch, &self.bytes)
                .map_err(|source| ControllerError::Manifest { digest: *digest, source })
        });
        let patched = patched.transpose()?;
        let entries = page::decode(patched.as_ref().unwrap_or(&self.bytes))
            .map_err(|source| ControllerError::Manifest { digest: self.page, source })?;
        let (mut chunks, mut lists) = (Vec::new(), Vec::new());
        for content in entries.iter().filter_map(Entry::content) {
            let digests = content.runs().map(|chunk| (chunk.digest, self.part));
            if content.listed { lists.extend(digests) } else { chunks.extend(digests) }
        }
        Ok([chunks, lists])
    }
}

/// What some pages need, and the lists in them.
#[derive(Default)]
struct Needs {
    /// Chunks whose packs are not known yet, each with the part that needs it.
    chunks: Vec<(Digest, usize)>,
    /// Pages and lists that are followed now, and the packs that each needs.
    parts: Vec<(Digest, BTreeSet<PackId>)>,
    /// Lists, each with the page that has it.
    lists: Vec<(Digest, usize)>,
}

/// Where everything that a root refers to stands.
pub(super) struct References {
    pub(super) root: Root,
    /// Pages (those that are stored as patches by [`StoredPage::key`]) and lists that were followed now, with all the packs that they need,
    /// their own among them.
    pub(super) pages: Vec<(Digest, Vec<PackId>)>,
    pub(super) packs: Vec<PackId>,
    pub(super) manifest_packs: Vec<PackId>,
}

/// Follows references for one commit.
pub(super) struct Follower<'a> {
    controller: &'a Controller,
    access: &'a Access,
    session: SessionId,
    /// Chunks of the session's own packs, sorted.
    own: &'a [(Digest, PackId)],
    rows: HashMap<PackId, PackRow>,
    source: ChunkSource<'a>,
    manifest_packs: BTreeSet<PackId>,
}

impl<'a> Follower<'a> {
    pub(super) fn new(
        controller: &'a Controller,
        access: &'a Access,
        session: SessionId,
        own: &'a [(Digest, PackId)],
        new_packs: impl Iterator<Item = PackRow>,
        source: ChunkSource<'a>,
    ) -> Self {
        let rows = new_packs.map(|row| (row.id, row)).collect();
        Self { controller, access, session, own, rows, source, manifest_packs: BTreeSet::new() }
    }

    /// Follows the root `id`, of which `patches` names the pages that are stored as patches.
    pub(super) fn follow(
        mut self,
        id: Digest,
        patches: Option<Digest>,
    ) -> Result<References, ControllerError> {
        let (root_pack, bytes) = self.manifest_part(id)?;
        let root = Root::decode(&bytes).map_err(|source| ControllerError::Manifest { digest: id, source })?;
        let mut packs = BTreeSet::from([root_pack]);
        let stored = self.stored_pages(&root, (id, patches), &mut packs)?;
        let digests: Vec<Digest> = stored.iter().map(StoredPage::key).collect();
        let known = self.controller.ledger.page_packs(self.access, &digests)?;
        let mut unknown = Vec::new();
        for (page, known) in stored.into_iter().zip(known) {
            match known {
                Some(known) => packs.extend(known),
                None => unknown.push(page),
            }
        }
        let mut pages = Vec::with_capacity(unknown.len());
        for group in unknown.chunks(PAGES_AT_ONCE) {
            pages.extend(self.pages(group)?);
        }
        pages.iter().for_each(|(_, needed)| packs.extend(needed));
        let manifest_packs = self.manifest_packs.into_iter().collect();
        Ok(References { root, pages, packs: packs.into_iter().collect(), manifest_packs })
    }

    /// How each page of `root` is stored. One that stands somewhere as it is needs no patch: the patch, or its base, may be lost.
    fn stored_pages(
        &mut self,
        root: &Root,
        (id, patches): (Digest, Option<Digest>),
        packs: &mut BTreeSet<PackId>,
    ) -> Result<Vec<StoredPage>, ControllerError> {
        let pages: Vec<Digest> = root.pages.iter().map(|page| page.chunk.digest).collect();
        let mut by_page = Patches::default();
        if let Some(digest) = patches {
            let (pack, bytes) = self.manifest_part(digest)?;
            packs.insert(pack);
            let broken = |source| ControllerError::Manifest { digest, source };
            by_page = Patches::decode(&bytes, &id, root).map_err(broken)?;
        }
        let patched: Vec<Digest> = pages.iter().copied().filter(|page| by_page.of(page).is_some()).collect();
        let whole = self.indexed(&patched)?;
        let is_whole: BTreeSet<Digest> =
            patched.into_iter().zip(whole).filter(|(_, pack)| pack.is_some()).map(|(page, _)| page).collect();
        let patch_of = |page: &Digest| by_page.of(page).filter(|_| !is_whole.contains(page));
        Ok(pages.into_iter().map(|page| StoredPage { page, patch: patch_of(&page) }).collect())
    }

    /// Each page, and each list that was not known, with the packs that it and its files need.
    fn pages(&mut self, pages: &[StoredPage]) -> Result<Vec<(Digest, Vec<PackId>)>, ControllerError> {
        let mut needs = Needs::default();
        for pages in pages.chunks(PAGES_IN_MEMORY) {
            let read = pages.iter().map(|page| self.page(page, &mut needs)).collect::<Result<Vec<_>, _>>()?;
            let contents: Vec<_> = read.par_iter().map(ReadPage::contents).collect::<Result<_, _>>()?;
            for [chunks, lists] in contents {
                needs.chunks.extend(chunks);
                needs.lists.extend(lists);
            }
        }
        self.lists(&mut needs)?;
        let parts = needs.parts.into_iter();
        Ok(parts.map(|(digest, packs)| (digest, packs.into_iter().collect())).collect())
    }

    /// Gives every page what its lists need. A large file that did not change stands in a page that did with the list that an earlier
    /// commit followed.
    fn lists(&mut self, needs: &mut Needs) -> Result<(), ControllerError> {
        let lists = std::mem::take(&mut needs.lists);
        let mut digests: Vec<Digest> = lists.iter().map(|(list, _)| *list).collect();
        digests.sort_unstable();
        digests.dedup();
        let known = self.controller.ledger.page_packs(self.access, &digests)?;
        let mut followed = HashMap::new();
        for (&digest, _) in digests.iter().zip(&known).filter(|(_, known)| known.is_none()) {
            let (part, bytes) = self.part(digest, needs)?;
            let list =
                chunk_list::decode(&bytes).map_err(|source| ControllerError::Manifest { digest, source })?;
            needs.chunks.extend(list.iter().map(|chunk| (chunk.digest, part)));
            followed.insert(digest, part);
            if needs.chunks.len() >= CHUNKS_AT_ONCE {
                self.settle(needs)?;
            }
        }
        self.settle(needs)?;
        for (digest, page) in lists {
            let packs = match (followed.get(&digest), digests.binary_search(&digest)) {
                (Some(&part), _) => needs.parts[part].1.clone(),
                (None, Ok(at)) => known[at].iter().flatten().copied().collect(),
                (None, Err(_)) => BTreeSet::new(),
            };
            needs.parts[page].1.extend(packs);
        }
        Ok(())
    }

    /// Reads a page to follow, which becomes one of the parts.
    fn page(&mut self, stored: &StoredPage, needs: &mut Needs) -> Result<ReadPage, ControllerError> {
        let page = stored.page;
        let Some(digest) = stored.patch else {
            let (part, bytes) = self.part(page, needs)?;
            return Ok(ReadPage { page, patch: None, bytes, part });
        };
        let (pack, patch) = self.manifest_part(digest)?;
        let broken = |source| ControllerError::Manifest { digest, source };
        let (base_pack, bytes) = self.manifest_part(patch::base(&patch).map_err(broken)?)?;
        needs.parts.push((stored.key(), BTreeSet::from([pack, base_pack])));
        Ok(ReadPage { page, patch: Some((digest, patch)), bytes, part: needs.parts.len() - 1 })
    }

    /// A page or list to follow, and its number among the parts.
    fn part(&mut self, digest: Digest, needs: &mut Needs) -> Result<(usize, Vec<u8>), ControllerError> {
        let (pack, bytes) = self.manifest_part(digest)?;
        needs.parts.push((digest, BTreeSet::from([pack])));
        Ok((needs.parts.len() - 1, bytes))
    }

    /// Finds the packs of the chunks that are needed. In the order of digests, which is that of the index: the same
    /// look-ups in the order of paths read every part of a large index again and again.
    fn settle(&self, needs: &mut Needs) -> Result<(), ControllerError> {
        needs.chunks.par_sort_unstable();
        needs.chunks.dedup();
        let mut digests: Vec<Digest> = needs.chunks.iter().map(|(digest, _)| *digest).collect();
        digests.dedup();
        let found = self.locate(&digests)?;
        let mut found = digests.into_iter().zip(found).peekable();
        for (digest, part) in needs.chunks.drain(..) {
            while found.next_if(|(at, _)| *at < digest).is_some() {}
            if let Some((_, pack)) = found.peek() {
                needs.parts[part].1.insert(*pack);
            }
        }
        Ok(())
    }

    fn manifest_part(&mut self, digest: Digest) -> Result<(PackId, Vec<u8>), ControllerError> {
        let id = self.locate(&[digest])?.pop().ok_or(ControllerError::MissingChunk(digest))?;
        self.manifest_packs.insert(id);
        let row = match self.rows.get(&id) {
            Some(row) => row.clone(),
            None => {
                let row = self.controller.ledger.pack_by_id(id)?;
                let row = row.ok_or(ControllerError::MissingChunk(digest))?;
                self.rows.insert(id, row.clone());
                row
            }
        };
        match self.source.read(row.name, row.len, digest) {
            Ok(bytes) => Ok((id, bytes)),
            // What another stash brought, a patch's base for one, counts as missing from then on: the next run sends it.
            Err(error) if row.state != PackState::Pending => {
                match self.controller.set_aside_if_damaged(&row) {
                    Ok(Some(_)) => Err(ControllerError::MissingChunk(digest)),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The packs that hold `digests`, in order: the session's own first, then the index, then the footers of what is
    /// pinned (the index names one pack a chunk, and that one may be gone where the parent's is not).
    fn locate(&self, digests: &[Digest]) -> Result<Vec<PackId>, ControllerError> {
        let mut found = self.indexed(digests)?;
        if found.iter().any(Option::is_none) {
            let pinned = self.search_pinned(digests, &found)?;
            for (digest, pack) in digests.iter().zip(&mut found).filter(|(_, pack)| pack.is_none()) {
                *pack = pinned.get(digest).copied();
            }
        }
        let or_missing =
            |(digest, pack): (&Digest, Option<PackId>)| pack.ok_or(ControllerError::MissingChunk(*digest));
        digests.iter().zip(found).map(or_missing).collect()
    }

    /// The packs of the session's own, or of the index, that hold `digests`, in order.
    fn indexed(&self, digests: &[Digest]) -> Result<Vec<Option<PackId>>, ControllerError> {
        let own = |digest: &Digest| {
            let at = self.own.binary_search_by_key(digest, |(own, _)| *own).ok()?;
            self.own.get(at).map(|(_, pack)| *pack)
        };
        let mut found: Vec<Option<PackId>> = digests.iter().map(own).collect();
        let rest: Vec<Digest> = digests
            .iter()
            .zip(&found)
            .filter(|(_, pack)| pack.is_none())
            .map(|(digest, _)| *digest)
            .collect();
        if !rest.is_empty() {
            let (ledger, access) = (&self.controller.ledger, self.access);
            let parts = rest.par_chunks(CHUNKS_A_THREAD).map(|part| ledger.locate(access, part));
            let indexed: Vec<Vec<_>> = parts.collect::<Result<_, _>>()?;
            found
                .iter_mut()
                .filter(|pack| pack.is_none())
                .zip(indexed.into_iter().flatten())
                .for_each(|(pack, known)| *pack = known);
        }
        Ok(found)
    }

    fn search_pinned(
        &self,
        digests: &[Digest],
        known: &[Option<PackId>],
    ) -> Result<HashMap<Digest, PackId>, ControllerError> {
        let unknown = digests.iter().zip(known).filter(|(_, pack)| pack.is_none());
        let mut wanted: BTreeSet<Digest> = unknown.map(|(digest, _)| *digest).collect();
        let mut found = HashMap::new();
        for row in self.controller.ledger.pinned(self.session)? {
            if wanted.is_empty() {
                break;
            }
            if !matches!(row.state, PackState::Live | PackState::Condemned) {
                continue;
            }
            let tail = read_tail(self.controller.store.as_ref(), row.name, row.len)?;
            for chunk in tail.footer.chunks {
                if wanted.remove(&chunk.digest) {
                    found.insert(chunk.digest, row.id);
                }
            }
        }
        Ok(found)
    }
}
