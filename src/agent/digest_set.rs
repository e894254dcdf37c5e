//! Sets of digests, without hashing what is a hash.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::model::Digest;

/// Digests are uniform already: their first eight bytes serve as the hash.
#[derive(Clone, Copy, Default)]
pub(super) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(head) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*head);
        }
    }

    /// Lengths of arrays are hashed too; they say nothing here.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A set of digests.
pub(super) type DigestSet = HashSet<Digest, BuildHasherDefault<DigestHasher>>;
