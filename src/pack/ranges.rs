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
