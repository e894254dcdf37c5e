//! The controller's own clock, which alone decides when a lease ends, and what it can see of the processes that its
//! sessions live in. Never compared with another machine's.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::controller::process::ProcessMark;

/// Tells the time, and which processes are gone; tests move both by hand.
pub trait Clock: Send + Sync {
    /// Seconds since 1970-01-01 UTC.
    fn now(&self) -> i64;

    /// The mark of the process that this controller's sessions end with; `None` where they belong to agents elsewhere.
    fn process(&self) -> Option<String> {
        None
    }

    /// Whether the process of that mark is certainly gone; `false` in any doubt.
    fn is_gone(&self, _process: &str) -> bool {
        false
    }
}

/// The operating system's clock, for a controller whose agents are other processes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

/// The operating system's clock, for a controller in its agent's own process.
#[derive(Debug, Default)]
pub struct ProcessClock {
    own: OnceLock<Option<ProcessMark>>,
}

impl ProcessClock {
    fn own(&self) -> Option<&ProcessMark> {
        self.own.get_or_init(ProcessMark::of_this_process).as_ref()
    }
}

impl Clock for ProcessClock {
    fn now(&self) -> i64 {
        SystemClock.now()
    }

    fn process(&self) -> Option<String> {
        self.own().map(ToString::to_string)
    }

    fn is_gone(&self, process: &str) -> bool {
        match (process.parse::<ProcessMark>(), self.own()) {
            (Ok(process), Some(own)) => process.is_gone_for(own),
            _ => false,
        }
    }
}
