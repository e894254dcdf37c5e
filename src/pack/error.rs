//! What can be wrong with a pack. The pack's name is not known here: the caller adds it.

use std::io;

use crate::model::Digest;
use crate::model::pack_layout::LayoutError;

/// Why a pack, or a part of it, is not what it claims to be.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Its footer or trailer is damaged.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Fewer bytes of the pack's end than its footer has.
    #[error("the last {needed} bytes of the pack are needed, {given} were given")]
    ShortTail {
        /// Bytes of footer and trailer.
        needed: u64,
        /// Bytes that were there.
        given: u64,
    },
    /// A frame's stored bytes do not have the length or the form that the footer says.
    #[error("the frame at byte {offset} of the pack is damaged: {reason}")]
    Frame {
        /// Offset of the frame in its pack.
        offset: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// A frame's stored bytes are not zstd's.
    #[error("the frame at byte {offset} of the pack cannot be decompressed")]
    Decompress {
        /// Offset of the frame in its pack.
        offset: u64,
        /// What zstd says.
        #[source]
        source: io::Error,
    },
    /// The bytes of a chunk are not those that its name stands for.
    #[error(
        "chunk {digest} in the frame at byte {offset} of the pack is damaged: its bytes have another digest"
    )]
    Chunk {
        /// The chunk's name.
        digest: Digest,
        /// Offset of its frame in the pack.
        offset: u64,
    },
    /// The pack could not be read.
    #[error("the pack cannot be read at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
}
