//! Azure Blob Storage: how a container is opened, and shared access signatures for single blobs.
//!
//! object_store signs such URLs too, but for PUTs that overwrite, and without an encryption scope. A SAS cannot be bound
//! to a length or a checksum: those are found at the commit, which compares both.

use std::sync::Arc;

use aws_lc_rs::hmac::{Key, sign};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path;

use crate::controller::store::error::StoreError;
use crate::controller::store::options::{Encryption, StoreOptions};
use crate::controller::store::store_url::Place;
use crate::controller::store::{AnswerHeaders, PutIntent, UploadId};
use crate::model::SignedUrl;
use crate::protocol::artifact::{PartIntent, SentPart};

use super::azure_account::Account;
use super::bridge::Bridge;
use super::endpoint::plain_http;
use super::error::CloudError;
use super::objects::{Opened, retries};
use super::signing::{Life, Signing, with_headers};
use super::sigv4::escaped;

/// The version of the service whose rules the signature follows; the fields signed have been the same since 2020-12-06.
const VERSION: &str = "2023-11-03";
/// A SAS begins this many seconds ago, for services whose clock is behind ours.
const SKEW_SECONDS: i64 = 5 * 60;

/// Opens the container with the `AZURE_…` variables.
pub(super) fn open(place: &Place, options: &StoreOptions) -> Result<Opened, StoreError> {
    let account = Account::find(&options.variables)?;
    let mut builder = MicrosoftAzureBuilder::new();
    for (name, value) in options.variables.lowercase("AZURE_") {
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    let plain = plain_http(Some(&account.endpoint), &options.variables, "AZURE_ALLOW_HTTP")?;
    if plain {
        builder = builder.with_allow_http(true);
    }
    let client = builder
        .with_use_emulator(false)
        .with_account(&account.name)
        .with_access_key(&account.key)
        .with_credential_type("access_key")
        .with_endpoint(account.endpoint.clone())
        .with_container_name(place.bucket())
        .with_retry(retries())
        .build()
        .map_err(|source| Opened::failed("az", place, source))?;
    let client = Arc::new(client);
    let signing = Azure {
        key: account.signing_key()?,
        resource: format!("/blob/{}/{}", account.name, place.bucket()),
        container: format!("{}/{}", account.endpoint, place.bucket()),
        protocol: if plain { "https,http" } else { "https" },
        life: Life(options.url_life),
        scope: scope(options.encryption.as_ref())?,
    };
    let (pages, parts) = (Arc::clone(&client) as _, Arc::clone(&client) as _);
    Ok(Opened { objects: client, pages, parts, signing: Box::new(signing) })
}

fn scope(encryption: Option<&Encryption>) -> Result<String, StoreError> {
    match encryption {
        None => Ok(String::new()),
        Some(Encryption::Scope(name)) => Ok(name.clone()),
        Some(Encryption::S3Managed | Encryption::Kms(_)) => Err(StoreError::setting(
            "on Azure a store's encryption is an encryption scope".to_owned(),
            "set the store's encryption to scope:NAME, or leave it to the container",
        )),
    }
}

struct Azure {
    key: Key,
    /// `/blob/<account>/<container>`, what the signature calls it.
    resource: String,
    /// The container's URL.
    container: String,
    protocol: &'static str,
    life: Life,
    /// An encryption scope, or nothing.
    scope: String,
}

impl Azure {
    /// A service SAS for one blob with the permission `permission` alone.
    fn sas(&self, key: &Path, permission: &str, scope: &str, answer: &AnswerHeaders) -> String {
        let now = Timestamp::now();
        let disposition = answer.disposition.as_deref().unwrap_or_default();
        let content_type = answer.content_type.as_deref().unwrap_or_default();
        let at = |seconds: i64| {
            let time = Timestamp::from_second(now.as_second() + seconds).unwrap_or(now);
            time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        };
        let (start, end) = (at(-SKEW_SECONDS), at(self.life.0.as_secs() as i64));
        let resource = format!("{}/{key}", self.resource);
        // Unused: identifier and address, then snapshot, and three of the five response headers behind the scope.
        let fields = [
            permission,
            &start,
            &end,
            &resource,
            "",
            "",
            self.protocol,
            VERSION,
            "b",
            "",
            scope,
            "",
            disposition,
            "",
            "",
            content_type,
        ];
        let signature = STANDARD.encode(sign(&self.key, fields.join("\n").as_bytes()));
        let mut pairs = vec![
            ("sv", VERSION),
            ("spr", self.protocol),
            ("sr", "b"),
            ("sp", permission),
            ("st", &start),
            ("se", &end),
        ];
        let optional = [("ses", scope), ("rscd", disposition), ("rsct", content_type)];
        pairs.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
        pairs.push(("sig", &signature));
        let query: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        format!("{}/{key}?{}", self.container, query.join("&"))
    }
}

impl Signing for Azure {
    fn put(&self, _bridge: &Bridge, key: &Path, _intent: &PutIntent) -> Result<SignedUrl, CloudError> {
        // Permission “c”: a new blob, and no other. The condition says the same again, so that the answer is 409.
        let headers = [("x-ms-blob-type", "BlockBlob"), ("if-none-match", "*")];
        let headers = headers.map(|(name, value)| (name, value.to_owned()));
        Ok(with_headers(self.sas(key, "c", &self.scope, &AnswerHeaders::default()), headers))
    }

    fn get(&self, _bridge: &Bridge, key: &Path, answer: &AnswerHeaders) -> Result<SignedUrl, CloudError> {
        Ok(SignedUrl::new(self.sas(key, "r", "", answer)))
    }

    fn part(
        &self,
        _bridge: &Bridge,
        key: &Path,
        _upload: &UploadId,
        part: &PartIntent,
    ) -> Result<SignedUrl, CloudError> {
        // Permission “w”: a block is none of the requests that “c” allows. So until it ends, whoever sends the parts could also put
        // another blob in this one's place; who reads it compares its checksums.
        let sas = self.sas(key, "w", &self.scope, &AnswerHeaders::default());
        let block = STANDARD.encode(block_name(part.number));
        Ok(SignedUrl::new(format!("{sas}&comp=block&blockid={}", escaped(&block))))
    }

    fn has_parts(&self) -> bool {
        self.scope.is_empty() // object_store commits blocks without the scope
    }

    fn has_plain_parts(&self) -> bool {
        false // blocks have no `ETag`
    }

    fn part_name(&self, part: &SentPart) -> String {
        block_name(part.number)
    }

    fn binds_checksum(&self) -> bool {
        false
    }
}

/// Blocks of one blob have names of one length.
fn block_name(number: u32) -> String {
    format!("{number:05}")
}
