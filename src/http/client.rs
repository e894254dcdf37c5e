//! The client: connections, and requests with their retries. Callable from plain threads, each of which drives the
//! connection that it uses (`lane`). Not from within an async task of another runtime.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::attempt::{Head, Limits, TICK, attempt, host, parse};
use super::error::{Cause, HttpError};
use super::lane::{Lane, NoRuntime};
use super::options::ClientOptions;
use super::range::{ByteRange, redirected};
use super::request::{Request, Response};
use super::retry::Retry;

/// What a release may take when the run is to stop.
const LAST_WORDS_TIME: Duration = Duration::from_secs(3);
/// Redirects of one read that are followed.
const MAX_REDIRECTS: u32 = 3;
/// Failed attempts of a request that nobody hears of.
const QUIET_ATTEMPTS: u32 = 3;

/// Sends requests over connections that are kept. Clones share them.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    options: ClientOptions,
    /// Those that nobody uses now; the one that was used last is used next.
    idle: Mutex<Vec<Lane>>,
}

impl Client {
    /// A client with these options. Proxies are the environment's (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`); certificates are the system's (or those that `SSL_CERT_FILE` names) and `ca_file`'s.
    pub fn new(options: &ClientOptions) -> Result<Self, HttpError> {
        // The first one shows whether there can be any.
        let idle = Mutex::new(vec![Lane::new(options).map_err(unusable)?]);
        Ok(Self(Arc::new(Inner { options: options.clone(), idle })))
    }

    /// Sends a request until it is answered with 2xx, is refused, or its time is over.
    pub fn send(&self, request: &Request<'_>) -> Result<Response, HttpError> {
        let mut body = Vec::new();
        let head = self.on_lane(|lane| lane.run(self.persist(lane, request, None, &mut body)))?;
        Ok(Response { status: head.status, headers: head.headers, body })
    }

    /// Reads a range of an object into `into`, going on where `into` ends after every failed attempt.
    ///
    /// On an error `into` keeps what had come: the same call with another URL goes on from there. A few redirects are
    /// followed, with no header but the range.
    pub fn read(
        &self,
        request: &Request<'_>,
        range: &ByteRange,
        into: &mut Vec<u8>,
    ) -> Result<(), HttpError> {
        self.on_lane(|lane| lane.run(self.persist(lane, request, Some(range), into))).map(drop)
    }

