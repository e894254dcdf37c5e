//! What an agent does on a CI worker: stash, unstash, export and import.
//!
//! Does: drive the rooms below in the order of the data; each file reads as a table of contents.
//! Does not: hold store credentials, print, or know which controller it talks to.
//! May import: every room of L0 to L3; never `controller` or `cli`.

pub mod artifact;
mod bases;
mod digest_set;
mod draft;
mod error;
mod export;
mod failure;
mod fetch;
mod held;
mod import;
mod in_order;
mod manifest;
mod members;
mod open_stash;
mod pages;
mod read;
mod read_file;
mod stash;
mod unstash;
mod upload;

pub use error::{AgentError, Problem};
pub use export::export;
pub use fetch::FetchStats;
pub use import::{ImportRequest, Imported, import};
pub use open_stash::OpenStash;
pub use stash::{StashRequest, Stashed, dry_run, stash};
pub use unstash::{UnstashRequest, Unstashed, unstash};
pub use upload::{UploadOptions, UploadStats};
