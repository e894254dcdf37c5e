//! The input as counted bytes: whole blocks, bodies of known length. Not what they mean.

use std::io::{self, Read};

use crate::tar::{BLOCK_BYTES, TarError, magic};

/// An input and how much of it was read.
pub(super) struct Blocks<R> {
    input: R,
    pub(super) offset: u64,
}

impl<R: Read> Blocks<R> {
    pub(super) const fn new(input: R) -> Self {
        Self { input, offset: 0 }
    }

    pub(super) fn into_inner(self) -> R {
        self.input
    }

    /// Reads up to `buf.len()` bytes; 0 at the end of the input.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Result<usize, TarError> {
        loop {
            match self.input.read(buf) {
                Ok(read) => {
                    self.offset += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(TarError::Read { offset: self.offset, source }),
            }
        }
    }

    /// The next block; `None` where the input ends on a block's boundary.
    pub(super) fn block(&mut self) -> Result<Option<[u8; BLOCK_BYTES]>, TarError> {
        let start = self.offset;
        let mut block = [0; BLOCK_BYTES];
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            match self.read(&mut block[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        if start == 0
            && let Some(error) = magic::foreign(&block[..filled])
        {
            return Err(error);
        }
        match filled {
            0 if start == 0 => Err(TarError::Empty),
            0 => Ok(None),
            BLOCK_BYTES => Ok(Some(block)),
            _ => Err(TarError::TruncatedHeader { offset: start }),
        }
    }

    /// The `size` bytes that follow and belong to the header at `header`, without their padding. Memory grows
    /// with what the input holds, not with what it claims.
    pub(super) fn body(&mut self, size: u64, header: u64) -> Result<Vec<u8>, TarError> {
        let mut body = Vec::new();
        let source_offset = self.offset;
        let read = (&mut self.input)
            .take(size)
            .read_to_end(&mut body)
            .map_err(|source| TarError::Read { offset: source_offset, source })? as u64;
        self.offset += read;
        if read < size || self.skip(padding(size))? > 0 {
            return Err(TarError::TruncatedHeader { offset: header });
        }
        Ok(body)
    }

    /// Reads `bytes` to nowhere; returns how many are missing.
    pub(super) fn skip(&mut self, bytes: u64) -> Result<u64, TarError> {
        let offset = self.offset;
        let skipped = io::copy(&mut (&mut self.input).take(bytes), &mut io::sink())
            .map_err(|source| TarError::Read { offset, source })?;
        self.offset += skipped;
        Ok(bytes - skipped)
    }
}

/// Bytes from the end of `size` bytes to the end of their last block.
pub(super) const fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK_BYTES as u64
}