    /// Lends `work` a lane that nobody else uses meanwhile.
    fn on_lane<T>(&self, work: impl FnOnce(&Lane) -> Result<T, HttpError>) -> Result<T, HttpError> {
        let idle = self.idle().pop();
        let lane = idle.map_or_else(|| Lane::new(&self.0.options).map_err(unusable), Ok)?;
        let result = work(&lane);
        self.idle().push(lane);
        result
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Lane>> {
        // A list of lanes is whole at any time.
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Attempts until one succeeds or there should be no more.
    async fn persist(
        &self,
        lane: &Lane,
        request: &Request<'_>,
        range: Option<&ByteRange>,
        into: &mut Vec<u8>,
    ) -> Result<Head, HttpError> {
        let bytes = range.map_or_else(|| request.body_bytes(), ByteRange::len);
        let mut retry = Retry::begin(&self.0.options, bytes, request.patience);
        loop {
            if self.0.options.stop.is_stopped() && !request.last_words {
                return Err(failed(request, &retry, Cause::Stopped));
            }
            retry.attempts += 1;
            let before = into.len();
            let done = match range {
                Some(range) => self.read_once(lane, request, range, &retry, into).await,
                None => self.send_once(lane, request, &retry, into).await,
            };
            let cause = match done {
                Ok(head) => return Ok(head),
                Err(cause) => cause,
            };
            if range.is_some() && into.len() > before {
                retry.advance();
            }
            if let Some(observer) = request.observer {
                observer(&cause);
            }
            let wait = retry.wait(&cause).filter(|_| !request.last_words);
            let Some(wait) = wait else { return Err(failed(request, &retry, cause)) };
            note(request, &retry, &cause, wait);
            if !self.pause(wait).await {
                return Err(failed(request, &retry, Cause::Stopped));
            }
        }
    }

    async fn send_once(
        &self,
        lane: &Lane,
        request: &Request<'_>,
        retry: &Retry<'_>,
        into: &mut Vec<u8>,
    ) -> Result<Head, Cause> {
        into.clear();
        let limits = self.limits(request, request.body_bytes(), retry);
        attempt(lane.http(), request, &limits, &|_| Ok(()), into).await
    }

    /// The rest of the range, from where `into` ends.
    async fn read_once(
        &self,
        lane: &Lane,
        request: &Request<'_>,
        range: &ByteRange,
        retry: &Retry<'_>,
        into: &mut Vec<u8>,
    ) -> Result<Head, Cause> {
        let rest = range.after(into.len() as u64);
        let header = rest.header();
        let limits = self.limits(request, rest.len(), retry);
        let accept = |head: &Head| rest.check(head);
        let mut url = request.url.to_owned();
        let mut headers = request.headers.clone();
        for _ in 0..=MAX_REDIRECTS {
            headers.push(("range", &header));
            let asked = Request { url: &url, headers, max_answer_bytes: rest.len(), ..request.clone() };
            let cause = match attempt(lane.http(), &asked, &limits, &accept, into).await {
                Ok(head) if into.len() as u64 == range.len() => return Ok(head),
                Ok(_) => return Err(Cause::Broken("its answer ended early".to_owned())),
                Err(cause) => cause,
            };
            let Some(next) = redirected(&url, &cause) else { return Err(cause) };
            url = next;
            headers = Vec::new();
        }
        Err(Cause::Unexpected(format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn limits(&self, request: &Request<'_>, bytes: u64, retry: &Retry<'_>) -> Limits<'_> {
        let options = &self.0.options;
        let whole = (options.attempt_time(bytes) + request.patience).min(retry.left());
        let idle = options.idle_timeout + request.patience;
        match request.last_words {
            true => Limits { idle: idle.min(LAST_WORDS_TIME), whole: whole.min(LAST_WORDS_TIME), stop: None },
            false => Limits { idle, whole, stop: Some(&options.stop) },
        }
    }

    /// Waits; `false` if the run is to stop.
    async fn pause(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.0.options.stop.is_stopped() {
                return false;
            }
            if left.is_zero() {
                return true;
            }
            tokio::time::sleep(left.min(TICK)).await;
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

fn failed(request: &Request<'_>, retry: &Retry<'_>, cause: Cause) -> HttpError {
    HttpError {
        method: request.method.as_str().into(),
        host: named(request.url).into(),
        attempts: retry.attempts,
        elapsed: retry.elapsed(),
        cause,
    }
}

/// The first failures of a request are everyday; people hear of those that make them wait.
fn note(request: &Request<'_>, retry: &Retry<'_>, cause: &Cause, wait: Duration) {
    let (host, attempts) = (named(request.url), retry.attempts);
    if attempts < QUIET_ATTEMPTS {
        tracing::debug!(method = %request.method, host, attempts, ?wait, "{cause}; trying again");
    } else {
        tracing::warn!("{} to {host} fails: {cause}; trying again in {wait:.1?}", request.method);
    }
}

fn named(url: &str) -> String {
    parse(url).map_or_else(|_| "an unusable URL".to_owned(), |url| host(&url))
}

impl From<NoRuntime> for HttpError {
    fn from(_: NoRuntime) -> Self {
        unusable("it was shut down".to_owned())
    }
}

fn unusable(why: String) -> HttpError {
    let cause = Cause::Unsendable(why);
    HttpError { method: "HTTP".into(), host: "any host".into(), attempts: 0, elapsed: Duration::ZERO, cause }
}
