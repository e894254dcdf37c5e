//! Reads packs out of the store for the controller's own eyes: footers, manifest parts, whole packs to check.
//! Every chunk is verified. Private: to be replaced by the room `pack`'s reader.

use std::collections::HashMap;
use std::sync::Arc;

use crate::controller::error::ControllerError;
use crate::controller::store::Store;
use crate::model::pack_layout::{Codec, Footer, Frame, LayoutError, MAGIC, TRAILER_BYTES, Trailer};
use crate::model::{Digest, PackName};

/// A pack's footer as it was read.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) footer: Footer,
    pub(super) digest: Digest,
    /// Bytes of footer and trailer.
    pub(super) len: u64,
}

/// Reads and checks the end of a pack of `len` bytes.
pub(super) fn read_tail(store: &dyn Store, pack: PackName, len: u64) -> Result<Tail, ControllerError> {
    let layout = |source| ControllerError::Layout { pack, source };
    let start = len.checked_sub(TRAILER_BYTES).ok_or_else(|| layout(LayoutError::NotAPack))?;
    let trailer = Trailer::decode(&store.read(pack, start..len)?, len).map_err(layout)?;
    let footer = Footer::decode(&store.read(pack, trailer.footer_range())?, &trailer).map_err(layout)?;
    let digest = trailer.footer_digest;
    Ok(Tail { footer, digest, len: u64::from(trailer.footer_len) + TRAILER_BYTES })
}

/// Reads every byte of a pack and verifies every chunk; its footer.
pub(super) fn check_pack(store: &dyn Store, pack: PackName, len: u64) -> Result<Tail, ControllerError> {
    let tail = read_tail(store, pack, len)?;
    if store.read(pack, 0..MAGIC.len() as u64)? != MAGIC {
        return Err(ControllerError::Layout { pack, source: LayoutError::NotAPack });
    }
    for frame in &tail.footer.frames {
        let plain = plaintext(store, pack, &tail.footer, frame)?;
        let mut rest = plain.as_slice();
        for chunk in tail.footer.chunks.get(frame.chunks.clone()).unwrap_or_default() {
            let split = rest
                .split_at_checked(chunk.len as usize)
                .filter(|(bytes, _)| Digest::of(bytes) == chunk.digest);
            let Some((_, after)) = split else {
                return Err(ControllerError::DamagedChunk { pack, digest: chunk.digest });
            };
            rest = after;
        }
    }
    Ok(tail)
}

fn plaintext(
    store: &dyn Store,
    pack: PackName,
    footer: &Footer,
    frame: &Frame,
) -> Result<Vec<u8>, ControllerError> {
    let stored = store.read(pack, frame.stored_range())?;
    let plain = match frame.codec {
        Codec::Raw => Some(stored),
        // The decoder writes at most `plain_len` bytes, which the footer's decoder has bounded.
        Codec::Zstd => zstd::bulk::decompress(&stored, frame.plain_len as usize).ok(),
    };
    let digest = footer.chunks.get(frame.chunks.start).map_or(Digest::of(b""), |chunk| chunk.digest);
    plain
        .filter(|plain| plain.len() == frame.plain_len as usize)
        .ok_or(ControllerError::DamagedChunk { pack, digest })
}

/// Reads single chunks, remembering a few footers and the last frame: pages of a manifest stand beside each other.
pub(super) struct ChunkSource<'a> {
    store: &'a dyn Store,
    packs: HashMap<PackName, Arc<IndexedTail>>,
    frame: Option<(PackName, u64, Vec<u8>)>,
}

struct IndexedTail {
    footer: Footer,
    places: HashMap<Digest, usize>,
}

/// Footers that are kept: 16 of 300 kB are a few MB.
const KEPT_FOOTERS: usize = 16;

impl<'a> ChunkSource<'a> {
    pub(super) fn new(store: &'a dyn Store) -> Self {
        Self { store, packs: HashMap::new(), frame: None }
    }

    /// The plaintext of `digest` out of `pack`, verified.
    pub(super) fn read(
        &mut self,
        pack: PackName,
        len: u64,
        digest: Digest,
    ) -> Result<Vec<u8>, ControllerError> {
        let damaged = || ControllerError::DamagedChunk { pack, digest };
        let tail = self.tail(pack, len)?;
        let place = *tail.places.get(&digest).ok_or_else(damaged)?;
        let frame =
            tail.footer.frames.iter().find(|frame| frame.chunks.contains(&place)).ok_or_else(damaged)?;
        if self.frame.as_ref().is_none_or(|(name, offset, _)| (*name, *offset) != (pack, frame.offset)) {
            self.frame = Some((pack, frame.offset, plaintext(self.store, pack, &tail.footer, frame)?));
        }
        let before = tail.footer.chunks.get(frame.chunks.start..place).unwrap_or_default();
        let start: usize = before.iter().map(|chunk| chunk.len as usize).sum();
        let chunk = tail.footer.chunks.get(place).ok_or_else(damaged)?;
        let plain = self.frame.as_ref().map(|(_, _, plain)| plain.as_slice()).unwrap_or_default();
        let bytes = plain.get(start..start + chunk.len as usize).filter(|bytes| Digest::of(bytes) == digest);
        bytes.map(<[u8]>::to_vec).ok_or_else(damaged)
    }

    fn tail(&mut self, pack: PackName, len: u64) -> Result<Arc<IndexedTail>, ControllerError> {
        if let Some(tail) = self.packs.get(&pack) {
            return Ok(Arc::clone(tail));
        }
        let footer = read_tail(self.store, pack, len)?.footer;
        let places = footer.chunks.iter().enumerate().map(|(place, chunk)| (chunk.digest, place)).collect();
        if self.packs.len() >= KEPT_FOOTERS {
            self.packs.clear();
        }
        let tail = Arc::new(IndexedTail { footer, places });
        self.packs.insert(pack, Arc::clone(&tail));
        Ok(tail)
    }
}
