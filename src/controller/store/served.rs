//! A folder as a store whose objects the controller's own server hands out: its URLs are paths on that server, signed with
//! the server's key. The routes behind them are `controller::server::objects`.

use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::controller::clock::Clock;
use crate::model::{Digest, PackName, SignedUrl};
use crate::protocol::PackIntent;

use super::{DiskStore, Finding, Store, StoreError, StoredObject};

/// Where signed paths begin.
pub const OBJECTS: &str = "/objects/";

/// A disk store behind signed URLs.
#[derive(Clone)]
pub struct ServedStore {
    disk: Arc<DiskStore>,
    key: hmac::Key,
    clock: Arc<dyn Clock>,
    lives_seconds: i64,
}

/// What a signed URL allows, as its query spells it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Grant {
    /// When it expires, in seconds since 1970 by the controller's clock.
    expires: i64,
    /// How many bytes may be put, for a PUT.
    len: Option<u64>,
    /// Their CRC-32C, for a PUT.
    crc32c: Option<u32>,
    /// HMAC-SHA-256 over method, pack and all the others.
    signature: String,
}

/// The bytes that a signed PUT is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutGrant {
    /// How many.
    pub len: u64,
    /// Their CRC-32C.
    pub crc32c: u32,
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

    /// Whether `grant` was signed here for a GET of `pack` and has not expired.
    pub fn grants_get(&self, pack: PackName, grant: &Grant) -> bool {
        grant.len.is_none() && grant.crc32c.is_none() && self.holds(&text(pack, grant.expires, None), grant)
    }

    /// What `grant` allows to put as `pack`; `None` if it was not signed here for that, or has expired.
    pub fn grants_put(&self, pack: PackName, grant: &Grant) -> Option<PutGrant> {
        let put = PutGrant { len: grant.len?, crc32c: grant.crc32c? };
        self.holds(&text(pack, grant.expires, Some(put)), grant).then_some(put)
    }

    fn holds(&self, text: &str, grant: &Grant) -> bool {
        let Ok(signature) = grant.signature.parse::<Digest>() else { return false };
        grant.expires > self.clock.now()
            && hmac::verify(&self.key, text.as_bytes(), signature.as_bytes()).is_ok()
    }

    fn sign(&self, pack: PackName, put: Option<PutGrant>) -> SignedUrl {
        let expires = self.clock.now() + self.lives_seconds;
        let tag = hmac::sign(&self.key, text(pack, expires, put).as_bytes());
        // 32 bytes print as a digest does; it is none.
        let signature = Digest::from_slice(tag.as_ref()).map_or_else(String::new, |tag| tag.to_string());
        let bound = put.map(|put| format!("&len={}&crc32c={}", put.len, put.crc32c)).unwrap_or_default();
        SignedUrl::new(format!("{OBJECTS}{pack}?expires={expires}{bound}&signature={signature}"))
    }
}

/// What is signed. A PUT's text never is a GET's.
fn text(pack: PackName, expires: i64, put: Option<PutGrant>) -> String {
    match put {
        Some(PutGrant { len, crc32c }) => format!("PUT {pack} {expires} {len} {crc32c}"),
        None => format!("GET {pack} {expires}"),
    }
}

impl Store for ServedStore {
    fn sign_put(&self, pack: PackName, intent: &PackIntent) -> Result<SignedUrl, StoreError> {
        // Makes the folder; its own URL stays inside.
        self.disk.sign_put(pack, intent)?;
        Ok(self.sign(pack, Some(PutGrant { len: intent.len, crc32c: intent.crc32c })))
    }

    fn sign_get(&self, pack: PackName) -> Result<SignedUrl, StoreError> {
        Ok(self.sign(pack, None))
    }

    fn head(&self, pack: PackName) -> Result<Option<u64>, StoreError> {
        self.disk.head(pack)
    }

    fn read(&self, pack: PackName, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.disk.read(pack, range)
    }

    fn delete(&self, object: &StoredObject) -> Result<u64, StoreError> {
        self.disk.delete(object)
    }

    fn list(&self, each: &mut dyn FnMut(StoredObject)) -> Result<(), StoreError> {
        self.disk.list(each)
    }

    fn check(&self) -> Vec<Finding> {
        self.disk.check()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[derive(Default)]
    struct TestClock(AtomicI64);

    impl Clock for TestClock {
        fn now(&self) -> i64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn grant(url: &SignedUrl) -> (PackName, Grant) {
        let (pack, query) = url.expose().strip_prefix(OBJECTS).unwrap().split_once('?').unwrap();
        let value = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
        };
        let number = |name: &str| value(name).map(|text| text.parse::<u64>().unwrap());
        let grant = Grant {
            expires: value("expires").unwrap().parse().unwrap(),
            len: number("len"),
            crc32c: number("crc32c").map(|sum| sum as u32),
            signature: value("signature").unwrap(),
        };
        (pack.parse().unwrap(), grant)
    }

    #[test]
    fn a_url_counts_for_one_object_one_method_its_bytes_and_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::default());
        let store = ServedStore::new(DiskStore::open(folder.path()), &[1; 32], clock.clone(), 900);
        let pack = PackName([7; 16]);
        let intent = PackIntent { len: 5, footer_digest: Digest::of(b""), crc32c: 9 };
        let (named, put) = grant(&store.sign_put(pack, &intent).unwrap());
        assert_eq!(named, pack);
        let (_, get) = grant(&store.sign_get(pack).unwrap());
        assert_eq!(store.grants_put(pack, &put), Some(PutGrant { len: 5, crc32c: 9 }));
        assert!(store.grants_get(pack, &get));
        let other = PackName([8; 16]);
        assert_eq!(store.grants_put(other, &put), None);
        assert!(!store.grants_get(other, &get));
        assert!(!store.grants_get(pack, &put), "a PUT's URL reads nothing");
        assert_eq!(store.grants_put(pack, &get), None, "a GET's URL writes nothing");
        let longer = Grant { len: Some(6), ..put.clone() };
        let bytes = Grant { crc32c: Some(8), ..put.clone() };
        let later = Grant { expires: put.expires + 1, ..put.clone() };
        for altered in [longer, bytes, later] {
            assert_eq!(store.grants_put(pack, &altered), None, "{altered:?}");
        }
        let unsigned = Grant { signature: String::new(), ..put };
        assert_eq!(store.grants_put(pack, &unsigned), None);
        let (_, put) = grant(&store.sign_put(pack, &intent).unwrap());
        clock.0.store(900, Ordering::Relaxed);
        assert_eq!(store.grants_put(pack, &put), None, "expired");
        let elsewhere = ServedStore::new(DiskStore::open(folder.path()), &[2; 32], clock, 900);
        assert!(!elsewhere.grants_get(pack, &grant(&store.sign_get(pack).unwrap()).1), "another key");
    }
}
