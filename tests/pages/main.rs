//! The pages for people, as `pannier serve` answers them: who may see what, that names stay text, that what is handed
//! out is verified, that reports stay in their sandbox. `browser` looks with Chromium; the rest speaks plain HTTP.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

#[path = "../support/mod.rs"]
mod support;

mod artifacts;
mod browser;
mod budget;
mod chromium;
mod content;
mod lists;
mod plain_http;
mod reports;
mod session;
