//! Uploads in parts to the disk store: one unfinished file as long as the whole, into which parts are written where they belong, in any
//! order. It gets its name once its SHA-256 is the announced one. Which parts came is not written down: a hole shows in the sum.

use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use aws_lc_rs::digest::{Context, SHA256};
use crc_fast::CrcAlgorithm;

use crate::model::{ObjectName, Sha256};

use super::back_end::{UploadId, WholeIntent};
use super::disk::{DiskStore, failed, publish_durably, random_digits, remove_if_there};
use super::{Arrival, StoreError};

/// Pieces in which a whole is read to be checked.
const PIECE_BYTES: usize = 1 << 20;

/// A part on its way in.
pub struct ArrivingPart {
    object: ObjectName,
    file: fs_err::File,
    at: u64,
    left: Option<u64>,
    sum: crc_fast::Digest,
}

impl ArrivingPart {
    /// Takes the next bytes. More than were announced are not written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.left = self.left.and_then(|left| left.checked_sub(bytes.len() as u64));
        if self.left.is_some() {
            self.sum.update(bytes);
            self.file.file().write_all_at(bytes, self.at).map_err(failed("store", self.object))?;
            self.at += bytes.len() as u64;
        }
        Ok(())
    }

    /// Whether all came that was announced, and its CRC-32C. What came otherwise is overwritten by the same part sent again.
    pub fn finish(self, announced: Option<u32>) -> (Arrival, u32) {
        let sum = self.sum.finalize() as u32;
        let whole = self.left == Some(0) && announced.is_none_or(|announced| announced == sum);
        (if whole { Arrival::Stored } else { Arrival::Differs }, sum)
    }
}

impl DiskStore {
    /// Makes the unfinished file.
    pub(super) fn begin_upload(&self, object: ObjectName, len: u64) -> Result<UploadId, StoreError> {
        self.make_shard(object)?;
        let make = || -> io::Result<String> {
            let digits = random_digits()?;
            let part = self.unfinished(object, &digits);
            let file = fs_err::OpenOptions::new().write(true).create_new(true).open(part)?;
            file.set_len(len)?;
            Ok(digits)
        };
        make().map(UploadId).map_err(failed("store", object))
    }

    /// Begins to take `len` bytes at `offset` of an upload; `None` if there is no such upload.
    pub fn begin_part(
        &self,
        object: ObjectName,
        upload: &str,
        offset: u64,
        len: u64,
    ) -> Result<Option<ArrivingPart>, StoreError> {
        let path = self.unfinished(object, upload);
        match fs_err::OpenOptions::new().write(true).open(path) {
            Ok(file) => {
                let sum = crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi);
                Ok(Some(ArrivingPart { object, file, at: offset, left: Some(len), sum }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("store", object)(error)),
        }
    }

    /// Gives the whole its name, durable, if it is what was announced.
    pub(super) fn complete_upload(
        &self,
        object: ObjectName,
        upload: &UploadId,
        whole: &WholeIntent,
    ) -> Result<(), StoreError> {
        let part = self.unfinished(object, &upload.0);
        let sum = match sha256_of(&part) {
            Ok(sum) => sum,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Parts { object, why: "this upload has ended".to_owned() });
            }
            Err(error) => return Err(failed("read", object)(error)),
        };
        if sum != whole.sha256 {
            let why = "together they have another SHA-256 than was announced".to_owned();
            return Err(StoreError::Parts { object, why });
        }
        let file = fs_err::File::open(&part).map_err(failed("store", object))?;
        match publish_durably(&file, &part, &self.path(object)).map_err(failed("store", object))? {
            // The name is random: what stands there came from the same upload.
            Arrival::Stored | Arrival::Exists | Arrival::Differs => self.abort_upload(object, upload),
        }
    }

    /// Deletes the unfinished file, if it is there.
    pub(super) fn abort_upload(&self, object: ObjectName, upload: &UploadId) -> Result<(), StoreError> {
        remove_if_there(&self.unfinished(object, &upload.0)).map_err(failed("delete", object))
    }

    fn unfinished(&self, object: ObjectName, upload: &str) -> PathBuf {
        // Digits alone: what a URL or a row says never leads elsewhere.
        let digits: String = upload.chars().filter(char::is_ascii_hexdigit).collect();
        self.shard(object).join(format!("{}.{digits}.part", object.file_name()))
    }
}

fn sha256_of(path: &std::path::Path) -> io::Result<Sha256> {
    let mut file = fs_err::File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => context.update(piece.get(..count).unwrap_or_default()),
        }
    }
    let mut sum = Sha256([0; 32]);
    sum.0.copy_from_slice(context.finish().as_ref());
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::store::Store;

    fn sum(bytes: &[u8]) -> Sha256 {
        let mut sum = Sha256([0; 32]);
        sum.0.copy_from_slice(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref());
        sum
    }

    fn put(store: &DiskStore, object: ObjectName, upload: &UploadId, at: u64, bytes: &[u8]) -> Arrival {
        let mut part = store.begin_part(object, &upload.0, at, bytes.len() as u64).unwrap().unwrap();
        part.write(bytes).unwrap();
        part.finish(None).0
    }

    #[test]
    fn parts_in_any_order_make_the_whole_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path());
        let object = ObjectName::blob([5; 16]);
        let upload = store.begin_upload(object, 10).unwrap();
        let whole = WholeIntent { len: 10, sha256: sum(b"0123456789") };
        assert_eq!(put(&store, object, &upload, 8, b"89"), Arrival::Stored);
        assert_eq!(put(&store, object, &upload, 0, b"wxyz"), Arrival::Stored);
        assert!(matches!(store.complete_upload(object, &upload, &whole), Err(StoreError::Parts { .. })));
        assert_eq!(put(&store, object, &upload, 0, b"0123"), Arrival::Stored, "the last one counts");
        assert!(matches!(store.complete_upload(object, &upload, &whole), Err(StoreError::Parts { .. })));
        assert_eq!(store.head(object).unwrap(), None, "a part is missing");
        assert_eq!(put(&store, object, &upload, 4, b"4567"), Arrival::Stored);
        store.complete_upload(object, &upload, &whole).unwrap();
        assert_eq!(store.read(object, 0..10).unwrap(), b"0123456789");
        assert!(store.begin_part(object, &upload.0, 0, 4).unwrap().is_none(), "it can be written no more");
    }

    #[test]
    fn a_part_is_as_long_and_as_announced_or_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path());
        let object = ObjectName::blob([5; 16]);
        let upload = store.begin_upload(object, 10).unwrap();
        for (bytes, announced) in [(&b"123"[..], None), (b"12345", None), (b"1234", Some(7))] {
            let mut part = store.begin_part(object, &upload.0, 0, 4).unwrap().unwrap();
            part.write(bytes).unwrap();
            assert_eq!(part.finish(announced).0, Arrival::Differs, "{bytes:?}");
        }
        store.abort_upload(object, &upload).unwrap();
        store.abort_upload(object, &upload).unwrap();
        assert!(store.begin_part(object, "../../etc", 0, 4).unwrap().is_none());
    }
}
