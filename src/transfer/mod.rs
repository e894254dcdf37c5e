//! How an agent reaches a controller and a blob store.
//!
//! Does: the `Remote` trait that every controller looks like to an agent; `put` and `get` of packs by signed URL.
//! Does not: decide what to move (the agent does) or who may (the controller does).
//! May import: `model`, `protocol`, `http`.

pub mod error;
pub mod get;
pub mod put;
pub mod remote;

pub use error::TransferError;
pub use remote::{Remote, RemoteError};
