//! How patient a client is, and whom it trusts. Not what it does with that (`retry`, `attempt`).

use std::path::PathBuf;
use std::time::Duration;

use crate::model::Stop;

/// How a [`super::Client`] behaves. The defaults are for links and stores as CI workers have them.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Until a connection stands.
    pub connect_timeout: Duration,
    /// An attempt in which no byte moves for this long is given up.
    pub idle_timeout: Duration,
    /// What an attempt may take beyond the time that its bytes take at [`Self::floor_bytes_per_second`].
    pub attempt_grace: Duration,
    /// The slowest link that is worth waiting for.
    pub floor_bytes_per_second: u64,
    /// How long a request is tried again, beyond what one attempt may take: an outage of a minute or two is survived.
    pub retry_for: Duration,
    /// How long a host whose name is not known is asked for: a name in a new cluster may take some seconds.
    pub no_host_for: Duration,
    /// The first wait before trying again; doubled each time, and up to as much again added at random.
    pub first_wait: Duration,
    /// Where doubling ends.
    pub longest_wait: Duration,
    /// The most of a server's `Retry-After` that is honoured.
    pub longest_retry_after: Duration,
    /// Certificates (PEM) that are trusted beside the system's: a private authority's.
    pub ca_file: Option<PathBuf>,
    /// Ends whatever the client is waiting for.
    pub stop: Stop,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            attempt_grace: Duration::from_secs(30),
            floor_bytes_per_second: 64 << 10,
            retry_for: Duration::from_secs(180),
            no_host_for: Duration::from_secs(15),
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(10),
            longest_retry_after: Duration::from_secs(60),
            ca_file: None,
            stop: Stop::default(),
        }
    }
}

impl ClientOptions {
    /// The same, with every time divided by `by`: for tests, which have no minutes to wait.
    pub fn hastened(self, by: u32) -> Self {
        let by = by.max(1);
        Self {
            connect_timeout: self.connect_timeout / by,
            idle_timeout: self.idle_timeout / by,
            attempt_grace: self.attempt_grace / by,
            floor_bytes_per_second: self.floor_bytes_per_second.saturating_mul(u64::from(by)),
            retry_for: self.retry_for / by,
            no_host_for: self.no_host_for / by,
            first_wait: self.first_wait / by,
            longest_wait: self.longest_wait / by,
            longest_retry_after: self.longest_retry_after / by,
            ..self
        }
    }

    /// What one attempt to move `bytes` may take.
    pub(super) fn attempt_time(&self, bytes: u64) -> Duration {
        let at_floor = bytes as f64 / self.floor_bytes_per_second.max(1) as f64;
        self.attempt_grace + Duration::from_secs_f64(at_floor)
    }

    /// What all attempts to move `bytes` together may take.
    pub(super) fn total_time(&self, bytes: u64) -> Duration {
        self.retry_for + self.attempt_time(bytes)
    }
}
