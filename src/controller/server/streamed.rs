//! A queue's pieces as the stream that a response's body is made of. Nothing else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;

/// The receiving end of a queue of pieces.
pub(super) struct Streamed(pub(super) mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Streamed {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
