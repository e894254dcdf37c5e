//! A request's body that is read from a file while it is sent, a piece ahead. Never whole in memory.

use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::body::Activity;
use super::request::FileRange;

/// What is read at once. Two of them are in memory for each request.
const PIECE_BYTES: u64 = 256 << 10;

/// A file could not be read to the end of its range: what is sent is at fault, not the way there.
#[derive(Debug, thiserror::Error)]
#[error("the file could not be read while it was sent: {0}")]
pub(super) struct UnreadFile(io::Error);

/// What of the range is still to be sent.
pub(super) struct FileBody {
    range: FileRange,
    /// The piece that is being read.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    left: u64,
    activity: Activity,
}

impl FileBody {
    pub(super) const fn new(range: FileRange, activity: Activity) -> Self {
        Self { left: range.len, range, reading: None, activity }
    }

    /// Begins to read the next piece, if there is one.
    fn read_ahead(&mut self) {
        let len = self.range.len.min(PIECE_BYTES);
        if self.reading.is_some() || len == 0 {
            return;
        }
        let (file, start) = (Arc::clone(&self.range.file), self.range.start);
        self.range.start += len;
        self.range.len -= len;
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; len as usize];
            file.read_exact_at(&mut piece, start)?;
            Ok(piece.into())
        }));
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = UnreadFile;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UnreadFile>>> {
        let body = &mut *self;
        body.read_ahead();
        let Some(reading) = &mut body.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(context));
        body.reading = None;
        let piece = read.map_err(io::Error::other).flatten().map_err(UnreadFile)?;
        body.left -= piece.len() as u64;
        body.read_ahead();
        body.activity.note();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
