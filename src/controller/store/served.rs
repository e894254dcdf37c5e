//! A folder as a store whose objects the controller's own server hands out: its URLs are paths on that server, signed with
//! the server's key. The routes behind them are `controller::server::objects`.

use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::controller::clock::Clock;
use crate::model::{Digest, ObjectKind, ObjectName, Sha256, SignedUrl};
use crate::protocol::artifact::{PartIntent, SentPart};
use crate::protocol::contents::OBJECTS;

use super::{
    AnswerHeaders, DiskStore, Finding, PutIntent, Store, StoreError, StoredObject, UploadId, WholeIntent,
};

/// A disk store behind signed URLs.
#[derive(Clone)]
pub struct ServedStore {
    disk: Arc<DiskStore>,
    key: hmac::Key,
    clock: Arc<dyn Clock>,
    lives_seconds: i64,
}

/// What a signed URL allows, as its query spells it. Every field is signed, and which of them are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Grant {
    /// When it expires, in seconds since 1970 by the controller's clock.
    expires: i64,
    /// How many bytes may be put.
    #[serde(skip_serializing_if = "Option::is_none")]
    len: Option<u64>,
    /// Their CRC-32C.
    #[serde(skip_serializing_if = "Option::is_none")]
    crc32c: Option<u32>,
    /// Their SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Sha256>,
    /// The upload that they are a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<String>,
    /// Where in the whole that part begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// `Content-Type` of the answer to a GET.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// `Content-Disposition` of the answer to a GET.
    #[serde(skip_serializing_if = "Option::is_none")]
    disposition: Option<String>,
    /// HMAC-SHA-256 over method, object and all the others.
    #[serde(default)]
    signature: String,
}

/// The bytes that a signed PUT is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutGrant {
    /// A whole object.
    Whole(PutIntent),
    /// A part of an upload.
    Part {
        /// The upload.
        upload: String,
        /// Where it begins.
        offset: u64,
        /// How many bytes.
        len: u64,
        /// Their CRC-32C, if the sender told it.
        crc32c: Option<u32>,
    },
}

impl ServedStore {
    /// The objects of `disk` under URLs that are signed with `key` and live `lives_seconds`.
    pub fn new(disk: DiskStore, key: &[u8; 32], clock: Arc<dyn Clock>, lives_seconds: i64) -> Self {
        Self { disk: Arc::new(disk), key: hmac::Key::new(hmac::HMAC_SHA256, key), clock, lives_seconds }
    }

    /// The folder behind it.
    pub fn disk(&self) -> &Arc<DiskStore> {
        &self.disk
    }

    /// What the answer to a GET of `object` says, if `grant` was signed here for that and has not expired.
    pub fn grants_get(&self, object: ObjectName, grant: &Grant) -> Option<AnswerHeaders> {
        let Grant { content_type, disposition, .. } = grant.clone();
        self.holds("GET", object, grant).then_some(AnswerHeaders { content_type, disposition })
    }

    /// What `grant` allows to put as `object`; `None` if it was not signed here for that, or has expired.
    pub fn grants_put(&self, object: ObjectName, grant: &Grant) -> Option<PutGrant> {
        if !self.holds("PUT", object, grant) {
            return None;
        }
        let (len, crc32c) = (grant.len?, grant.crc32c);
        Some(match (grant.upload.clone(), grant.offset) {
            (Some(upload), Some(offset)) => PutGrant::Part { upload, offset, len, crc32c },
            _ => PutGrant::Whole(PutIntent { len, crc32c, sha256: grant.sha256 }),
        })
    }

    fn holds(&self, method: &str, object: ObjectName, grant: &Grant) -> bool {
        let Ok(signature) = grant.signature.parse::<Digest>() else { return false };
        grant.expires > self.clock.now()
            && hmac::verify(&self.key, grant.text(method, object).as_bytes(), signature.as_bytes()).is_ok()
    }

    fn sign(&self, method: &str, object: ObjectName, grant: Grant) -> SignedUrl {
        let mut grant = Grant { expires: self.clock.now() + self.lives_seconds, ..grant };
        let tag = hmac::sign(&self.key, grant.text(method, object).as_bytes());
        // 32 bytes print as a digest does; it is none.
        grant.signature = Digest::from_slice(tag.as_ref()).map_or_else(String::new, |tag| tag.to_string());
        SignedUrl::new(format!("{OBJECTS}{}?{}", object.file_name(), grant.query()))
    }
}

impl Grant {
    /// What is signed: one line for each field, so that no two grants have the same text.
    fn text(&self, method: &str, object: ObjectName) -> String {
        let unsigned = Self { signature: String::new(), ..self.clone() };
        format!("{method}\n{}\n{}", object.file_name(), unsigned.query())
    }

    fn query(&self) -> String {
        // A flat struct of texts and numbers always has such a form.
        serde_urlencoded::to_string(self).unwrap_or_default()
    }
}

impl Store for ServedStore {
    fn sign_put(&self, object: ObjectName, intent: &PutIntent) -> Result<SignedUrl, StoreError> {
        self.disk.make_shard(object)?;
        let PutIntent { len, crc32c, sha256 } = *intent;
        Ok(self.sign("PUT", object, Grant { len: Some(len), crc32c, sha256, ..Grant::default() }))
    }

    fn persist(&self, objects: &[ObjectName]) -> Result<(), StoreError> {
        self.disk.persist(objects)
    }

    fn sign_get(&self, object: ObjectName, answer: &AnswerHeaders) -> Result<SignedUrl, StoreError> {
        let AnswerHeaders { content_type, disposition } = answer.clone();
        Ok(self.sign("GET", object, Grant { content_type, disposition, ..Grant::default() }))
    }

