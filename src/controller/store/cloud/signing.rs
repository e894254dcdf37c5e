//! What each cloud signs in its own way, and what all of them share about it.

use std::time::Duration;

use object_store::path::Path;

use crate::controller::store::{AnswerHeaders, PutIntent, UploadId};
use crate::model::SignedUrl;
use crate::protocol::artifact::{PartIntent, SentPart};

use super::bridge::Bridge;
use super::error::CloudError;

/// Signs for one bucket. Every URL is for one object and one method, and ends by itself.
pub(super) trait Signing: Send + Sync {
    /// A PUT of what `intent` says; create-only unless this store stages.
    fn put(&self, bridge: &Bridge, key: &Path, intent: &PutIntent) -> Result<SignedUrl, CloudError>;

    /// Whether PUTs may overwrite, and so go to keys that nobody reads.
    fn stages(&self) -> bool {
        false
    }

    /// Whether the encryption that the operator chose holds for uploads in parts too.
    fn has_parts(&self) -> bool {
        true
    }

    /// A GET, of any range, whose answer says what `answer` wants.
    fn get(&self, bridge: &Bridge, key: &Path, answer: &AnswerHeaders) -> Result<SignedUrl, CloudError>;

    /// A PUT of one part of an upload.
    fn part(
        &self,
        bridge: &Bridge,
        key: &Path,
        upload: &UploadId,
        part: &PartIntent,
    ) -> Result<SignedUrl, CloudError>;

    /// Whether a part needs no header but its length, and is answered with an `ETag`.
    fn has_plain_parts(&self) -> bool {
        true
    }

    /// What the completion of an upload calls that part.
    fn part_name(&self, part: &SentPart) -> String {
        part.etag.clone()
    }

    /// Whether other bytes of the same length are refused by the store itself, rather than found at the commit.
    fn binds_checksum(&self) -> bool;

    /// Whether that checksum may be a SHA-256; whether the service compares it is another question.
    fn binds_sha256(&self) -> bool {
        false
    }
}

/// How long URLs live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life(pub(super) Duration);

/// The query of a GET by which S3 and GCS are told what to say of the content.
pub(super) fn answer_query(answer: &AnswerHeaders) -> Vec<(&'static str, String)> {
    // In the order of their names, as signatures want them.
    let pairs = [
        ("response-content-disposition", &answer.disposition),
        ("response-content-type", &answer.content_type),
    ];
    pairs.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
}

/// A CRC-32C as the clouds write it: base64 of its four bytes, the highest first.
pub(super) fn checksum(crc32c: u32) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(crc32c.to_be_bytes())
}

/// A signed URL with the headers that go with it.
pub(super) fn with_headers<N: Into<String>>(
    url: impl Into<String>,
    headers: impl IntoIterator<Item = (N, String)>,
) -> SignedUrl {
    let mut signed = SignedUrl::new(url);
    signed.headers.extend(headers.into_iter().map(|(name, value)| (name.into(), value)));
    signed
}
