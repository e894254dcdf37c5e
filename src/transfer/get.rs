//! Reads ranges of a pack by its signed URL. Verifies nothing: what a range holds is the room `pack`'s to check.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use fs_err as fs;

use crate::model::signed_url::file_path;
use crate::protocol::PackDownload;

use super::error::TransferError;

/// A pack that ranges are read from, by any number of threads.
#[derive(Debug)]
pub struct PackSource {
    /// Where and how long it is.
    pub pack: PackDownload,
    file: OnceLock<fs::File>,
}

impl PackSource {
    /// Remembers where the pack is; nothing is opened or asked yet.
    pub const fn new(pack: PackDownload) -> Self {
        Self { pack, file: OnceLock::new() }
    }

    /// The bytes of `range`, exactly.
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>, TransferError> {
        let failed = |source| TransferError::Get { pack: self.pack.name, source };
        let file = self.opened()?;
        let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(|_| failed(too_long()))?;
        if range.end > self.pack.len {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut bytes = vec![0; len];
        file.file().read_exact_at(&mut bytes, range.start).map_err(failed)?;
        Ok(bytes)
    }

    fn opened(&self) -> Result<&fs::File, TransferError> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let Some(path) = file_path(&self.pack.get) else {
            return Err(TransferError::Scheme { pack: self.pack.name, place: self.pack.get.redacted() });
        };
        let file =
            fs::File::open(path).map_err(|source| TransferError::Get { pack: self.pack.name, source })?;
        Ok(self.file.get_or_init(|| file))
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a range longer than memory")
}
