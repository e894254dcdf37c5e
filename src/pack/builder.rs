//! Chunks into frames, frames into a pack. Compression is `frame`'s work and may run on other threads in between;
//! sending is not done here.

use crate::model::limits::{FRAME_BYTES, FRAME_CHUNKS, PACK_BYTES, PACK_CHUNKS};
use crate::model::pack_layout::{Codec, Footer, Frame, MAGIC, TRAILER_BYTES};
use crate::model::{ChunkRef, Digest};

/// Plaintext that is to become one frame, with the chunks in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainFrame {
    /// The chunks' bytes, one after another.
    pub bytes: Vec<u8>,
    /// Their names and lengths, in the same order.
    pub chunks: Vec<ChunkRef>,
}

/// Gathers chunks until they fill a frame.
#[derive(Debug, Default)]
pub struct FrameBuilder {
    filling: PlainFrame,
}

impl FrameBuilder {
    /// A builder with no chunk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a chunk of at least one byte. Returns the frame before it, if the chunk did not fit into that one.
    pub fn push(&mut self, digest: Digest, bytes: &[u8]) -> Option<PlainFrame> {
        let PlainFrame { bytes: held, chunks } = &self.filling;
        let fits = held.len() + bytes.len() <= FRAME_BYTES && chunks.len() < FRAME_CHUNKS;
        let full = if fits { None } else { self.take() };
        if self.filling.bytes.capacity() == 0 {
            self.filling.bytes.reserve_exact(bytes.len().max(FRAME_BYTES));
        }
        self.filling.bytes.extend_from_slice(bytes);
        self.filling.chunks.push(ChunkRef { digest, len: bytes.len() as u32 });
        full
    }

    /// The frame so far, or `None` if it is empty.
    pub fn take(&mut self) -> Option<PlainFrame> {
        let filled = std::mem::take(&mut self.filling);
        (!filled.chunks.is_empty()).then_some(filled)
    }

    /// Bytes of plaintext gathered so far.
    pub fn len(&self) -> usize {
        self.filling.bytes.len()
    }

    /// Whether nothing has been gathered.
    pub fn is_empty(&self) -> bool {
        self.filling.chunks.is_empty()
    }
}

/// A pack that is being put together.
#[derive(Debug)]
pub struct Builder {
    parts: Vec<Vec<u8>>,
    frames_end: u64,
    footer: Footer,
}

/// A pack that is ready to be sent: its bytes are `parts`, one after another.
#[derive(Clone, Debug)]
pub struct FinishedPack {
    /// The magic, each frame, and last the footer with the trailer.
    pub parts: Vec<Vec<u8>>,
    /// Bytes of the whole pack.
    pub len: u64,
    /// Bytes of the footer and the trailer.
    pub tail_len: u64,
    /// BLAKE3-256 of the footer, as the trailer has it.
    pub footer_digest: Digest,
    /// What the pack holds.
    pub footer: Footer,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// A pack without frames.
    pub fn new() -> Self {
        Self { parts: vec![MAGIC.to_vec()], frames_end: MAGIC.len() as u64, footer: Footer::default() }
    }

    /// Adds a frame: the stored bytes as [`super::FrameEncoder::encode`] gave them, and at least one chunk.
    pub fn push_frame(&mut self, codec: Codec, stored: Vec<u8>, chunks: &[ChunkRef]) {
        let first = self.footer.chunks.len();
        self.footer.chunks.extend_from_slice(chunks);
        self.footer.frames.push(Frame {
            offset: self.frames_end,
            stored_len: stored.len() as u32,
            plain_len: chunks.iter().map(|chunk| chunk.len).sum(),
            codec,
            chunks: first..self.footer.chunks.len(),
        });
        self.frames_end += stored.len() as u64;
        self.parts.push(stored);
    }

    /// Bytes so far, magic and frames.
    pub fn len(&self) -> u64 {
        self.frames_end
    }

    /// Whether it has no frame.
    pub fn is_empty(&self) -> bool {
        self.footer.frames.is_empty()
    }

    /// Chunks so far.
    pub fn chunk_count(&self) -> usize {
        self.footer.chunks.len()
    }

    /// Whether it is time to finish it.
    pub fn is_full(&self) -> bool {
        self.len() >= PACK_BYTES || self.chunk_count() >= PACK_CHUNKS
    }

