//! A range of an object, and whether an answer is that range. Reads nothing itself.

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, LOCATION};

use super::attempt::Head;
use super::error::Cause;

/// Bytes `start` to `end` of an object of `total` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first.
    pub start: u64,
    /// The one after the last; more than `start`.
    pub end: u64,
    /// Of the whole object.
    pub total: u64,
}

impl ByteRange {
    /// Its length in bytes.
    pub const fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether there is nothing to ask for.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is left when the first `done` bytes are there.
    pub(super) const fn after(&self, done: u64) -> Self {
        Self { start: self.start + done, ..*self }
    }

    pub(super) fn header(&self) -> String {
        format!("bytes={}-{}", self.start, self.end.saturating_sub(1))
    }

    /// Fails unless the answer is exactly this range of an object of that length. A server that ignores ranges answers
    /// 200, which is as good if the range is the whole object.
    pub(super) fn check(&self, head: &Head) -> Result<(), Cause> {
        let whole = self.start == 0 && self.end == self.total;
        let length = number(&head.headers, CONTENT_LENGTH);
        if length.is_some_and(|length| length != self.len()) {
            return Err(Cause::Unexpected(format!("{} bytes, not {}", length.unwrap_or(0), self.len())));
        }
        if head.status == 200 && whole {
            return Ok(());
        }
        let expected = format!("bytes {}-{}/{}", self.start, self.end.saturating_sub(1), self.total);
        let found = head.headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        match (head.status, found) {
            (206, Some(found)) if found == expected => Ok(()),
            (206, Some(_)) => Err(Cause::Unexpected("another range".to_owned())),
            (206, None) => Err(Cause::Unexpected("a range that it does not name".to_owned())),
            _ => Err(Cause::Unexpected("the whole object, not a range of it".to_owned())),
        }
    }
}

fn number(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Where a redirect of `url` leads, if it may be followed: never from `https` to `http`.
pub(super) fn redirected(url: &str, cause: &Cause) -> Option<String> {
    let Cause::Status(refusal) = cause else { return None };
    if !matches!(refusal.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let from = reqwest::Url::parse(url).ok()?;
    let to = from.join(refusal.headers.get(LOCATION)?.to_str().ok()?).ok()?;
    let kept = to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http");
    kept.then(|| to.into())
}

#[cfg(test)]
mod tests {
    use super::super::error::Refusal;
    use super::*;

    fn check(range: ByteRange, status: u16, said: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        said.iter().for_each(|(name, value)| drop(headers.insert(*name, value.parse().unwrap())));
        range.check(&Head { status, headers }).is_ok()
    }

    #[test]
    fn only_the_range_that_was_asked_for_is_taken() {
        let range = ByteRange { start: 2, end: 6, total: 9 };
        assert_eq!((range.header(), range.after(1).header()), ("bytes=2-5".into(), "bytes=3-5".into()));
        assert!(check(range, 206, &[("content-range", "bytes 2-5/9"), ("content-length", "4")]));
        assert!(check(range, 206, &[("content-range", "bytes 2-5/9")]));
        for bad in ["bytes 2-5/10", "bytes 2-5/*", "bytes 0-3/9", "bytes 2-4/9", ""] {
            assert!(!check(range, 206, &[("content-range", bad)]), "{bad}");
        }
        assert!(!check(range, 206, &[("content-range", "bytes 2-5/9"), ("content-length", "9")]));
        assert!(!check(range, 206, &[]));
        assert!(!check(range, 200, &[("content-length", "4")]), "the beginning of the object, perhaps");
        let whole = ByteRange { start: 0, end: 9, total: 9 };
        assert!(check(whole, 200, &[("content-length", "9")]) && check(whole, 200, &[]));
        assert!(!check(whole, 200, &[("content-length", "8")]));
    }

    #[test]
    fn a_redirect_never_leads_out_of_tls() {
        let to = |url: &str, location: &str| {
            let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
            let refusal = Refusal { status: 307, headers, body: Vec::new(), message: String::new() };
            redirected(url, &Cause::Status(Box::new(refusal)))
        };
        assert_eq!(to("https://a/b", "/c?d"), Some("https://a/c?d".into()));
        assert_eq!(to("http://a/b", "https://e/f"), Some("https://e/f".into()));
        assert_eq!(to("https://a/b", "http://a/b"), None);
        assert_eq!(to("http://a/b", "file:///etc/passwd"), None);
    }
}
