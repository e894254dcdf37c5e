//! Artifacts as any client of the HTTP API meets them, on the disk store, SeaweedFS and azurite: announced, sent whole and in
//! parts, compared, found, listed, deleted, copied; who may what; what a sweep leaves (`swept`, in this process); and
//! what the controller reads before it ends (`unread`).
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

#[path = "../support/mod.rs"]
mod support;

mod api;
mod contents;
mod listings;
mod openapi;
mod rights;
mod swept;
mod unread;
