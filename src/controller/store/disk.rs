//! A folder as a store: `packs/ab/<32 digits>.pack` and `blobs/ab/<32 digits>.blob`, sharded by the name's first byte. Agents write into it by
//! `file:` URL, as `<target>.<random>.part` first and then by a rename that never overwrites. Not the writing itself.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::model::signed_url::file_url;
use crate::model::{ObjectKind, ObjectName, SignedUrl, limits};

use super::arriving::Arriving;
use super::disk_calls::{read_cached, sync_file_system};
use super::{AnswerHeaders, Arrival, Finding, PutIntent, Store, StoreError, StoredObject};

/// More objects are made durable by syncing their whole file system, once.
const FEW: usize = 8;

/// A store in a folder of this machine, or of a file system that it shares.
#[derive(Debug)]
pub struct DiskStore {
    folder: PathBuf,
}

impl DiskStore {
    /// Opens the store in `folder` (absolute), which need not exist yet.
    pub fn open(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Begins to take an object whose bytes come through this process.
    pub fn begin(&self, object: ObjectName, intent: &PutIntent) -> Result<Arriving, StoreError> {
        Arriving::begin(self.path(object), object, intent)
    }

    /// An object to read, and its length; `None` if there is none.
    pub fn open_object(&self, object: ObjectName) -> Result<Option<(fs_err::File, u64)>, StoreError> {
        match fs_err::File::open(self.path(object)) {
            Ok(file) => {
                let len = file.metadata().map_err(failed("read", object))?.len();
                Ok(Some((file, len)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", object)(error)),
        }
    }

    /// A whole object of at most `most` bytes; `None` otherwise, whatever the reason.
    pub fn read_small(&self, object: ObjectName, most: u64) -> Option<Vec<u8>> {
        let (file, len) = self.open_object(object).ok()??;
        let mut bytes = Vec::with_capacity(len.min(most) as usize);
        let read = (len <= most).then(|| file.take(len).read_to_end(&mut bytes).ok())??;
        (read as u64 == len).then_some(bytes)
    }

    /// A whole object of at most `most` bytes, if the system has it in memory and reading it waits for no disk; `None` otherwise, whatever
    /// the reason.
    pub fn read_cached(&self, object: ObjectName, most: u64) -> Option<Vec<u8>> {
        read_cached(&self.path(object), most)
    }

    fn kind_folder(&self, kind: ObjectKind) -> PathBuf {
        self.folder.join(kind.folder())
    }

    pub(super) fn shard(&self, object: ObjectName) -> PathBuf {
        self.kind_folder(object.kind).join(object.shard())
    }

    pub(super) fn path(&self, object: ObjectName) -> PathBuf {
        self.shard(object).join(object.file_name())
    }

    /// The folder that an object goes to, on durable storage.
    pub(super) fn make_shard(&self, object: ObjectName) -> Result<(), StoreError> {
        let shard = self.shard(object);
        if !shard.is_dir() {
            fs_err::create_dir_all(&shard).map_err(failed("make the folder of", object))?;
            // An object's durability ends at its folder's own name; the agent syncs only the folder that it writes in.
            for folder in [&self.kind_folder(object.kind), &self.folder] {
                sync_folder(folder).map_err(failed("make the folder of", object))?;
            }
        }
        Ok(())
    }

    fn sync_object(&self, object: ObjectName) -> Result<(), StoreError> {
        let Some((file, _)) = self.open_object(object)? else { return Ok(()) };
        let synced = file.file().sync_data().and_then(|()| sync_folder(&self.shard(object)));
        synced.map_err(failed("make durable", object))
    }

    fn sign(&self, object: ObjectName) -> Result<SignedUrl, StoreError> {
        let relative =
            || io::Error::new(io::ErrorKind::InvalidInput, "the store's folder is not an absolute path");
        file_url(&self.path(object)).ok_or_else(|| failed("sign", object)(relative()))
    }
}

impl Store for DiskStore {
    fn sign_put(&self, object: ObjectName, _intent: &PutIntent) -> Result<SignedUrl, StoreError> {
        self.make_shard(object)?;
        self.sign(object)
    }

    fn persist(&self, objects: &[ObjectName]) -> Result<(), StoreError> {
        let unsynced = |source| StoreError::Folder { path: self.folder.clone(), source };
        if objects.len() > FEW && sync_file_system(&self.folder).map_err(unsynced)? {
            return Ok(());
        }
        objects.iter().try_for_each(|object| self.sync_object(*object))
    }

    fn sign_get(&self, object: ObjectName, _answer: &AnswerHeaders) -> Result<SignedUrl, StoreError> {
        self.sign(object)
    }

    fn head(&self, object: ObjectName) -> Result<Option<u64>, StoreError> {
        match fs_err::symlink_metadata(self.path(object)) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("look up", object)(error)),
        }
    }

    fn read(&self, object: ObjectName, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let len = range.end.saturating_sub(range.start);
        if len > limits::MAX_PACK_BYTES {
            return Err(StoreError::Range { object, end: range.end });
        }
        let mut file = fs_err::File::open(self.path(object)).map_err(failed("read", object))?;
        if file.metadata().map_err(failed("read", object))?.len() < range.end {
            return Err(StoreError::Range { object, end: range.end });
        }
        file.seek(SeekFrom::Start(range.start)).map_err(failed("read", object))?;
        let mut bytes = Vec::with_capacity(len as usize);
        file.take(len).read_to_end(&mut bytes).map_err(failed("read", object))?;
        if bytes.len() as u64 == len { Ok(bytes) } else { Err(StoreError::Range { object, end: range.end }) }
    }

    fn delete(&self, object: &StoredObject) -> Result<u64, StoreError> {
        let path = match &object.unfinished {
            Some(name) => self.shard(object.object).join(name),
            None => self.path(object.object),
        };
        let len = fs_err::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
        match fs_err::remove_file(&path) {
            Ok(()) => Ok(len),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(failed("delete", object.object)(error)),
        }
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(StoredObject)) -> Result<(), StoreError> {
        let folder = self.kind_folder(kind);
        let unlistable = |source| StoreError::Folder { path: folder.clone(), source };
        for shard in entries(&folder).map_err(unlistable)? {
            if !shard.file_type().map_err(unlistable)?.is_dir() {
                continue;
            }
            for entry in entries(&shard.path()).map_err(unlistable)? {
                let name = entry.file_name();
                if let Some(object) = name.to_str().and_then(parse_name).filter(|it| it.object.kind == kind) {
                    each(object);
                }
            }
        }
        Ok(())
    }

    fn check(&self) -> Vec<Finding> {
        match self.probe() {
            Ok(free) if free >= limits::MAX_PACK_BYTES => {
                let folder = self.folder.display();
                vec![Finding::fine(format!(
                    "{folder} can be written, read and emptied; {} MB are free",
                    free / 1_000_000
                ))]
            }
            Ok(free) => vec![Finding::wrong(
                format!(
                    "{} has {} MB free, less than one pack may need",
                    self.folder.display(),
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
        let unusable = |source| StoreError::Folder { path: self.folder.clone(), source };
        getrandom::fill(&mut name).map_err(|error| unusable(io::Error::other(error)))?;
        let object = ObjectName { kind: ObjectKind::Pack, name };
        self.sign_put(object, &PutIntent { len: 5, crc32c: None, sha256: None })?;
        let path = self.path(object);
        let written = fs_err::write(&path, b"probe").map_err(failed("write", object));
        let read = written.and_then(|()| self.read(object, 0..5));
        self.delete(&StoredObject::finished(object))?;
        // A shard that was made for the probe goes with it, if nothing else stands there.
        let _ = fs_err::remove_dir(self.shard(object));
        if read? != b"probe" {
            return Err(unusable(io::Error::other("what was written is not what is read")));
        }
        let disk = rustix::fs::statvfs(&self.folder).map_err(|error| unusable(error.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

/// An object or an unfinished upload by its file name; `None` for what is neither, which is left alone.
fn parse_name(name: &str) -> Option<StoredObject> {
    // 32 digits, a full stop, `pack` or `blob`.
    let (object, rest) = name.split_at_checked(37)?;
    let object: ObjectName = object.parse().ok()?;
    match rest {
        "" => Some(StoredObject::finished(object)),
        part if part.ends_with(".part") => Some(StoredObject { object, unfinished: Some(name.into()) }),
        _ => None,
    }
}

/// Makes an unfinished file durable and gives it its name, durably, unless that is taken.
pub(super) fn publish_durably(file: &fs_err::File, part: &Path, target: &Path) -> io::Result<Arrival> {
    file.file().sync_data()?;
    let arrival = publish(part, target)?;
    if let (Arrival::Stored, Some(folder)) = (arrival, target.parent()) {
        sync_folder(folder)?;
    }
    Ok(arrival)
}

/// Gives an unfinished file its name, unless that is taken.
pub(super) fn publish(part: &Path, target: &Path) -> io::Result<Arrival> {
    // A link is create-only on every file system; the part's own name goes with whoever made it.
    match fs_err::hard_link(part, target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Arrival::Exists),
        linked => linked.map(|()| Arrival::Stored),
    }
}

/// Sixteen random digits, for the name of an unfinished file.
pub(super) fn random_digits() -> io::Result<String> {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(format!("{:016x}", u64::from_le_bytes(random)))
}

/// Deletes a file; nothing if it is gone.
pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
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

pub(super) fn failed(doing: &'static str, object: ObjectName) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Object { doing, object, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PackName;
    use crate::model::signed_url::file_path;

    #[test]
    fn many_objects_and_few_are_made_durable_and_those_that_are_gone_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path());
        let blobs: Vec<ObjectName> = (0..=FEW as u8).map(|name| ObjectName::blob([name; 16])).collect();
        for blob in &blobs[1..] {
            store.make_shard(*blob).unwrap();
            fs_err::write(store.path(*blob), b"x").unwrap();
        }
        store.persist(&blobs).unwrap();
        store.persist(&blobs[..FEW]).unwrap();
    }

    #[test]
    fn what_is_in_memory_is_read_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path());
        let blob = ObjectName::blob([7; 16]);
        assert_eq!(store.read_cached(blob, 5), None);
        store.make_shard(blob).unwrap();
        fs_err::write(store.path(blob), b"hello").unwrap();
        // A file system may have no such call; then another thread reads.
        assert!(store.read_cached(blob, 5).is_none_or(|bytes| bytes == b"hello"));
        assert_eq!(store.read_cached(blob, 4), None, "too long");
        assert_eq!(store.read_cached(ObjectName::blob([8; 16]), 5), None);
    }

    #[test]
    fn a_signed_put_leads_where_a_signed_get_reads() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(&folder.path().join("a b\u{e9}"));
        let pack = ObjectName::from(PackName([7; 16]));
        let intent = PutIntent { len: 5, crc32c: None, sha256: None };
        let target = file_path(&store.sign_put(pack, &intent).unwrap()).unwrap();
        assert_eq!(store.head(pack).unwrap(), None);
        fs_err::write(&target, b"hello").unwrap();
        assert_eq!(
            file_path(&store.sign_get(pack, &AnswerHeaders::default()).unwrap()),
            Some(target.clone())
        );
        assert_eq!(store.head(pack).unwrap(), Some(5));
        assert_eq!(store.read(pack, 1..3).unwrap(), b"el");
        assert!(matches!(store.read(pack, 3..6), Err(StoreError::Range { end: 6, .. })));
        fs_err::write(target.with_extension("pack.x1.part"), b"..").unwrap();
        fs_err::write(target.with_file_name("notes.txt"), b"mine").unwrap();
        let mut seen = Vec::new();
        store.list(ObjectKind::Pack, &mut |object| seen.push(object)).unwrap();
        store.list(ObjectKind::Blob, &mut |object| panic!("{object:?} is no pack")).unwrap();
        assert_eq!(seen.len(), 2, "a file that is no pack is none of our business: {seen:?}");
        assert_eq!(seen.iter().map(|object| store.delete(object).unwrap()).sum::<u64>(), 7);
        assert_eq!(store.delete(&StoredObject::finished(pack)).unwrap(), 0);
    }
}
