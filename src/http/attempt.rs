//! One attempt: a request out, an answer in, given up on silence, a trickle or the wish to stop. Decides nothing about
//! trying again.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION};

use crate::model::Stop;

use super::body::{Activity, Parts};
use super::error::{Cause, Refusal};
use super::file_body::{FileBody, UnreadFile};
use super::request::Request;
use super::server_words::shown;

/// The most of an error's body that is read.
const MAX_ERROR_BYTES: usize = 16 << 10;
/// How often time and the wish to stop are looked at.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Status and headers of an answer of the 2xx kind.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
}

/// When an attempt is given up.
pub(super) struct Limits<'a> {
    /// No byte moved.
    pub(super) idle: Duration,
    /// It is not done.
    pub(super) whole: Duration,
    /// It is not wanted any more.
    pub(super) stop: Option<&'a Stop>,
}

/// Sends the request once. `accept` sees the head, and may refuse it; the body goes to `into`, which keeps what had
/// come when the attempt fails.
pub(super) async fn attempt(
    http: &reqwest::Client,
    request: &Request<'_>,
    limits: &Limits<'_>,
    accept: &(dyn Fn(&Head) -> Result<(), Cause> + Sync),
    into: &mut Vec<u8>,
) -> Result<Head, Cause> {
    let activity = Activity::begin();
    let prepared = prepare(http, request, &activity)?;
    tokio::select! {
        biased;
        done = exchange(http, request, prepared, &activity, accept, into) => done,
        cause = watch(&activity, limits) => Err(cause),
    }
}

fn prepare(
    http: &reqwest::Client,
    request: &Request<'_>,
    activity: &Activity,
) -> Result<reqwest::Request, Cause> {
    let unsendable = |why: &dyn std::fmt::Display| Cause::Unsendable(why.to_string());
    let url = parse(request.url)?;
    let mut builder = http.request(request.method.clone(), url);
    for (name, value) in &request.headers {
        let name = HeaderName::try_from(*name).map_err(|error| unsendable(&error))?;
        let value = HeaderValue::try_from(*value).map_err(|error| unsendable(&error))?;
        builder = builder.header(name, value);
    }
    if let Some(secret) = request.bearer {
        let mut value = HeaderValue::try_from(format!("Bearer {}", secret.expose()))
            .map_err(|_| Cause::Unsendable("the token holds characters that no header may".to_owned()))?;
        value.set_sensitive(true);
        builder = builder.header(AUTHORIZATION, value);
    }
    if let Some(file) = &request.file {
        builder = builder.body(reqwest::Body::wrap(FileBody::new(file.clone(), activity.clone())));
    } else if request.body.iter().any(|part| !part.is_empty()) {
        builder = builder.body(reqwest::Body::wrap(Parts::new(request.body, activity.clone())));
    } else if request.method == reqwest::Method::PUT {
        // RFC 9110, §8.6: a server may take one without a length for one that lacks its body, and stores do.
        builder = builder.header(CONTENT_LENGTH, "0");
    }
    builder.build().map_err(cause)
}

/// A URL of `http` or `https`.
pub(super) fn parse(url: &str) -> Result<reqwest::Url, Cause> {
    // A parse error says what is wrong and never repeats the text.
    let url = reqwest::Url::parse(url).map_err(|error| Cause::Unsendable(format!("its URL: {error}")))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        scheme => Err(Cause::Unsendable(format!("its URL is of scheme `{scheme}`"))),
    }
}

async fn exchange(
    http: &reqwest::Client,
    request: &Request<'_>,
    prepared: reqwest::Request,
    activity: &Activity,
    accept: &(dyn Fn(&Head) -> Result<(), Cause> + Sync),
    into: &mut Vec<u8>,
) -> Result<Head, Cause> {
    let url = prepared.url().clone();
    let mut response = http.execute(prepared).await.map_err(cause)?;
    activity.note();
    let head = Head { status: response.status().as_u16(), headers: std::mem::take(response.headers_mut()) };
    if !response.status().is_success() {
        let body = beginning(response, activity).await;
        let message = match points_to(&url, &head) {
            Some(host) => format!("it points to {host}, which is not followed"),
            None => shown(&body, &url, request.bearer.map(|secret| secret.expose())),
        };
        let Head { status, headers } = head;
        return Err(Cause::Status(Box::new(Refusal { status, headers, body, message })));
    }
    accept(&head)?;
    let before = into.len() as u64;
    while let Some(bytes) = response.chunk().await.map_err(cause)? {
        activity.note();
        if into.len() as u64 - before + bytes.len() as u64 > request.max_answer_bytes {
            return Err(Cause::TooLong(request.max_answer_bytes));
        }
        into.extend_from_slice(&bytes);
    }
    Ok(head)
}

/// The host that a redirect points to.
fn points_to(url: &reqwest::Url, head: &Head) -> Option<String> {
    let location = head.headers.get(LOCATION).filter(|_| (300..400).contains(&head.status))?;
    Some(host(&url.join(location.to_str().ok()?).ok()?))
}

/// Host and port, for people.
pub(super) fn host(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// As much of an error's body as is worth showing; that it ends early is no other error.
async fn beginning(mut response: reqwest::Response, activity: &Activity) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MAX_ERROR_BYTES
        && let Ok(Some(bytes)) = response.chunk().await
    {
        activity.note();
        body.extend_from_slice(&bytes[..bytes.len().min(MAX_ERROR_BYTES - body.len())]);
    }
    body
}

async fn watch(activity: &Activity, limits: &Limits<'_>) -> Cause {
    let tick = TICK.min(limits.idle / 4).max(Duration::from_millis(1));
    loop {
        tokio::time::sleep(tick).await;
        if limits.stop.is_some_and(Stop::is_stopped) {
            return Cause::Stopped;
        }
        if activity.quiet() >= limits.idle {
            return Cause::Silent(activity.quiet());
        }
        if activity.elapsed() >= limits.whole {
            return Cause::Slow(activity.elapsed());
        }
    }
}

/// The reason at the bottom of a client's error, which names no URL.
fn cause(error: reqwest::Error) -> Cause {
    let error = error.without_url();
    let mut reason: &dyn Error = &error;
    let (mut distrusted, mut unread) = (false, false);
    while let Some(source) = reason.source() {
        reason = source;
        unread |= source.is::<UnreadFile>();
        distrusted |= source.downcast_ref::<io::Error>().is_some_and(is_distrust);
    }
    let why = reason.to_string();
    match () {
        () if error.is_builder() || unread => Cause::Unsendable(why),
        () if error.is_connect() && distrusted => Cause::Certificate(why),
        () if error.is_connect() && is_no_name(&why) => Cause::NoHost(why),
        () if error.is_connect() => Cause::Connect(why),
        () => Cause::Broken(why),
    }
}

/// A resolver's final word, in the words of glibc and musl (`EAI_NONAME`); `std` keeps no code of it. Whatever it calls temporary is not among them.
fn is_no_name(why: &str) -> bool {
    ["Name or service not known", "Name does not resolve"].iter().any(|words| why.contains(words))
}

/// The TLS library's refusals come as invalid data, which connectors wrap once more: `source` passes over what is wrapped.
fn is_distrust(error: &io::Error) -> bool {
    let inner = || error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>());
    error.kind() == io::ErrorKind::InvalidData || inner().is_some_and(is_distrust)
}
