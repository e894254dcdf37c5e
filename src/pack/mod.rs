//! Packs: frames of compressed chunks and the footer that lists them.
//!
//! Does: `frame` (one zstd or raw block), `builder` (chunks in, a finished pack out), `reader` (a pack's tail and
//! frames, every chunk verified), `ranges` (which bytes to fetch for the chunks that are needed).
//! Does not: move packs or name them.
//! May import: `model`.

pub mod builder;
mod error;
pub mod frame;
pub mod ranges;
pub mod reader;

pub use builder::{Builder, FinishedPack, FrameBuilder, PlainFrame};
pub use error::PackError;
pub use frame::{FrameDecoder, FrameEncoder};
