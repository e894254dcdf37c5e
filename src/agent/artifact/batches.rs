//! Which files one thread fetches one after the other, and in what order. Fetches nothing.

use std::collections::HashMap;

use crate::model::EntryPath;
use crate::protocol::artifact::ArtifactInfo;
use crate::protocol::contents::MAX_OBJECTS;

use super::fetch::PIECE_BYTES;

/// Bytes of the files of a batch; they are in memory together.
const BATCH_BYTES: u64 = 1 << 20;
/// Files of a batch: enough that its request costs little beside them, few enough that every thread has some.
const BATCH_FILES: usize = if MAX_OBJECTS < 64 { MAX_OBJECTS } else { 64 };

/// An artifact and its place.
pub(super) type Placed = (EntryPath, ArtifactInfo);

/// First those that are handed out together, neighbours in one batch, so that those who write at once write to different folders. Then the
/// others, each by itself: the first of every folder, then the second, and so on, for the same reason. The large ones last: whoever waits
/// among them keeps no small one waiting.
pub(super) fn batches(files: Vec<Placed>, together: impl Fn(&ArtifactInfo) -> bool) -> Vec<Vec<Placed>> {
    let (together, single): (Vec<Placed>, Vec<Placed>) =
        files.into_iter().partition(|(_, artifact)| together(artifact));
    let mut batches: Vec<Vec<Placed>> = Vec::new();
    let mut bytes = u64::MAX;
    for placed in together {
        bytes = bytes.saturating_add(placed.1.len);
        match batches.last_mut().filter(|batch| batch.len() < BATCH_FILES && bytes <= BATCH_BYTES) {
            Some(batch) => batch.push(placed),
            None => {
                bytes = placed.1.len;
                batches.push(vec![placed]);
            }
        }
    }
    batches.extend(in_turn(single).map(|placed| vec![placed]));
    batches
}

fn in_turn(files: Vec<Placed>) -> impl Iterator<Item = Placed> {
    let mut ranks: HashMap<Option<EntryPath>, u32> = HashMap::new();
    let mut ranked: Vec<(bool, u32, Placed)> = Vec::with_capacity(files.len());
    for placed in files {
        let rank = ranks.entry(placed.0.parent()).or_default();
        *rank += 1;
        ranked.push((placed.1.len > PIECE_BYTES, *rank, placed));
    }
    ranked.sort_by_key(|(is_large, rank, _)| (*is_large, *rank));
    ranked.into_iter().map(|(_, _, placed)| placed)
}
