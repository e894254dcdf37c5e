//! How many transfers run at the same time: more while more bring more, half as many when the other side is
//! overloaded. Moves nothing itself.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::http::Cause;

/// Transfers at once to begin with, and for ever where packs are files: one waits for its disk while the other works.
pub const FIRST_LIMIT: u32 = 2;
/// A throughput that is this much higher is worth another connection.
const GROWTH: f64 = 1.05;
/// A throughput that is this much lower gives one back.
const DECLINE: f64 = 0.7;

/// Lets so many transfers through, of so many bytes together.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    freed: Condvar,
    started: Instant,
    most: u32,
    most_bytes: u64,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    running: u32,
    bytes: u64,
}

/// A place among the transfers that run; given back when it is dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    gate: &'a Gate,
    bytes: u64,
}

impl Gate {
    /// At most `most` at once; one more than `most_bytes` waits for the others to end.
    pub fn new(most: u32, most_bytes: u64) -> Self {
        Self::beginning(FIRST_LIMIT, most, most_bytes)
    }

    /// The same, beginning with `first` at once.
    pub fn beginning(first: u32, most: u32, most_bytes: u64) -> Self {
        let most = most.max(1);
        let state = State { pace: Pace::new(first, most), running: 0, bytes: 0 };
        Self { state: Mutex::new(state), freed: Condvar::new(), started: Instant::now(), most, most_bytes }
    }

    /// The most that ever run at once: threads that are worth starting.
    pub const fn most(&self) -> u32 {
        self.most
    }

    /// Waits until a transfer of `bytes` may run.
    pub fn enter(&self, bytes: u64) -> Permit<'_> {
        let mut state = self.lock();
        while state.running >= state.pace.limit
            || !(state.running == 0 || state.bytes + bytes <= self.most_bytes)
        {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.running += 1;
        state.bytes += bytes;
        Permit { gate: self, bytes }
    }

    /// A transfer of `bytes` is done.
    pub fn moved(&self, bytes: u64) {
        let mut state = self.lock();
        state.pace.moved(bytes, self.started.elapsed());
        self.freed.notify_all();
    }

    /// An attempt failed; if that says so, fewer run from now on.
    pub fn failed(&self, cause: &Cause) {
        if cause.is_congestion() {
            let mut state = self.lock();
            state.pace.congested();
            tracing::debug!(limit = state.pace.limit, "fewer transfers at once");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.running -= 1;
        state.bytes -= self.bytes;
        self.gate.freed.notify_all();
    }
}

/// Additive increase, multiplicative decrease, by rounds of as many transfers as the limit.
#[derive(Debug)]
struct Pace {
    limit: u32,
    most: u32,
    round_began: Duration,
    round_bytes: u64,
    round_transfers: u32,
    /// Bytes a second of the round before.
    rate: f64,
    /// Whether this round's limit was already halved: a burst of refusals is one refusal.
    halved: bool,
}

impl Pace {
    fn new(first: u32, most: u32) -> Self {
        Self {
            limit: first.min(most).max(1),
            most,
            round_began: Duration::ZERO,
            round_bytes: 0,
            round_transfers: 0,
            rate: 0.0,
            halved: false,
        }
    }

    fn moved(&mut self, bytes: u64, now: Duration) {
        self.round_bytes += bytes;
        self.round_transfers += 1;
        if self.round_transfers < self.limit {
            return;
        }
        let took = now.saturating_sub(self.round_began).as_secs_f64().max(1e-6);
        let rate = self.round_bytes as f64 / took;
        if self.halved {
            // What the refusals left says nothing about the next step up.
        } else if rate > self.rate * GROWTH {
            self.limit = (self.limit + 1).min(self.most);
        } else if rate < self.rate * DECLINE {
            self.limit = (self.limit - 1).max(1);
        }
        self.rate = rate;
        (self.round_began, self.round_bytes, self.round_transfers, self.halved) = (now, 0, 0, false);
    }

    const fn congested(&mut self) {
        if !self.halved {
            self.limit = if self.limit > 1 { self.limit / 2 } else { 1 };
            self.halved = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One round of transfers of a megabyte on a link that gives each of them `each` and all of them at most `all`.
    fn round(pace: &mut Pace, now: &mut Duration, each: f64, all: f64) {
        let limit = f64::from(pace.limit);
        *now += Duration::from_secs_f64(limit / (limit * each).min(all));
        (0..pace.limit).for_each(|_| pace.moved(1_000_000, *now));
    }

    #[test]
    fn grows_while_more_at_once_bring_more_and_no_further() {
        let (mut pace, mut now) = (Pace::new(FIRST_LIMIT, 16), Duration::ZERO);
        (0..40).for_each(|_| round(&mut pace, &mut now, 10.0, 50.0));
        // Five connections fill the link; the sixth shows that it brings nothing.
        assert_eq!(pace.limit, 6);
        let (mut pace, mut now) = (Pace::new(FIRST_LIMIT, 4), Duration::ZERO);
        (0..40).for_each(|_| round(&mut pace, &mut now, 10.0, 1000.0));
        assert_eq!(pace.limit, 4);
    }

    #[test]
    fn halves_once_for_a_burst_of_refusals_and_grows_again() {
        let (mut pace, mut now) = (Pace::new(FIRST_LIMIT, 16), Duration::ZERO);
        (0..40).for_each(|_| round(&mut pace, &mut now, 10.0, 1000.0));
        assert_eq!(pace.limit, 16);
        (0..5).for_each(|_| pace.congested());
        assert_eq!(pace.limit, 8);
        round(&mut pace, &mut now, 10.0, 1000.0);
        assert_eq!(pace.limit, 8);
        pace.congested();
        round(&mut pace, &mut now, 10.0, 1000.0);
        assert_eq!(pace.limit, 4);
        (0..9).for_each(|_| {
            pace.congested();
            round(&mut pace, &mut now, 10.0, 1000.0);
        });
        assert_eq!(pace.limit, 1, "one always runs");
    }

    #[test]
    fn bytes_bound_what_runs_at_once_but_never_stop_a_single_one() {
        let gate = Gate::new(8, 100);
        let large = gate.enter(1000);
        let small = std::thread::scope(|scope| {
            let waits = scope.spawn(|| gate.enter(10));
            assert_eq!(gate.lock().running, 1);
            drop(large);
            waits.join().unwrap()
        });
        let second = gate.enter(90);
        let held = || {
            let state = gate.lock();
            (state.running, state.bytes)
        };
        assert_eq!(held(), (2, 100));
        drop((small, second));
        assert_eq!(held(), (0, 0));
    }
}
