//! One suite for every kind of store, run on a folder and on real servers: what a signed URL allows and, above all,
//! what it does not. The suite is in `conformance`; each kind's own file says how it is started.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

#[path = "../support/mod.rs"]
mod support;

mod azure;
mod bed;
mod conformance;
mod disk;
mod gcs;
mod gcs_server;
mod goog4;
mod s3;
