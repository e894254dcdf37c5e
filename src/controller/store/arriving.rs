//! An object of the disk store whose bytes come through this process. Written beside its name, durable and checked before it
//! gets that name, never over another. Agents on this machine write by themselves (`transfer::put`).

use std::io::{self, Write};
use std::path::PathBuf;

use crc_fast::CrcAlgorithm;

use crate::model::PackName;

use super::StoreError;

/// How the taking of an object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It stands under its name, durable.
    Stored,
    /// Something stood there already, and still does.
    Exists,
    /// Other bytes came than were announced; nothing was stored.
    Differs,
}

/// An object on its way in. Dropped before its end, it leaves nothing.
pub struct Arriving {
    pack: PackName,
    target: PathBuf,
    part: PathBuf,
    file: fs_err::File,
    sum: crc_fast::Digest,
    left: Option<u64>,
    crc32c: u32,
}

impl Arriving {
    pub(super) fn begin(target: PathBuf, pack: PackName, len: u64, crc32c: u32) -> Result<Self, StoreError> {
        let make = || -> io::Result<(PathBuf, fs_err::File)> {
            let mut random = [0u8; 8];
            getrandom::fill(&mut random).map_err(io::Error::other)?;
            let mut part = target.clone().into_os_string();
            part.push(format!(".{:016x}.part", u64::from_le_bytes(random)));
            let part = PathBuf::from(part);
            let file = fs_err::OpenOptions::new().write(true).create_new(true).open(&part)?;
            Ok((part, file))
        };
        let (part, file) = make().map_err(|source| StoreError::Object { doing: "store", pack, source })?;
        let sum = crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi);
        Ok(Self { pack, target, part, file, sum, left: Some(len), crc32c })
    }

    /// Takes the next bytes. More than were announced are not written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.left = self.left.and_then(|left| left.checked_sub(bytes.len() as u64));
        if self.left.is_none() {
            return Ok(());
        }
        self.sum.update(bytes);
        self.file.write_all(bytes).map_err(|source| self.failed(source))
    }

    /// Gives it its name, if all came that was announced and the name is free.
    pub fn finish(self) -> Result<Arrival, StoreError> {
        if self.left != Some(0) || self.sum.finalize() != u64::from(self.crc32c) {
            return Ok(Arrival::Differs);
        }
        let publish = || -> io::Result<Arrival> {
            self.file.file().sync_data()?;
            // A link is create-only on every file system; the part's own name goes when this value does.
            match fs_err::hard_link(&self.part, &self.target) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Arrival::Exists),
                other => other?,
            }
            if let Some(folder) = self.target.parent() {
                fs_err::File::open(folder)?.sync_all()?;
            }
            Ok(Arrival::Stored)
        };
        publish().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::Object { doing: "store", pack: self.pack, source }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        // Best effort: a part file that stays is swept with its dead session.
        let _ = fs_err::remove_file(&self.part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::store::{DiskStore, Store};
    use crate::model::Digest;
    use crate::protocol::PackIntent;

    const HELLO: u32 = 0x9A71_BB4C; // CRC-32C of "hello"

    fn arrive(store: &DiskStore, pieces: &[&[u8]], len: u64, crc32c: u32) -> Arrival {
        let pack = PackName([7; 16]);
        store.sign_put(pack, &PackIntent { len, footer_digest: Digest::of(b""), crc32c }).unwrap();
        let mut arriving = store.begin(pack, len, crc32c).unwrap();
        pieces.iter().for_each(|piece| arriving.write(piece).unwrap());
        arriving.finish().unwrap()
    }

    #[test]
    fn only_the_announced_bytes_are_stored_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path());
        assert_eq!(arrive(&store, &[b"hell"], 5, HELLO), Arrival::Differs, "too few");
        assert_eq!(arrive(&store, &[b"hello", b"!"], 5, HELLO), Arrival::Differs, "too many");
        assert_eq!(arrive(&store, &[b"hallo"], 5, HELLO), Arrival::Differs, "others");
        let mut seen = 0;
        store.list(&mut |_| seen += 1).unwrap();
        assert_eq!(seen, 0, "nothing is left of what was not taken");
        assert_eq!(arrive(&store, &[b"he", b"llo"], 5, HELLO), Arrival::Stored);
        assert_eq!(arrive(&store, &[b"hello"], 5, HELLO), Arrival::Exists);
        let (_, len) = store.open_object(PackName([7; 16])).unwrap().unwrap();
        assert_eq!(len, 5);
        store.list(&mut |_| seen += 1).unwrap();
        assert_eq!(seen, 1);
    }
}
