//! Packs as no honest agent makes them: footers that claim what is not there, ends that point nowhere, frames that
//! unpack to far more than they say. No test.

use pannier::model::pack_layout::{Codec, Footer, Frame, MAGIC, TRAILER_BYTES};
use pannier::model::{ChunkRef, Digest};
use pannier::protocol::PackIntent;

/// One frame: what is stored, and what the footer says of it.
pub(crate) struct Part {
    pub(crate) stored: Vec<u8>,
    pub(crate) codec: Codec,
    pub(crate) claimed: Vec<ChunkRef>,
}

impl Part {
    /// A raw frame of those chunks, as an honest agent may write it.
    pub(crate) fn honest(chunks: &[Vec<u8>]) -> Self {
        let claim = |chunk: &Vec<u8>| ChunkRef { digest: Digest::of(chunk), len: chunk.len() as u32 };
        Self { stored: chunks.concat(), codec: Codec::Raw, claimed: chunks.iter().map(claim).collect() }
    }

    /// The same claims, kept by other bytes.
    pub(crate) fn keeping(self, stored: Vec<u8>, codec: Codec) -> Self {
        Self { stored, codec, ..self }
    }
}

/// A pack of those frames, whose footer says what they claim.
pub(crate) fn crafted(parts: Vec<Part>) -> (Vec<u8>, PackIntent) {
    let (mut bytes, mut footer) = (MAGIC.to_vec(), Footer::default());
    for part in parts {
        let first = footer.chunks.len();
        footer.frames.push(Frame {
            offset: bytes.len() as u64,
            stored_len: part.stored.len() as u32,
            plain_len: part.claimed.iter().map(|chunk| chunk.len).sum(),
            codec: part.codec,
            chunks: first..first + part.claimed.len(),
        });
        footer.chunks.extend(part.claimed);
        bytes.extend(part.stored);
    }
    let end = footer.encode();
    let footer_digest = Digest::of(&end[..end.len() - TRAILER_BYTES as usize]);
    bytes.extend(end);
    let len = bytes.len() as u64;
    (bytes, PackIntent { len, footer_digest, crc32c: 0 })
}

/// `len` bytes that end as a pack does, with that footer; the trailer says that the footer is `claimed_len` bytes long.
pub(crate) fn ending_in(footer: &[u8], claimed_len: u32, len: usize) -> (Vec<u8>, PackIntent) {
    let mut bytes = MAGIC.to_vec();
    let offset = len - footer.len() - TRAILER_BYTES as usize;
    bytes.resize(offset, 0);
    bytes.extend(footer);
    bytes.extend((offset as u64).to_le_bytes());
    bytes.extend(claimed_len.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(Digest::of(footer).as_bytes());
    bytes.extend([0; 8]);
    bytes.extend(b"PNRTAIL1");
    (bytes, PackIntent { len: len as u64, footer_digest: Digest::of(footer), crc32c: 0 })
}

/// What a zstd frame's header says of its content.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Header {
    Says(u64),
    SaysNothing,
}

/// Bytes that each block of a [`bomb`] unpacks to; four bytes each when stored.
pub(crate) const BLOCK_BYTES: u64 = 128 << 10;

/// A zstd frame (RFC 8878, 3.1.1) of `blocks` blocks that repeat one byte.
pub(crate) fn bomb(header: Header, blocks: u64) -> Vec<u8> {
    let mut bytes = vec![0x28, 0xB5, 0x2F, 0xFD];
    match header {
        // A single segment, and eight bytes of content size.
        Header::Says(len) => {
            bytes.push(0b1110_0000);
            bytes.extend(len.to_le_bytes());
        }
        // No content size; a window of 1 MiB.
        Header::SaysNothing => bytes.extend([0, 10 << 3]),
    }
    for block in 1..=blocks {
        let (last, repeats_a_byte) = (u64::from(block == blocks), 1 << 1);
        let header = last | repeats_a_byte | BLOCK_BYTES << 3;
        bytes.extend(&header.to_le_bytes()[..3]);
        bytes.push(b'b');
    }
    bytes
}
