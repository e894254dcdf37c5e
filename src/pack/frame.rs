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

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    fn text(len: usize) -> Vec<u8> {
        (0..)
            .flat_map(|n: u32| format!("line {n} of a file that compresses\n").into_bytes())
            .take(len)
            .collect()
    }

    /// Cuts `plain` at `lens` and stores it: the frame, its bytes and its chunks.
    fn stored(plain: &[u8], lens: &[usize], level: i32) -> (Frame, Vec<u8>, Vec<ChunkRef>) {
        let (codec, bytes) = FrameEncoder::new().encode(plain, level);
        let mut start = 0;
        let chunk = |&len: &usize| {
            start += len;
            ChunkRef { digest: Digest::of(&plain[start - len..start]), len: len as u32 }
        };
        let chunks: Vec<_> = lens.iter().map(chunk).collect();
        let (stored_len, plain_len) = (bytes.len() as u32, plain.len() as u32);
        (Frame { offset: 8, stored_len, plain_len, codec, chunks: 0..chunks.len() }, bytes, chunks)
    }

    fn decoded(frame: &Frame, bytes: &[u8], chunks: &[ChunkRef]) -> Result<Vec<u8>, PackError> {
        let mut out = b"what was there before".to_vec();
        let result = FrameDecoder::new().decode(frame, bytes, chunks, &mut out);
        assert!(result.is_ok() || out.is_empty(), "nothing unverified is left behind");
        result.map(|()| out)
    }

    #[test]
    fn round_trips_at_every_level_and_length() {
        for level in [-1, 1, 3] {
            for len in [1, 2, 100, 65_536, 1 << 20] {
                for plain in [text(len), noise(1, len), vec![0; len]] {
                    let (frame, bytes, chunks) = stored(&plain, &[len], level);
                    assert_eq!(decoded(&frame, &bytes, &chunks).unwrap(), plain, "{level} {len}");
                }
            }
        }
    }

    #[test]
    fn stores_raw_what_does_not_shrink_and_zstd_what_does() {
        let mut encoder = FrameEncoder::new();
        for len in [1, 20, PROBE_FROM_BYTES - 1, PROBE_FROM_BYTES, 1 << 20] {
            let plain = noise(2, len);
            assert_eq!(encoder.encode(&plain, 3), (Codec::Raw, plain), "{len}");
        }
        let (codec, bytes) = encoder.encode(&text(1 << 20), 3);
        assert!(codec == Codec::Zstd && bytes.len() < 1 << 18);
        // Half a frame of each: the probe must not give it up.
        let mixed = [noise(3, 1 << 19), text(1 << 19)].concat();
        assert_eq!(encoder.encode(&mixed, 1).0, Codec::Zstd);
    }

    #[test]
    fn one_encoder_gives_the_same_bytes_as_a_new_one() {
        let mut encoder = FrameEncoder::new();
        for (level, len) in [(3, 1 << 20), (1, 300_000), (-1, 5000), (3, 300_000)] {
            let plain = text(len);
            assert_eq!(encoder.encode(&plain, level), FrameEncoder::new().encode(&plain, level));
        }
    }

    #[test]
    fn the_header_has_the_content_size_and_neither_checksum_nor_dictionary() {
        let (_, bytes) = FrameEncoder::new().encode(&text(100_000), 3);
        assert_eq!(zstd_safe::get_frame_content_size(&bytes).unwrap(), Some(100_000));
        // RFC 8878, 3.1.1.1.1: bit 2 is the checksum's flag, bits 0 and 1 the dictionary id's.
        assert_eq!(bytes[4] & 0b111, 0);
    }

    #[test]
    fn every_flipped_bit_is_an_error_that_names_the_frame() {
        let plain = text(3000);
        for (frame, bytes, chunks) in [stored(&plain, &[1000, 2000], 3), stored(&noise(4, 500), &[500], 3)] {
            for bit in 0..bytes.len() * 8 {
                let mut broken = bytes.clone();
                broken[bit / 8] ^= 1 << (bit % 8);
                match decoded(&frame, &broken, &chunks) {
                    // zstd ignores a reserved bit or two; what it gives must then be the same bytes.
                    Ok(out) => assert_eq!(out, plain, "bit {bit}"),
                    Err(error) => assert!(error.to_string().contains("at byte 8"), "{error}"),
                }
            }
            for len in 0..bytes.len() {
                assert!(decoded(&frame, &bytes[..len], &chunks).is_err(), "cut at {len}");
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let bomb = zstd::bulk::compress(&vec![0; 1 << 30], 1).unwrap();
        assert!(bomb.len() < 1 << 17);
        let chunk = ChunkRef { digest: Digest::of(&[0]), len: 1 };
        let frame = Frame {
            offset: 8,
            stored_len: bomb.len() as u32,
            plain_len: 1,
            codec: Codec::Zstd,
            chunks: 0..1,
        };
        let mut out = Vec::new();
        assert!(FrameDecoder::new().decode(&frame, &bomb, &[chunk], &mut out).is_err());
        let honest = Frame { plain_len: 1 << 30, ..frame };
        let chunk = ChunkRef { digest: Digest::of(&[0]), len: 1 << 30 };
        assert!(FrameDecoder::new().decode(&honest, &bomb, &[chunk], &mut out).is_err());
        assert!(out.capacity() < 1 << 20);
    }

    #[test]
    fn a_second_zstd_frame_behind_the_first_is_refused() {
        let plain = text(3000);
        let (mut frame, mut bytes, chunks) = stored(&plain, &[3000], 3);
        bytes.extend_from_within(..);
        frame.stored_len = bytes.len() as u32;
        assert!(decoded(&frame, &bytes, &chunks).is_err());
    }

    #[test]
    fn only_wanted_chunks_are_verified() {
        let plain = text(3000);
        let (frame, bytes, mut chunks) = stored(&plain, &[1000, 2000], 3);
        let wanted = chunks[0].digest;
        chunks[1].digest = Digest::of(b"another");
        let (mut decoder, mut out) = (FrameDecoder::new(), Vec::new());
        decoder.decode_wanted(&frame, &bytes, &chunks, |digest| *digest == wanted, &mut out).unwrap();
        let (first, slice) = slices(&chunks, &out).next().unwrap();
        assert_eq!((first.digest, slice), (wanted, &plain[..1000]));
        match decoder.decode(&frame, &bytes, &chunks, &mut out) {
            Err(PackError::Chunk { digest, offset: 8 }) => assert_eq!(digest, chunks[1].digest),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn chunks_that_do_not_add_up_are_an_error() {
        let (frame, bytes, chunks) = stored(&text(3000), &[1000, 2000], 3);
        assert!(decoded(&frame, &bytes, &chunks[..1]).is_err());
        let longer = [chunks[0], ChunkRef { len: u32::MAX, ..chunks[1] }];
        assert!(decoded(&frame, &bytes, &longer).is_err());
    }
}
