//! `pannier artifact …` end to end: on a folder of this machine, over a served controller, and over one on SeaweedFS. What is sent and what
//! is not, parts and kills, whose artifacts are meant, and what goes wrong.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

#[path = "../support/mod.rs"]
mod support;

mod bed;
mod broken;
mod hostile;
mod meddling;
mod parts;
mod round_trip;
mod selection;
mod which_files;
