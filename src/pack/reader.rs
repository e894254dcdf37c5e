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
