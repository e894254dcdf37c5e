//! The blob store, as the controller sees it: objects named by pack, written once by agents, never by the controller.
//!
//! Does: sign PUTs and GETs, tell lengths, read bounded ranges (footers, manifest pages), delete, list.
//! Does not: know what a pack holds or whether it is still needed.
//! May import: `model`, `protocol`.

mod back_end;
pub mod disk;
mod error;

pub use back_end::{Store, StoredObject};
pub use disk::DiskStore;
pub use error::StoreError;
