//! Entries into pages and a root, fed to an upload; pages that changed a little as patches. The way back is `open_stash` and `pages`.

use std::collections::HashSet;

use rayon::prelude::*;

use crate::model::manifest::{PageRef, Patches, Root, Totals, page, patch};
use crate::model::{ChunkRef, Digest, Entry};

use super::bases::{Base, Bases};
use super::error::AgentError;
use super::upload::Feed;

/// Pages that are encoded side by side, at about 64 KiB each.
const PAGES_AT_ONCE: usize = 16;
/// Changed pages whose bases are asked about together: some MiB, and most stashes take one request.
const CHANGED_AT_ONCE: usize = 64;
/// A patch is worth while if it is smaller by this factor: it is read with its base for as long as the stash lives.
const WORTH_WHILE: usize = 4;

/// A finished manifest.
pub(super) struct Manifest {
    /// The stash's id.
    pub(super) id: Digest,
    /// The encoded root.
    pub(super) root_bytes: Vec<u8>,
    /// The encoded list of patched pages; empty if there are none.
    pub(super) patches_bytes: Vec<u8>,
}

impl Manifest {
    /// The list of patched pages, by name.
    pub(super) fn patches(&self) -> Option<Digest> {
        (!self.patches_bytes.is_empty()).then(|| Digest::of(&self.patches_bytes))
    }
}

/// A manifest all of which the store has.
pub(super) struct Parent {
    root: Root,
    patches: Patches,
}

impl Parent {
    /// Out of the bytes of a root and of its list of patches, which is empty if it has none.
    pub(super) fn decode(root_bytes: &[u8], patches_bytes: &[u8]) -> Option<Self> {
        let root = Root::decode(root_bytes).ok()?;
        let patches = match patches_bytes.is_empty() {
            true => Patches::default(),
            false => Patches::decode(patches_bytes, &Digest::of(root_bytes), &root).ok()?,
        };
        Some(Self { root, patches })
    }
}

/// Cuts `entries` into pages and feeds every page that `parent` does not list, or a patch of its base, then the root unless it is the parent's.
pub(super) fn feed_manifest(
    entries: impl Iterator<Item = Entry> + Send,
    parent: Option<&Parent>,
    bases: &mut Bases,
    feed: &mut Feed<'_>,
) -> Result<Manifest, AgentError> {
    let known: HashSet<Digest> =
        parent.iter().flat_map(|parent| &parent.root.pages).map(|page| page.chunk.digest).collect();
    let mut writer = Writer { parent, bases, feed, patches: Patches::default(), changed: Vec::new() };
    let mut root = Root::default();
    let mut pages = Pages::new(entries);
    let mut next = pages.batch();
    while !next.is_empty() {
        let batch = std::mem::take(&mut next);
        let encode_all = || batch.into_par_iter().filter_map(encode).collect();
        let (gathered, encoded): (_, Vec<Page>) = rayon::join(|| pages.batch(), encode_all);
        next = gathered;
        for page in encoded {
            root.pages.push(page.reference.clone());
            match known.contains(&page.reference.chunk.digest) {
                true => writer.unchanged(page)?,
                false => writer.change(page)?,
            }
        }
    }
    writer.flush()?;
    root.totals = pages.totals;
    writer.end(&root)
}

/// A page with the entries that it is made of.
struct Page {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    reference: PageRef,
}

/// `None` for no entries, which a page never is.
fn encode(entries: Vec<Entry>) -> Option<Page> {
    let first = entries.first()?.path.clone();
    let bytes = page::encode(&entries);
    let chunk = ChunkRef { digest: Digest::of(&bytes), len: bytes.len() as u32 };
    let reference = PageRef { chunk, entries: entries.len() as u32, first };
    Some(Page { entries, bytes, reference })
}

/// Where pages go, in order.
struct Writer<'w, 'f> {
    parent: Option<&'w Parent>,
    bases: &'w mut Bases,
    feed: &'w mut Feed<'f>,
    patches: Patches,
    /// Pages that the parent does not list, and unchanged ones between them.
    changed: Vec<(Page, bool)>,
}

impl Writer<'_, '_> {
    /// A page that the parent lists too: it stays as it is stored.
    fn unchanged(&mut self, page: Page) -> Result<(), AgentError> {
        match self.changed.is_empty() {
            true => {
                self.keep(&page);
                Ok(())
            }
            // Bases are kept in the order of paths.
            false => self.gather(page, false),
        }
    }

    fn keep(&mut self, page: &Page) {
        let digest = page.reference.chunk.digest;
        match self.parent.and_then(|parent| parent.patches.of(&digest)) {
            Some(patch) => {
                self.patches.insert(digest, patch);
                self.bases.keep(&page.reference.first);
            }
            None => self.bases.add(&page.reference.first, digest, &page.bytes),
        }
    }

