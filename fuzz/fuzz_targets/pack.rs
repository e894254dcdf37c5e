//! Any bytes as the end of a pack: an error, or a footer that adds up and whose bytes are these and no others.
//!
//! Input: eight bytes (little-endian) that stand for the pack's length or the footer's offset, then the pack's end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pannier::model::Digest;
use pannier::model::pack_layout::{Footer, TRAILER_BYTES, Trailer};

fuzz_target!(|bytes: &[u8]| {
    let Some((number, end)) = bytes.split_first_chunk() else { return };
    let number = u64::from_le_bytes(*number);
    whole_end(end, number);
    footer_alone(end, number);
});

/// The way a reader goes: trailer first, then the footer that it points at.
fn whole_end(end: &[u8], pack_len: u64) {
    let Some(split) = end.len().checked_sub(TRAILER_BYTES as usize) else { return };
    let (before, trailer) = end.split_at(split);
    let Ok(trailer) = Trailer::decode(trailer, pack_len) else { return };
    assert_eq!(
        trailer.footer_range().end + TRAILER_BYTES,
        pack_len,
        "a footer that is not before the trailer"
    );
    let Some(start) = before.len().checked_sub(trailer.footer_len as usize) else { return };
    if let Ok(footer) = Footer::decode(&before[start..], &trailer) {
        check(&footer, &end[start..]);
    }
}

/// A fuzzer finds no digest by chance: here the trailer always agrees, so that the records behind it are reached.
fn footer_alone(records: &[u8], footer_offset: u64) {
    let Ok(footer_len) = u32::try_from(records.len()) else { return };
    let trailer = Trailer { footer_offset, footer_len, footer_digest: Digest::of(records) };
    if let Ok(footer) = Footer::decode(records, &trailer) {
        let end = footer.encode();
        assert_eq!(&end[..records.len()], records, "a footer with two spellings");
        check(&footer, &end);
    }
}

fn check(footer: &Footer, end: &[u8]) {
    assert_eq!(footer.encode(), end, "a pack's end with two spellings");
    let chunks: usize = footer.frames.iter().map(|frame| frame.chunks.len()).sum();
    assert_eq!(chunks, footer.chunks.len(), "chunks in no frame");
    for frame in &footer.frames {
        let plain: u64 = footer.chunks[frame.chunks.clone()].iter().map(|chunk| u64::from(chunk.len)).sum();
        assert_eq!(plain, u64::from(frame.plain_len), "a frame longer or shorter than its chunks");
    }
}
