//! Reading a pack: its end, then its frames, every chunk verified. The bytes come from the caller.

use std::io::{Read, Seek, SeekFrom};

use crate::model::limits::MAX_PACK_BYTES;
use crate::model::pack_layout::{Footer, LayoutError, MAGIC, TRAILER_BYTES, Trailer};

use super::{FrameDecoder, PackError};

/// What the end of a pack says: `tail` is the last bytes of a pack of `pack_len` bytes, footer and trailer at least.
///
/// [`PackError::ShortTail`] names the bytes that are needed, if `tail` holds the trailer and not the whole footer.
pub fn decode_tail(tail: &[u8], pack_len: u64) -> Result<Footer, PackError> {
    if tail.len() as u64 > pack_len {
        return Err(LayoutError::NotAPack.into());
    }
    let (before, trailer) =
        tail.split_last_chunk::<{ TRAILER_BYTES as usize }>().ok_or(LayoutError::NotAPack)?;
    let trailer = Trailer::decode(trailer, pack_len)?;
    let footer_len = trailer.footer_len as usize;
    let start = before.len().checked_sub(footer_len).ok_or(PackError::ShortTail {
        needed: u64::from(trailer.footer_len) + TRAILER_BYTES,
        given: tail.len() as u64,
    })?;
    Ok(Footer::decode(&before[start..], &trailer)?)
}

/// Reads the footer of a pack, whose length is the end of `source`.
pub fn read_footer(source: &mut (impl Read + Seek)) -> Result<Footer, PackError> {
    let pack_len = source.seek(SeekFrom::End(0)).map_err(|source| PackError::Read { offset: 0, source })?;
    let short = pack_len < MAGIC.len() as u64 + TRAILER_BYTES;
    if short || pack_len > MAX_PACK_BYTES {
        return Err(LayoutError::NotAPack.into());
    }
    if read_at(source, 0, MAGIC.len())? != MAGIC {
        return Err(LayoutError::NotAPack.into());
    }
    let trailer_offset = pack_len - TRAILER_BYTES;
    let trailer = Trailer::decode(&read_at(source, trailer_offset, TRAILER_BYTES as usize)?, pack_len)?;
    let footer = read_at(source, trailer.footer_offset, trailer.footer_len as usize)?;
    Ok(Footer::decode(&footer, &trailer)?)
}

/// What a full check of a pack found.
#[derive(Debug, Default)]
pub struct Verified {
    /// What the pack holds, as its footer says.
    pub footer: Footer,
    /// Frames that are not what the footer says: their index in [`Footer::frames`] and the first fault of each.
    pub damaged: Vec<(usize, PackError)>,
}

/// Reads every frame of a pack and verifies every chunk. An error only when nothing can be said of the frames: the
/// magic, the footer or the trailer is damaged, or reading fails.
pub fn verify(source: &mut (impl Read + Seek)) -> Result<Verified, PackError> {
    let footer = read_footer(source)?;
    let (mut decoder, mut plain) = (FrameDecoder::new(), Vec::new());
    let mut damaged = Vec::new();
    for (index, frame) in footer.frames.iter().enumerate() {
        let stored = read_at(source, frame.offset, frame.stored_len as usize)?;
        let chunks = &footer.chunks[frame.chunks.clone()];
        if let Err(error) = decoder.decode(frame, &stored, chunks, &mut plain) {
            damaged.push((index, error));
        }
    }
    Ok(Verified { footer, damaged })
}

/// Exactly `len` bytes; the callers have bounded `len` by the pack's length.
fn read_at(source: &mut (impl Read + Seek), offset: u64, len: usize) -> Result<Vec<u8>, PackError> {
    let mut bytes = vec![0; len];
    let mut read = || {
        source.seek(SeekFrom::Start(offset))?;
        source.read_exact(&mut bytes)
    };
    read().map_err(|source| PackError::Read { offset, source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use crate::model::{ChunkRef, Digest};
    use crate::pack::{Builder, FrameEncoder};

    use super::*;

    /// Three frames, zstd and raw.
    fn pack() -> Vec<u8> {
        let mut builder = Builder::new();
        for plain in [&[7; 5000][..], b"raw", &[8; 4000]] {
            let (codec, stored) = FrameEncoder::new().encode(plain, 3);
            builder.push_frame(
                codec,
                stored,
                &[ChunkRef { digest: Digest::of(plain), len: plain.len() as u32 }],
            );
        }
        builder.finish().parts.concat()
    }

    fn checked(bytes: &[u8]) -> Result<Verified, PackError> {
        verify(&mut Cursor::new(bytes))
    }

    #[test]
    fn a_sound_pack_has_no_damage() {
        let verified = checked(&pack()).unwrap();
        assert_eq!((verified.footer.frames.len(), verified.footer.chunks.len()), (3, 3));
        assert!(verified.damaged.is_empty());
    }

    #[test]
    fn every_flipped_bit_is_found_and_laid_to_its_frame() {
        let bytes = pack();
        let footer = checked(&bytes).unwrap().footer;
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            let place = bit as u64 / 8;
            let frame = footer.frames.iter().position(|frame| frame.stored_range().contains(&place));
            match (checked(&broken), frame) {
                (Ok(verified), Some(frame)) => {
                    // zstd may ignore a reserved bit, and the chunk is then what it should be.
                    let found: Vec<_> = verified.damaged.iter().map(|(index, _)| *index).collect();
                    assert!(found == [frame] || found.is_empty(), "bit {bit}: {found:?}");
                }
                (Err(PackError::Layout(_)), None) => {}
                (other, _) => panic!("bit {bit}: {other:?}"),
            }
        }
    }

    #[test]
    fn every_cut_and_every_addition_is_an_error() {
        let bytes = pack();
        for len in 0..bytes.len() {
            assert!(checked(&bytes[..len]).is_err(), "cut at {len}");
            assert!(decode_tail(&bytes[..len], len as u64).is_err(), "tail cut at {len}");
        }
        assert!(checked(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn a_tail_may_be_longer_than_needed_and_says_when_it_is_shorter() {
        let bytes = pack();
        let pack_len = bytes.len() as u64;
        let whole = decode_tail(&bytes, pack_len).unwrap();
        let needed = match decode_tail(&bytes[bytes.len() - 64..], pack_len) {
            Err(PackError::ShortTail { needed, given: 64 }) => needed as usize,
            other => panic!("{other:?}"),
        };
        assert_eq!(decode_tail(&bytes[bytes.len() - needed..], pack_len).unwrap(), whole);
        assert!(decode_tail(&bytes[bytes.len() - needed + 1..], pack_len).is_err());
        assert!(decode_tail(&bytes, pack_len - 1).is_err() && decode_tail(&bytes, pack_len + 1).is_err());
    }

    #[test]
    fn a_pack_that_claims_to_be_too_large_is_not_read() {
        struct Endless;
        impl Read for Endless {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                panic!("must not be read")
            }
        }
        impl Seek for Endless {
            fn seek(&mut self, _: SeekFrom) -> std::io::Result<u64> {
                Ok(MAX_PACK_BYTES + 1)
            }
        }
        assert!(matches!(read_footer(&mut Endless), Err(PackError::Layout(LayoutError::NotAPack))));
    }
}
