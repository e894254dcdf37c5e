//! The bytes of a pack around its frames: magic, footer, trailer (`docs/format.md`, "Pack").
//! Not compression and not I/O: see the room `pack`.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::digest::{Digest, parse_hex};
use super::entry::ChunkRef;
use super::limits::{MAX_FRAME_BYTES, MAX_FRAME_CHUNKS, MAX_PACK_BYTES};
use super::wire::{Reader, Writer};

/// First eight bytes of every pack.
pub const MAGIC: &[u8; 8] = b"PNRPACK1";
/// Last eight bytes of every pack.
const TRAILER_MAGIC: &[u8; 8] = b"PNRTAIL1";
/// Length of the trailer, the fixed last part of a pack.
pub const TRAILER_BYTES: u64 = 64;
const FRAME_RECORD_BYTES: usize = 13;
const CHUNK_RECORD_BYTES: usize = 4 + Digest::LEN;

/// Random 128-bit name of a pack, printed as 32 hexadecimal digits. Never derived from content, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackName(pub [u8; 16]);

impl fmt::Display for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for PackName {
    type Err = LayoutError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_hex(text).map(Self).ok_or(LayoutError::Name)
    }
}

impl serde::Serialize for PackName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for PackName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How a frame's plaintext is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// As it is: a probe said that compression does not pay.
    Raw,
    /// One zstd frame with its content size in the header.
    Zstd,
}

/// One frame of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Offset of its first stored byte in the pack.
    pub offset: u64,
    /// Bytes in the pack.
    pub stored_len: u32,
    /// Bytes of plaintext: the sum of its chunks' lengths.
    pub plain_len: u32,
    /// How the one becomes the other.
    pub codec: Codec,
    /// Which of [`Footer::chunks`] it holds, in order.
    pub chunks: Range<usize>,
}

impl Frame {
    /// Where its stored bytes stand in the pack.
    pub fn stored_range(&self) -> Range<u64> {
        self.offset..self.offset + u64::from(self.stored_len)
    }
}

/// What a pack holds, read from its end.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Footer {
    /// Frames in the order of their offsets, without gaps.
    pub frames: Vec<Frame>,
    /// Chunks of all frames, in order.
    pub chunks: Vec<ChunkRef>,
}

/// Where the footer stands and what it hashes to: the decoded trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Offset of the footer in the pack: the end of the last frame.
    pub footer_offset: u64,
    /// Bytes of the footer.
    pub footer_len: u32,
    /// BLAKE3-256 of the footer.
    pub footer_digest: Digest,
}

/// Why some bytes are not a pack's footer or trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Too short, or the magic is not there.
    #[error("not a pack, or cut short")]
    NotAPack,
    /// The trailer's numbers contradict the pack's length.
    #[error("the trailer points outside the pack")]
    Trailer,
    /// The footer's digest is not the trailer's.
    #[error("the footer's digest does not match the trailer")]
    FooterDigest,
    /// The footer's records contradict each other or a limit.
    #[error("the footer contradicts itself")]
    Footer,
    /// Not 32 hexadecimal digits.
    #[error("a pack's name is 32 hexadecimal digits")]
    Name,
}

impl Footer {
    /// The footer's bytes followed by the trailer's: the end of a pack.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u32(self.frames.len() as u32);
        out.u32(self.chunks.len() as u32);
        for frame in &self.frames {
            out.u32(frame.stored_len);
            out.u32(frame.plain_len);
            out.u32(frame.chunks.len() as u32);
            out.u8(match frame.codec {
                Codec::Raw => 0,
                Codec::Zstd => 1,
            });
        }
        self.chunks.iter().for_each(|chunk| out.u32(chunk.len));
        self.chunks.iter().for_each(|chunk| out.raw(chunk.digest.as_bytes()));
        let trailer = Trailer {
            footer_offset: self.frames.last().map_or(MAGIC.len() as u64, |frame| frame.stored_range().end),
            footer_len: out.0.len() as u32,
            footer_digest: Digest::of(&out.0),
        };
        trailer.encode(&mut out);
        out.0
    }

    /// Reads a footer (without its trailer), checked against `trailer`.
    pub fn decode(bytes: &[u8], trailer: &Trailer) -> Result<Self, LayoutError> {
        if bytes.len() as u64 != u64::from(trailer.footer_len) || Digest::of(bytes) != trailer.footer_digest {
            return Err(LayoutError::FooterDigest);
        }
        decode_records(bytes, trailer.footer_offset).ok_or(LayoutError::Footer)
    }
}

impl Trailer {
    /// Reads the last [`TRAILER_BYTES`] bytes of a pack of `pack_len` bytes.
    pub fn decode(bytes: &[u8], pack_len: u64) -> Result<Self, LayoutError> {
        let mut input = Reader(bytes);
        let trailer = (|| {
            let footer_offset = input.u64()?;
            let footer_len = input.u32()?;
            let reserved = input.u32()?;
            let footer_digest = Digest::from_slice(input.raw(Digest::LEN)?)?;
            let zeros = input.u64()?;
            let magic = input.raw(TRAILER_MAGIC.len())?;
            let whole = magic == TRAILER_MAGIC && reserved == 0 && zeros == 0 && input.is_empty();
            whole.then_some(Self { footer_offset, footer_len, footer_digest })
        })();
        let trailer = trailer.ok_or(LayoutError::NotAPack)?;
        let end = trailer.footer_offset.checked_add(u64::from(trailer.footer_len) + TRAILER_BYTES);
        if end != Some(pack_len) || trailer.footer_offset < MAGIC.len() as u64 || pack_len > MAX_PACK_BYTES {
            return Err(LayoutError::Trailer);
        }
        Ok(trailer)
    }

