//! One HTTP client, with its retry policy and its errors, for everything that leaves this machine.
//!
//! Does: send a request until it succeeds, is refused or its time is over; give up on silence and on a trickle; wait as
//! long as a busy server asks; keep connections; take proxies and extra certificates from the environment.
//! Does not: know what a request means, follow a redirect with a token, or print a signed URL.
//! May import: `model`.

mod attempt;
mod body;
mod client;
mod error;
mod file_body;
mod lane;
mod options;
mod range;
mod request;
mod retry;
mod server_words;

pub use bytes::Bytes;
pub use client::Client;
pub use error::{Cause, HttpError, Refusal};
pub use options::ClientOptions;
pub use range::ByteRange;
pub use request::{FileRange, Request, Response};
pub use reqwest::Method;
pub use reqwest::header::HeaderMap;
