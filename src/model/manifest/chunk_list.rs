//! The chunks of a large file, kept in chunks of their own so that no page grows with a file.
//!
//! Lists are cut by the digests in them, so that an insertion in the file moves one list and not all that follow.

use crate::model::entry::ChunkRef;
use crate::model::wire::{Reader, Writer};
use crate::model::{Digest, limits::MAX_FRAME_BYTES};

use super::ManifestError;

const MAGIC: &[u8; 8] = b"PNRLIST1";
const NOUN: &str = "chunk list";
/// A list may end after a digest whose first byte is zero and whose second is below 64: one in 1,024 …
const CUT_BELOW: u16 = 64;
/// … but not before this many chunks …
const MIN_CHUNKS: usize = 256;
/// … and always after this many (148 KB).
const MAX_CHUNKS: usize = 4096;

/// Whether a list that holds `count` chunks ends with the chunk `last`.
pub fn ends_after(last: &Digest, count: usize) -> bool {
    let head = u16::from_be_bytes([last.as_bytes()[0], last.as_bytes()[1]]);
    count >= MAX_CHUNKS || (count >= MIN_CHUNKS && head < CUT_BELOW)
}

/// The bytes of a list.
pub fn encode(chunks: &[ChunkRef]) -> Vec<u8> {
    let mut out = Writer::default();
    out.raw(MAGIC);
    out.varint(chunks.len() as u64);
    chunks.iter().for_each(|chunk| out.varint(chunk.len.into()));
    chunks.iter().for_each(|chunk| out.raw(chunk.digest.as_bytes()));
    out.0
}

/// Reads a list.
pub fn decode(bytes: &[u8]) -> Result<Vec<ChunkRef>, ManifestError> {
    let records = bytes.strip_prefix(MAGIC).ok_or(ManifestError::Magic(NOUN))?;
    decode_records(records).ok_or(ManifestError::Damaged(NOUN, "its records do not add up"))
}

fn decode_records(records: &[u8]) -> Option<Vec<ChunkRef>> {
    let mut input = Reader(records);
    let count = input.count(1 + Digest::LEN)?;
    let lengths = (0..count).map(|_| chunk_len(&mut input)).collect::<Option<Vec<u32>>>()?;
    let chunks = lengths
        .into_iter()
        .map(|len| Some(ChunkRef { digest: Digest::from_slice(input.raw(Digest::LEN)?)?, len }))
        .collect::<Option<Vec<_>>>()?;
    (input.is_empty() && count > 0).then_some(chunks)
}

/// A chunk's plaintext length: 1 to [`MAX_FRAME_BYTES`].
pub(super) fn chunk_len(input: &mut Reader<'_>) -> Option<u32> {
    input.varint().filter(|len| (1..=MAX_FRAME_BYTES as u64).contains(len)).map(|len| len as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_every_cut() {
        let chunks: Vec<_> =
            (0..50u32).map(|n| ChunkRef { digest: Digest::of(&n.to_le_bytes()), len: n + 1 }).collect();
        let bytes = encode(&chunks);
        assert_eq!(decode(&bytes), Ok(chunks));
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn lists_end_by_content_within_bounds() {
        let zero = Digest::from_bytes([0; 32]);
        assert!(!ends_after(&zero, MIN_CHUNKS - 1) && ends_after(&zero, MIN_CHUNKS));
        let ones = Digest::from_bytes([255; 32]);
        assert!(!ends_after(&ones, MAX_CHUNKS - 1) && ends_after(&ones, MAX_CHUNKS));
    }
}
