//! Artifacts: single files of a build, each one blob in the store.
//!
//! Does: announce them and say where their content goes (`announce`, after `check`), sign parts (`parts`), end uploads
//! (`finish`, which looks at what arrived: `content`, with the sums of `content_sums`), find them (`find`), list them as files of a build (`files`), name
//! them for browsers (`disposition`), say where relayed content goes (`relay`), give back the space of what nothing needs (`sweep`).
//! Does not: take or hand out content. What no store compared with its SHA-256 is read once when its upload ends.
//! May import: what the controller may.

mod announce;
mod check;
mod content;
mod content_sums;
mod disposition;
mod files;
mod find;
mod finish;
mod parts;
mod relay;
mod sweep;

pub(super) use content_sums::ContentSums;
pub(super) use disposition::disposition;
pub(super) use relay::RelayTo;
