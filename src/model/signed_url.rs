//! A URL that carries its own permission, and so must never be printed.

use std::collections::BTreeMap;
use std::fmt;

/// A pre-signed URL with the headers that were signed into it.
///
/// `Debug` and `Display` show the scheme and host alone; the text itself is only had by [`SignedUrl::expose`].
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SignedUrl {
    url: String,
    /// Headers that the request must carry for the signature to hold.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl SignedUrl {
    /// Takes a URL that needs no further headers.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), headers: BTreeMap::new() }
    }

    /// The URL with its signature. For the request itself, never for a log, an error or a page.
    pub fn expose(&self) -> &str {
        &self.url
    }

    /// `file`, `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.url.split_once("://").map_or("", |(scheme, _)| scheme)
    }

    /// The URL without its path and query, for people.
    pub fn redacted(&self) -> String {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        format!("{}://{host}/…", self.scheme())
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.redacted())
    }
}

impl fmt::Display for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.redacted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_neither_path_nor_signature_nor_password() {
        let url = SignedUrl::new("https://user:secret@bucket.example:9000/packs/x?X-Amz-Signature=secret");
        assert_eq!(format!("{url} {url:?}"), "https://bucket.example:9000/… https://bucket.example:9000/…");
        assert_eq!(SignedUrl::new("file:///a/secret").to_string(), "file:///…");
    }
}
