//! Why a request failed for good. Names the host and what the server said; never a path, a query or a token.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;

/// A request that failed for good: refused, or tried until its time was over.
#[derive(Debug)]
pub struct HttpError {
    /// `PUT`, `GET`…
    pub method: Box<str>,
    /// Host and port.
    pub host: Box<str>,
    /// How often it was tried.
    pub attempts: u32,
    /// From the first attempt to the end of the last.
    pub elapsed: Duration,
    /// Why the last attempt failed.
    pub cause: Cause,
}

/// An answer that is not of the 2xx kind.
#[derive(Debug)]
pub struct Refusal {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// The beginning of its body, as it came.
    pub body: Vec<u8>,
    /// What of it may be shown: bounded, printable, without what the request's URL and token say.
    pub message: String,
}

/// Why one attempt failed.
#[derive(Debug)]
pub enum Cause {
    /// An answer that is not of the 2xx kind.
    Status(Box<Refusal>),
    /// No connection was made.
    Connect(String),
    /// No host has that name, as far as the resolver knows.
    NoHost(String),
    /// The certificate is not one that is trusted.
    Certificate(String),
    /// The connection broke, or the answer ended early.
    Broken(String),
    /// Nothing moved for as long as the client waits.
    Silent(Duration),
    /// It moved too slowly.
    Slow(Duration),
    /// The answer is longer than it may be.
    TooLong(u64),
    /// The answer is not what was asked for: another range, another length.
    Unexpected(String),
    /// The URL or a header cannot be sent.
    Unsendable(String),
    /// The run is to stop.
    Stopped,
}

impl Cause {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Status(refusal) => refusal.is_passing(),
            Self::Connect(_) | Self::NoHost(_) | Self::Broken(_) | Self::Silent(_) | Self::Slow(_) => true,
            Self::Certificate(_)
            | Self::TooLong(_)
            | Self::Unexpected(_)
            | Self::Unsendable(_)
            | Self::Stopped => false,
        }
    }

    /// Whether it says that less at a time would be more.
    pub fn is_congestion(&self) -> bool {
        match self {
            Self::Status(refusal) => matches!(refusal.status, 429 | 503),
            Self::Silent(_) | Self::Slow(_) => true,
            _ => false,
        }
    }
}

impl Refusal {
    /// Statuses that pass, and S3's word for a conditional PUT that another one of the same object, still under way,
    /// stands in the way of.
    fn is_passing(&self) -> bool {
        let conflict = b"ConditionalRequestConflict";
        matches!(self.status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
            || (self.status == 409 && self.body.windows(conflict.len()).any(|window| window == conflict))
    }
}

impl HttpError {
    /// The status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match &self.cause {
            Cause::Status(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// The beginning of the answer's body, if there was one. Not for printing: `Display` says what may be shown.
    pub fn body(&self) -> &[u8] {
        match &self.cause {
            Cause::Status(refusal) => &refusal.body,
            _ => &[],
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.cause.is_retryable()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(refusal) => write!(f, "it answered {refusal}"),
            Self::Connect(why) => write!(f, "no connection: {why}"),
            Self::NoHost(why) => write!(f, "no host of that name: {why}"),
            Self::Certificate(why) => write!(f, "its certificate is not trusted: {why}"),
            Self::Broken(why) => write!(f, "the connection broke: {why}"),
            Self::Silent(time) => write!(f, "nothing moved for {time:.1?}"),
            Self::Slow(time) => write!(f, "it was not done after {time:.1?}"),
            Self::TooLong(limit) => write!(f, "its answer is longer than {limit} bytes"),
            Self::Unexpected(what) => write!(f, "its answer is not what was asked for: {what}"),
            Self::Unsendable(why) => write!(f, "the request cannot be sent: {why}"),
            Self::Stopped => f.write_str("the run was stopped"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        let code = reqwest::StatusCode::from_u16(self.status).ok();
        if let Some(reason) = code.and_then(|code| code.canonical_reason()) {
            write!(f, " {reason}")?;
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} failed", self.method, self.host)?;
        if self.attempts > 1 {
            write!(f, " after {} attempts in {:.1?}", self.attempts, self.elapsed)?;
        }
        write!(f, ": {}", self.cause)
    }
}

impl std::error::Error for HttpError {}