    fn head(&self, object: ObjectName) -> Result<Option<u64>, StoreError> {
        self.disk.head(object)
    }

    fn read(&self, object: ObjectName, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.disk.read(object, range)
    }

    fn delete(&self, object: &StoredObject) -> Result<u64, StoreError> {
        self.disk.delete(object)
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(StoredObject)) -> Result<(), StoreError> {
        self.disk.list(kind, each)
    }

    fn check(&self) -> Vec<Finding> {
        self.disk.check()
    }

    fn checks_sha256(&self) -> bool {
        true
    }

    fn has_parts(&self) -> bool {
        true
    }

    fn begin_parts(&self, object: ObjectName, len: u64) -> Result<UploadId, StoreError> {
        self.disk.begin_upload(object, len)
    }

    fn sign_part(
        &self,
        object: ObjectName,
        upload: &UploadId,
        part: &PartIntent,
        offset: u64,
        bound: bool,
    ) -> Result<SignedUrl, StoreError> {
        let (len, offset, upload) = (Some(part.len), Some(offset), Some(upload.0.clone()));
        let crc32c = bound.then_some(part.crc32c);
        Ok(self.sign("PUT", object, Grant { len, crc32c, upload, offset, ..Grant::default() }))
    }

    fn complete_parts(
        &self,
        object: ObjectName,
        upload: &UploadId,
        whole: &WholeIntent,
        _parts: &[SentPart],
    ) -> Result<bool, StoreError> {
        self.disk.complete_upload(object, upload, whole).map(|()| true)
    }

    fn abort_parts(&self, object: ObjectName, upload: &UploadId) -> Result<(), StoreError> {
        self.disk.abort_upload(object, upload)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::model::PackName;

    #[derive(Default)]
    struct TestClock(AtomicI64);

    impl Clock for TestClock {
        fn now(&self) -> i64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn grant(url: &SignedUrl) -> (ObjectName, Grant) {
        let (object, query) = url.expose().strip_prefix(OBJECTS).unwrap().split_once('?').unwrap();
        (object.parse().unwrap(), serde_urlencoded::from_str(query).unwrap())
    }

    #[test]
    fn a_url_counts_for_one_object_one_method_its_bytes_and_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::default());
        let store = ServedStore::new(DiskStore::open(folder.path()), &[1; 32], clock.clone(), 900);
        let pack = ObjectName::from(PackName([7; 16]));
        let intent = PutIntent { len: 5, crc32c: Some(9), sha256: None };
        let (named, put) = grant(&store.sign_put(pack, &intent).unwrap());
        assert_eq!(named, pack);
        let plain = AnswerHeaders::default();
        let (_, get) = grant(&store.sign_get(pack, &plain).unwrap());
        assert_eq!(store.grants_put(pack, &put), Some(PutGrant::Whole(intent)));
        assert_eq!(store.grants_get(pack, &get), Some(plain.clone()));
        for other in [PackName([8; 16]).into(), ObjectName::blob([7; 16])] {
            assert_eq!(store.grants_put(other, &put), None);
            assert_eq!(store.grants_get(other, &get), None);
        }
        assert_eq!(store.grants_get(pack, &put), None, "a PUT's URL reads nothing");
        assert_eq!(store.grants_put(pack, &get), None, "a GET's URL writes nothing");
        let longer = Grant { len: Some(6), ..put.clone() };
        let bytes = Grant { crc32c: Some(8), ..put.clone() };
        let unbound = Grant { crc32c: None, ..put.clone() };
        let later = Grant { expires: put.expires + 1, ..put.clone() };
        let part = Grant { upload: Some("a".into()), offset: Some(0), ..put.clone() };
        for altered in [longer, bytes, unbound, later, part] {
            assert_eq!(store.grants_put(pack, &altered), None, "{altered:?}");
        }
        let typed = Grant { content_type: Some("text/html".into()), ..get };
        assert_eq!(store.grants_get(pack, &typed), None, "what the answer says is signed");
        let unsigned = Grant { signature: String::new(), ..put };
        assert_eq!(store.grants_put(pack, &unsigned), None);
        let (_, put) = grant(&store.sign_put(pack, &intent).unwrap());
        clock.0.store(900, Ordering::Relaxed);
        assert_eq!(store.grants_put(pack, &put), None, "expired");
        let elsewhere = ServedStore::new(DiskStore::open(folder.path()), &[2; 32], clock, 900);
        let (_, foreign) = grant(&store.sign_get(pack, &plain).unwrap());
        assert_eq!(elsewhere.grants_get(pack, &foreign), None, "another key");
    }

    #[test]
    fn parts_and_answers_are_bound_to_what_was_signed() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::default());
        let store = ServedStore::new(DiskStore::open(folder.path()), &[1; 32], clock, 900);
        let blob = ObjectName::blob([7; 16]);
        let upload = store.begin_parts(blob, 9).unwrap();
        let part = PartIntent { number: 2, len: 4, crc32c: 3 };
        let (_, bound) = grant(&store.sign_part(blob, &upload, &part, 5, true).unwrap());
        let expected = PutGrant::Part { upload: upload.0, offset: 5, len: 4, crc32c: Some(3) };
        assert_eq!(store.grants_put(blob, &bound), Some(expected));
        let elsewhere = Grant { offset: Some(0), ..bound };
        assert_eq!(store.grants_put(blob, &elsewhere), None);
        let answer = AnswerHeaders {
            content_type: Some("text/plain; charset=utf-8".into()),
            disposition: Some("attachment; filename=\"a%&=b\"".into()),
        };
        let (_, get) = grant(&store.sign_get(blob, &answer).unwrap());
        assert_eq!(store.grants_get(blob, &get), Some(answer));
    }
}
