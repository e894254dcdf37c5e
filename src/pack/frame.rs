//! One frame: chunks that are compressed together. Its place in a pack is the footer's business, not this file's.
//!
//! A zstd frame carries its content size and no checksum: every chunk in it is verified by its digest.

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

use crate::model::limits::MAX_FRAME_BYTES;
use crate::model::pack_layout::{Codec, Frame};
use crate::model::{ChunkRef, Digest};

use super::PackError;

/// Pieces of a frame that the probe compresses, spread evenly over it …
const PROBE_PIECES: usize = 8;
/// … and the bytes of each. Together a 64th of a full frame.
const PROBE_PIECE_BYTES: usize = 2 << 10;
/// Frames shorter than this are compressed without asking: the probe would cost as much.
const PROBE_FROM_BYTES: usize = 8 * PROBE_PIECES * PROBE_PIECE_BYTES;

/// Compresses frames, one after another, with one context and one buffer.
#[derive(Default)]
pub struct FrameEncoder {
    context: Option<Compressor<'static>>,
    level: Option<i32>,
    buffer: Vec<u8>,
    sample: Vec<u8>,
}

impl std::fmt::Debug for FrameEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameEncoder").field("level", &self.level).finish_non_exhaustive()
    }
}

impl FrameEncoder {
    /// An encoder; the context is made with the first frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// The stored bytes of `plain` at zstd's `level`: raw where a probe says incompressible, where zstd gains
    /// nothing, and where zstd cannot have the memory that it wants.
    pub fn encode(&mut self, plain: &[u8], level: i32) -> (Codec, Vec<u8>) {
        let smaller = match self.looks_incompressible(plain) {
            true => None,
            false => self.compress(plain, level).filter(|&len| len < plain.len()),
        };
        match smaller {
            Some(len) => (Codec::Zstd, self.buffer[..len].to_vec()),
            None => (Codec::Raw, plain.to_vec()),
        }
    }

    /// Compresses into the buffer; how many bytes, or `None` if zstd failed.
    fn compress(&mut self, plain: &[u8], level: i32) -> Option<usize> {
        if self.level != Some(level) {
            let mut context = match self.context.take() {
                Some(context) => context,
                None => Compressor::new(level).ok()?,
            };
            context.set_compression_level(level).ok()?;
            (self.context, self.level) = (Some(context), Some(level));
        }
        self.buffer.clear();
        self.buffer.reserve(zstd_safe::compress_bound(plain.len()));
        self.context.as_mut()?.compress_to_buffer(plain, &mut self.buffer).ok()
    }

    /// Whether a sample at the fastest level shrinks by less than a 32nd. Media files and archives come out at
    /// 99 % and more; what is lost is a frame whose compressible parts all lie between the sampled pieces.
    fn looks_incompressible(&mut self, plain: &[u8]) -> bool {
        if plain.len() < PROBE_FROM_BYTES {
            return false;
        }
        let mut sample = std::mem::take(&mut self.sample);
        sample.clear();
        let stride = plain.len() / PROBE_PIECES;
        plain.chunks(stride).for_each(|part| sample.extend(part.iter().take(PROBE_PIECE_BYTES)));
        let hopeless = |len| len > sample.len() - sample.len() / 32;
        let incompressible = self.compress(&sample, 1).is_some_and(hopeless);
        self.sample = sample;
        incompressible
    }
}

/// Decompresses frames, one after another, with one context.
#[derive(Default)]
pub struct FrameDecoder {
    context: Option<Decompressor<'static>>,
}

impl std::fmt::Debug for FrameDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameDecoder").finish_non_exhaustive()
    }
}

impl FrameDecoder {
    /// A decoder; the context is made with the first frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces `out` by the plaintext of `frame` and verifies every chunk. `chunks` are the frame's own
    /// (`&footer.chunks[frame.chunks.clone()]`); on an error `out` is empty.
    pub fn decode(
        &mut self,
        frame: &Frame,
        stored: &[u8],
        chunks: &[ChunkRef],
        out: &mut Vec<u8>,
    ) -> Result<(), PackError> {
        self.decode_wanted(frame, stored, chunks, |_| true, out)
    }

    /// As [`FrameDecoder::decode`], but verifies only the chunks that are `wanted`; no other may be used.
    pub fn decode_wanted(
        &mut self,
        frame: &Frame,
        stored: &[u8],
        chunks: &[ChunkRef],
        mut wanted: impl FnMut(&Digest) -> bool,
        out: &mut Vec<u8>,
    ) -> Result<(), PackError> {
        let decoded = self.decompress(frame, stored, out).and_then(|()| {
            let damaged = |(chunk, bytes): &(&ChunkRef, &[u8])| Digest::of(bytes) != chunk.digest;
            let sum: u64 = chunks.iter().map(|chunk| u64::from(chunk.len)).sum();
            if sum != out.len() as u64 {
                return Err(bad(frame, "its chunks are not as long as its plaintext"));
            }
            match slices(chunks, out).filter(|(chunk, _)| wanted(&chunk.digest)).find(damaged) {
                Some((chunk, _)) => Err(PackError::Chunk { digest: chunk.digest, offset: frame.offset }),
                None => Ok(()),
            }
        });
        decoded.inspect_err(|_| out.clear())
    }

    /// Replaces `out` by the plaintext of `frame`, verifying lengths and no digest.
    pub(super) fn decompress(
        &mut self,
        frame: &Frame,
        stored: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), PackError> {
        out.clear();
        let plain_len = frame.plain_len as usize;
        if stored.len() != frame.stored_len as usize {
            return Err(bad(frame, "it is cut short"));
        }
        if plain_len > MAX_FRAME_BYTES {
            return Err(bad(frame, "its plaintext is longer than a frame may be"));
        }
        if frame.codec == Codec::Raw {
            out.extend_from_slice(stored);
        } else {
            // Told before anything is allocated for it, and again by the capacity of `out`.
            if zstd_safe::get_frame_content_size(stored).ok().flatten() != Some(plain_len as u64) {
                return Err(bad(frame, "zstd's header names another length"));
            }
            out.reserve(plain_len);
            let failed = |source| PackError::Decompress { offset: frame.offset, source };
            let context = match &mut self.context {
                Some(context) => context,
                none => none.insert(Decompressor::new().map_err(failed)?),
            };
            context.decompress_to_buffer(stored, out).map_err(failed)?;
        }
        if out.len() == plain_len { Ok(()) } else { Err(bad(frame, "its plaintext has another length")) }
    }
}

/// The chunks of a frame with their bytes, in order; ends early if `plain` does.
pub fn slices<'a>(
    chunks: &'a [ChunkRef],
    mut plain: &'a [u8],
) -> impl Iterator<Item = (&'a ChunkRef, &'a [u8])> {
    chunks.iter().map_while(move |chunk| {
        let (bytes, rest) = plain.split_at_checked(chunk.len as usize)?;
        plain = rest;
        Some((chunk, bytes))
    })
}

fn bad(frame: &Frame, reason: &'static str) -> PackError {
    PackError::Frame { offset: frame.offset, reason }
}
