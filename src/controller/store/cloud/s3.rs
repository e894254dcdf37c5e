//! Amazon S3 and what speaks its protocol: how a bucket is opened and what is signed for it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer};

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
use super::sigv4::{Request, presign};

/// Opens the bucket with the `AWS_…` variables.
pub(super) fn open(place: &Place, options: &StoreOptions) -> Result<Opened, StoreError> {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in options.variables.lowercase("AWS_") {
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    let value = |key| builder.get_config_value(&key);
    let endpoint = value(AmazonS3ConfigKey::S3Endpoint).or_else(|| value(AmazonS3ConfigKey::Endpoint));
    if plain_http(endpoint.as_deref(), &options.variables, "AWS_ALLOW_HTTP")? {
        builder = builder.with_allow_http(true);
    }
    let region =
        builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
    let client = encrypted(builder, options.encryption.as_ref())
        .with_bucket_name(place.bucket())
        // One object at a time is deleted with a plain DELETE, which every service has and every policy names.
        .with_disable_bulk_delete(true)
        .with_retry(retries())
        .build()
        .map_err(|source| Opened::failed("s3", place, source))?;
    let client = Arc::new(client);
    let signing = S3 {
        client: Arc::clone(&client),
        region,
        life: Life(options.url_life),
        encryption: encryption_headers(options.encryption.as_ref())?,
        staging: options.staging,
    };
    let (pages, parts) = (Arc::clone(&client) as _, Arc::clone(&client) as _);
    Ok(Opened { objects: client, pages, parts, signing: Box::new(signing) })
}

fn encryption_headers(encryption: Option<&Encryption>) -> Result<Vec<(&'static str, String)>, StoreError> {
    const ALGORITHM: &str = "x-amz-server-side-encryption";
    match encryption {
        None => Ok(Vec::new()),
        Some(Encryption::S3Managed) => Ok(vec![(ALGORITHM, "AES256".to_owned())]),
        Some(Encryption::Kms(key)) => Ok(vec![
            (ALGORITHM, "aws:kms".to_owned()),
            ("x-amz-server-side-encryption-aws-kms-key-id", key.clone()),
        ]),
        Some(Encryption::Scope(_)) => Err(StoreError::setting(
            "S3 has no encryption scopes".to_owned(),
            "set the store's encryption to aes256 or kms:KEY",
        )),
    }
}

/// The client's own requests that make objects (uploads in parts, copies) ask for the same encryption.
fn encrypted(builder: AmazonS3Builder, encryption: Option<&Encryption>) -> AmazonS3Builder {
    match encryption {
        // The key's type is not public, but its name is.
        Some(Encryption::S3Managed) => match "aws_server_side_encryption".parse() {
            Ok(algorithm) => builder.with_config(algorithm, "AES256"),
            Err(_) => builder,
        },
        Some(Encryption::Kms(key)) => builder.with_sse_kms_encryption(key),
        None | Some(Encryption::Scope(_)) => builder,
    }
}

struct S3 {
    client: Arc<AmazonS3>,
    region: String,
    life: Life,
    encryption: Vec<(&'static str, String)>,
    staging: bool,
}

impl S3 {
    /// A PUT with those headers and of that length, signed here.
    fn sign_put(
        &self,
        bridge: &Bridge,
        key: &Path,
        len: u64,
        sent: Vec<(&'static str, String)>,
        query: &[(&'static str, String)],
    ) -> Result<SignedUrl, CloudError> {
        let (mut url, credential) = bridge.wait(async {
            // Where the object is, is object_store's to say.
            let url = self.client.signed_url(Method::PUT, key, self.life.0).await?;
            Ok::<_, object_store::Error>((url, self.client.credentials().get_credential().await?))
        })?;
        url.set_query(None);
        let mut headers = sent.clone();
        // Of an empty object the checksum says it all; SeaweedFS takes a signed length of 0 for none, and refuses it.
        if len > 0 || sent.iter().all(|(name, _)| !name.starts_with("x-amz-checksum")) {
            headers.push(("content-length", len.to_string()));
        }
        let request = Request {
            method: "PUT",
            headers: &headers,
            query,
            region: &self.region,
            life: self.life.0.as_secs(),
            now: Timestamp::now(),
        };
        Ok(with_headers(presign(&url, &credential, &request), sent))
    }
}

impl Signing for S3 {
    fn put(&self, bridge: &Bridge, key: &Path, intent: &PutIntent) -> Result<SignedUrl, CloudError> {
        let mut sent = Vec::new();
        if !self.staging {
            sent.push(("if-none-match", "*".to_owned()));
        }
        // One checksum is all that S3 takes.
        sent.extend(match (intent.sha256, intent.crc32c) {
            (Some(sum), _) => Some(("x-amz-checksum-sha256", STANDARD.encode(sum.0))),
            (None, sum) => sum.map(|sum| ("x-amz-checksum-crc32c", checksum(sum))),
        });
        sent.extend(self.encryption.iter().cloned());
        self.sign_put(bridge, key, intent.len, sent, &[])
    }

    fn get(&self, bridge: &Bridge, key: &Path, answer: &AnswerHeaders) -> Result<SignedUrl, CloudError> {
        let options = SignedUrlOptions::new().with_query(answer_query(answer));
        let url = bridge.wait(self.client.signed_url_opts(Method::GET, key, self.life.0, &options));
        let url = url.map_err(|error| {
            // No request was made, so it is the credentials that are missing.
            CloudError::new(CloudErrorKind::Unsigned, CloudError::from(error).to_string())
        })?;
        Ok(SignedUrl::new(url))
    }

    fn part(
        &self,
        bridge: &Bridge,
        key: &Path,
        upload: &UploadId,
        part: &PartIntent,
    ) -> Result<SignedUrl, CloudError> {
        let query = [("partNumber", part.number.to_string()), ("uploadId", upload.0.clone())];
        self.sign_put(bridge, key, part.len, Vec::new(), &query)
    }

    fn stages(&self) -> bool {
        self.staging
    }

    fn binds_checksum(&self) -> bool {
        true
    }

    fn binds_sha256(&self) -> bool {
        // A service too old for conditional PUTs may be too old for checksums.
        !self.staging
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::signer::{HeaderName, HeaderValue};

    /// The signature in a URL, and when it was made.
    fn signature(url: &str) -> (String, Timestamp) {
        let value = |name: &str| url.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)).unwrap();
        (value("X-Amz-Signature=").to_owned(), value("X-Amz-Date=").parse().unwrap())
    }

    #[test]
    fn where_object_store_can_sign_it_signs_the_same() {
        let headers = [("if-none-match", "*".to_owned()), ("x-amz-checksum-crc32c", checksum(7))];
        for token in [None, Some("a/b+c=")] {
            let mut builder = AmazonS3Builder::new().with_bucket_name("bucket").with_region("eu-west-1");
            builder = builder.with_access_key_id("A").with_secret_access_key("S/+");
            if let Some(token) = token {
                builder = builder.with_token(token);
            }
            let client = builder.with_endpoint("https://store.example:8443").build().unwrap();
            let query = [("partNumber", "7".to_owned()), ("uploadId", "a/b+c=~".to_owned())];
            let mut options = SignedUrlOptions::new().with_query(query.clone());
            for (name, value) in &headers {
                let value = HeaderValue::from_str(value).unwrap();
                options = options.with_signed_header(HeaderName::from_static(name), value);
            }
            let bridge = Bridge::new().unwrap();
            let key = Path::from("ci/packs/ab/x.pack");
            let life = std::time::Duration::from_secs(900);
            let mut url = bridge.wait(client.signed_url_opts(Method::PUT, &key, life, &options)).unwrap();
            let (theirs, now) = signature(url.as_str());
            url.set_query(None);
            let credential = bridge.wait(client.credentials().get_credential()).unwrap();
            let request = Request {
                method: "PUT",
                headers: &headers,
                query: &query,
                region: "eu-west-1",
                life: 900,
                now,
            };
            assert_eq!(signature(&presign(&url, &credential, &request)).0, theirs);
        }
    }
}
