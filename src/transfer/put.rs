//! Sends one finished pack by its signed URL. Create-only, and durable when it returns.

use std::io::{self, Write};
use std::path::Path;

use crc_fast::CrcAlgorithm;
use fs_err as fs;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::http::{Bytes, Cause, Client, Method, Request};
use crate::model::SignedUrl;
use crate::model::signed_url::file_path;
use crate::protocol::{PackIntent, SessionId, SignedPack};

use super::error::TransferError;
use super::gate::Gate;
use super::remote::{Remote, RemoteError};
use super::store_words::{has_ended, is_there};

/// Sends the pack whose bytes are `parts`, one after the other.
///
/// On return the pack stands under its name on durable storage, whole. A pack that stood there before is an error:
/// names are random and never reused.
pub fn put(
    remote: &dyn Remote,
    session: SessionId,
    pack: &SignedPack,
    intent: &PackIntent,
    parts: &[Bytes],
) -> Result<(), TransferError> {
    if let Some(path) = file_path(&pack.put) {
        return put_file(&path, parts).map_err(|source| TransferError::Put { pack: pack.name, source });
    }
    let http = remote.transport().http().filter(|_| pack.put.scheme().starts_with("http"));
    let Some(http) = http else {
        return Err(TransferError::Scheme { pack: pack.name, place: pack.put.redacted() });
    };
    let renew = || remote.renew_put(session, pack.name, intent);
    put_url(http, remote.transport().puts(), pack, parts, renew)
}

/// CRC-32C of a pack's parts, one after the other: what S3 and GCS check before they take an object.
pub fn crc32c(parts: &[impl AsRef<[u8]>]) -> u32 {
    let mut sum = crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi);
    parts.iter().for_each(|part| sum.update(part.as_ref()));
    // A 32-bit algorithm: the upper half is zero.
    sum.finalize() as u32
}

/// A URL that has ended is renewed once. That the object is there already is success where an earlier attempt may have
/// brought it: its answer was lost, and the commit looks at the object and its footer in any case.
fn put_url(
    http: &Client,
    gate: &Gate,
    pack: &SignedPack,
    parts: &[Bytes],
    renew: impl Fn() -> Result<SignedUrl, RemoteError>,
) -> Result<(), TransferError> {
    let observer = |cause: &Cause| gate.failed(cause);
    let mut renewed: Option<SignedUrl> = None;
    let mut may_have_arrived = false;
    loop {
        let url = renewed.as_ref().unwrap_or(&pack.put);
        let request = Request {
            headers: url.header_pairs(),
            body: parts,
            observer: Some(&observer),
            ..Request::new(Method::PUT, url.expose())
        };
        let error = match http.send(&request) {
            Ok(_) => break,
            Err(error) => error,
        };
        may_have_arrived |= error.attempts > 1;
        if may_have_arrived && is_there(&error) {
            tracing::debug!(pack = %pack.name, "an earlier attempt had brought it");
            break;
        }
        if renewed.is_some() || !has_ended(&error) {
            return Err(TransferError::Send { pack: pack.name, source: error });
        }
        tracing::debug!(pack = %pack.name, "its URL has ended");
        renewed = Some(renew().map_err(|source| TransferError::Renew { pack: pack.name, source })?);
    }
    gate.moved(parts.iter().map(|part| part.len() as u64).sum());
    Ok(())
}

/// Writes beside `path`, makes it durable, and gives it its name only then.
fn put_file(path: &Path, parts: &[Bytes]) -> io::Result<()> {
    let part = beside(path)?;
    let written = write_durably(&part, parts).and_then(|()| publish(&part, path));
    if written.is_err() {
        // Best effort: a part file that stays is swept with its dead session.
        let _ = fs::remove_file(&part);
    }
    written
}

pub(super) fn beside(path: &Path) -> io::Result<std::path::PathBuf> {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:016x}.part", u64::from_le_bytes(random)));
    Ok(name.into())
}

fn write_durably(part: &Path, parts: &[Bytes]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(part)?;
    parts.iter().try_for_each(|bytes| file.write_all(bytes))?;
    file.sync_data()
}

pub(super) fn publish(part: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, part, CWD, path, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            // File systems without RENAME_NOREPLACE (NFS, some FUSE): a hard link is create-only as well.
            fs::hard_link(part, path)?;
            fs::remove_file(part)?;
        }
        other => other?,
    }
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_is_castagnoli_whatever_the_parts() {
        // The check value of CRC-32/ISCSI in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc32c(&[b"123456789".to_vec()]), 0xE306_9283);
        assert_eq!(crc32c(&[b"1234".to_vec(), vec![], b"56789".to_vec()]), 0xE306_9283);
        assert_eq!(crc32c(&[b""]), 0);
    }
}
