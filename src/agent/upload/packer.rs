//! Frames compressed side by side, packed in order, sent by signed URL.

use std::sync::Mutex;
use std::thread::Scope;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::http::Bytes;
use crate::model::limits::PACK_BYTES;
use crate::model::pack_layout::Codec;
use crate::model::progress::Progress;
use crate::model::{ChunkRef, PackName};
use crate::pack::{Builder, FinishedPack, FrameEncoder, PlainFrame};
use crate::protocol::PackIntent;
use crate::transfer::put::{crc32c, put};

use super::line::{Counters, UploadOptions};
use super::session::Session;
use crate::agent::error::AgentError;

/// A stash whose file chunks take less than this keeps its manifest in the same pack: one PUT.
const SMALL_STASH_BYTES: u64 = 4 << 20;

/// A frame on its way through the compressors, taken up in the order in which it was handed in.
pub(super) struct PendingFrame {
    encoded: Receiver<EncodedFrame>,
    manifest: bool,
}

struct EncodedFrame {
    codec: Codec,
    stored: Vec<u8>,
    chunks: Vec<ChunkRef>,
}

struct Job {
    frame: PlainFrame,
    answer: Sender<EncodedFrame>,
}

/// The compressing threads' queue.
pub(super) struct Compressors {
    jobs: Sender<Job>,
    order: Sender<PendingFrame>,
}

impl Compressors {
    /// Starts the threads; the receiver yields frames in the order of [`Compressors::compress`].
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        options: UploadOptions,
    ) -> (Self, Receiver<PendingFrame>) {
        let threads = options.threads.max(1);
        let (jobs, jobs_out) = bounded::<Job>(threads);
        let (order, frames) = bounded(2 * threads);
        for _ in 0..threads {
            let jobs: Receiver<Job> = jobs_out.clone();
            scope.spawn(move || {
                let mut encoder = FrameEncoder::new();
                for Job { frame, answer } in jobs {
                    let (codec, stored) = encoder.encode(&frame.bytes, options.level);
                    // The packer may have stopped; then nobody wants the answer.
                    let _ = answer.send(EncodedFrame { codec, stored, chunks: frame.chunks });
                }
            });
        }
        (Self { jobs, order }, frames)
    }

    /// Hands a frame in.
    pub(super) fn compress(&self, frame: PlainFrame, manifest: bool) -> Result<(), AgentError> {
        let (answer, encoded) = bounded(1);
        self.order.send(PendingFrame { encoded, manifest }).map_err(|_| AgentError::Stopped)?;
        self.jobs.send(Job { frame, answer }).map_err(|_| AgentError::Stopped)
    }
}

/// Puts frames into packs, in order; file chunks and manifest apart unless both are small.
pub(super) fn pack_frames(
    frames: &Receiver<PendingFrame>,
    packs: &Sender<FinishedPack>,
    counters: &Counters,
) -> Result<(), AgentError> {
    let mut builder = Builder::default();
    let mut in_manifest = false;
    for frame in frames {
        let EncodedFrame { codec, stored, chunks } = frame.encoded.recv().map_err(|_| AgentError::Stopped)?;
        let turns_to_manifest = frame.manifest && !in_manifest;
        in_manifest = frame.manifest;
        if builder.is_full() || (turns_to_manifest && builder.len() >= SMALL_STASH_BYTES) {
            send(std::mem::take(&mut builder), packs)?;
        }
        if !frame.manifest {
            counters.new_stored_bytes.add(stored.len() as u64);
        }
        builder.push_frame(codec, stored, &chunks);
    }
    send(builder, packs)
}

fn send(builder: Builder, packs: &Sender<FinishedPack>) -> Result<(), AgentError> {
    if builder.is_empty() {
        return Ok(());
    }
    packs.send(builder.finish()).map_err(|_| AgentError::Stopped)
}

/// Signs and sends packs until there are no more; each is durable before its name is noted.
pub(super) fn send_packs(
    packs: &Receiver<FinishedPack>,
    session: &Session<'_>,
    sent: &Mutex<Vec<PackName>>,
    counters: &Counters,
    progress: &Progress,
) -> Result<(), AgentError> {
    loop {
        // The place comes first: a pack that waits for one is a pack in memory.
        let _permit = session.remote.transport().puts().enter(PACK_BYTES);
        let Ok(pack) = packs.recv() else { return Ok(()) };
        let intent =
            PackIntent { len: pack.len, footer_digest: pack.footer_digest, crc32c: crc32c(&pack.parts) };
        let parts: Vec<Bytes> = pack.parts.into_iter().map(Bytes::from).collect();
        let id = session.id()?;
        for signed in session.remote.sign(id, &[intent])? {
            put(session.remote, id, &signed, &intent, &parts)?;
            sent.lock().map_err(|_| AgentError::Stopped)?.push(signed.name);
            session.sent(signed.name, &pack.footer.chunks)?;
        }
        counters.uploaded_bytes.add(pack.len);
        progress.moved_bytes.add(pack.len);
    }
}
