//! Google Cloud Storage: how a bucket is opened and what is signed for it, all by object_store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::signer::{HeaderName, HeaderValue, Method, SignedUrlOptions, Signer};

use crate::controller::store::error::StoreError;
use crate::controller::store::options::{Encryption, StoreOptions};
use crate::controller::store::store_url::Place;
use crate::controller::store::{AnswerHeaders, PutIntent, UploadId};
use crate::model::SignedUrl;
use crate::protocol::artifact::PartIntent;

use super::bridge::Bridge;
use super::endpoint::plain_http;
use super::error::{CloudError, CloudErrorKind};
use super::objects::{Opened, retries};
use super::signing::{Life, Signing, answer_query, checksum, with_headers};

/// Opens the bucket with the `GOOGLE_…` variables.
pub(super) fn open(place: &Place, options: &StoreOptions) -> Result<Opened, StoreError> {
    let mut builder = GoogleCloudStorageBuilder::new();
    for (name, value) in options.variables.lowercase("GOOGLE_") {
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    let endpoint = builder.get_config_value(&GoogleConfigKey::BaseUrl);
    if plain_http(endpoint.as_deref(), &options.variables, "GOOGLE_ALLOW_HTTP")?
        && let Ok(allow_http) = "google_allow_http".parse()
    {
        builder = builder.with_config(allow_http, "true");
    }
    let client = builder
        .with_bucket_name(place.bucket())
        .with_retry(retries())
        .build()
        .map_err(|source| Opened::failed("gs", place, source))?;
    let client = Arc::new(client);
    let signing = Gcs {
        client: Arc::clone(&client),
        life: Life(options.url_life),
        key_name: key_name(options.encryption.as_ref())?,
        signed: Mutex::default(),
    };
    let (pages, parts) = (Arc::clone(&client) as _, Arc::clone(&client) as _);
    Ok(Opened { objects: client, pages, parts, signing: Box::new(signing) })
}

fn key_name(encryption: Option<&Encryption>) -> Result<Option<String>, StoreError> {
    match encryption {
        None => Ok(None),
        Some(Encryption::Kms(key)) => Ok(Some(key.clone())),
        Some(Encryption::S3Managed | Encryption::Scope(_)) => Err(StoreError::setting(
            "on Google Cloud Storage a store's encryption is a key of Cloud KMS".to_owned(),
            "set the store's encryption to kms:projects/…/cryptoKeys/KEY, or leave it to the bucket",
        )),
    }
}

struct Gcs {
    client: Arc<GoogleCloudStorage>,
    life: Life,
    key_name: Option<String>,
    /// GETs signed lately. A signature is RSA here (a request, with credentials that hold
    /// no key), and the agents of a parallel step all ask for the same packs at once.
    signed: Mutex<HashMap<Path, (Instant, SignedUrl)>>,
}

/// GETs that are remembered; a URL and its key are about a kilobyte.
const REMEMBERED: usize = 16_384;

impl Gcs {
    fn sign(
        &self,
        bridge: &Bridge,
        method: Method,
        key: &Path,
        headers: &[(&'static str, String)],
        query: &[(&'static str, String)],
    ) -> Result<SignedUrl, CloudError> {
        let mut options = SignedUrlOptions::new().with_query(query.iter().cloned());
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| {
                CloudError::new(CloudErrorKind::Other, format!("{name} holds what no header may"))
            })?;
            options = options.with_signed_header(HeaderName::from_static(name), value);
        }
        let url = bridge.wait(self.client.signed_url_opts(method, key, self.life.0, &options))?;
        Ok(with_headers(url, headers.iter().cloned()))
    }

    /// A remembered URL lives two thirds of its life at least, as signed ones do that are used late.
    fn remembered(&self, key: &Path, now: Instant) -> Option<SignedUrl> {
        let signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        signed.get(key).filter(|(at, _)| self.is_fresh(*at, now)).map(|(_, url)| url.clone())
    }

    fn remember(&self, key: &Path, now: Instant, url: SignedUrl) {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if signed.len() >= REMEMBERED {
            signed.retain(|_, (at, _)| self.is_fresh(*at, now));
        }
        if signed.len() < REMEMBERED {
            signed.insert(key.clone(), (now, url));
        }
    }

    fn is_fresh(&self, at: Instant, now: Instant) -> bool {
        now.saturating_duration_since(at) < self.life.0 / 3
    }
}

impl Signing for Gcs {
    fn put(&self, bridge: &Bridge, key: &Path, intent: &PutIntent) -> Result<SignedUrl, CloudError> {
        let mut headers = vec![
            ("x-goog-content-length-range", format!("{0},{0}", intent.len)),
            ("x-goog-if-generation-match", "0".to_owned()),
        ];
        headers.extend(intent.crc32c.map(|sum| ("x-goog-hash", format!("crc32c={}", checksum(sum)))));
        headers.extend(self.key_name.iter().map(|key| ("x-goog-encryption-kms-key-name", key.clone())));
        self.sign(bridge, Method::PUT, key, &headers, &[])
    }

    fn get(&self, bridge: &Bridge, key: &Path, answer: &AnswerHeaders) -> Result<SignedUrl, CloudError> {
        let query = answer_query(answer);
        if !query.is_empty() {
            return self.sign(bridge, Method::GET, key, &[], &query);
        }
        let now = Instant::now();
        if let Some(url) = self.remembered(key, now) {
            return Ok(url);
        }
        let url = self.sign(bridge, Method::GET, key, &[], &[])?;
        self.remember(key, now, url.clone());
        Ok(url)
    }

    fn part(
        &self,
        bridge: &Bridge,
        key: &Path,
        upload: &UploadId,
        part: &PartIntent,
    ) -> Result<SignedUrl, CloudError> {
        let query = [("partNumber", part.number.to_string()), ("uploadId", upload.0.clone())];
        self.sign(bridge, Method::PUT, key, &[], &query)
    }

    fn has_parts(&self) -> bool {
        self.key_name.is_none() // object_store begins an upload without the key's name
    }

    fn binds_checksum(&self) -> bool {
        true
    }
}
