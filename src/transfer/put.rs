//! Sends one finished pack by its signed URL. Create-only, and durable when it returns.

use std::io::{self, Write};
use std::path::Path;

use crc_fast::CrcAlgorithm;
use fs_err as fs;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::model::signed_url::file_path;
use crate::protocol::SignedPack;

use super::error::TransferError;

/// Sends the pack whose bytes are `parts`, one after the other.
///
/// On return the pack stands under its name on durable storage, whole. A pack that stands there already is an error:
/// names are random and never reused.
pub fn put(pack: &SignedPack, parts: &[Vec<u8>]) -> Result<(), TransferError> {
    let Some(path) = file_path(&pack.put) else {
        return Err(TransferError::Scheme { pack: pack.name, place: pack.put.redacted() });
    };
    put_file(&path, parts).map_err(|source| TransferError::Put { pack: pack.name, source })
}

/// CRC-32C of a pack's parts, one after the other: what S3 and GCS check before they take an object.
pub fn crc32c(parts: &[Vec<u8>]) -> u32 {
    let mut sum = crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi);
    parts.iter().for_each(|part| sum.update(part));
    // A 32-bit algorithm: the upper half is zero.
    sum.finalize() as u32
}

/// Writes beside `path`, makes it durable, and gives it its name only then.
fn put_file(path: &Path, parts: &[Vec<u8>]) -> io::Result<()> {
    let part = beside(path)?;
    let written = write_durably(&part, parts).and_then(|()| publish(&part, path));
    if written.is_err() {
        // Best effort: a part file that stays is swept with its dead session.
        let _ = fs::remove_file(&part);
    }
    written
}

fn beside(path: &Path) -> io::Result<std::path::PathBuf> {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:016x}.part", u64::from_le_bytes(random)));
    Ok(name.into())
}

fn write_durably(part: &Path, parts: &[Vec<u8>]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(part)?;
    parts.iter().try_for_each(|bytes| file.write_all(bytes))?;
    file.sync_data()
}

fn publish(part: &Path, path: &Path) -> io::Result<()> {
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
        assert_eq!(crc32c(&[]), 0);
    }
}
