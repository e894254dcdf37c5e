//! A URL that carries its own permission, and so must never be printed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

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

    /// The headers, by name.
    pub fn header_pairs(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// The same on the server at `base`, where it is only a path on whichever server gave it.
    pub fn on(self, base: &str) -> Self {
        match self.url.starts_with('/') {
            true => Self { url: base.trim_end_matches('/').to_owned() + &self.url, ..self },
            false => self,
        }
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

/// The URL of a local file: `file://` and its absolute path, every byte but `[A-Za-z0-9/._~-]` percent-encoded, so
/// that a path of any bytes survives. `None` for a relative path. It grants nothing that the file's mode does not.
pub fn file_url(path: &Path) -> Option<SignedUrl> {
    let mut url = String::from("file://");
    for &byte in path.is_absolute().then(|| path.as_os_str().as_bytes())? {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'~' | b'-' => {
                url.push(byte as char);
            }
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    Some(SignedUrl::new(url))
}

/// The local file that a `file:` URL names; `None` for any other URL, a host, a query, or a wrong escape.
pub fn file_path(url: &SignedUrl) -> Option<PathBuf> {
    let text = url.expose().strip_prefix("file://").filter(|rest| rest.starts_with('/'))?;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || (rest.next()? as char).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok().filter(|&byte| byte != 0)?
            }
            b'?' | b'#' | 0 => return None,
            plain => plain,
        });
    }
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_bytes_survives_the_url() {
        let every: Vec<u8> = std::iter::once(b'/').chain(1..=255).collect();
        for bytes in [&b"/"[..], b"/a b/%41?#", &every] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            let url = file_url(&path).unwrap();
            assert!(url.expose().is_ascii() && !url.expose().contains([' ', '?', '#']));
            assert_eq!(file_path(&url), Some(path));
        }
    }

    #[test]
    fn only_whole_local_urls_are_paths() {
        assert_eq!(file_url(Path::new("a/b")), None);
        let bad = [
            "http://h/a",
            "file:/a",
            "file://host/a",
            "file:///a%",
            "file:///a%4",
            "file:///%zz",
            "file:///%00",
        ];
        for text in bad.into_iter().chain(["file:///a?q", "file:///a#f", ""]) {
            assert_eq!(file_path(&SignedUrl::new(text)), None, "{text}");
        }
    }

    #[test]
    fn prints_neither_path_nor_signature_nor_password() {
        let url = SignedUrl::new("https://user:secret@bucket.example:9000/packs/x?X-Amz-Signature=secret");
        assert_eq!(format!("{url} {url:?}"), "https://bucket.example:9000/… https://bucket.example:9000/…");
        assert_eq!(SignedUrl::new("file:///a/secret").to_string(), "file:///…");
    }
}
