//! The signed part of a report's address: one stash, for an hour, without a cookie. What signs it never leaves the server.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::controller::browse::StashKey;
use crate::controller::ledger::{Access, ScopeId};
use crate::model::Digest;

/// How long a report stays open, in seconds.
const LIFE_SECONDS: i64 = 60 * 60;
const TAG_BYTES: usize = 32;
const NUMBER_BYTES: usize = 8;

/// Signs addresses of reports.
pub(in crate::controller::server) struct ReportKey(hmac::Key);

impl ReportKey {
    pub(in crate::controller::server) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// What opens the stash of `key` from `now` on, as one segment of an address.
    pub(super) fn capability(&self, key: &StashKey, now: i64) -> String {
        let numbers = [now.saturating_add(LIFE_SECONDS), key.stash, key.access.write.0];
        let scopes = key.access.read.iter().map(|scope| scope.0);
        let mut bytes = key.root.as_bytes().to_vec();
        numbers.into_iter().chain(scopes).for_each(|number| bytes.extend(number.to_le_bytes()));
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The stash that `capability` opens at `now`; `None` if it is altered or has ended.
    pub(super) fn stash(&self, capability: &str, now: i64) -> Option<StashKey> {
        let bytes = URL_SAFE_NO_PAD.decode(capability).ok()?;
        let (signed, tag) = bytes.split_last_chunk::<TAG_BYTES>()?;
        hmac::verify(&self.0, signed, tag).ok()?;
        let (root, numbers) = signed.split_first_chunk::<{ Digest::LEN }>()?;
        let (numbers, _) = numbers.as_chunks::<NUMBER_BYTES>();
        let mut numbers = numbers.iter().map(|bytes| i64::from_le_bytes(*bytes));
        let (ends_at, stash, write) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let access = Access { write: ScopeId(write), read: numbers.map(ScopeId).collect() };
        (now < ends_at).then_some(StashKey { stash, root: Digest::from_bytes(*root), access })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_one_stash_until_it_ends_and_no_bit_of_it_can_change() {
        let key = ReportKey::new(&[7; 32]);
        let access = Access { write: ScopeId(3), read: vec![ScopeId(3), ScopeId(9)] };
        let stash = StashKey { stash: 41, root: Digest::of(b"root"), access };
        let capability = key.capability(&stash, 1000);
        assert_eq!(key.stash(&capability, 1000 + LIFE_SECONDS - 1), Some(stash));
        assert_eq!(key.stash(&capability, 1000 + LIFE_SECONDS), None);
        assert_eq!(ReportKey::new(&[8; 32]).stash(&capability, 1000), None);
        for at in 0..capability.len() {
            let mut altered = capability.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.stash(std::str::from_utf8(&altered).unwrap(), 1000), None, "letter {at}");
            assert_eq!(key.stash(&capability[..at], 1000), None, "cut at {at}");
        }
    }
}