    /// Ends the pack with its footer and trailer.
    pub fn finish(mut self) -> FinishedPack {
        let tail = self.footer.encode();
        let tail_len = tail.len() as u64;
        let footer_digest = Digest::of(&tail[..tail.len() - TRAILER_BYTES as usize]);
        self.parts.push(tail);
        FinishedPack {
            parts: self.parts,
            len: self.frames_end + tail_len,
            tail_len,
            footer_digest,
            footer: self.footer,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::limits::{MAX_FRAME_BYTES, MAX_PACK_BYTES};
    use crate::pack::{FrameEncoder, reader};

    use super::*;

    fn named(bytes: &[u8]) -> (Digest, &[u8]) {
        (Digest::of(bytes), bytes)
    }

    #[test]
    fn frames_are_filled_in_order_and_not_beyond_their_size() {
        let mut builder = FrameBuilder::new();
        assert_eq!((builder.take(), builder.is_empty()), (None, true));
        let chunks: Vec<Vec<u8>> = (0..40u8).map(|n| vec![n; 100_000]).collect();
        let mut frames = Vec::new();
        for chunk in &chunks {
            let (digest, bytes) = named(chunk);
            frames.extend(builder.push(digest, bytes));
        }
        frames.extend(builder.take());
        assert_eq!((builder.is_empty(), builder.len()), (true, 0));
        assert_eq!(frames.iter().map(|frame| frame.chunks.len()).collect::<Vec<_>>(), [10, 10, 10, 10]);
        assert!(frames.iter().all(|frame| frame.bytes.len() <= FRAME_BYTES));
        let together: Vec<u8> = frames.into_iter().flat_map(|frame| frame.bytes).collect();
        assert_eq!(together, chunks.concat());
    }

    #[test]
    fn a_chunk_that_is_larger_than_a_frame_has_one_of_its_own() {
        let mut builder = FrameBuilder::new();
        let large = vec![1; FRAME_BYTES + 1];
        assert_eq!(builder.push(Digest::of(b"a"), b"a"), None);
        let small = builder.push(Digest::of(&large), &large).unwrap();
        assert_eq!(small.bytes, b"a");
        let large = builder.push(Digest::of(b"b"), b"b").unwrap();
        assert_eq!((large.bytes.len(), large.chunks.len()), (FRAME_BYTES + 1, 1));
    }

    #[test]
    fn one_byte_files_close_a_frame_by_count() {
        let mut builder = FrameBuilder::new();
        let closed = (0..=FRAME_CHUNKS).find_map(|_| builder.push(Digest::from_bytes([1; 32]), b"x"));
        assert_eq!(closed.unwrap().chunks.len(), FRAME_CHUNKS);
    }

    /// The worst pack: one frame short of full in bytes and chunks, then the largest frame that can follow.
    #[test]
    fn no_pack_passes_the_limit_of_readers() {
        let footer = (PACK_CHUNKS + FRAME_CHUNKS) * (4 + Digest::LEN);
        let frames = PACK_BYTES as usize + MAX_FRAME_BYTES;
        assert!(((frames + footer) as u64) < MAX_PACK_BYTES);
    }

    #[test]
    fn a_finished_pack_is_its_parts_and_reads_back() {
        let mut builder = Builder::new();
        let mut encoder = FrameEncoder::new();
        assert!(builder.is_empty() && !builder.is_full());
        for n in 0..20u8 {
            let bytes = vec![n; 1000 + usize::from(n)];
            let (codec, stored) = encoder.encode(&bytes, 3);
            builder.push_frame(
                codec,
                stored,
                &[ChunkRef { digest: Digest::of(&bytes), len: bytes.len() as u32 }],
            );
        }
        assert_eq!(builder.chunk_count(), 20);
        let (frames_end, pack) = (builder.len(), builder.finish());
        let bytes = pack.parts.concat();
        assert_eq!(bytes.len() as u64, pack.len);
        assert_eq!(frames_end + pack.tail_len, pack.len);
        let tail = &bytes[frames_end as usize..];
        assert_eq!(reader::decode_tail(tail, pack.len).unwrap(), pack.footer);
        let footer_len = tail.len() - TRAILER_BYTES as usize;
        assert_eq!(Digest::of(&tail[..footer_len]), pack.footer_digest);
    }

    #[test]
    fn a_pack_is_full_by_bytes_or_by_chunks() {
        let chunk = |len| ChunkRef { digest: Digest::from_bytes([1; 32]), len };
        let mut by_bytes = Builder::new();
        by_bytes.push_frame(Codec::Raw, vec![0; PACK_BYTES as usize], &[chunk(PACK_BYTES as u32)]);
        assert!(by_bytes.is_full());
        let mut by_chunks = Builder::new();
        by_chunks.push_frame(Codec::Raw, vec![0; PACK_CHUNKS - 1], &vec![chunk(1); PACK_CHUNKS - 1]);
        assert!(!by_chunks.is_full());
        by_chunks.push_frame(Codec::Raw, vec![0], &[chunk(1)]);
        assert!(by_chunks.is_full());
    }
}