    /// Where the footer stands in the pack.
    pub fn footer_range(&self) -> Range<u64> {
        self.footer_offset..self.footer_offset + u64::from(self.footer_len)
    }

    fn encode(&self, out: &mut Writer) {
        out.u64(self.footer_offset);
        out.u32(self.footer_len);
        out.u32(0);
        out.raw(self.footer_digest.as_bytes());
        out.u64(0);
        out.raw(TRAILER_MAGIC);
    }
}

fn decode_records(bytes: &[u8], frames_end: u64) -> Option<Footer> {
    let mut input = Reader(bytes);
    let frame_count = input.u32()? as usize;
    let chunk_count = input.u32()? as usize;
    let expected = frame_count
        .checked_mul(FRAME_RECORD_BYTES)?
        .checked_add(chunk_count.checked_mul(CHUNK_RECORD_BYTES)?)?;
    if expected != input.0.len() {
        return None;
    }
    let mut frames = Vec::with_capacity(frame_count);
    let (mut offset, mut first_chunk) = (MAGIC.len() as u64, 0usize);
    for _ in 0..frame_count {
        let (stored_len, plain_len, count) = (input.u32()?, input.u32()?, input.u32()? as usize);
        let codec = match input.u8()? {
            0 => Codec::Raw,
            1 => Codec::Zstd,
            _ => return None,
        };
        let chunks = first_chunk..first_chunk.checked_add(count)?;
        let in_bounds = count > 0 && count <= MAX_FRAME_CHUNKS && plain_len as usize <= MAX_FRAME_BYTES;
        // A frame that zstd does not shrink is stored raw, so no stored length passes `MAX_FRAME_BYTES` either.
        let stored_fits = match codec {
            Codec::Raw => stored_len == plain_len,
            Codec::Zstd => stored_len < plain_len,
        };
        if !in_bounds || !stored_fits || chunks.end > chunk_count {
            return None;
        }
        first_chunk = chunks.end;
        frames.push(Frame { offset, stored_len, plain_len, codec, chunks });
        offset = offset.checked_add(u64::from(stored_len))?;
    }
    if offset != frames_end || first_chunk != chunk_count {
        return None;
    }
    let mut lengths = Reader(input.raw(chunk_count * 4)?);
    let mut chunks = Vec::with_capacity(chunk_count);
    for _ in 0..chunk_count {
        let len = lengths.u32().filter(|&len| len > 0)?;
        chunks.push(ChunkRef { digest: Digest::from_slice(input.raw(Digest::LEN)?)?, len });
    }
    let adds_up = |frame: &Frame| {
        let sum: u64 = chunks[frame.chunks.clone()].iter().map(|chunk| u64::from(chunk.len)).sum();
        sum == u64::from(frame.plain_len)
    };
    frames.iter().all(adds_up).then_some(Footer { frames, chunks })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footer() -> Footer {
        let chunk = |byte: u8, len| ChunkRef { digest: Digest::of(&[byte]), len };
        Footer {
            frames: vec![
                Frame { offset: 8, stored_len: 5, plain_len: 30, codec: Codec::Zstd, chunks: 0..2 },
                Frame { offset: 13, stored_len: 7, plain_len: 7, codec: Codec::Raw, chunks: 2..3 },
            ],
            chunks: vec![chunk(1, 10), chunk(2, 20), chunk(3, 7)],
        }
    }

    fn decode(end: &[u8], pack_len: u64) -> Result<Footer, LayoutError> {
        let split = end.len().checked_sub(TRAILER_BYTES as usize).ok_or(LayoutError::NotAPack)?;
        let trailer = Trailer::decode(&end[split..], pack_len)?;
        Footer::decode(&end[..split], &trailer)
    }

    #[test]
    fn round_trips() {
        let end = footer().encode();
        assert_eq!(decode(&end, 20 + end.len() as u64), Ok(footer()));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_an_error() {
        let end = footer().encode();
        let pack_len = 20 + end.len() as u64;
        for bit in 0..end.len() * 8 {
            let mut broken = end.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&broken, pack_len).is_err(), "bit {bit}");
        }
        for len in 0..end.len() {
            assert!(decode(&end[..len], 20 + len as u64).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_giant_claim_allocates_nothing() {
        let mut records = Writer::default();
        records.u32(u32::MAX);
        records.u32(u32::MAX);
        let trailer = Trailer { footer_offset: 8, footer_len: 8, footer_digest: Digest::of(&records.0) };
        assert_eq!(Footer::decode(&records.0, &trailer), Err(LayoutError::Footer));
    }
}
