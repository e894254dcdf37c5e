//! Counters of a run, written by workers and read by a progress bar or a summary; and the wish to end it early. No
//! terminal and no signals here.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::stop::Stop;

/// A monotone counter shared between threads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The sum so far.
    pub fn sum(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What a stash, unstash, import or export has done so far.
#[derive(Debug, Default)]
pub struct Progress {
    /// Entries found by the walk or named by the manifest: the total to do.
    pub found_entries: Counter,
    /// Bytes of regular files found: the total to do.
    pub found_bytes: Counter,
    /// Entries done.
    pub done_entries: Counter,
    /// Bytes of regular files done, known or new.
    pub done_bytes: Counter,
    /// Plaintext bytes of chunks that the store did not have.
    pub new_bytes: Counter,
    /// Bytes sent to or received from the store, after compression.
    pub moved_bytes: Counter,
    /// The wish that it ends before it is done.
    pub stop: Stop,
}
