//! The blob store, as the controller sees it: packs and blobs, written once by agents, never by the controller.
//!
//! Does: sign PUTs (of wholes and of parts) and GETs, tell lengths, read bounded ranges (footers, manifest pages), delete, list, check that the
//! place it was given can do all that.
//! Does not: know what an object holds or whether it is still needed.
//! May import: `model`, `protocol`.

mod arriving;
mod back_end;
mod check;
pub mod cloud;
pub mod disk;
mod disk_calls;
mod disk_parts;
mod error;
mod options;
pub mod served;
mod store_url;

pub use arriving::{Arrival, Arriving};
pub use back_end::{AnswerHeaders, PutIntent, Store, StoredObject, UploadId, WholeIntent};
pub use check::Finding;
pub use cloud::CloudStore;
pub use disk::DiskStore;
pub use disk_parts::ArrivingPart;
pub use error::StoreError;
pub use options::{Encryption, StoreOptions, Variables, open_store};
pub use served::ServedStore;
pub use store_url::{Place, StoreUrl, StoreUrlError};
