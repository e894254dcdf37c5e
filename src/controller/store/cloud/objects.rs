//! A bucket as a store: what all clouds do alike through object_store. What each signs is its own (`signing`).

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreExt, RetryConfig};

use crate::controller::store::check::Finding;
use crate::controller::store::error::StoreError;
use crate::controller::store::options::StoreOptions;
use crate::controller::store::store_url::{Place, StoreUrl};
use crate::controller::store::{AnswerHeaders, PutIntent, Store, StoredObject, UploadId, WholeIntent};
use crate::model::{ObjectKind, ObjectName, SignedUrl, limits};
use crate::protocol::artifact::{PartIntent, SentPart};

use super::azure;
use super::bridge::Bridge;
use super::error::{CloudError, CloudErrorKind};
use super::gcs;
use super::keys::Keys;
use super::probe::Probe;
use super::s3;
use super::signing::Signing;

/// How soon a service that did not answer is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// A store in a bucket of S3, GCS or Azure.
pub struct CloudStore {
    pub(super) bridge: Bridge,
    pub(super) keys: Keys,
    /// For people: the URL that the operator gave.
    pub(super) place: String,
    objects: Arc<dyn ObjectStore>,
    pages: Arc<dyn PaginatedListStore>,
    parts: Arc<dyn MultipartStore>,
    pub(super) signing: Box<dyn Signing>,
    settling: Striped,
    /// Whether the service compares a SHA-256 that is signed into a PUT, and when that was tried: many that speak S3's protocol do not.
    compares_sha256: Mutex<Option<(Option<bool>, Instant)>>,
}

