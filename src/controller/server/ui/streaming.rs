//! From a thread that reads a stash to a body that streams: bounded pieces, a head once the first piece stands. Not what is
//! read.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use tokio::sync::{mpsc, oneshot};

use crate::controller::Controller;
use crate::controller::server::state::Server;
use crate::controller::server::streamed::Streamed;

use super::failure::PageFailure;

/// Bytes of a piece.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that wait for a slow reader.
const PIECES: usize = 2;

/// The writing end of a body. What fails before the first piece is whole becomes an answer of its own; what fails later
/// breaks the connection off, so that nobody takes a part for the whole.
pub(super) struct Outgoing<H> {
    head: Option<H>,
    announce: Option<oneshot::Sender<Result<H, PageFailure>>>,
    piece: Vec<u8>,
    pieces: mpsc::Sender<io::Result<Bytes>>,
}

/// Runs `work` on a thread of its own; its head, once there is something to send, and the body that it writes.
pub(super) async fn stream<H: Send + 'static>(
    server: &Arc<Server>,
    work: impl FnOnce(&Controller, &mut Outgoing<H>) -> Result<(), PageFailure> + Send + 'static,
) -> Result<(H, Body), PageFailure> {
    let place = Arc::clone(&server.streams).try_acquire_owned().map_err(|_| PageFailure::Busy)?;
    let controller = Arc::clone(&server.controller);
    let (announce, announced) = oneshot::channel();
    let (pieces, arriving) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let mut out = Outgoing { head: None, announce: Some(announce), piece: Vec::new(), pieces };
        let done = work(&controller, &mut out);
        out.end(done);
    });
    // A thread that panicked announces nothing.
    let head = announced.await.map_err(|_| PageFailure::Busy)??;
    Ok((head, Body::from_stream(Streamed(arriving))))
}

impl<H> Outgoing<H> {
    /// Says what the answer's head is made of, before the first byte.
    pub(super) fn begin(&mut self, head: H) {
        self.head = Some(head);
    }

    fn send(&mut self) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        if let Some(announce) = self.announce.take() {
            let head = self.head.take().ok_or_else(gone)?;
            announce.send(Ok(head)).map_err(|_| gone())?;
        }
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.piece);
        self.pieces.blocking_send(Ok(piece.into())).map_err(|_| gone())
    }

    fn end(mut self, done: Result<(), PageFailure>) {
        match (done, self.announce.take()) {
            // Whoever went away needs no answer; neither does anybody learn more than that it broke off.
            (Err(failure), Some(announce)) => drop(announce.send(Err(failure))),
            (Err(failure), None) => {
                tracing::warn!(?failure, "an answer broke off");
                let _ = self.pieces.blocking_send(Err(io::ErrorKind::Other.into()));
            }
            (Ok(()), announce) => {
                self.announce = announce;
                let _ = self.send();
            }
        }
    }
}

impl<H> Write for Outgoing<H> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE_BYTES {
            self.send()?;
        }
        Ok(taken)
    }

    /// Nothing: pieces go when they are full, and the last one at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
