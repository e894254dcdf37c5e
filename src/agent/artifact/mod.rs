//! Artifacts on an agent's side: single files of a build, sent whole and fetched whole.
//!
//! Does: find the files that globs name (`collect`) and read each once for all its checksums (`hash`).
//! Does not: print, sign, or decide who may.
//! May import: what `agent` may.

mod collect;
mod content_type;
mod error;
mod hash;

pub use collect::{Collected, Collection, Found, Kind, Source, SymlinkPolicy, collect};
pub use content_type::content_type;
pub use error::ArtifactError;
pub use hash::{Sums, hash, part_bytes, sums_of_nothing};
