//! Which bytes of a pack to fetch for the frames that are needed. Plans only; fetching is `transfer`'s work.

use std::ops::Range;

use crate::model::pack_layout::{Footer, Frame};

/// A gap of at most this many bytes is fetched and thrown away: cheaper than another request.
pub const MERGED_GAP_BYTES: u64 = 1 << 20;
/// Bytes of one fetch, unless a single frame is larger: what is in flight is budgeted in fetches.
pub const MAX_FETCH_BYTES: u64 = 16 << 20;
/// From this share of the frames' bytes on, gaps of any size are fetched too.
const WHOLE_PACK_PERCENT: u64 = 60;

/// One GET and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Bytes of the pack: from the start of the first needed frame to the end of the last.
    pub range: Range<u64>,
    /// The needed frames in it, as indices into [`Footer::frames`], ascending; at least one.
    pub frames: Vec<usize>,
}

/// The fetches for the frames `needed` (indices, ascending, none twice; indices without a frame are passed over).
pub fn plan(footer: &Footer, needed: &[usize]) -> Vec<Fetch> {
    let frames = || needed.iter().filter_map(|&index| Some((index, footer.frames.get(index)?)));
    let needed_bytes: u64 = frames().map(|(_, frame)| u64::from(frame.stored_len)).sum();
    let all_bytes: u64 = footer.frames.iter().map(|frame| u64::from(frame.stored_len)).sum();
    let most_of_it = needed_bytes * 100 >= all_bytes * WHOLE_PACK_PERCENT;
    let mut fetches: Vec<Fetch> = Vec::new();
    for (index, frame) in frames() {
        match fetches.last_mut().filter(|fetch| joins(fetch, frame, most_of_it)) {
            Some(fetch) => {
                fetch.range.end = frame.stored_range().end;
                fetch.frames.push(index);
            }
            None => fetches.push(Fetch { range: frame.stored_range(), frames: vec![index] }),
        }
    }
    fetches
}

fn joins(fetch: &Fetch, frame: &Frame, most_of_it: bool) -> bool {
    let range = frame.stored_range();
    let near = most_of_it || range.start.saturating_sub(fetch.range.end) <= MERGED_GAP_BYTES;
    near && range.end - fetch.range.start <= MAX_FETCH_BYTES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    use crate::model::pack_layout::{Codec, MAGIC};

    use super::*;

    fn footer(lengths: &[u32]) -> Footer {
        let mut offset = MAGIC.len() as u64;
        let mut frames = Vec::new();
        for &stored_len in lengths {
            frames.push(Frame { offset, stored_len, plain_len: stored_len, codec: Codec::Raw, chunks: 0..0 });
            offset += u64::from(stored_len);
        }
        Footer { frames, chunks: Vec::new() }
    }

    const MIB: u32 = 1 << 20;

    #[test]
    fn nothing_needed_is_nothing_fetched() {
        assert_eq!(plan(&footer(&[10, 20]), &[]), []);
        assert_eq!(plan(&Footer::default(), &[0, 1]), []);
    }

    #[test]
    fn a_gap_of_a_mebibyte_is_merged_and_one_byte_more_is_not() {
        let sparse = |gap| footer(&[100, gap, 100, 30 * MIB]);
        assert_eq!(
            plan(&sparse(MIB), &[0, 2]),
            [Fetch { range: 8..208 + u64::from(MIB), frames: vec![0, 2] }]
        );
        assert_eq!(plan(&sparse(MIB + 1), &[0, 2]).len(), 2);
    }

    #[test]
    fn from_sixty_percent_on_gaps_do_not_count() {
        let pack = footer(&[3 * MIB, 4 * MIB, 3 * MIB]);
        assert_eq!(plan(&pack, &[0, 2]), [Fetch { range: 8..8 + (10 << 20), frames: vec![0, 2] }]);
        let pack = footer(&[3 * MIB, 4 * MIB + 9, 3 * MIB]);
        assert_eq!(plan(&pack, &[0, 2]).len(), 2);
    }

    #[test]
    fn a_whole_pack_is_fetched_in_pieces() {
        let fetches = plan(&footer(&[MIB; 32]), &Vec::from_iter(0..32));
        assert_eq!(fetches.iter().map(|fetch| fetch.frames.len()).collect::<Vec<_>>(), [16, 16]);
    }

    proptest! {
        #[test]
        fn needed_frames_are_covered_once_in_bounded_fetches(
            frames in proptest::collection::vec(((0..4u32, 1..700_000u32).prop_map(|(e, n)| n * [1, 1, 4, 20][e as usize]), any::<bool>()), 1..80),
        ) {
            let lengths: Vec<u32> = frames.iter().map(|frame| frame.0).collect();
            let needed: Vec<usize> = (0..frames.len()).filter(|&index| frames[index].1).collect();
            let footer = footer(&lengths);
            let fetches = plan(&footer, &needed);
            let covered: Vec<usize> = fetches.iter().flat_map(|fetch| fetch.frames.clone()).collect();
            prop_assert_eq!(&covered, &needed);
            let needed_bytes: u64 = needed.iter().map(|&index| u64::from(lengths[index])).sum();
            let all_bytes: u64 = lengths.iter().map(|&len| u64::from(len)).sum();
            let fetched: u64 = fetches.iter().map(|fetch| fetch.range.end - fetch.range.start).sum();
            for fetch in &fetches {
                let range = |index: &usize| footer.frames[*index].stored_range();
                prop_assert_eq!(fetch.frames.first().map(|index| range(index).start), Some(fetch.range.start));
                prop_assert_eq!(fetch.frames.last().map(|index| range(index).end), Some(fetch.range.end));
                prop_assert!(fetch.frames.len() == 1 || fetch.range.end - fetch.range.start <= MAX_FETCH_BYTES);
            }
            prop_assert!(fetches.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
            // Read for nothing: a mebibyte between two needed frames, or two fifths of the pack.
            let merged_gaps = MERGED_GAP_BYTES * needed.len() as u64;
            prop_assert!(fetched - needed_bytes <= merged_gaps.max(all_bytes * 2 / 5 + 1));
            prop_assert!(needed_bytes * 5 >= all_bytes * 3 || fetched - needed_bytes <= merged_gaps);
        }
    }
}
