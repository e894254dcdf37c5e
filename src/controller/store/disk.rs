//! A folder as a store: `packs/ab/<32 digits>.pack`, sharded by the name's first byte. Agents write into it by
//! `file:` URL, as `<target>.<random>.part` first and then by a rename that never overwrites. Not the writing itself.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::model::signed_url::file_url;
use crate::model::{Digest, PackName, SignedUrl, limits};
use crate::protocol::PackIntent;

use super::arriving::Arriving;
use super::{Finding, Store, StoreError, StoredObject};

const SUFFIX: &str = ".pack";

/// A store in a folder of this machine, or of a file system that it shares.
#[derive(Debug)]
pub struct DiskStore {
    packs: PathBuf,
}

impl DiskStore {
    /// Opens the store in `folder` (absolute), which need not exist yet.
    pub fn open(folder: &Path) -> Self {
        Self { packs: folder.join("packs") }
    }

    /// Begins to take an object whose bytes come through this process: `len` of them, with that CRC-32C.
    pub fn begin(&self, pack: PackName, len: u64, crc32c: u32) -> Result<Arriving, StoreError> {
        Arriving::begin(self.path(pack), pack, len, crc32c)
    }

    /// An object to read, and its length; `None` if there is none.
    pub fn open_object(&self, pack: PackName) -> Result<Option<(fs_err::File, u64)>, StoreError> {
        match fs_err::File::open(self.path(pack)) {
            Ok(file) => {
                let len = file.metadata().map_err(failed("read", pack))?.len();
                Ok(Some((file, len)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", pack)(error)),
        }
    }

    fn shard(&self, pack: PackName) -> PathBuf {
        self.packs.join(format!("{:02x}", pack.0[0]))
    }

    fn path(&self, pack: PackName) -> PathBuf {
        self.shard(pack).join(format!("{pack}{SUFFIX}"))
    }

    fn sign(&self, pack: PackName) -> Result<SignedUrl, StoreError> {
        let relative =
            || io::Error::new(io::ErrorKind::InvalidInput, "the store's folder is not an absolute path");
        file_url(&self.path(pack)).ok_or_else(|| failed("sign", pack)(relative()))
    }
}

impl Store for DiskStore {
    fn sign_put(&self, pack: PackName, _intent: &PackIntent) -> Result<SignedUrl, StoreError> {
        let shard = self.shard(pack);
        if !shard.is_dir() {
            fs_err::create_dir_all(&shard).map_err(failed("make the folder of", pack))?;
            // A pack's durability ends at its folder's own name; the agent syncs only the folder that it writes in.
            for folder in [&self.packs, self.packs.parent().unwrap_or(&self.packs)] {
                sync_folder(folder).map_err(failed("make the folder of", pack))?;
            }
        }
        self.sign(pack)
    }

    fn sign_get(&self, pack: PackName) -> Result<SignedUrl, StoreError> {
        self.sign(pack)
    }

    fn head(&self, pack: PackName) -> Result<Option<u64>, StoreError> {
        match fs_err::symlink_metadata(self.path(pack)) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("look up", pack)(error)),
        }
    }

    fn read(&self, pack: PackName, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let len = range.end.saturating_sub(range.start);
        if len > limits::MAX_PACK_BYTES {
            return Err(StoreError::Range { pack, end: range.end });
        }
        let mut file = fs_err::File::open(self.path(pack)).map_err(failed("read", pack))?;
        if file.metadata().map_err(failed("read", pack))?.len() < range.end {
            return Err(StoreError::Range { pack, end: range.end });
        }
        file.seek(SeekFrom::Start(range.start)).map_err(failed("read", pack))?;
        let mut bytes = Vec::with_capacity(len as usize);
        file.take(len).read_to_end(&mut bytes).map_err(failed("read", pack))?;
        if bytes.len() as u64 == len { Ok(bytes) } else { Err(StoreError::Range { pack, end: range.end }) }
    }

    fn delete(&self, object: &StoredObject) -> Result<u64, StoreError> {
        let path = match &object.unfinished {
            Some(name) => self.shard(object.pack).join(name),
            None => self.path(object.pack),
        };
        let len = fs_err::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
        match fs_err::remove_file(&path) {
            Ok(()) => Ok(len),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(failed("delete", object.pack)(error)),
        }
    }

    fn list(&self, each: &mut dyn FnMut(StoredObject)) -> Result<(), StoreError> {
        let unlistable = |source| StoreError::Folder { path: self.packs.clone(), source };
        for shard in entries(&self.packs).map_err(unlistable)? {
            if !shard.file_type().map_err(unlistable)?.is_dir() {
                continue;
            }
            for entry in entries(&shard.path()).map_err(unlistable)? {
                let name = entry.file_name();
                if let Some(object) = name.to_str().and_then(parse_name) {
                    each(object);
                }
            }
        }
        Ok(())
    }

    fn check(&self) -> Vec<Finding> {
        match self.probe() {
            Ok(free) if free >= limits::MAX_PACK_BYTES => {
                let folder = self.packs.display();
                vec![Finding::fine(format!(
                    "{folder} can be written, read and emptied; {} MB are free",
                    free / 1_000_000
                ))]
            }
            Ok(free) => vec![Finding::wrong(
                format!(
                    "{} has {} MB free, less than one pack may need",
                    self.packs.display(),
                    free / 1_000_000
                ),
                "free some space",
            )],
            Err(error) => {
                let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                vec![Finding::wrong(
                    format!("{error}: {why}"),
                    error.hint().unwrap_or("see the system's log"),
                )]
            }
        }
    }
}

impl DiskStore {
    /// Writes, finds, reads and deletes a probe; bytes that are free.
    fn probe(&self) -> Result<u64, StoreError> {
        let mut name = [0; 16];
        let unusable = |source| StoreError::Folder { path: self.packs.clone(), source };
        getrandom::fill(&mut name).map_err(|error| unusable(io::Error::other(error)))?;
        let pack = PackName(name);
        self.sign_put(pack, &PackIntent { len: 5, footer_digest: Digest::of(b"probe"), crc32c: 0 })?;
        let path = self.path(pack);
        let written = fs_err::write(&path, b"probe").map_err(failed("write", pack));
        let read = written.and_then(|()| self.read(pack, 0..5));
        self.delete(&StoredObject::pack(pack))?;
        // A shard that was made for the probe goes with it, if nothing else stands there.
        let _ = fs_err::remove_dir(self.shard(pack));
        if read? != b"probe" {
            return Err(unusable(io::Error::other("what was written is not what is read")));
        }
        let disk = rustix::fs::statvfs(&self.packs).map_err(|error| unusable(error.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

/// A pack or an unfinished upload by its file name; `None` for what is neither, which is left alone.
fn parse_name(name: &str) -> Option<StoredObject> {
    let (digits, rest) = name.split_at_checked(32)?;
    let pack = digits.parse().ok()?;
    match rest.strip_prefix(SUFFIX)? {
        "" => Some(StoredObject::pack(pack)),
        part if part.ends_with(".part") => Some(StoredObject { pack, unfinished: Some(name.into()) }),
        _ => None,
    }
}

fn entries(folder: &Path) -> io::Result<Vec<fs_err::DirEntry>> {
    match fs_err::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    fs_err::File::open(folder)?.sync_all()
}

fn failed(doing: &'static str, pack: PackName) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Object { doing, pack, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::signed_url::file_path;

    #[test]
    fn a_signed_put_leads_where_a_signed_get_reads() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(&folder.path().join("a b\u{e9}"));
        let pack = PackName([7; 16]);
        let intent = PackIntent { len: 5, footer_digest: Digest::of(b""), crc32c: 0 };
        let target = file_path(&store.sign_put(pack, &intent).unwrap()).unwrap();
        assert_eq!(store.head(pack).unwrap(), None);
        fs_err::write(&target, b"hello").unwrap();
        assert_eq!(file_path(&store.sign_get(pack).unwrap()), Some(target.clone()));
        assert_eq!(store.head(pack).unwrap(), Some(5));
        assert_eq!(store.read(pack, 1..3).unwrap(), b"el");
        assert!(matches!(store.read(pack, 3..6), Err(StoreError::Range { end: 6, .. })));
        fs_err::write(target.with_extension("pack.x1.part"), b"..").unwrap();
        fs_err::write(target.with_file_name("notes.txt"), b"mine").unwrap();
        let mut seen = Vec::new();
        store.list(&mut |object| seen.push(object)).unwrap();
        assert_eq!(seen.len(), 2, "a file that is no pack is none of our business: {seen:?}");
        assert_eq!(seen.iter().map(|object| store.delete(object).unwrap()).sum::<u64>(), 7);
        assert_eq!(store.delete(&StoredObject::pack(pack)).unwrap(), 0);
    }
}
