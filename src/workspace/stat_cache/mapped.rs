//! A file of our own, mapped read-only: the crate's one place of `unsafe`. Knows nothing of what the file holds.
//!
//! Mapping is sound as long as nobody writes to the file or cuts it while it is mapped. A stat cache is written
//! beside and renamed, never in place, so the mapped inode keeps its bytes. No workspace file is ever mapped.
#![allow(unsafe_code)]

use std::io;
use std::ops::Deref;
use std::path::Path;

/// The bytes of a file.
#[derive(Debug)]
pub(super) struct Mapped(memmap2::Mmap);

impl Mapped {
    /// Maps a regular file that is not empty.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = fs_err::File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        // SAFETY: the file is only ever replaced by rename, never written in place or truncated (see above).
        unsafe { memmap2::Mmap::map(file.file()) }.map(Self)
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
