//! A header and the records that override it, as an entry's metadata. Not its content.

use std::collections::BTreeMap;

use crate::model::limits::{MAX_PATH_BYTES, MAX_XATTR_BYTES};
use crate::model::{EntryPath, Owner, Timestamp, Xattr};
use crate::tar::header::Header;
use crate::tar::records::Records;
use crate::tar::xattr_name::Found;
use crate::tar::{TarError, decimal, entry_name, xattr_name};

/// What stands before an entry's header and is about it.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) records: Records,
    pub(super) record_bytes: u64,
    pub(super) long_path: Option<Vec<u8>>,
    pub(super) long_link: Option<Vec<u8>>,
    pub(super) any: bool,
}

/// Header, pending records and global records, in the order in which they win: last first.
pub(super) struct Metadata<'a> {
    pub(super) header: &'a Header,
    pub(super) pending: &'a Pending,
    pub(super) global: &'a Records,
}

impl Metadata<'_> {
    /// A record's value; an empty one of the entry's own means "as in the header".
    fn record(&self, key: &[u8]) -> Option<&[u8]> {
        self.pending.records.last(key).or_else(|| self.global.last(key)).filter(|value| !value.is_empty())
    }

    pub(super) fn raw_path(&self) -> Vec<u8> {
        let record = self.pending.records.last(b"GNU.sparse.name").or_else(|| self.record(b"path"));
        match (record, &self.pending.long_path) {
            (Some(path), _) => path.to_vec(),
            (None, Some(path)) => path.clone(),
            (None, None) => self.header.path(),
        }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        match (self.record(b"linkpath"), &self.pending.long_link) {
            (Some(link), _) => link.to_vec(),
            (None, Some(link)) => link.clone(),
            (None, None) => self.header.link().to_vec(),
        }
    }

    pub(super) fn stored(&self) -> Result<u64, TarError> {
        match self.record(b"size") {
            Some(size) => decimal::parse(size).ok_or_else(|| self.header.record("a bad size")),
            None => self.header.size(),
        }
    }

    pub(super) fn mtime(&self) -> Result<Timestamp, TarError> {
        match self.record(b"mtime") {
            Some(time) => decimal::parse_time(time).ok_or_else(|| self.header.record("a bad mtime")),
            None => Ok(Timestamp { secs: self.header.mtime()?, nanos: 0 }),
        }
    }

    pub(super) fn owner(&self) -> Result<Owner, TarError> {
        let id = |key| match self.record(key) {
            None => Ok(None),
            Some(id) => {
                let id = decimal::parse(id).and_then(|id| u32::try_from(id).ok());
                id.map(Some).ok_or_else(|| self.header.record("a bad uid or gid"))
            }
        };
        let uid = id(b"uid")?.map_or_else(|| self.header.uid(), Ok)?;
        let gid = id(b"gid")?.map_or_else(|| self.header.gid(), Ok)?;
        Ok(Owner { uid, gid })
    }

    /// Sorted by name. libarchive writes each attribute twice, and only `LIBARCHIVE.xattr` names are exact.
    pub(super) fn xattrs(&self, path: &EntryPath) -> Result<Box<[Xattr]>, TarError> {
        let (mut schily, mut libarchive) = (BTreeMap::new(), BTreeMap::new());
        for (key, value) in self.global.iter().chain(self.pending.records.iter()) {
            match xattr_name::parse(key, value).map_err(|reason| self.header.record(reason))? {
                Some(Found::Schily(name, value)) => schily.insert(name, value),
                Some(Found::Libarchive(name, value)) => libarchive.insert(name, value),
                None => continue,
            };
        }
        let found = if libarchive.is_empty() { schily } else { libarchive };
        let weight: usize = found.iter().map(|(name, value)| name.len() + value.len()).sum();
        let bad = |reason| TarError::Entry { path: path.clone(), reason };
        if weight > MAX_XATTR_BYTES {
            return Err(bad("too many bytes of extended attributes"));
        }
        if found.keys().any(|name| name.is_empty() || name.contains(&0)) {
            return Err(bad("an extended attribute with an empty name or a NUL byte in it"));
        }
        Ok(found.into_iter().map(|(name, value)| Xattr { name: name.into(), value: value.into() }).collect())
    }

    pub(super) fn symlink_target(&self, path: &EntryPath) -> Result<Box<[u8]>, TarError> {
        let target = self.link();
        if target.is_empty() || target.len() > MAX_PATH_BYTES || target.contains(&0) {
            return Err(TarError::SymlinkTarget { path: path.clone() });
        }
        Ok(target.into())
    }

    pub(super) fn hard_link_target(&self, path: &EntryPath) -> Result<EntryPath, TarError> {
        let wrong = |source| TarError::HardLinkTarget { path: path.clone(), source };
        let target = entry_name::normalized(&self.link()).map_err(wrong)?;
        target.ok_or_else(|| TarError::Entry {
            path: path.clone(),
            reason: "the workspace itself as the target of its hard link",
        })
    }
}
