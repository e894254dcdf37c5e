//! A request's body that streams parts without copying them, and says when something of it moved.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// What is handed to the connection at once: small enough that a link at the floor's speed is seen to move.
const PIECE_BYTES: usize = 64 << 10;

/// When something last moved, in either direction.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    started: Instant,
    last_millis: Arc<AtomicU64>,
}

impl Activity {
    pub(super) fn begin() -> Self {
        Self { started: Instant::now(), last_millis: Arc::default() }
    }

    pub(super) fn note(&self) {
        self.last_millis.store(self.started.elapsed().as_millis() as u64, Relaxed);
    }

    /// How long nothing has moved.
    pub(super) fn quiet(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.last_millis.load(Relaxed)))
    }

    /// Since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The parts that are still to be sent.
#[derive(Debug)]
pub(super) struct Parts {
    rest: std::collections::VecDeque<Bytes>,
    left: u64,
    activity: Activity,
}

impl Parts {
    pub(super) fn new(parts: &[Bytes], activity: Activity) -> Self {
        let rest: std::collections::VecDeque<Bytes> =
            parts.iter().filter(|part| !part.is_empty()).cloned().collect();
        Self { left: rest.iter().map(|part| part.len() as u64).sum(), rest, activity }
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let parts = &mut *self;
        let Some(part) = parts.rest.front_mut() else { return Poll::Ready(None) };
        let piece = part.split_to(part.len().min(PIECE_BYTES));
        if part.is_empty() {
            parts.rest.pop_front();
        }
        parts.left -= piece.len() as u64;
        parts.activity.note();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
