//! Chunks that the controller is asked about together, and the asker that turns the missing ones into frames.

use std::ops::Range;

use crossbeam_channel::Receiver;

use crate::model::Digest;
use crate::model::limits::{FRAME_BYTES, MAX_MISSING_DIGESTS};
use crate::model::progress::Progress;
use crate::pack::{FrameBuilder, PlainFrame};

use super::line::Counters;
use super::packer::Compressors;
use super::session::Session;
use crate::agent::error::AgentError;

/// Plaintext that is gathered before the controller is asked about it.
const WINDOW_BYTES: usize = 8 << 20;

/// Some consecutive chunks with their bytes.
#[derive(Default)]
pub(super) struct Window {
    buffers: Vec<Vec<u8>>,
    buffer_bytes: usize,
    chunks: Vec<WindowChunk>,
    /// How many of `chunks` belong to files; the rest to the manifest.
    file_chunks: usize,
}

/// A chunk as a range of one of the buffers.
struct WindowChunk {
    digest: Digest,
    buffer: usize,
    range: Range<usize>,
}

impl Window {
    pub(super) const fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Whether `bytes` and `chunks` more would be too many.
    pub(super) const fn is_full(&self, bytes: usize, chunks: usize) -> bool {
        let full =
            self.buffer_bytes + bytes > WINDOW_BYTES || self.chunks.len() + chunks > MAX_MISSING_DIGESTS;
        full && !self.is_empty()
    }

    /// Takes a buffer and the chunks of files that are wanted of it.
    pub(super) fn take<'c>(
        &mut self,
        bytes: Vec<u8>,
        chunks: impl IntoIterator<Item = &'c (Digest, Range<usize>)>,
    ) {
        let buffer = self.buffers.len();
        let chunk = |(digest, range): &(Digest, Range<usize>)| WindowChunk {
            digest: *digest,
            buffer,
            range: range.clone(),
        };
        self.chunks.extend(chunks.into_iter().map(chunk));
        self.file_chunks = self.chunks.len();
        self.buffer_bytes += bytes.len();
        self.buffers.push(bytes);
    }

    /// Copies one chunk.
    pub(super) fn push(&mut self, digest: Digest, bytes: &[u8], manifest: bool) {
        if self.buffers.last().is_none_or(|last| last.capacity() - last.len() < bytes.len()) {
            self.buffers.push(Vec::with_capacity(bytes.len().max(FRAME_BYTES)));
        }
        let buffer = self.buffers.len() - 1;
        let start = self.buffers[buffer].len();
        self.buffers[buffer].extend_from_slice(bytes);
        self.buffer_bytes += bytes.len();
        self.chunks.push(WindowChunk { digest, buffer, range: start..start + bytes.len() });
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
        for (index, (chunk, missing)) in window.chunks.iter().zip(missing).enumerate() {
            if !missing {
                continue;
            }
            let bytes = &window.buffers[chunk.buffer][chunk.range.clone()];
            let manifest = index >= window.file_chunks;
            if manifest != in_manifest {
                hand_in(frame.take(), compressors, in_manifest)?;
                in_manifest = manifest;
            }
            hand_in(frame.push(chunk.digest, bytes), compressors, in_manifest)?;
            count(counters, progress, bytes.len() as u64, manifest);
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
