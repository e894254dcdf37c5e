//! From chunks to packs in the store: ask what is missing, compress that, pack it, send it.
//!
//! One thread feeds chunks in path order (`feed`); behind it stand, each with a bounded queue before it:
//! the asker (which chunks are missing, `window`) → compressors (a frame each) → the packer (frames in order) →
//! senders (`packer`). `line` starts and ends them all.
//! Memory is bounded by the queues: a window of 8 MiB × 3, a frame for each queue slot, a pack for each sender and two.

mod feed;
mod journal;
mod line;
mod packer;
mod session;
mod window;

pub(super) use feed::Feed;
pub(super) use journal::{Journal, journal_file};
pub use line::{UploadOptions, UploadStats};
pub(super) use line::{Uploaded, upload};
