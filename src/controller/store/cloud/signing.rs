//! What each cloud signs in its own way, and what all of them share about it.

use std::time::Duration;

use object_store::path::Path;

use crate::model::SignedUrl;
use crate::protocol::PackIntent;

use super::bridge::Bridge;
use super::error::CloudError;

/// Signs for one bucket. Every URL is for one object and one method, and ends by itself.
pub(super) trait Signing: Send + Sync {
    /// A create-only PUT of what `intent` says.
    fn put(&self, bridge: &Bridge, key: &Path, intent: &PackIntent) -> Result<SignedUrl, CloudError>;

    /// A GET, of any range.
    fn get(&self, bridge: &Bridge, key: &Path) -> Result<SignedUrl, CloudError>;

    /// Whether other bytes of the same length are refused by the store itself, rather than found at the commit.
    fn binds_checksum(&self) -> bool;
}

/// How long URLs live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life(pub(super) Duration);

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
