//! Stored frames of packs, with what stands behind them: pages of a manifest stand beside each other, and every request to a store in a
//! cloud waits. Decodes nothing.

use std::ops::Range;

use crate::controller::error::ControllerError;
use crate::controller::store::Store;
use crate::model::PackName;
use crate::model::pack_layout::Footer;

/// Bytes that are kept beside the latest.
const KEPT_BYTES: usize = 4 << 20;

/// Parts of packs, as they are stored.
pub(super) struct ReadAhead<'a> {
    store: &'a dyn Store,
    /// Bytes that are asked for at once, at least.
    at_once: u64,
    /// The latest last.
    parts: Vec<Part>,
}

struct Part {
    pack: PackName,
    start: u64,
    bytes: Vec<u8>,
}

impl Part {
    fn slice(&self, range: &Range<u64>) -> Option<&[u8]> {
        let start = range.start.checked_sub(self.start)?;
        self.bytes.get(start as usize..(range.end - self.start) as usize)
    }
}

impl<'a> ReadAhead<'a> {
    /// Frames of packs in `store`; `at_once` is 0 for no more than is asked for.
    pub(super) const fn new(store: &'a dyn Store, at_once: u64) -> Self {
        Self { store, at_once, parts: Vec::new() }
    }

    /// Keeps bytes that somebody read already.
    pub(super) fn keep(&mut self, pack: PackName, start: u64, bytes: Vec<u8>) {
        trim(&mut self.parts, if self.at_once == 0 { 0 } else { KEPT_BYTES }, |part| part.bytes.len());
        self.parts.push(Part { pack, start, bytes });
    }

    /// The bytes of `range`, which is a frame's.
    pub(super) fn read(
        &mut self,
        pack: PackName,
        footer: &Footer,
        range: &Range<u64>,
    ) -> Result<&[u8], ControllerError> {
        let known = self.parts.iter().position(|part| part.pack == pack && part.slice(range).is_some());
        let at = match known {
            Some(at) => at,
            None => {
                let frames_end = footer.frames.last().map_or(range.end, |frame| frame.stored_range().end);
                let end = (range.start + self.at_once).min(frames_end).max(range.end);
                let bytes = self.store.read(pack.into(), range.start..end)?;
                self.keep(pack, range.start, bytes);
                self.parts.len() - 1
            }
        };
        Ok(self.parts.get(at).and_then(|part| part.slice(range)).unwrap_or_default())
    }
}

/// Drops the oldest until what is left weighs no more than `most`.
pub(super) fn trim<T>(kept: &mut Vec<T>, most: usize, weight: impl Fn(&T) -> usize) {
    let mut left = most;
    let fits = |one: &&T| left.checked_sub(weight(one)).map(|rest| left = rest).is_some();
    let count = kept.iter().rev().take_while(fits).count();
    kept.drain(..kept.len() - count);
}
