//! An object of the disk store whose bytes come through this process. Written beside its name, checked and, unless it is a small
//! blob, durable before it gets that name, never over another. Agents on this machine write by themselves (`transfer::put`).

use std::io::{self, Write};
use std::path::PathBuf;

use aws_lc_rs::digest::{Context, SHA256};
use crc_fast::CrcAlgorithm;

use crate::model::{ObjectKind, ObjectName, Sha256};

use super::disk::{publish, publish_durably, random_digits};
use super::{PutIntent, StoreError};

/// A blob of at most so many bytes waits for the end of its upload, which makes all that end with it durable at once: two syncs
/// for each of ten thousand would take longer than all the rest.
const SMALL_BYTES: u64 = 256 << 10;

/// How the taking of an object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It stands under its name; durable, or a small blob that [`super::Store::persist`] makes so.
    Stored,
    /// Something stood there already, and still does.
    Exists,
    /// Other bytes came than were announced; nothing was stored.
    Differs,
}

/// An object on its way in. Dropped before its end, it leaves nothing.
pub struct Arriving {
    object: ObjectName,
    target: PathBuf,
    part: PathBuf,
    file: fs_err::File,
    sum: crc_fast::Digest,
    sha256: Option<(Context, Sha256)>,
    left: Option<u64>,
    crc32c: Option<u32>,
    is_small_blob: bool,
}

impl Arriving {
    pub(super) fn begin(target: PathBuf, object: ObjectName, intent: &PutIntent) -> Result<Self, StoreError> {
        let make = || -> io::Result<(PathBuf, fs_err::File)> {
            let mut part = target.clone().into_os_string();
            part.push(format!(".{}.part", random_digits()?));
            let part = PathBuf::from(part);
            let file = fs_err::OpenOptions::new().write(true).create_new(true).open(&part)?;
            Ok((part, file))
        };
        let (part, file) = make().map_err(|source| StoreError::Object { doing: "store", object, source })?;
        let sum = crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi);
        let sha256 = intent.sha256.map(|announced| (Context::new(&SHA256), announced));
        Ok(Self {
            object,
            target,
            part,
            file,
            sum,
            sha256,
            left: Some(intent.len),
            crc32c: intent.crc32c,
            is_small_blob: object.kind == ObjectKind::Blob && intent.len <= SMALL_BYTES,
        })
    }

    /// Takes the next bytes. More than were announced are not written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.left = self.left.and_then(|left| left.checked_sub(bytes.len() as u64));
        if self.left.is_none() {
            return Ok(());
        }
        self.sum.update(bytes);
        if let Some((context, _)) = &mut self.sha256 {
            context.update(bytes);
        }
        self.file.write_all(bytes).map_err(|source| self.failed(source))
    }

    /// Gives it its name, if all came that was announced and the name is free.
    pub fn finish(mut self) -> Result<Arrival, StoreError> {
        if self.left != Some(0) || !self.is_as_announced() {
            return Ok(Arrival::Differs);
        }
        let published = match self.is_small_blob {
            true => publish(&self.part, &self.target),
            false => publish_durably(&self.file, &self.part, &self.target),
        };
        published.map_err(|source| self.failed(source))
    }

    fn is_as_announced(&mut self) -> bool {
        let sha256 =
            self.sha256.take().is_none_or(|(context, announced)| context.finish().as_ref() == announced.0);
        sha256 && self.crc32c.is_none_or(|announced| self.sum.finalize() == u64::from(announced))
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::Object { doing: "store", object: self.object, source }
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
    use crate::model::PackName;

    const HELLO: u32 = 0x9A71_BB4C; // CRC-32C of "hello"

    fn arrive(store: &DiskStore, pieces: &[&[u8]], len: u64, crc32c: u32) -> Arrival {
        arrive_as(store, pieces, &PutIntent { len, crc32c: Some(crc32c), sha256: None })
    }

    fn arrive_as(store: &DiskStore, pieces: &[&[u8]], intent: &PutIntent) -> Arrival {
        let pack = ObjectName::from(PackName([7; 16]));
        store.sign_put(pack, intent).unwrap();
        let mut arriving = store.begin(pack, intent).unwrap();
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
        let other = PutIntent { len: 5, crc32c: Some(HELLO), sha256: Some(Sha256([0; 32])) };
        assert_eq!(arrive_as(&store, &[b"hello"], &other), Arrival::Differs, "another SHA-256");
        let mut seen = 0;
        store.list(ObjectKind::Pack, &mut |_| seen += 1).unwrap();
        assert_eq!(seen, 0, "nothing is left of what was not taken");
        assert_eq!(arrive(&store, &[b"he", b"llo"], 5, HELLO), Arrival::Stored);
        assert_eq!(arrive(&store, &[b"hello"], 5, HELLO), Arrival::Exists);
        let (_, len) = store.open_object(PackName([7; 16]).into()).unwrap().unwrap();
        assert_eq!(len, 5);
        store.list(ObjectKind::Pack, &mut |_| seen += 1).unwrap();
        assert_eq!(seen, 1);
    }
}
