//! Artifacts on an agent's side: single files of a build, sent whole and fetched whole.
//!
//! Does: find the files that globs name (`collect`), read each once for all its checksums (`hash`), and send them in a line of stages (`upload`: `announce`,
//! `send` with `parts` and their `journal`, `finish`). Find artifacts (`query`), and give them to a folder, each verified before it gets its name
//! (`download`: `destination`, `fetch`).
//! Does not: print, sign, or decide who may.
//! May import: what `agent` may.

mod announce;
mod batches;
mod collect;
mod content_type;
mod destination;
mod download;
mod error;
mod fetch;
mod finish;
mod hash;
mod journal;
mod parts;
mod query;
mod ready;
mod send;
mod upload;

pub use collect::{Collected, Collection, Found, Kind, Source, SymlinkPolicy, collect};
pub use download::{DownloadRequest, DownloadedArtifact, DownloadedArtifacts, download};
pub use error::ArtifactError;
pub use query::{Matches, Search};
pub use upload::{UploadRequest, UploadedArtifact, UploadedArtifacts, upload};
