//! Buildkite's clients against `pannier serve`: an unmodified `buildkite-agent`, one that sends parts and one that knows forms alone, on every
//! kind of store; its retries when store or controller fail in the middle; its wire where the agent itself never goes wrong; the REST API.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../artifacts/api.rs"]
mod api;

mod agent;
mod rest;
mod retries;
mod round_trips;
mod wire;
