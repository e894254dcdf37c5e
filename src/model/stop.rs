//! The wish to end early, as every thread of a run can see it. Not who wishes it (a signal) or what ends then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A flag that is shared by cloning, set once, and never cleared.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks everything that shares this flag to end.
    pub fn stop(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether the run should end.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Relaxed)
    }
}
