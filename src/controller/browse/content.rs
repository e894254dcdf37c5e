//! The bytes of one file of a stash, or a range of them: only the frames that hold them are read, each chunk is verified.

use std::ops::Range;

use crate::controller::error::ControllerError;
use crate::model::manifest::chunk_list;
use crate::model::{ChunkRef, Content};

use super::opened::OpenedStash;

/// Takes bytes; `false` once nobody wants more.
pub(in crate::controller) type Each<'f> = dyn FnMut(&[u8]) -> bool + 'f;

impl OpenedStash<'_> {
    /// Hands the bytes of `range` of a file to `each`, in order, in pieces of at most a chunk. Whether all were wanted.
    pub(in crate::controller) fn content(
        &mut self,
        content: &Content,
        range: Range<u64>,
        each: &mut Each<'_>,
    ) -> Result<bool, ControllerError> {
        if !content.listed {
            return self.chunks(&content.chunks, &mut 0, &range, each);
        }
        let mut position = 0;
        for list in &content.chunks {
            let digest = list.digest;
            let bytes = self.chunk(digest)?;
            let chunks =
                chunk_list::decode(&bytes).map_err(|source| ControllerError::Manifest { digest, source })?;
            if !self.chunks(&chunks, &mut position, &range, each)? {
                return Ok(false);
            }
            if position >= range.end {
                break;
            }
        }
        Ok(true)
    }

    /// `position` is where the first chunk begins in the file, and then where the last one ends.
    fn chunks(
        &mut self,
        chunks: &[ChunkRef],
        position: &mut u64,
        range: &Range<u64>,
        each: &mut Each<'_>,
    ) -> Result<bool, ControllerError> {
        // A hole is one chunk many times over.
        let mut last: Option<(ChunkRef, Vec<u8>)> = None;
        for chunk in chunks {
            let start = *position;
            let end = start + u64::from(chunk.len);
            *position = end;
            let wanted = range.start.max(start)..range.end.min(end);
            if wanted.is_empty() {
                continue;
            }
            let bytes = match last.take() {
                Some((same, bytes)) if same == *chunk => bytes,
                _ => self.chunk(chunk.digest)?,
            };
            // A manifest that gives a chunk another length than it has names no chunk that exists.
            let inner = (wanted.start - start) as usize..(wanted.end - start) as usize;
            let piece = bytes.get(inner).filter(|_| bytes.len() == chunk.len as usize);
            if !each(piece.ok_or(ControllerError::MissingChunk(chunk.digest))?) {
                return Ok(false);
            }
            last = Some((*chunk, bytes));
        }
        Ok(true)
    }
}
