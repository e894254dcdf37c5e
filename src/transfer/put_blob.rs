//! Sends the content of an artifact, or a part of it, by its signed URL. Create-only, and never whole in memory unless it is small.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crc_fast::CrcAlgorithm;
use fs_err as fs;

use crate::http::{Bytes, Cause, FileRange, Method, Request, Response};
use crate::model::signed_url::file_path;
use crate::model::{SignedUrl, Stop};

use super::blob_error::BlobError;
use super::gate::Gate;
use super::put::{beside, publish};
use super::remote::RemoteError;
use super::store_words::{has_ended, is_there};
use super::transport::Transport;

/// Pieces in which a file is copied to a store that is a folder.
const PIECE_BYTES: usize = 1 << 20;

/// Where the bytes come from.
#[derive(Clone, Debug)]
pub enum Payload {
    /// From memory.
    Bytes(Bytes),
    /// From a file, so many bytes from there on.
    File {
        /// The file.
        file: Arc<File>,
        /// Where they begin.
        start: u64,
        /// How many they are.
        len: u64,
        /// Their CRC-32C, as it was announced.
        crc32c: u32,
    },
}

impl Payload {
    /// How many bytes are sent.
    pub const fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Whether nothing is.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Sends `payload`; what the store answers as its `ETag`, empty where it answers none. That the object is there already is success: its name
/// is random, and only this upload was given it; whoever ends the upload looks at the object. A URL that has ended is renewed once.
pub fn put_blob(
    transport: &Transport,
    gate: &Gate,
    stop: &Stop,
    url: &SignedUrl,
    payload: &Payload,
    renew: impl Fn() -> Result<SignedUrl, RemoteError>,
) -> Result<String, BlobError> {
    if let Some(path) = file_path(url) {
        put_file(&path, payload, stop)?;
        return Ok(String::new());
    }
    let http = transport.http().filter(|_| url.scheme().starts_with("http"));
    let Some(http) = http else { return Err(BlobError::Scheme(url.redacted())) };
    let observer = |cause: &Cause| gate.failed(cause);
    let mut renewed: Option<SignedUrl> = None;
    loop {
        let url = renewed.as_ref().unwrap_or(url);
        let (bytes, file) = body(payload);
        let body = bytes.map(|bytes| [bytes]);
        let request = Request {
            headers: url.header_pairs(),
            body: body.as_ref().map_or(&[], |body| &body[..]),
            file,
            observer: Some(&observer),
            ..Request::new(Method::PUT, url.expose())
        };
        match http.send(&request) {
            Ok(response) => {
                gate.moved(payload.len());
                return Ok(etag(&response));
            }
            Err(error) if is_there(&error) => return Ok(String::new()),
            Err(error) if renewed.is_none() && has_ended(&error) => {
                tracing::debug!("the URL of an artifact has ended");
                renewed = Some(renew().map_err(BlobError::Renew)?);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn body(payload: &Payload) -> (Option<Bytes>, Option<FileRange>) {
    match payload {
        Payload::Bytes(bytes) => (Some(bytes.clone()), None),
        Payload::File { file, start, len, .. } => {
            (None, Some(FileRange { file: Arc::clone(file), start: *start, len: *len }))
        }
    }
}

fn etag(response: &Response) -> String {
    let value = response.headers.get("etag").and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// Writes beside `path`, makes it durable, and gives it its name only then, if it is what was announced.
fn put_file(path: &Path, payload: &Payload, stop: &Stop) -> Result<(), BlobError> {
    let part = beside(path)?;
    let written = write_durably(&part, payload, stop).and_then(|()| match publish(&part, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Best effort: what stays is swept as unfinished.
            let _ = fs::remove_file(&part);
            Ok(())
        }
        published => Ok(published?),
    });
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

fn write_durably(part: &Path, payload: &Payload, stop: &Stop) -> Result<(), BlobError> {
    let mut target = fs::OpenOptions::new().write(true).create_new(true).open(part)?;
    match payload {
        Payload::Bytes(bytes) => target.write_all(bytes)?,
        Payload::File { file, start, len, crc32c } => {
            let mut sum = crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi);
            let mut piece = vec![0; PIECE_BYTES];
            let mut done = 0;
            while done < *len {
                if stop.is_stopped() {
                    return Err(BlobError::File(io::ErrorKind::Interrupted.into()));
                }
                let want = usize::try_from(len - done).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
                let piece = &mut piece[..want];
                file.read_exact_at(piece, start + done).map_err(|_| BlobError::Changed)?;
                sum.update(piece);
                target.write_all(piece)?;
                done += want as u64;
            }
            if sum.finalize() != u64::from(*crc32c) {
                return Err(BlobError::Changed);
            }
        }
    }
    Ok(target.sync_data()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::signed_url::file_url;

    fn send(url: &SignedUrl, payload: &Payload) -> Result<String, BlobError> {
        let transport = Transport::files();
        put_blob(&transport, &transport.blobs(None), &Stop::default(), url, payload, || unreachable!())
    }

    #[test]
    fn a_file_arrives_whole_and_under_its_name_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        fs::write(&source, b"123456789").unwrap();
        let url = file_url(&target).unwrap();
        let payload = |len, crc32c| {
            let file = Arc::new(fs::File::open(&source).unwrap().into_parts().0);
            Payload::File { file, start: 0, len, crc32c }
        };
        assert!(matches!(send(&url, &payload(10, 0)), Err(BlobError::Changed)), "it is shorter");
        assert!(matches!(send(&url, &payload(9, 1)), Err(BlobError::Changed)), "it is another");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
        send(&url, &payload(9, 0xE306_9283)).unwrap();
        send(&url, &Payload::Bytes(Bytes::from_static(b"other"))).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"123456789", "what is there stays");
    }
}
