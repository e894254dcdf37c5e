//! A bucket as a store: what all clouds do alike through object_store. What each signs is its own (`signing`).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreExt, RetryConfig};

use crate::controller::store::check::Finding;
use crate::controller::store::error::StoreError;
use crate::controller::store::options::StoreOptions;
use crate::controller::store::store_url::{Place, StoreUrl};
use crate::controller::store::{Store, StoredObject};
use crate::model::{PackName, SignedUrl, limits};
use crate::protocol::PackIntent;

use super::azure;
use super::bridge::Bridge;
use super::error::{CloudError, CloudErrorKind};
use super::gcs;
use super::keys::Keys;
use super::probe::Probe;
use super::s3;
use super::signing::Signing;

/// A store in a bucket of S3, GCS or Azure.
pub struct CloudStore {
    pub(super) bridge: Bridge,
    pub(super) keys: Keys,
    /// For people: the URL that the operator gave.
    pub(super) place: String,
    objects: Arc<dyn ObjectStore>,
    pages: Arc<dyn PaginatedListStore>,
    pub(super) signing: Box<dyn Signing>,
}

/// A bucket's three faces, as each cloud's own file opens them.
pub(super) struct Opened {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) pages: Arc<dyn PaginatedListStore>,
    pub(super) signing: Box<dyn Signing>,
}

impl Opened {
    /// The settings do not make a client.
    pub(super) fn failed(scheme: &str, place: &Place, error: object_store::Error) -> StoreError {
        let reason = CloudError::from(error).to_string();
        let source = CloudError::new(CloudErrorKind::Unsigned, reason);
        StoreError::Place { doing: "open", place: format!("{scheme}://{}", place.bucket()), source }
    }
}

/// An agent waits for the controller's answer, and tries again by itself: better an error soon.
pub(super) fn retries() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(4), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: 5, retry_timeout: Duration::from_secs(20) }
}

impl CloudStore {
    /// Opens a bucket. Makes no request.
    pub fn open(url: &StoreUrl, options: &StoreOptions) -> Result<Self, StoreError> {
        let (place, opened) = match url {
            StoreUrl::S3(place) => (place, s3::open(place, options)?),
            StoreUrl::Gcs(place) => (place, gcs::open(place, options)?),
            StoreUrl::Azure(place) => (place, azure::open(place, options)?),
            StoreUrl::Disk(_) => {
                return Err(StoreError::setting(format!("{url} is no bucket"), "name a bucket"));
            }
        };
        Ok(Self {
            bridge: Bridge::new().map_err(StoreError::Threads)?,
            keys: Keys::new(place.prefix()),
            place: url.to_string(),
            objects: opened.objects,
            pages: opened.pages,
            signing: opened.signing,
        })
    }

    fn delete_pack(&self, pack: PackName) -> Result<u64, StoreError> {
        let Some(len) = self.head(pack)? else { return Ok(0) };
        match self.bridge.wait(self.objects.delete(&self.keys.pack(pack))).map_err(CloudError::from) {
            Ok(()) => Ok(len),
            Err(error) if error.kind() == CloudErrorKind::NotFound => Ok(0),
            Err(error) => Err(failed("delete", pack)(error)),
        }
    }

    /// One page of the listing, and where the next one begins.
    pub(super) fn page(&self, token: Option<String>, most: Option<usize>) -> Result<Page, CloudError> {
        let options =
            PaginatedListOptions { page_token: token, max_keys: most, ..PaginatedListOptions::default() };
        let page = self.bridge.wait(self.pages.list_paginated(Some(self.keys.packs()), options))?;
        let keys = page.result.objects.into_iter().map(|object| object.location).collect();
        Ok(Page { keys, next: page.page_token })
    }
}

/// Some keys of a listing.
pub(super) struct Page {
    pub(super) keys: Vec<Path>,
    pub(super) next: Option<String>,
}

impl Store for CloudStore {
    fn sign_put(&self, pack: PackName, intent: &PackIntent) -> Result<SignedUrl, StoreError> {
        self.signing.put(&self.bridge, &self.keys.pack(pack), intent).map_err(failed("sign a PUT of", pack))
    }

    fn sign_get(&self, pack: PackName) -> Result<SignedUrl, StoreError> {
        self.signing.get(&self.bridge, &self.keys.pack(pack)).map_err(failed("sign a GET of", pack))
    }

    fn head(&self, pack: PackName) -> Result<Option<u64>, StoreError> {
        match self.bridge.wait(self.objects.head(&self.keys.pack(pack))).map_err(CloudError::from) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(error) if error.kind() == CloudErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("look up", pack)(error)),
        }
    }

    fn read(&self, pack: PackName, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let len = range.end.saturating_sub(range.start);
        let short = || StoreError::Range { pack, end: range.end };
        if len > limits::MAX_PACK_BYTES {
            return Err(short());
        }
        if len == 0 {
            return Ok(Vec::new());
        }
        let key = self.keys.pack(pack);
        match self.bridge.wait(self.objects.get_range(&key, range.clone())).map_err(CloudError::from) {
            // A store answers with what there is of a range.
            Ok(bytes) if bytes.len() as u64 == len => Ok(bytes.into()),
            Ok(_) => Err(short()),
            // How a store says that there is nothing of it differs; its length does not.
            Err(error) if matches!(error.kind(), CloudErrorKind::Range | CloudErrorKind::Other) => {
                match self.head(pack)? {
                    Some(found) if found < range.end => Err(short()),
                    _ => Err(failed("read", pack)(error)),
                }
            }
            Err(error) => Err(failed("read", pack)(error)),
        }
    }

    fn delete(&self, object: &StoredObject) -> Result<u64, StoreError> {
        // An upload that was not finished leaves nothing in a bucket.
        if object.unfinished.is_some() { Ok(0) } else { self.delete_pack(object.pack) }
    }

    fn list(&self, each: &mut dyn FnMut(StoredObject)) -> Result<(), StoreError> {
        let mut token = None;
        loop {
            let unlistable = |source| StoreError::Place { doing: "list", place: self.place.clone(), source };
            let page = self.page(token, None).map_err(unlistable)?;
            page.keys
                .iter()
                .filter_map(|key| self.keys.parse(key))
                .map(StoredObject::pack)
                .for_each(&mut *each);
            token = page.next;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    fn check(&self) -> Vec<Finding> {
        Probe::run(self)
    }
}

fn failed(doing: &'static str, pack: PackName) -> impl Fn(CloudError) -> StoreError {
    move |source| StoreError::Cloud { doing, pack, source }
}
