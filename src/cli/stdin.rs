//! Stdin that can be given up while it waits for bytes. Not for terminals' lines: bytes as they come.

use std::io::{self, Read};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::model::Stop;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 1 << 20;
/// How often the wish to stop is looked at.
const TICK: Duration = Duration::from_millis(50);

/// Reads stdin on a thread of its own, which ends with the process.
pub(super) struct Stdin {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    stop: Stop,
}

impl Stdin {
    pub(super) fn new(stop: Stop) -> io::Result<Self> {
        let (sender, pieces) = bounded(1);
        std::thread::Builder::new().name("pannier-stdin".into()).spawn(move || {
            let mut stdin = io::stdin().lock();
            loop {
                let mut piece = vec![0; PIECE_BYTES];
                let read = stdin.read(&mut piece).map(|len| {
                    piece.truncate(len);
                    piece
                });
                let is_end = !matches!(&read, Ok(piece) if !piece.is_empty());
                if sender.send(read).is_err() || is_end {
                    return;
                }
            }
        })?;
        Ok(Self { pieces, piece: io::Cursor::default(), stop })
    }
}

impl Read for Stdin {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            match self.pieces.recv_timeout(TICK) {
                Ok(piece) => {
                    let piece = piece?;
                    if piece.is_empty() {
                        return Ok(0);
                    }
                    self.piece = io::Cursor::new(piece);
                }
                Err(RecvTimeoutError::Timeout) if self.stop.is_stopped() => {
                    return Err(io::Error::other("stopped while it was read"));
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The reader's last word was the end, or an error.
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}
