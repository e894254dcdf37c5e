//! A stash opened for reading: its packs' footers, an index from digest to place, its root and entries.
//! Verifies every chunk that it hands out; reports a pack that is damaged.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

use crate::model::manifest::{ManifestError, Root, chunk_list};
use crate::model::pack_layout::{Footer, Frame};
use crate::model::{ChunkRef, Content, Digest, Entry, EntryPath};
use crate::pack::PackError;
use crate::pack::reader::decode_tail;
use crate::protocol::{BuildId, Resolved, SessionId, StashInfo, StashName};
use crate::transfer::get::PackSource;
use crate::transfer::{ReadLease, Remote, Transport};

use super::bases::Bases;
use super::error::AgentError;
use super::in_order::InOrder;

/// What needs a root or a page, in errors.
pub(super) const MANIFEST: &str = "the manifest";
/// Tails that are read at the same time.
const TAILS_AT_ONCE: usize = 8;

/// A stash whose packs' footers have been read, under a lease that ends with this value.
pub struct OpenStash<'a> {
    remote: &'a dyn Remote,
    session: SessionId,
    /// The stash as the controller has it.
    pub info: StashInfo,
    pub(super) packs: Vec<OpenPack<'a>>,
    /// First eight bytes of a chunk's digest, its pack, its place among the pack's chunks; sorted.
    index: Vec<(u64, u32, u32)>,
}

/// A pack with what it holds.
pub(super) struct OpenPack<'a> {
    pub(super) source: PackSource<'a>,
    pub(super) footer: Footer,
}

/// Where a chunk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) pack: u32,
    pub(super) frame: u32,
    pub(super) chunk: u32,
}

impl<'a> OpenStash<'a> {
    /// Finds a stash and reads the footers of its packs: one request and a GET for each pack.
    pub fn open(remote: &'a dyn Remote, build: &BuildId, name: &StashName) -> Result<Self, AgentError> {
        let Resolved { session, stash: info, packs } = remote.resolve(build, name)?;
        let mut open = Self { remote, session, info, packs: Vec::new(), index: Vec::new() };
        let lease = Arc::new(ReadLease::new(remote, session));
        let sources: Vec<PackSource<'_>> =
            packs.into_iter().map(|pack| PackSource::new(pack, lease.clone())).collect();
        let footers = open.read_footers(&sources)?;
        open.packs =
            sources.into_iter().zip(footers).map(|(source, footer)| OpenPack { source, footer }).collect();
        open.index = index(&open.packs);
        Ok(open)
    }

