//! How an agent reaches a controller and a blob store.
//!
//! Does: the traits `Remote` and `ArtifactRemote` that every controller looks like to an agent; `put` and `get` of packs by
//! signed URL, `put_blob` and `get_blob` of artifacts' content.
//! Does not: decide what to move (the agent does) or who may (the controller does).
//! May import: `model`, `protocol`, `http`.

pub mod artifact_remote;
mod blob_error;
pub mod error;
pub mod gate;
pub mod get;
pub mod get_blob;
mod http_artifacts;
mod http_remote;
mod lease;
pub mod put;
pub mod put_blob;
pub mod remote;
mod store_words;
pub mod transport;

pub use artifact_remote::ArtifactRemote;
pub use blob_error::BlobError;
pub use error::TransferError;
pub use http_remote::HttpRemote;
pub use lease::ReadLease;
pub use remote::{Remote, RemoteError};
pub use transport::Transport;
