//! What every store does, wherever its objects lie.

use std::ops::Range;
use std::path::PathBuf;

use crate::model::{ObjectKind, ObjectName, PackName, Sha256, SignedUrl};
use crate::protocol::PackIntent;
use crate::protocol::artifact::{PartIntent, SentPart};

use super::check::Finding;
use super::error::StoreError;

/// What is about to be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutIntent {
    /// Bytes of the whole object.
    pub len: u64,
    /// Their CRC-32C, where it is known.
    pub crc32c: Option<u32>,
    /// Their SHA-256, where it is known.
    pub sha256: Option<Sha256>,
}

impl From<&PackIntent> for PutIntent {
    fn from(intent: &PackIntent) -> Self {
        Self { len: intent.len, crc32c: Some(intent.crc32c), sha256: None }
    }
}

/// What the answer to a signed GET says of its content, for browsers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerHeaders {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Disposition`, in ASCII without control characters.
    pub disposition: Option<String>,
}

/// What a store calls an upload in parts that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadId(pub String);

/// The announced whole of an upload in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeIntent {
    /// Its bytes.
    pub len: u64,
    /// Its SHA-256.
    pub sha256: Sha256,
}

/// A place for packs and blobs.
pub trait Store: Send + Sync {
    /// A PUT of exactly the intended bytes, which never changes an object that is there. When this returns, the PUT can succeed (its folder exists).
    fn sign_put(&self, object: ObjectName, intent: &PutIntent) -> Result<SignedUrl, StoreError>;

    /// Makes what was put the object, where that takes more than the PUT ([`crate::controller::store::StoreOptions::staging`]);
    /// nothing if it is made already, or nothing was put. From then on no PUT changes it. A request comes before any look at an object
    /// that an agent has just put.
    fn settle(&self, _object: ObjectName) -> Result<(), StoreError> {
        Ok(())
    }

    /// Makes objects that were put durable, where a PUT alone does not ([`crate::controller::store::ServedStore`] and small blobs). A request
    /// comes before the ledger says of any of them that it is there.
    fn persist(&self, _objects: &[ObjectName]) -> Result<(), StoreError> {
        Ok(())
    }

    /// A GET that honours ranges.
    fn sign_get(&self, object: ObjectName, answer: &AnswerHeaders) -> Result<SignedUrl, StoreError>;

    /// The object's length in bytes; `None` if there is none.
    fn head(&self, object: ObjectName) -> Result<Option<u64>, StoreError>;

    /// Exactly the bytes of `range`, at most [`crate::model::limits::MAX_PACK_BYTES`] of them.
    fn read(&self, object: ObjectName, range: Range<u64>) -> Result<Vec<u8>, StoreError>;

    /// Deletes an object; bytes freed, 0 if it was gone already.
    fn delete(&self, object: &StoredObject) -> Result<u64, StoreError>;

    /// Calls `each` for every object of that kind, in no order.
    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(StoredObject)) -> Result<(), StoreError>;

    /// Tries everything above on a probe object that it deletes again, for `pannier serve --check`.
    fn check(&self) -> Vec<Finding>;

    /// Whether there is any pack.
    fn holds_packs(&self) -> Result<bool, StoreError> {
        let mut any = false;
        self.list(ObjectKind::Pack, &mut |object| any |= object.unfinished.is_none())?;
        Ok(any)
    }

    /// Whether the store itself refuses a PUT whose bytes have another SHA-256 than its intent.
    fn checks_sha256(&self) -> bool {
        false
    }

    /// Whether objects can be sent in parts.
    fn has_parts(&self) -> bool {
        false
    }

    /// Whether a part can be sent without a header of ours, and its answer has an `ETag`: what foreign agents need.
    fn has_plain_parts(&self) -> bool {
        self.has_parts()
    }

    /// Begins to take an object of `len` bytes in parts. Without [`Store::has_parts`] this and what follows fail.
    fn begin_parts(&self, object: ObjectName, _len: u64) -> Result<UploadId, StoreError> {
        Err(no_parts(object))
    }

    /// A PUT of one part, of exactly its length, which begins at byte `offset` of the whole. Of a part that is sent twice the last one counts. Bound to its CRC-32C too where the
    /// store checks one, unless its sender can send no headers (`bound` is false).
    fn sign_part(
        &self,
        object: ObjectName,
        _upload: &UploadId,
        _part: &PartIntent,
        _offset: u64,
        _bound: bool,
    ) -> Result<SignedUrl, StoreError> {
        Err(no_parts(object))
    }

    /// Makes the object of its parts, which stand in order; [`StoreError::Parts`] if they do not make it. Whether its SHA-256 was
    /// compared.
    fn complete_parts(
        &self,
        object: ObjectName,
        _upload: &UploadId,
        _whole: &WholeIntent,
        _parts: &[SentPart],
    ) -> Result<bool, StoreError> {
        Err(no_parts(object))
    }

    /// Deletes the parts of an upload that is not to be completed; nothing if there are none.
    fn abort_parts(&self, _object: ObjectName, _upload: &UploadId) -> Result<(), StoreError> {
        Ok(())
    }
}

fn no_parts(object: ObjectName) -> StoreError {
    StoreError::Parts { object, why: "this store takes no parts".to_owned() }
}

/// Something that lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// The object that it is, or was to become.
    pub object: ObjectName,
    /// The unfinished upload's own name, if it is one.
    pub unfinished: Option<PathBuf>,
}

impl StoredObject {
    /// An object that is whole.
    pub fn finished(object: impl Into<ObjectName>) -> Self {
        Self { object: object.into(), unfinished: None }
    }

    /// A pack that is whole.
    pub fn pack(pack: PackName) -> Self {
        Self::finished(pack)
    }
}