/// A bucket's faces, as each cloud's own file opens them.
pub(super) struct Opened {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) pages: Arc<dyn PaginatedListStore>,
    pub(super) parts: Arc<dyn MultipartStore>,
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
            parts: opened.parts,
            signing: opened.signing,
            settling: Striped::default(),
            compares_sha256: Mutex::default(),
        })
    }

    fn len(&self, object: ObjectName, keys: &Keys) -> Result<Option<u64>, StoreError> {
        match self.bridge.wait(self.objects.head(&keys.key(object))).map_err(CloudError::from) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(error) if error.kind() == CloudErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("look up", object)(error)),
        }
    }

    pub(super) fn delete_below(&self, keys: &Keys, object: ObjectName) -> Result<u64, StoreError> {
        let Some(len) = self.len(object, keys)? else { return Ok(0) };
        match self.bridge.wait(self.objects.delete(&keys.key(object))).map_err(CloudError::from) {
            Ok(()) => Ok(len),
            Err(error) if error.kind() == CloudErrorKind::NotFound => Ok(0),
            Err(error) => Err(failed("delete", object)(error)),
        }
    }

    fn list_below(
        &self,
        keys: &Keys,
        kind: ObjectKind,
        each: &mut dyn FnMut(ObjectName, &Path),
    ) -> Result<(), StoreError> {
        let mut token = None;
        loop {
            let unlistable = |source| StoreError::Place { doing: "list", place: self.place.clone(), source };
            let page = self.page(keys, kind, token, None).map_err(unlistable)?;
            for key in &page.keys {
                if let Some(object) = keys.parse(key) {
                    each(object, key);
                }
            }
            token = page.next;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// One page of the listing, and where the next one begins.
    pub(super) fn page(
        &self,
        keys: &Keys,
        kind: ObjectKind,
        token: Option<String>,
        most: Option<usize>,
    ) -> Result<Page, CloudError> {
        let options =
            PaginatedListOptions { page_token: token, max_keys: most, ..PaginatedListOptions::default() };
        let page = self.bridge.wait(self.pages.list_paginated(Some(&keys.of_kind(kind)), options))?;
        let keys = page.result.objects.into_iter().map(|object| object.location).collect();
        Ok(Page { keys, next: page.page_token })
    }
}

/// A lock for each object, of a few that many share.
#[derive(Default)]
struct Striped([Mutex<()>; 32]);

impl Striped {
    fn lock(&self, object: ObjectName) -> MutexGuard<'_, ()> {
        let stripe = usize::from(object.name[0]) % self.0.len();
        self.0[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Some keys of a listing.
pub(super) struct Page {
    pub(super) keys: Vec<Path>,
    pub(super) next: Option<String>,
}

impl Store for CloudStore {
    fn sign_put(&self, object: ObjectName, intent: &PutIntent) -> Result<SignedUrl, StoreError> {
        let key = if self.signing.stages() { self.keys.staged().key(object) } else { self.keys.key(object) };
        self.signing.put(&self.bridge, &key, intent).map_err(failed("sign a PUT of", object))
    }

    fn settle(&self, object: ObjectName) -> Result<(), StoreError> {
        if !self.signing.stages() {
            return Ok(());
        }
        // One at a time for each object: a copy that came late would put what was staged since in the place of what was settled.
        let _alone = self.settling.lock(object);
        if self.head(object)?.is_some() {
            return Ok(());
        }
        let (from, to) = (self.keys.staged().key(object), self.keys.key(object));
        match self.bridge.wait(self.objects.copy(&from, &to)).map_err(CloudError::from) {
            Ok(()) => {}
            Err(error) if error.kind() == CloudErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("settle", object)(error)),
        }
        // What stays is found by the next sweep.
        if let Err(error) = self.bridge.wait(self.objects.delete(&from)) {
            tracing::debug!(%object, error = %CloudError::from(error), "a staged object stays for the sweep");
        }
        Ok(())
    }

    fn sign_get(&self, object: ObjectName, answer: &AnswerHeaders) -> Result<SignedUrl, StoreError> {
        self.signing
            .get(&self.bridge, &self.keys.key(object), answer)
            .map_err(failed("sign a GET of", object))
    }

    fn head(&self, object: ObjectName) -> Result<Option<u64>, StoreError> {
        self.len(object, &self.keys)
    }

    fn read(&self, object: ObjectName, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let len = range.end.saturating_sub(range.start);
        let short = || StoreError::Range { object, end: range.end };
        if len > limits::MAX_PACK_BYTES {
            return Err(short());
        }
        if len == 0 {
            return Ok(Vec::new());
        }
        let key = self.keys.key(object);
        match self.bridge.wait(self.objects.get_range(&key, range.clone())).map_err(CloudError::from) {
            // A store answers with what there is of a range.
            Ok(bytes) if bytes.len() as u64 == len => Ok(bytes.into()),
            Ok(_) => Err(short()),
            // How a store says that there is nothing of it differs; its length does not.
            Err(error) if may_be_short(error.kind()) => match self.head(object)? {
                Some(found) if found < range.end => Err(short()),
                _ => Err(failed("read", object)(error)),
            },
            Err(error) => Err(failed("read", object)(error)),
        }
    }

    fn delete(&self, object: &StoredObject) -> Result<u64, StoreError> {
        let keys = if object.unfinished.is_some() { &self.keys.staged() } else { &self.keys };
        self.delete_below(keys, object.object)
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(StoredObject)) -> Result<(), StoreError> {
        // Also where nothing is staged now: what was left there before is found.
        let staged = self.keys.staged();
        self.list_below(&staged, kind, &mut |object, key| {
            each(StoredObject { object, unfinished: Some(key.as_ref().into()) });
        })?;
        self.list_below(&self.keys, kind, &mut |object, _| each(StoredObject::finished(object)))
    }

    fn check(&self) -> Vec<Finding> {
        Probe::run(self)
    }

    fn checks_sha256(&self) -> bool {
        if !self.signing.binds_sha256() {
            return false;
        }
        let mut known = self.compares_sha256.lock().unwrap_or_else(PoisonError::into_inner);
        let tried = known.filter(|(compares, at)| compares.is_some() || at.elapsed() < TRY_AGAIN);
        let (compares, _) =
            *known.insert(tried.unwrap_or_else(|| (Probe::compares_sha256(self), Instant::now())));
        compares.unwrap_or(false)
    }

    fn has_parts(&self) -> bool {
        self.signing.has_parts()
    }

    fn has_plain_parts(&self) -> bool {
        self.has_parts() && self.signing.has_plain_parts()
    }

    fn begin_parts(&self, object: ObjectName, _len: u64) -> Result<UploadId, StoreError> {
        let begun = self.bridge.wait(self.parts.create_multipart(&self.keys.key(object)));
        begun.map(UploadId).map_err(CloudError::from).map_err(failed("begin an upload of", object))
    }

    fn sign_part(
        &self,
        object: ObjectName,
        upload: &UploadId,
        part: &PartIntent,
        _offset: u64,
        _bound: bool,
    ) -> Result<SignedUrl, StoreError> {
        let key = self.keys.key(object);
        self.signing.part(&self.bridge, &key, upload, part).map_err(failed("sign a part of", object))
    }

    fn complete_parts(
        &self,
        object: ObjectName,
        upload: &UploadId,
        _whole: &WholeIntent,
        parts: &[SentPart],
    ) -> Result<bool, StoreError> {
        let names = parts.iter().map(|part| PartId { content_id: self.signing.part_name(part) }).collect();
        let done = self.bridge.wait(self.parts.complete_multipart(&self.keys.key(object), &upload.0, names));
        match done.map_err(CloudError::from) {
            Ok(_) => Ok(false),
            // 400 and 404: a part is not there, or is another one; the upload has ended.
            Err(error) if matches!(error.kind(), CloudErrorKind::NotFound | CloudErrorKind::Refused) => {
                Err(StoreError::Parts { object, why: error.to_string() })
            }
            Err(error) => Err(failed("complete", object)(error)),
        }
    }

    fn abort_parts(&self, object: ObjectName, upload: &UploadId) -> Result<(), StoreError> {
        let ended = self.bridge.wait(self.parts.abort_multipart(&self.keys.key(object), &upload.0));
        match ended.map_err(CloudError::from) {
            Err(error) if error.kind() != CloudErrorKind::NotFound => {
                Err(failed("abort the upload of", object)(error))
            }
            _ => Ok(()),
        }
    }
}

/// Whether that may be a store's way to say that the object ends before the range.
const fn may_be_short(kind: CloudErrorKind) -> bool {
    matches!(kind, CloudErrorKind::Range | CloudErrorKind::Refused | CloudErrorKind::Other)
}

fn failed(doing: &'static str, object: ObjectName) -> impl Fn(CloudError) -> StoreError {
    move |source| StoreError::Cloud { doing, object, source }
}
