//! Addresses of pages: names of any bytes in a query or a path, written and read. No meaning.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::controller::server::state::Server;
use crate::model::EntryPath;
use crate::protocol::build::check_label;
use crate::protocol::{BuildId, StashName};

use super::failure::PageFailure;

/// `path?key=value&…`; values are any bytes.
pub(super) fn link(path: &str, parameters: &[(&str, &[u8])]) -> String {
    let mut address = path.to_owned();
    for (at, (key, value)) in parameters.iter().enumerate() {
        let _ = write!(address, "{}{key}={}", if at == 0 { '?' } else { '&' }, encoded(value));
    }
    address
}

/// Bytes as an address has them: letters, digits, `-._~` and `/` as they are, all else as `%XX`.
pub(super) fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The bytes that a part of an address stands for; a `%` that begins no byte stands for itself.
pub(super) fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut found = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        let coded = digits.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match coded.filter(|_| byte == b'%') {
            Some(coded) => {
                found.push(coded);
                at += 3;
            }
            None => {
                found.push(byte);
                at += 1;
            }
        }
    }
    found
}

/// What an address or a form says, by key.
pub(super) struct Parameters(Vec<(String, Vec<u8>)>);

impl Parameters {
    /// Reads `key=value&…`, where a blank may be written as `+`.
    pub(super) fn read(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let decode = |text: &str| decoded(&text.replace('+', " "));
        let read = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (String::from_utf8_lossy(&decode(key)).into_owned(), decode(value))
        };
        Self(pairs.map(read).collect())
    }

    /// The value of a key; nothing if it is not there.
    pub(super) fn bytes(&self, key: &str) -> &[u8] {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| &value[..]).unwrap_or_default()
    }

    /// The same as text; what is no text names nothing.
    pub(super) fn text(&self, key: &str) -> Result<&str, PageFailure> {
        std::str::from_utf8(self.bytes(key)).map_err(|_| PageFailure::NotFound)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| known == key)
    }

    /// The number of a part of a list, from 0.
    pub(super) fn part(&self) -> u32 {
        self.text("part").ok().and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    pub(super) fn project(&self) -> Result<String, PageFailure> {
        label(self.text("project")?)
    }

    pub(super) fn build(&self) -> Result<BuildId, PageFailure> {
        Ok(BuildId { project: self.project()?, build: label(self.text("build")?)? })
    }

    pub(super) fn stash(&self) -> Result<(BuildId, StashName), PageFailure> {
        let name = self.text("stash")?.parse().map_err(|_| PageFailure::NotFound)?;
        Ok((self.build()?, name))
    }

    /// A path of a stash; `None` if the key is not there or empty.
    pub(super) fn path(&self, key: &str) -> Result<Option<EntryPath>, PageFailure> {
        match self.bytes(key) {
            b"" => Ok(None),
            bytes => EntryPath::new(bytes).map(Some).map_err(|_| PageFailure::NotFound),
        }
    }
}

impl FromRequestParts<Arc<Server>> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Server>) -> Result<Self, Infallible> {
        Ok(Self::read(parts.uri.query().unwrap_or_default()))
    }
}

/// What could not name anything names nothing.
fn label(name: &str) -> Result<String, PageFailure> {
    check_label(name).map(|()| name.to_owned()).map_err(|_| PageFailure::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decoded(&encoded(&all)), all);
        let address = link("/x", &[("a", &all), ("b", b"1")]);
        let read = Parameters::read(address.split_once('?').unwrap().1);
        assert_eq!((read.bytes("a"), read.bytes("b"), read.bytes("c")), (&all[..], &b"1"[..], &b""[..]));
    }

    #[test]
    fn what_is_no_code_stands_for_itself() {
        for (text, bytes) in [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("100%25", "100%"), ("%+1", "%+1")] {
            assert_eq!(decoded(text), bytes.as_bytes(), "{text}");
        }
        assert_eq!(Parameters::read("a=1+2&b&=&a=3").bytes("a"), b"1 2");
    }

    #[test]
    fn names_that_are_none_are_not_found() {
        for query in ["project=%ff&build=1", "project=&build=1", "project=a", "project=a%0Ab&build=1"] {
            assert!(Parameters::read(query).build().is_err(), "{query}");
        }
        assert!(Parameters::read("path=../a").path("path").is_err());
        assert!(Parameters::read("path=").path("path").unwrap().is_none());
    }
}
