//! A file that was hashed, with its content where that is small and memory allows. Reads nothing itself.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::http::Bytes;
use crate::protocol::artifact::NewArtifact;
use crate::workspace::stat::Stat;

/// Content of all files together that is kept in memory from hashing to sending.
const KEPT_BYTES: u64 = 48 << 20;
/// Longest file whose content is kept.
const KEPT_FILE_BYTES: u64 = 1 << 20;

/// A file, ready to be announced.
pub(super) struct Ready<'a> {
    /// Which of the request's files it is.
    pub(super) index: usize,
    /// What is told of it.
    pub(super) new: NewArtifact,
    /// CRC-32C of the whole, and of each part.
    pub(super) crc32c: u32,
    pub(super) parts: Vec<u32>,
    /// Its state when it was hashed; `None` for a symlink.
    pub(super) stat: Option<Stat>,
    /// Its content, if it was kept.
    pub(super) kept: Option<Kept<'a>>,
}

/// Content that counts against the budget as long as it is there.
pub(super) struct Kept<'a> {
    pub(super) bytes: Bytes,
    taken: Taken<'a>,
}

/// What was taken of the budget.
pub(super) struct Taken<'a>(u64, &'a Budget);

/// How much content may be kept.
#[derive(Default)]
pub(super) struct Budget(AtomicU64);

impl Budget {
    /// Takes room for a file of `len` bytes, if there is some.
    pub(super) fn take(&self, len: u64) -> Option<Taken<'_>> {
        let more = |kept: u64| Some(kept + len).filter(|kept| *kept <= KEPT_BYTES);
        let fits =
            len <= KEPT_FILE_BYTES && self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        fits.then(|| Taken(len, self))
    }
}

impl<'a> Taken<'a> {
    /// Fills the room.
    pub(super) const fn with(self, bytes: Bytes) -> Kept<'a> {
        Kept { bytes, taken: self }
    }
}

impl Kept<'_> {
    /// How much of the budget it takes.
    pub(super) const fn len(&self) -> u64 {
        self.taken.0
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.1.0.fetch_sub(self.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_bounded_and_comes_back() {
        let budget = Budget::default();
        let all: Vec<Kept<'_>> = std::iter::from_fn(|| budget.take(KEPT_FILE_BYTES))
            .map(|taken| taken.with(Bytes::new()))
            .collect();
        assert_eq!(all.iter().map(Kept::len).sum::<u64>(), KEPT_BYTES);
        drop(all);
        assert!(budget.take(KEPT_FILE_BYTES + 1).is_none() && budget.take(KEPT_FILE_BYTES).is_some());
    }
}
