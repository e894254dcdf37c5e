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

/// [`GEAR`] shifted left by 0 to 3 bits. Section 3.7 of the paper rolls two bytes at a time to shorten the chain of
/// dependent additions; here it is four, with the same cuts (`docs/benchmarks-formats.md` says what is known of the gain).
static GEAR_SHIFTED: [[u64; 256]; 4] = [shifted(0), shifted(1), shifted(2), shifted(3)];

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
    if let Some(offset) = scan(&data[MIN_CHUNK_BYTES..middle], &mut hash, MASK_BEFORE) {
        return MIN_CHUNK_BYTES + offset;
    }
    scan(&data[middle..end], &mut hash, MASK_AFTER).map_or(end, |offset| middle + offset)
}

/// Rolls `hash` over `window`; the offset of the first byte (the next chunk's first) at which `mask` finds zeros.
///
/// The last byte of a window of odd length is never a cut: authors' and others' code asks in pairs. All bounds are
/// even, so this can only be the end of the file.
#[inline]
fn scan(window: &[u8], hash: &mut u64, mask: u64) -> Option<usize> {
    let [shifted_0, shifted_1, shifted_2, shifted_3] = &GEAR_SHIFTED;
    let (quads, rest) = window.as_chunks::<4>();
    for (index, quad) in quads.iter().enumerate() {
        let [a, b, c, d] = quad.map(usize::from);
        // What each byte adds is summed apart from the hash, so that the hash waits for one addition in four bytes.
        let one = shifted_3[a];
        let two = one.wrapping_add(shifted_2[b]);
        let three = two.wrapping_add(shifted_1[c]);
        let four = three.wrapping_add(shifted_0[d]);
        let base = *hash << 4;
        *hash = base.wrapping_add(four);
        // The hash after each byte, shifted left by what is still to come.
        let cuts = [
            base.wrapping_add(one) & (mask << 3) == 0,
            base.wrapping_add(two) & (mask << 2) == 0,
            base.wrapping_add(three) & (mask << 1) == 0,
            *hash & mask == 0,
        ];
        if cuts[0] | cuts[1] | cuts[2] | cuts[3] {
            return cuts.iter().position(|&cut| cut).map(|byte| 4 * index + byte);
        }
    }
    for (index, &byte) in rest[..rest.len() & !1].iter().enumerate() {
        *hash = (*hash << 1).wrapping_add(GEAR[usize::from(byte)]);
        if *hash & mask == 0 {
            return Some(4 * quads.len() + index);
        }
    }
    None
}

const fn shifted(bits: u32) -> [u64; 256] {
    let mut table = GEAR;
    let mut index = 0;
    while index < table.len() {
        table[index] <<= bits;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use fastcdc::v2020::{FastCDC, Normalization};
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

    use super::*;

    /// xorshift64: bytes that every machine makes alike.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed;
        let words = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        words.flatten().take(len).collect()
    }

    fn lengths(mut data: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        while !data.is_empty() {
            lengths.push(cut(data));
            data = &data[cut(data)..];
        }
        lengths
    }

    fn oracle(data: &[u8]) -> Vec<usize> {
        let (min, average, max) = (MIN_CHUNK_BYTES, AVERAGE_CHUNK_BYTES, MAX_CHUNK_BYTES);
        let chunks = FastCDC::with_level(data, min, average, max, Normalization::Level2);
        chunks.map(|chunk| chunk.length).collect()
    }

    #[test]
    fn masks_have_two_bits_more_and_two_fewer_than_the_average() {
        let bits = AVERAGE_CHUNK_BYTES.ilog2();
        assert_eq!((MASK_BEFORE.count_ones(), MASK_AFTER.count_ones()), (bits + 2, bits - 2));
    }

    #[test]
    fn cuts_megabytes_where_another_implementation_does() {
        let noise = noise(7, 8 << 20);
        assert_eq!(lengths(&noise), oracle(&noise));
        // Few values of a byte, long runs and periods: what files are made of, and hashes are bad at.
        let runs: Vec<u8> = noise[..1 << 20].iter().flat_map(|&b| [b & 3; 7]).collect();
        assert_eq!(lengths(&runs), oracle(&runs));
        let period = noise[..9973].repeat(300);
        assert_eq!(lengths(&period), oracle(&period));
    }

    #[test]
    fn a_byte_value_repeated_is_cut_at_the_maximum_zeros_above_all() {
        for value in 0..=255 {
            let run = vec![value; MAX_CHUNK_BYTES + 1];
            assert_eq!(lengths(&run), oracle(&run), "{value}");
        }
        assert_eq!(cut(&vec![0; MAX_CHUNK_BYTES + 1]), MAX_CHUNK_BYTES);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_length_ends_as_in_the_other_implementation(seed in 1..u64::MAX, len in 0..MAX_CHUNK_BYTES) {
            let data = noise(seed, len);
            prop_assert_eq!(lengths(&data), oracle(&data));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn an_insertion_moves_the_cuts_near_it_alone(seed in 1..u64::MAX, at in 0..1usize << 18, byte: u8) {
            let before = noise(seed, 3 << 20);
            let mut after = before.clone();
            after.insert(at, byte);
            let ends = |data: &[u8], shift: usize| -> Vec<usize> {
                let mut end = 0;
                let ends = lengths(data).into_iter().map(|len| {
                    end += len;
                    end - shift
                });
                ends.filter(|&end| end > 2 << 20).collect()
            };
            prop_assert_eq!(ends(&before, 0), ends(&after, 1));
        }
    }
}
