//! Entries into pages and a root, fed to an upload. The way back is `open_stash`.

use std::collections::HashSet;

use rayon::prelude::*;

use crate::model::manifest::{PageRef, Root, Totals, page};
use crate::model::{ChunkRef, Digest, Entry};

use super::error::AgentError;
use super::upload::Feed;

/// Pages that are encoded side by side, at about 64 KiB each.
const PAGES_AT_ONCE: usize = 16;

/// A finished manifest.
pub(super) struct Manifest {
    /// The stash's id.
    pub(super) id: Digest,
    /// The encoded root.
    pub(super) root_bytes: Vec<u8>,
}

/// Cuts `entries` into pages and feeds every page that `parent` does not list, then the root unless it is `parent`.
pub(super) fn feed_manifest(
    entries: impl Iterator<Item = Entry> + Send,
    parent: Option<&Root>,
    feed: &mut Feed<'_>,
) -> Result<Manifest, AgentError> {
    let known: HashSet<Digest> =
        parent.iter().flat_map(|root| &root.pages).map(|page| page.chunk.digest).collect();
    let mut root = Root::default();
    let mut pages = Pages::new(entries);
    let mut next = pages.batch();
    while !next.is_empty() {
        let batch = std::mem::take(&mut next);
        let encode_all = || batch.par_iter().filter_map(|entries| encode(entries)).collect();
        let (gathered, encoded): (_, Vec<(Vec<u8>, PageRef)>) = rayon::join(|| pages.batch(), encode_all);
        next = gathered;
        for (bytes, page) in encoded {
            if !known.contains(&page.chunk.digest) {
                feed.manifest_chunk(page.chunk.digest, &bytes)?;
            }
            root.pages.push(page);
        }
    }
    root.totals = pages.totals;
    let root_bytes = root.encode();
    let id = Digest::of(&root_bytes);
    if parent != Some(&root) {
        feed.manifest_chunk(id, &root_bytes)?;
    }
    Ok(Manifest { id, root_bytes })
}

/// `None` for no entries, which a page never is.
fn encode(entries: &[Entry]) -> Option<(Vec<u8>, PageRef)> {
    let first = entries.first()?.path.clone();
    let bytes = page::encode(entries);
    let chunk = ChunkRef { digest: Digest::of(&bytes), len: bytes.len() as u32 };
    Some((bytes, PageRef { chunk, entries: entries.len() as u32, first }))
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
