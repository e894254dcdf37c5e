//! Where a chunk ends: FastCDC (Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication
//! Based Storage Systems", IEEE TPDS 31(9), 2020). Cut points only: no digests, no buffers.
//!
//! Frozen as `chunker_id` 1 (`docs/format.md`, "Chunks"): Gear hash of 64 bits, cut-point skipping below the
//! minimum, normalization level 2 (two bits more before the average, two fewer after it).

use crate::model::limits::{AVERAGE_CHUNK_BYTES, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES};

use super::gear::GEAR;

/// Before the average: 18 bits, so one cut in 256 KiB. The paper's masks, spread over the window of the hash.
const MASK_BEFORE: u64 = 0x0000_d907_0753_7000;
/// After the average: 14 bits, so one cut in 16 KiB.
const MASK_AFTER: u64 = 0x0000_d903_1353_0000;

/// [`GEAR`] shifted left once, for the first byte of each pair (section 3.7 of the paper: two bytes at a time).
static GEAR_SHIFTED: [u64; 256] = shifted();

/// Length of the first chunk of `data`, which must hold [`MAX_CHUNK_BYTES`] or run to the end of the file.
///
/// 0 only for no data. All but a file's last chunk have at least [`MIN_CHUNK_BYTES`]; none more than the maximum.
pub fn cut(data: &[u8]) -> usize {
    let end = data.len().min(MAX_CHUNK_BYTES);
    if end <= MIN_CHUNK_BYTES {
        return end;
    }
    let middle = end.min(AVERAGE_CHUNK_BYTES);
    let mut hash = 0;
    if let Some(pair) = scan(&data[MIN_CHUNK_BYTES..middle], &mut hash, MASK_BEFORE) {
        return MIN_CHUNK_BYTES + pair;
    }
    // An odd end can only be the file's own, and then its last byte is never asked for a cut: bounds are even.
    scan(&data[middle..end], &mut hash, MASK_AFTER).map_or(end, |pair| middle + pair)
}

/// Rolls `hash` over `window`; the offset of the first byte (the next chunk's first) at which `mask` finds zeros.
#[inline]
fn scan(window: &[u8], hash: &mut u64, mask: u64) -> Option<usize> {
    let shifted_mask = mask << 1;
    for (index, pair) in window.chunks_exact(2).enumerate() {
        *hash = (*hash << 2).wrapping_add(GEAR_SHIFTED[usize::from(pair[0])]);
        if *hash & shifted_mask == 0 {
            return Some(2 * index);
        }
        *hash = hash.wrapping_add(GEAR[usize::from(pair[1])]);
        if *hash & mask == 0 {
            return Some(2 * index + 1);
        }
    }
    None
}

const fn shifted() -> [u64; 256] {
    let mut table = GEAR;
    let mut index = 0;
    while index < table.len() {
        table[index] <<= 1;
        index += 1;
    }
    table
}
