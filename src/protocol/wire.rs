//! How the larger requests travel: a head of JSON on one line, then raw bytes (digests, a bitmap). Not HTTP itself.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::Digest;

use super::build::{BuildId, StashName};
use super::session::{Open, Opened, SessionId};

/// Why bytes are no request or answer of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The head is not JSON of the expected shape, or has no end.
    #[error("the head of the message cannot be read")]
    Head,
    /// Digests are 32 bytes each.
    #[error("the message ends within a digest")]
    CutDigest,
    /// A bitmap has one bit for each digest, padded with zeros to whole bytes.
    #[error("the answer does not have one bit for each digest")]
    Bitmap,
}

/// The head of an [`Open`] request; its digests follow.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct OpenHead {
    #[serde(flatten)]
    build: BuildId,
    name: StashName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resume: Option<SessionId>,
}

/// The head of an [`Opened`] answer; its bitmap follows.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct OpenedHead {
    session: SessionId,
    parent_accepted: bool,
    /// Digests that were asked about: how many bits count.
    asked: usize,
}

/// An [`Open`] as bytes.
pub fn open_to_bytes(open: &Open) -> Vec<u8> {
    let head = OpenHead {
        build: open.build.clone(),
        name: open.name.clone(),
        parent: open.parent,
        resume: open.resume,
    };
    with_head(&head, &digests_to_bytes(&open.digests))
}

/// The [`Open`] that `bytes` spell.
pub fn open_from_bytes(bytes: &[u8]) -> Result<Open, WireError> {
    let (head, rest): (OpenHead, _) = split_head(bytes)?;
    let digests = digests_from_bytes(rest)?;
    Ok(Open { build: head.build, name: head.name, parent: head.parent, resume: head.resume, digests })
}

/// An [`Opened`] as bytes.
pub fn opened_to_bytes(opened: &Opened) -> Vec<u8> {
    let head = OpenedHead {
        session: opened.session,
        parent_accepted: opened.parent_accepted,
        asked: opened.missing.len(),
    };
    with_head(&head, &bits_to_bytes(&opened.missing))
}

/// The [`Opened`] that `bytes` spell.
pub fn opened_from_bytes(bytes: &[u8]) -> Result<Opened, WireError> {
    let (head, rest): (OpenedHead, _) = split_head(bytes)?;
    let missing = bits_from_bytes(rest, head.asked)?;
    Ok(Opened { session: head.session, parent_accepted: head.parent_accepted, missing })
}

/// Digests one after the other, 32 bytes each.
pub fn digests_to_bytes(digests: &[Digest]) -> Vec<u8> {
    digests.iter().flat_map(|digest| *digest.as_bytes()).collect()
}

/// The digests that `bytes` spell.
pub fn digests_from_bytes(bytes: &[u8]) -> Result<Vec<Digest>, WireError> {
    let (digests, rest) = bytes.as_chunks::<{ Digest::LEN }>();
    if !rest.is_empty() {
        return Err(WireError::CutDigest);
    }
    Ok(digests.iter().map(|bytes| Digest::from_bytes(*bytes)).collect())
}

/// Bit `n` is bit `n % 8` of byte `n / 8`, least significant first.
pub fn bits_to_bytes(bits: &[bool]) -> Vec<u8> {
    let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    bits.chunks(8).map(byte).collect()
}

/// The first `len` bits of `bytes`; an error unless there are just as many.
pub fn bits_from_bytes(bytes: &[u8], len: usize) -> Result<Vec<bool>, WireError> {
    let bit = |index: usize| bytes.get(index / 8).map(|byte| byte >> (index % 8) & 1 == 1);
    let bits = (0..len).map(bit).collect::<Option<Vec<bool>>>().ok_or(WireError::Bitmap)?;
    if bytes.len() == len.div_ceil(8) { Ok(bits) } else { Err(WireError::Bitmap) }
}

fn with_head(head: &impl Serialize, rest: &[u8]) -> Vec<u8> {
    // These heads are plain structs of strings and numbers: they always have a JSON form, of one line.
    let mut bytes = serde_json::to_vec(head).unwrap_or_default();
    bytes.push(b'\n');
    bytes.extend_from_slice(rest);
    bytes
}

fn split_head<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), WireError> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(WireError::Head)?;
    let (head, rest) = bytes.split_at(end);
    let head = serde_json::from_slice(head).map_err(|_| WireError::Head)?;
    Ok((head, rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn open(digests: Vec<Digest>) -> Open {
        let build = BuildId { project: "org/repo\"\n".into(), build: "42".into() };
        Open {
            build,
            name: "čॐ 'x'".parse().unwrap(),
            parent: Some(Digest::of(b"p")),
            resume: Some(SessionId(3)),
            digests,
        }
    }

    proptest! {
        #[test]
        fn every_message_survives_the_way(bits in proptest::collection::vec(any::<bool>(), 0..100)) {
            let digests: Vec<Digest> = (0..bits.len()).map(|n| Digest::of(&n.to_le_bytes())).collect();
            let request = open(digests);
            prop_assert_eq!(open_from_bytes(&open_to_bytes(&request)), Ok(request));
            let answer = Opened { session: SessionId(7), parent_accepted: true, missing: bits };
            prop_assert_eq!(opened_from_bytes(&opened_to_bytes(&answer)), Ok(answer));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), len in 0usize..2000) {
            let _ = open_from_bytes(&bytes);
            let _ = opened_from_bytes(&bytes);
            let _ = bits_from_bytes(&bytes, len);
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes = open_to_bytes(&open(vec![Digest::of(b"a")]));
        for end in 0..bytes.len() {
            let cut_to_no_digest = bytes.len() - end == Digest::LEN;
            assert_eq!(open_from_bytes(&bytes[..end]).is_err(), !cut_to_no_digest, "{end}");
        }
        assert_eq!(bits_from_bytes(&[1], 9), Err(WireError::Bitmap));
        assert_eq!(bits_from_bytes(&[1, 0], 8), Err(WireError::Bitmap));
    }
}
