//! Chunks read one after the other, for whoever needs bytes in order: manifests, exports.
//! Not for unstash, which takes frames in the order in which they stand.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use rayon::prelude::*;

use crate::model::{ChunkRef, Digest};
use crate::pack::{FrameDecoder, ranges};

use super::error::AgentError;
use super::open_stash::{OpenStash, Place};

/// Frames that are decoded at once and kept: 16 MiB of plaintext.
const FRAMES_AT_ONCE: usize = 16;

/// A reader that keeps the frames of the window that it is in.
pub(super) struct InOrder<'a> {
    stash: &'a OpenStash<'a>,
    frames: HashMap<FrameKey, PlainText>,
}

/// A pack and a frame in it.
type FrameKey = (u32, u32);

/// A decoded frame, and where in it each of its chunks ends.
struct PlainText {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl<'a> InOrder<'a> {
    pub(super) fn new(stash: &'a OpenStash<'a>) -> Self {
        Self { stash, frames: HashMap::new() }
    }

    /// Gives the bytes of each of `chunks` to `each`; `what` needs them, for the error.
    pub(super) fn read(
        &mut self,
        chunks: &[ChunkRef],
        what: &dyn fmt::Display,
        mut each: impl FnMut(&[u8]) -> Result<(), AgentError>,
    ) -> Result<(), AgentError> {
        let mut rest = chunks;
        while !rest.is_empty() {
            let places = self.window(rest, what)?;
            self.load(&places)?;
            for (chunk, place) in rest.iter().zip(&places) {
                each(self.bytes(chunk, *place, what)?)?;
            }
            rest = &rest[places.len()..];
        }
        Ok(())
    }

    /// Places of as many of the next chunks as stand in [`FRAMES_AT_ONCE`] frames; at least one.
    fn window(&self, chunks: &[ChunkRef], what: &dyn fmt::Display) -> Result<Vec<Place>, AgentError> {
        let mut frames = BTreeSet::new();
        let mut places = Vec::new();
        for chunk in chunks {
            let place = self.stash.place(&chunk.digest, what)?;
            frames.insert((place.pack, place.frame));
            if frames.len() > FRAMES_AT_ONCE {
                break;
            }
            places.push(place);
        }
        Ok(places)
    }

    /// Keeps exactly the frames of `places`, fetching and decoding those that are new, side by side.
    fn load(&mut self, places: &[Place]) -> Result<(), AgentError> {
        let mut wanted: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for place in places {
            wanted.entry(place.pack).or_default().insert(place.frame);
        }
        self.frames.retain(|(pack, frame), _| wanted.get(pack).is_some_and(|frames| frames.contains(frame)));
        let mut fetches = Vec::new();
        for (pack, frames) in wanted {
            let new: Vec<usize> = frames
                .into_iter()
                .filter(|&frame| !self.frames.contains_key(&(pack, frame)))
                .map(|frame| frame as usize)
                .collect();
            let footer = &self.stash.packs[pack as usize].footer;
            fetches.extend(ranges::plan(footer, &new).into_iter().map(|fetch| (pack, fetch)));
        }
        let decoded: Vec<_> = fetches
            .into_par_iter()
            .map(|(pack, fetch)| self.fetch(pack, &fetch))
            .collect::<Result<_, _>>()?;
        self.frames.extend(decoded.into_iter().flatten());
        Ok(())
    }

    fn fetch(&self, pack: u32, fetch: &ranges::Fetch) -> Result<Vec<(FrameKey, PlainText)>, AgentError> {
        let open = &self.stash.packs[pack as usize];
        let bytes = self.stash.read(&open.source, fetch.range.clone())?;
        let decode = |decoder: &mut FrameDecoder, &index: &usize| {
            let layout = &open.footer.frames[index];
            let mut plain = Vec::new();
            let start = (layout.offset - fetch.range.start) as usize;
            let stored = &bytes[start..start + layout.stored_len as usize];
            let chunks = &open.footer.chunks[layout.chunks.clone()];
            decoder
                .decode(layout, stored, chunks, &mut plain)
                .map_err(|error| self.stash.damaged(&open.source, error))?;
            let mut end = 0;
            let ends = chunks.iter().map(|chunk| {
                end += chunk.len;
                end
            });
            Ok(((pack, index as u32), PlainText { ends: ends.collect(), bytes: plain }))
        };
        fetch.frames.par_iter().map_init(FrameDecoder::new, decode).collect()
    }

    fn bytes(&self, chunk: &ChunkRef, place: Place, what: &dyn fmt::Display) -> Result<&[u8], AgentError> {
        let first = self.stash.frame(place).chunks.start;
        let bytes = self.frames.get(&(place.pack, place.frame)).and_then(|frame| {
            let end = *frame.ends.get(place.chunk as usize - first)? as usize;
            frame.bytes.get(end.checked_sub(chunk.len as usize)?..end)
        });
        let stored = self.stash.packs[place.pack as usize].footer.chunks[place.chunk as usize];
        bytes.filter(|_| stored.len == chunk.len).ok_or_else(|| lost(&chunk.digest, what, self.stash))
    }
}

/// A manifest that gives a chunk another length than its pack does names no chunk that exists.
fn lost(chunk: &Digest, what: &dyn fmt::Display, stash: &OpenStash<'_>) -> AgentError {
    AgentError::NoSuchChunk { chunk: *chunk, what: what.to_string(), stash: stash.info.name.clone() }
}
