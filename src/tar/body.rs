//! The content of the entry being read: data runs from the input, holes between them. Not how a map is written.

use std::io::Read;

use crate::model::EntryPath;
use crate::tar::TarError;
use crate::tar::blocks::{Blocks, padding};

/// The next part of an entry's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes, now at the start of the buffer; at least one, unless the buffer has no room.
    Bytes(usize),
    /// So many zeros, at least one; the buffer is as it was. However large a hole is, it is one piece.
    Zeros(u64),
    /// There is no more.
    End,
}

/// A run of a sparse file's bytes that stands in the tar; everything between runs is zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// What is left of an entry's content.
pub(super) struct Body {
    path: EntryPath,
    segments: std::vec::IntoIter<Segment>,
    segment: Segment,
    position: u64,
    size: u64,
    /// Bytes left in the input: data, and what pads them to a block.
    stored: u64,
    padding: u64,
}

impl Body {
    /// Content of `size` bytes whose `segments`, checked to be ascending, within `size` and `stored` bytes
    /// together, are next in the input.
    pub(super) fn new(path: EntryPath, size: u64, segments: Vec<Segment>, stored: u64) -> Self {
        let segment = Segment { offset: 0, len: 0 };
        let segments = segments.into_iter();
        Self { path, segments, segment, position: 0, size, stored, padding: padding(stored) }
    }

    /// A body that is no content: `stored` bytes to skip.
    pub(super) fn skipped(path: EntryPath, stored: u64) -> Self {
        Self::new(path, 0, Vec::new(), stored)
    }

    /// The next piece; its bytes, if it has any, go to `buf`.
    pub(super) fn read<R: Read>(&mut self, input: &mut Blocks<R>, buf: &mut [u8]) -> Result<Piece, TarError> {
        while self.segment.len == 0 {
            match self.segments.next() {
                Some(next) => self.segment = next,
                None => break,
            }
        }
        let hole_end = if self.segment.len == 0 { self.size } else { self.segment.offset };
        if self.position < hole_end {
            let zeros = hole_end - self.position;
            self.position = hole_end;
            return Ok(Piece::Zeros(zeros));
        }
        if self.segment.len == 0 {
            return Ok(Piece::End);
        }
        let wanted = usize::try_from(self.segment.len).unwrap_or(usize::MAX).min(buf.len());
        let read = input.read(&mut buf[..wanted])?;
        if read == 0 && wanted > 0 {
            return Err(self.truncated(self.stored.saturating_add(self.padding)));
        }
        self.position += read as u64;
        self.segment.offset += read as u64;
        self.segment.len -= read as u64;
        self.stored = self.stored.saturating_sub(read as u64);
        Ok(Piece::Bytes(read))
    }

    /// Leaves the input behind the padding.
    pub(super) fn skip_rest<R: Read>(&self, input: &mut Blocks<R>) -> Result<(), TarError> {
        match input.skip(self.stored.saturating_add(self.padding))? {
            0 => Ok(()),
            missing => Err(self.truncated(missing)),
        }
    }

    fn truncated(&self, missing_bytes: u64) -> TarError {
        TarError::Truncated { path: self.path.clone(), missing_bytes }
    }
}
