//! Chunks that the controller is asked about together, and the asker that turns the missing ones into frames.

use crossbeam_channel::Receiver;

use crate::model::limits::{MAX_FRAME_BYTES, MAX_MISSING_DIGESTS};
use crate::model::progress::Progress;
use crate::model::{ChunkRef, Digest};
use crate::pack::{FrameBuilder, PlainFrame};

use super::packer::Compressors;
use super::session::Session;
use super::{Counters, WINDOW_BYTES};
use crate::agent::error::AgentError;

/// Some consecutive chunks with their bytes.
#[derive(Default)]
pub(super) struct Window {
    bytes: Vec<u8>,
    chunks: Vec<ChunkRef>,
    /// How many of `chunks` belong to files; the rest to the manifest.
    file_chunks: usize,
}

impl Window {
    pub(super) const fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Whether `more` bytes would be too many.
    pub(super) fn is_full(&self, more: usize) -> bool {
        self.chunks.len() >= MAX_MISSING_DIGESTS
            || (!self.is_empty() && self.bytes.len() + more > WINDOW_BYTES)
    }

    pub(super) fn push(&mut self, digest: Digest, bytes: &[u8], manifest: bool) {
        debug_assert!(bytes.len() <= MAX_FRAME_BYTES, "the chunker and the page cutter stay far below");
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(bytes.len().max(1 << 16));
        }
        self.bytes.extend_from_slice(bytes);
        self.chunks.push(ChunkRef { digest, len: bytes.len() as u32 });
        if !manifest {
            self.file_chunks = self.chunks.len();
        }
    }
}

/// Asks about every window and hands the missing chunks, in order, to the compressors.
pub(super) fn ask_and_frame(
    windows: &Receiver<Window>,
    session: &Session<'_>,
    compressors: &Compressors,
    counters: &Counters,
    progress: &Progress,
) -> Result<(), AgentError> {
    let mut frame = FrameBuilder::default();
    let mut in_manifest = false;
    for window in windows {
        let digests: Vec<Digest> = window.chunks.iter().map(|chunk| chunk.digest).collect();
        let missing = session.ask(&digests)?;
        let mut offset = 0;
        for (index, (chunk, missing)) in window.chunks.iter().zip(missing).enumerate() {
            let bytes = &window.bytes[offset..offset + chunk.len as usize];
            offset += chunk.len as usize;
            if !missing {
                continue;
            }
            let manifest = index >= window.file_chunks;
            if manifest != in_manifest {
                hand_in(frame.take(), compressors, in_manifest)?;
                in_manifest = manifest;
            }
            hand_in(frame.push(chunk.digest, bytes), compressors, in_manifest)?;
            count(counters, progress, chunk.len.into(), manifest);
        }
    }
    hand_in(frame.take(), compressors, in_manifest)
}

fn hand_in(frame: Option<PlainFrame>, compressors: &Compressors, manifest: bool) -> Result<(), AgentError> {
    frame.map_or(Ok(()), |frame| compressors.compress(frame, manifest))
}

fn count(counters: &Counters, progress: &Progress, bytes: u64, manifest: bool) {
    counters.new_chunks.add(1);
    counters.new_bytes.add(bytes);
    progress.new_bytes.add(bytes);
    if manifest {
        counters.new_manifest_bytes.add(bytes);
    }
}
