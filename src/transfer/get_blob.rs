//! Reads ranges of an artifact's content by its signed URL, on any number of threads. Verifies nothing.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fs_err as fs;

use crate::http::{ByteRange, Cause, Method, Request};
use crate::model::SignedUrl;
use crate::model::signed_url::file_path;
use crate::protocol::artifact::{ArtifactId, ArtifactInfo};

use super::artifact_remote::ArtifactRemote;
use super::blob_error::BlobError;
use super::gate::Gate;
use super::remote::{RemoteError, RemoteErrorKind};
use super::store_words::has_ended;

/// The content of one artifact.
pub struct BlobSource<'a> {
    remote: &'a dyn ArtifactRemote,
    gate: &'a Gate,
    id: &'a ArtifactId,
    len: u64,
    /// The newest URL, and how often it was renewed.
    url: Mutex<(SignedUrl, u32)>,
}

impl<'a> BlobSource<'a> {
    /// The content of an artifact that was found with a URL, or without one that is asked for.
    pub fn new(
        remote: &'a dyn ArtifactRemote,
        gate: &'a Gate,
        artifact: &'a ArtifactInfo,
    ) -> Result<Self, BlobError> {
        let (id, len) = (&artifact.id, artifact.len);
        let url = match &artifact.get {
            Some(url) => url.clone(),
            None => url_of(remote, id).map_err(BlobError::Renew)?,
        };
        Ok(Self { remote, gate, id, len, url: Mutex::new((url, 0)) })
    }

    /// The bytes of `range`, exactly, in place of what `into` holds.
    pub fn read(&self, range: Range<u64>, into: &mut Vec<u8>) -> Result<(), BlobError> {
        into.clear();
        let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
        let (url, times) = self.lock().clone();
        let _permit = self.gate.enter(len as u64);
        match file_path(&url) {
            Some(path) => {
                into.resize(len, 0);
                Ok(fs::File::open(path)?.file().read_exact_at(into, range.start)?)
            }
            None if len == 0 => Ok(()),
            None => self.read_url(url, times, &range, into),
        }
    }

    fn read_url(
        &self,
        mut url: SignedUrl,
        times: u32,
        range: &Range<u64>,
        bytes: &mut Vec<u8>,
    ) -> Result<(), BlobError> {
        let http = self.remote.transport().http().filter(|_| url.scheme().starts_with("http"));
        let Some(http) = http else { return Err(BlobError::Scheme(url.redacted())) };
        let range = ByteRange { start: range.start, end: range.end, total: self.len };
        let observer = |cause: &Cause| self.gate.failed(cause);
        bytes.reserve_exact((range.end - range.start) as usize);
        let mut may_renew = true;
        loop {
            let request = Request {
                headers: url.header_pairs(),
                observer: Some(&observer),
                ..Request::new(Method::GET, url.expose())
            };
            match http.read(&request, &range, bytes) {
                Ok(()) => break,
                Err(error) if may_renew && has_ended(&error) => {
                    url = self.renew(times)?;
                    may_renew = false;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.gate.moved(bytes.len() as u64);
        Ok(())
    }

    /// A newer URL than the one that was renewed `times`. Threads that come while one asks wait for its answer.
    fn renew(&self, times: u32) -> Result<SignedUrl, BlobError> {
        let mut newest = self.lock();
        if newest.1 == times {
            let url = url_of(self.remote, self.id).map_err(BlobError::Renew)?;
            *newest = (url, times + 1);
        }
        Ok(newest.0.clone())
    }

    fn lock(&self) -> MutexGuard<'_, (SignedUrl, u32)> {
        // Both are replaced at once.
        self.url.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn url_of(remote: &dyn ArtifactRemote, id: &ArtifactId) -> Result<SignedUrl, RemoteError> {
    let gone = || RemoteError::new(RemoteErrorKind::NotFound, "it is not there any more");
    remote.artifact(id)?.get.ok_or_else(gone)
}
