//! Whether and when a request is tried again. Sends nothing itself.

use std::time::{Duration, Instant, SystemTime};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::error::Cause;
use super::options::ClientOptions;

/// The attempts of one request so far.
pub(super) struct Retry<'a> {
    options: &'a ClientOptions,
    started: Instant,
    total: Duration,
    waits: ExponentialBackoff,
    pub(super) attempts: u32,
}

impl<'a> Retry<'a> {
    /// Begins with a request that moves `bytes` and may think for `patience`.
    pub(super) fn begin(options: &'a ClientOptions, bytes: u64, patience: Duration) -> Self {
        let total = options.total_time(bytes) + patience;
        Self { options, started: Instant::now(), total, waits: waits(options), attempts: 0 }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What is left of the time that all attempts have together.
    pub(super) fn left(&self) -> Duration {
        self.total.saturating_sub(self.elapsed())
    }

    /// The last attempt brought something: the next waits are short again.
    pub(super) fn advance(&mut self) {
        self.waits = waits(self.options);
    }

    /// How long to wait before the next attempt; `None` if there should be none.
    pub(super) fn wait(&mut self, cause: &Cause) -> Option<Duration> {
        let backoff = cause.is_retryable().then(|| self.waits.next())??;
        let asked = match cause {
            Cause::Status(refusal) => retry_after(&refusal.headers, SystemTime::now()).unwrap_or_default(),
            _ => Duration::ZERO,
        };
        // The random part stays on top of what was asked for, or every agent would come back at once.
        let wait = match asked.is_zero() {
            true => backoff,
            false => asked.min(self.options.longest_retry_after) + backoff / 4,
        };
        let left = match cause {
            Cause::NoHost(_) => self.left().min(self.options.no_host_for.saturating_sub(self.elapsed())),
            _ => self.left(),
        };
        (wait < left).then_some(wait)
    }
}

fn waits(options: &ClientOptions) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(options.first_wait)
        .with_max_delay(options.longest_wait)
        .without_max_times()
        .with_jitter()
        .build()
}

/// What `Retry-After` asks for: seconds, or a date. A date is compared with the server's own clock where it says its
/// time, so that an agent's wrong clock does no harm.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp());
    let asked = date(asked)?;
    let server = headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(date);
    let now = server.map_or_else(|| now.try_into().ok(), Some)?;
    Some(Duration::try_from(asked.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::error::Refusal;
    use super::*;

    fn headers(retry_after: &str, date: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        headers
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_servers_clock() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let asked = |text: &str, date| retry_after(&headers(text, date), now);
        assert_eq!(asked("7", None), Some(Duration::from_secs(7)));
        // RFC 9110's own example date is 784,111,777 s after the epoch.
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT", None), Some(Duration::from_secs(30)));
        let date = Some("Sun, 06 Nov 1994 08:50:00 GMT");
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT", date), Some(Duration::from_secs(7)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT", None), Some(Duration::ZERO));
        for nonsense in ["soon", "-1", "1.5", ""] {
            assert_eq!(asked(nonsense, None), None, "{nonsense}");
        }
    }

    #[test]
    fn waits_double_from_a_first_to_a_longest_one_with_jitter() {
        let options = ClientOptions { retry_for: Duration::from_secs(1 << 30), ..ClientOptions::default() };
        let mut retry = Retry::begin(&options, 0, Duration::ZERO);
        let broken = Cause::Broken(String::new());
        let mut expected = options.first_wait;
        for _ in 0..12 {
            let wait = retry.wait(&broken).unwrap();
            assert!(wait >= expected && wait <= expected * 2, "{wait:?} for {expected:?}");
            expected = (expected * 2).min(options.longest_wait);
        }
        retry.advance();
        assert!(retry.wait(&broken).unwrap() <= options.first_wait * 2);
    }

    /// Proves that a mistyped name is not tried for minutes, and that a name may still be late.
    #[test]
    fn a_name_that_nobody_has_is_tried_for_a_shorter_time() {
        let options = ClientOptions {
            no_host_for: Duration::from_millis(20),
            ..ClientOptions::default().hastened(1000)
        };
        let (unknown, broken) = (Cause::NoHost(String::new()), Cause::Broken(String::new()));
        let mut retry = Retry::begin(&options, 0, Duration::ZERO);
        assert!(retry.wait(&unknown).is_some());
        std::thread::sleep(Duration::from_millis(20));
        assert!(retry.wait(&unknown).is_none());
        assert!(retry.wait(&broken).is_some(), "another failure has its own time");
    }

    #[test]
    fn a_final_cause_and_an_end_of_time_end_the_attempts() {
        let status = |status, after: &str| {
            let headers = headers(after, None);
            Cause::Status(Box::new(Refusal { status, headers, body: Vec::new(), message: String::new() }))
        };
        let options = ClientOptions::default();
        for code in [408, 425, 429, 500, 502, 503, 504] {
            let mut retry = Retry::begin(&options, 0, Duration::ZERO);
            let wait = retry.wait(&status(code, "3600")).unwrap();
            assert!(
                wait >= options.longest_retry_after && wait < options.longest_retry_after * 2,
                "{wait:?}"
            );
        }
        for code in [400, 401, 403, 404, 409, 412, 413, 416, 422, 501, 307] {
            assert!(Retry::begin(&options, 0, Duration::ZERO).wait(&status(code, "1")).is_none(), "{code}");
        }
        let hasty = ClientOptions::default().hastened(1 << 20);
        std::thread::sleep(Duration::from_millis(2));
        let mut late = Retry::begin(&hasty, 0, Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        assert!(late.wait(&status(503, "0")).is_none(), "its time is over");
    }
}