    fn read_footers(&self, sources: &[PackSource<'_>]) -> Result<Vec<Footer>, AgentError> {
        let mut footers = Vec::with_capacity(sources.len());
        for group in sources.chunks(TAILS_AT_ONCE) {
            let read = thread::scope(|scope| {
                let readers: Vec<_> =
                    group.iter().map(|source| scope.spawn(|| self.read_footer(source))).collect();
                let joined =
                    readers.into_iter().map(|reader| reader.join().unwrap_or(Err(AgentError::Stopped)));
                joined.collect::<Result<Vec<_>, _>>()
            })?;
            footers.extend(read);
        }
        Ok(footers)
    }

    fn read_footer(&self, source: &PackSource<'_>) -> Result<Footer, AgentError> {
        let len = source.pack.len;
        let tail = self.read(source, len.saturating_sub(source.pack.tail_len)..len)?;
        decode_tail(&tail, len).map_err(|error| self.damaged(source, error))
    }

    /// A range of a pack; a pack that is not there, or too short, is reported.
    pub(super) fn read(&self, source: &PackSource<'_>, range: Range<u64>) -> Result<Vec<u8>, AgentError> {
        source.read(range).map_err(|error| {
            if error.is_damage() {
                self.report(source, &error.to_string());
            }
            error.into()
        })
    }

    /// The root, verified.
    pub fn root(&self) -> Result<Root, AgentError> {
        let mut root = None;
        // The root's length is not known beforehand; its place says it.
        let chunk = self.chunk_ref(&self.info.id, &MANIFEST)?;
        InOrder::new(self).read(&[chunk], &MANIFEST, |bytes| {
            root = Some(Root::decode(bytes).map_err(|source| self.manifest_error(source))?);
            Ok(())
        })?;
        root.ok_or(AgentError::Stopped)
    }

    /// Every entry of the stash, or those at and beneath `paths`; in order of path, each once.
    pub fn entries(&self, root: &Root, paths: &[EntryPath]) -> Result<Vec<Entry>, AgentError> {
        let mut entries: Vec<Entry> = Vec::new();
        if paths.is_empty() {
            return self.all_entries(root, &mut Bases::default());
        }
        for path in paths {
            let before = entries.len();
            self.pages(root, root.pages_within(path), |page| {
                entries.extend(page.into_iter().filter(|entry| entry.path.is_within(path)));
                Ok(())
            })?;
            if entries.len() == before {
                return Err(AgentError::NoSuchPath { path: path.clone(), stash: self.info.name.clone() });
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries.dedup_by(|a, b| a.path == b.path);
        Ok(entries)
    }

    /// Every entry of the stash, keeping the bases of its pages.
    pub(super) fn all_entries(&self, root: &Root, bases: &mut Bases) -> Result<Vec<Entry>, AgentError> {
        let mut entries: Vec<Entry> = Vec::new();
        self.pages_with_bases(root, 0..root.pages.len(), bases, |page| {
            entries.extend(page);
            Ok(())
        })?;
        Ok(entries)
    }

    /// The chunks of a file in order, with chunk lists replaced by what they list.
    pub fn chunks_of(&self, what: &dyn fmt::Display, content: &Content) -> Result<Vec<ChunkRef>, AgentError> {
        let mut chunks = Vec::new();
        self.each_chunk(what, content, |chunk| chunks.push(chunk))?;
        Ok(chunks)
    }

    /// As [`OpenStash::chunks_of`], one by one: a hole of many TiB is many millions of them.
    pub(super) fn each_chunk(
        &self,
        what: &dyn fmt::Display,
        content: &Content,
        mut each: impl FnMut(ChunkRef),
    ) -> Result<(), AgentError> {
        if !content.listed {
            content.chunks.iter().for_each(|chunk| each(*chunk));
            return Ok(());
        }
        let mut size = 0;
        InOrder::new(self).read(&content.chunks, what, |bytes| {
            for chunk in chunk_list::decode(bytes).map_err(|source| self.manifest_error(source))? {
                size += u64::from(chunk.len);
                each(chunk);
            }
            Ok(())
        })?;
        match size == content.size {
            true => Ok(()),
            false => {
                Err(self
                    .manifest_error(ManifestError::Damaged("chunk list", "its lengths are not the file's")))
            }
        }
    }

    /// Where a chunk stands, whoever needs it.
    pub(super) fn place(&self, digest: &Digest, what: &dyn fmt::Display) -> Result<Place, AgentError> {
        let prefix = prefix(digest);
        let first = self.index.partition_point(|entry| entry.0 < prefix);
        let same = self.index[first..].iter().take_while(|entry| entry.0 == prefix);
        for &(_, pack, chunk) in same {
            let footer = &self.packs[pack as usize].footer;
            if footer.chunks[chunk as usize].digest == *digest {
                let frame = footer.frames.partition_point(|frame| frame.chunks.end <= chunk as usize) as u32;
                return Ok(Place { pack, frame, chunk });
            }
        }
        Err(AgentError::NoSuchChunk { chunk: *digest, what: what.to_string(), stash: self.info.name.clone() })
    }

    pub(super) fn frame(&self, place: Place) -> &Frame {
        &self.packs[place.pack as usize].footer.frames[place.frame as usize]
    }

    pub(super) fn chunk_ref(&self, digest: &Digest, what: &dyn fmt::Display) -> Result<ChunkRef, AgentError> {
        let place = self.place(digest, what)?;
        Ok(self.packs[place.pack as usize].footer.chunks[place.chunk as usize])
    }

    /// Reports a damaged pack and says which it was.
    pub(super) fn damaged(&self, source: &PackSource<'_>, error: PackError) -> AgentError {
        self.report(source, &error.to_string());
        AgentError::DamagedPack { pack: source.pack.name, stash: self.info.name.clone(), source: error }
    }

    pub(super) fn transport(&self) -> &Transport {
        self.remote.transport()
    }

    fn report(&self, source: &PackSource<'_>, why: &str) {
        if let Err(error) = self.remote.report_damaged(self.session, source.pack.name, why) {
            tracing::warn!(pack = %source.pack.name, %error, "a damaged pack could not be reported");
        }
    }

    pub(super) fn manifest_error(&self, source: ManifestError) -> AgentError {
        AgentError::Manifest { stash: self.info.name.clone(), source }
    }
}

impl Drop for OpenStash<'_> {
    fn drop(&mut self) {
        self.remote.release_reader(self.session);
    }
}

/// Sixteen bytes a chunk, where a hash table of digests would take fifty. Earlier packs come first.
fn index(packs: &[OpenPack<'_>]) -> Vec<(u64, u32, u32)> {
    let chunks = packs.iter().map(|pack| pack.footer.chunks.len()).sum();
    let mut index = Vec::with_capacity(chunks);
    for (number, pack) in packs.iter().enumerate() {
        let entry =
            |(chunk, reference): (usize, &ChunkRef)| (prefix(&reference.digest), number as u32, chunk as u32);
        index.extend(pack.footer.chunks.iter().enumerate().map(entry));
    }
    index.sort_unstable();
    index
}

fn prefix(digest: &Digest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
