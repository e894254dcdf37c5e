//! What is asked and what is answered. Not how it travels.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::model::Secret;

use super::error::Cause;

/// Longest answer that is taken unless the request says otherwise: a bitmap, a list of stashes.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// A request that can be sent more than once.
#[derive(Clone)]
pub struct Request<'a> {
    /// Its method.
    pub method: Method,
    /// Where to; its path and query are never printed.
    pub url: &'a str,
    /// Headers beside those that the client sets itself (host, length, authorization).
    pub headers: Vec<(&'a str, &'a str)>,
    /// The token, if the other side is a controller.
    pub bearer: Option<&'a Secret>,
    /// The body, in parts that are sent one after the other without being copied.
    pub body: &'a [Bytes],
    /// A range of a file in place of `body`; it is read while it is sent.
    pub file: Option<FileRange>,
    /// A longer answer is an error.
    pub max_answer_bytes: u64,
    /// How much longer than usual the server may think before it answers.
    pub patience: Duration,
    /// Sent even though the run is to stop, and once: a release.
    pub last_words: bool,
    /// Told of every failed attempt.
    pub observer: Option<&'a (dyn Fn(&Cause) + Sync)>,
}

impl<'a> Request<'a> {
    /// A request without headers and body.
    pub const fn new(method: Method, url: &'a str) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            bearer: None,
            body: &[],
            file: None,
            max_answer_bytes: MAX_ANSWER_BYTES,
            patience: Duration::ZERO,
            last_words: false,
            observer: None,
        }
    }

    /// Bytes of the body.
    pub fn body_bytes(&self) -> u64 {
        let parts = || self.body.iter().map(|part| part.len() as u64).sum();
        self.file.as_ref().map_or_else(parts, |file| file.len)
    }
}

/// Some consecutive bytes of a file.
#[derive(Clone, Debug)]
pub struct FileRange {
    /// The file.
    pub file: Arc<File>,
    /// Where they begin.
    pub start: u64,
    /// How many they are. A file that ends sooner ends the request, for good.
    pub len: u64,
}

/// An answer of the 2xx kind; every other is an [`super::HttpError`].
#[derive(Clone, Debug)]
pub struct Response {
    /// 200 to 299.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Vec<u8>,
}
