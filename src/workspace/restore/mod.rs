//! Gives entries back to a folder, safely and fast, driven by whoever has the bytes.
//!
//! Does: check the entries (`tree`), look at what the folder holds already (`survey`, `compare`), build everything new
//! in a staging folder (`staging`, `write`), then let it appear by few renames (`finish`, `mirror`). Until `finish`
//! the target is as it was; after a kill at any moment each path is its old or its new self.
//! Does not: fetch, unpack or verify chunks; choose which entries of a stash are wanted.
//! May import: `model`, `workspace::{stat, beneath}`.

mod compare;
mod error;
mod finish;
mod metadata;
mod mirror;
mod request;
mod site;
mod staging;
mod survey;
mod tree;
mod write;

pub use error::RestoreError;
pub use finish::{Restored, RestoredFiles};
pub use request::{FileId, Known, RestoreOptions, RestoreScope, RestoreStats};
pub use write::Restore;
