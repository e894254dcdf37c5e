//! Where a store is, as an operator writes it: `s3://bucket/prefix`, `gs://…`, `az://container/prefix`, `file:/folder`.
//! Not credentials or endpoints: those are the clouds' own variables (`options`).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::model::SignedUrl;
use crate::model::signed_url::file_path;

/// Bytes of a prefix; what a pack's name adds (`/packs/ab/….pack`) stays far below the clouds' 1,024.
const MAX_PREFIX_BYTES: usize = 512;

/// A store's place. Nothing in it is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A folder of this machine, absolute.
    Disk(PathBuf),
    /// Amazon S3, or a service that speaks its protocol.
    S3(Place),
    /// Google Cloud Storage.
    Gcs(Place),
    /// Azure Blob Storage; the bucket is a container.
    Azure(Place),
}

/// A bucket and the part of it that is the store's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    bucket: String,
    prefix: String,
}

impl Place {
    /// The bucket or container.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Path segments before `packs/`, joined by `/`, without one at either end; may be empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn parse(text: &str) -> Result<Self, StoreUrlError> {
        let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !is_bucket(bucket) {
            return Err(StoreUrlError::Bucket(bucket.to_owned()));
        }
        let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_key_byte);
        if prefix.len() > MAX_PREFIX_BYTES || !(prefix.is_empty() || prefix.split('/').all(segment)) {
            return Err(StoreUrlError::Prefix(prefix.to_owned()));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

/// Keys hold nothing else, so that no signer and no proxy ever has to escape one.
const fn is_key_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')
}

/// What S3, GCS and Azure have in common: 3 to 63 bytes, a letter or digit at both ends.
fn is_bucket(name: &str) -> bool {
    let bytes = name.as_bytes();
    let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    (3..=63).contains(&bytes.len())
        && bytes.iter().copied().all(is_key_byte)
        && end(bytes.first())
        && end(bytes.last())
        && !name.contains("..")
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        if let Some(path) = text.strip_prefix("file:") {
            let rooted = if path.starts_with("//") { text.to_owned() } else { format!("file://{path}") };
            return file_path(&SignedUrl::new(rooted))
                .map(Self::Disk)
                .ok_or_else(|| StoreUrlError::Folder(path.to_owned()));
        }
        match text.split_once("://") {
            Some(("s3", place)) => Place::parse(place).map(Self::S3),
            Some(("gs", place)) => Place::parse(place).map(Self::Gcs),
            Some(("az", place)) => Place::parse(place).map(Self::Azure),
            // Whatever stands after another scheme may hold a password.
            Some((scheme, _)) => Err(StoreUrlError::Scheme(scheme.to_owned())),
            None if text.starts_with('/') => Ok(Self::Disk(text.into())),
            None => Err(StoreUrlError::Scheme(String::new())),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, Place { bucket, prefix }) = match self {
            Self::Disk(path) => return write!(f, "file:{}", path.display()),
            Self::S3(place) => ("s3", place),
            Self::Gcs(place) => ("gs", place),
            Self::Azure(place) => ("az", place),
        };
        let slash = if prefix.is_empty() { "" } else { "/" };
        write!(f, "{scheme}://{bucket}{slash}{prefix}")
    }
}

/// Why a text is no store's place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// Not one of the four kinds.
    #[error("a store is s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:/FOLDER, not {}", scheme(.0))]
    Scheme(String),
    /// Not a bucket's name.
    #[error(
        "‘{0}’ is no bucket's name: 3 to 63 of a-z, 0-9, ‘.’, ‘_’ and ‘-’, a letter or digit at both ends"
    )]
    Bucket(String),
    /// Not a prefix.
    #[error(
        "‘{0}’ is no prefix for a store: segments of a-z, 0-9, ‘.’, ‘_’ and ‘-’, with one ‘/’ between them"
    )]
    Prefix(String),
    /// Not an absolute folder.
    #[error(
        "‘{0}’ is no absolute folder: write file:/var/lib/pannier/store, with % before what is no plain character"
    )]
    Folder(String),
}

fn scheme(scheme: &str) -> String {
    if scheme.is_empty() { "a name without a scheme".to_owned() } else { format!("{scheme}://…") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_store_is_read_and_printed() {
        for text in ["s3://bucket", "gs://a-b.c_d/p", "az://container/ci/main-line", "file:/var/lib/x"] {
            let url: StoreUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), text);
        }
        let with = |text: &str| text.parse::<StoreUrl>().unwrap();
        assert_eq!(with("s3://bucket/"), with("s3://bucket"));
        assert_eq!(with("s3://bucket/a/b/"), with("s3://bucket/a/b"));
        assert_eq!(with("file:///a%20b"), StoreUrl::Disk("/a b".into()));
        assert_eq!(with("/a b"), StoreUrl::Disk("/a b".into()));
    }

    #[test]
    fn what_a_key_may_not_hold_is_refused() {
        for text in
            ["s3://b", "s3://Bucket", "s3://-bucket", "s3://bu..ket", "gs://bucket?x=y", "az://user@host"]
        {
            assert!(matches!(text.parse::<StoreUrl>(), Err(StoreUrlError::Bucket(_))), "{text}");
        }
        for text in
            ["s3://bucket/A", "s3://bucket/a//b", "s3://bucket/../x", "s3://bucket/.", "s3://bucket/a b"]
        {
            assert!(matches!(text.parse::<StoreUrl>(), Err(StoreUrlError::Prefix(_))), "{text}");
        }
        assert!(format!("s3://bucket/{}", "a".repeat(513)).parse::<StoreUrl>().is_err());
        for text in ["file:data", "file://host/data", "file:/a?b"] {
            assert!(matches!(text.parse::<StoreUrl>(), Err(StoreUrlError::Folder(_))), "{text}");
        }
    }

    #[test]
    fn a_password_in_a_wrong_url_is_not_repeated() {
        let error = "https://user:secret@host/bucket".parse::<StoreUrl>().unwrap_err().to_string();
        assert!(error.contains("https://…") && !error.contains("secret"), "{error}");
    }
}
