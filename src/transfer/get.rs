//! Reads ranges of a pack by its signed URL. Verifies nothing: what a range holds is the room `pack`'s to check.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use fs_err as fs;

use crate::http::{ByteRange, Cause, Method, Request};
use crate::model::signed_url::file_path;
use crate::protocol::PackDownload;

use super::error::TransferError;
use super::lease::ReadLease;
use super::store_words::has_ended;

/// A pack that ranges are read from, by any number of threads.
pub struct PackSource<'a> {
    /// Where and how long it is.
    pub pack: PackDownload,
    lease: Arc<ReadLease<'a>>,
    file: OnceLock<fs::File>,
}

impl<'a> PackSource<'a> {
    /// Remembers where the pack is; nothing is opened or asked yet.
    pub const fn new(pack: PackDownload, lease: Arc<ReadLease<'a>>) -> Self {
        Self { pack, lease, file: OnceLock::new() }
    }

    /// The bytes of `range`, exactly.
    pub fn read(&self, range: Range<u64>) -> Result<Vec<u8>, TransferError> {
        let len = usize::try_from(range.end.saturating_sub(range.start));
        let len = len.map_err(|_| self.failed(too_long()))?;
        if range.end > self.pack.len {
            return Err(self.failed(io::ErrorKind::UnexpectedEof.into()));
        }
        match file_path(&self.pack.get) {
            Some(path) => self.read_file(&path, range.start, len),
            None if len == 0 => Ok(Vec::new()),
            None => self.read_url(range, len),
        }
    }

    fn read_file(&self, path: &Path, start: u64, len: usize) -> Result<Vec<u8>, TransferError> {
        let file = match self.file.get() {
            Some(file) => file,
            None => {
                let file = fs::File::open(path).map_err(|source| self.failed(source))?;
                self.file.get_or_init(|| file)
            }
        };
        let mut bytes = vec![0; len];
        file.file().read_exact_at(&mut bytes, start).map_err(|source| self.failed(source))?;
        Ok(bytes)
    }

    fn read_url(&self, range: Range<u64>, len: usize) -> Result<Vec<u8>, TransferError> {
        let transport = self.lease.remote.transport();
        let pack = self.pack.name;
        let http = transport.http().filter(|_| self.pack.get.scheme().starts_with("http"));
        let http = http.ok_or_else(|| TransferError::Scheme { pack, place: self.pack.get.redacted() })?;
        let gate = transport.gets();
        let _permit = gate.enter(len as u64);
        let range = ByteRange { start: range.start, end: range.end, total: self.pack.len };
        let observer = |cause: &Cause| gate.failed(cause);
        let mut bytes = Vec::with_capacity(len);
        let mut leased = self.lease.url(&self.pack);
        let mut may_renew = true;
        loop {
            let request = Request {
                headers: leased.url.header_pairs(),
                observer: Some(&observer),
                ..Request::new(Method::GET, leased.url.expose())
            };
            match http.read(&request, &range, &mut bytes) {
                Ok(()) => break,
                Err(error) if may_renew && has_ended(&error) => {
                    tracing::debug!(%pack, "its URL has ended");
                    let renewed = self.lease.renew(&self.pack, &leased);
                    leased = renewed.map_err(|source| TransferError::Renew { pack, source })?;
                    may_renew = false;
                }
                Err(source) => return Err(TransferError::Read { pack, source }),
            }
        }
        gate.moved(len as u64);
        Ok(bytes)
    }

    fn failed(&self, source: io::Error) -> TransferError {
        TransferError::Get { pack: self.pack.name, source }
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a range longer than memory")
}