    /// A page that the parent does not list.
    fn change(&mut self, page: Page) -> Result<(), AgentError> {
        if !self.bases.are_kept() {
            return self.feed.manifest_chunk(page.reference.chunk.digest, &page.bytes);
        }
        self.gather(page, true)
    }

    fn gather(&mut self, page: Page, is_changed: bool) -> Result<(), AgentError> {
        self.changed.push((page, is_changed));
        if self.changed.len() >= CHANGED_AT_ONCE { self.flush() } else { Ok(()) }
    }

    /// Feeds what was gathered: patches where the store has the base and not the page, pages otherwise.
    fn flush(&mut self) -> Result<(), AgentError> {
        let pages = std::mem::take(&mut self.changed);
        let candidates: Vec<Option<Base>> = pages
            .iter()
            .map(|(page, is_changed)| self.bases.of(&page.reference.first).filter(|_| *is_changed).cloned())
            .collect();
        let asked: Vec<Digest> = pages
            .iter()
            .zip(&candidates)
            .filter_map(|((page, _), base)| Some([page.reference.chunk.digest, base.as_ref()?.digest]))
            .flatten()
            .collect();
        let missing = if asked.is_empty() { Vec::new() } else { self.feed.missing(&asked)? };
        let lost: HashSet<Digest> =
            asked.iter().zip(missing).filter(|(_, missing)| *missing).map(|(digest, _)| *digest).collect();
        let bases = &*self.bases;
        let patch = |((page, _), base): (&(Page, bool), &Option<Base>)| {
            let base = base.as_ref().filter(|base| !lost.contains(&base.digest))?;
            lost.contains(&page.reference.chunk.digest).then(|| patch_of(page, base, bases))?
        };
        let patches: Vec<Option<Vec<u8>>> = pages.par_iter().zip(&candidates).map(patch).collect();
        for ((page, is_changed), patch) in pages.iter().zip(patches) {
            let digest = page.reference.chunk.digest;
            match (is_changed, patch) {
                (false, _) => self.keep(page),
                (true, Some(patch)) => {
                    let stored = Digest::of(&patch);
                    self.patches.insert(digest, stored);
                    self.bases.keep(&page.reference.first);
                    self.feed.manifest_chunk(stored, &patch)?;
                }
                (true, None) => {
                    self.bases.add(&page.reference.first, digest, &page.bytes);
                    self.feed.manifest_chunk(digest, &page.bytes)?;
                }
            }
        }
        Ok(())
    }

    fn end(self, root: &Root) -> Result<Manifest, AgentError> {
        let root_bytes = root.encode();
        let id = Digest::of(&root_bytes);
        let is_parents = self.parent.is_some_and(|parent| parent.root == *root);
        if !is_parents {
            self.feed.manifest_chunk(id, &root_bytes)?;
        }
        let patches_bytes = self.patches.encode(&id, root).unwrap_or_default();
        if !patches_bytes.is_empty() && !is_parents {
            self.feed.manifest_chunk(Digest::of(&patches_bytes), &patches_bytes)?;
        }
        Ok(Manifest { id, root_bytes, patches_bytes })
    }
}

/// The patch that makes a page of its base, if it is worth while.
fn patch_of(page: &Page, base: &Base, bases: &Bases) -> Option<Vec<u8>> {
    let old = page::decode(&bases.bytes(base)?).ok()?;
    let patch = patch::encode(&base.digest, &old, &page.entries);
    (patch.len() * WORTH_WHILE <= page.bytes.len()).then_some(patch)
}

/// Entries in groups, one a page.
struct Pages<I> {
    entries: I,
    cutter: page::Cutter,
    totals: Totals,
}

impl<I: Iterator<Item = Entry>> Pages<I> {
    fn new(entries: I) -> Self {
        Self { entries, cutter: page::Cutter::default(), totals: Totals::default() }
    }

    /// The next pages that are encoded together; none at the end.
    fn batch(&mut self) -> Vec<Vec<Entry>> {
        self.take(PAGES_AT_ONCE).collect()
    }
}

impl<I: Iterator<Item = Entry>> Iterator for Pages<I> {
    type Item = Vec<Entry>;

    fn next(&mut self) -> Option<Vec<Entry>> {
        let mut page = Vec::new();
        for entry in self.entries.by_ref() {
            self.totals.add(&entry);
            let ends = self.cutter.ends_after(&entry);
            page.push(entry);
            if ends {
                break;
            }
        }
        (!page.is_empty()).then_some(page)
    }
}
