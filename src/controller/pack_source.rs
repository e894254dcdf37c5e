//! Reads packs out of the store for the controller's own eyes: footers, manifest parts, whole packs to check.
//! Every chunk is verified. Bytes come a frame at a time, so no pack is ever held whole.

use std::sync::{Arc, Mutex, PoisonError};

use crate::controller::error::ControllerError;
use crate::controller::read_ahead::{ReadAhead, trim};
use crate::controller::store::Store;
use crate::model::pack_layout::{Footer, Frame, LayoutError, MAGIC, TRAILER_BYTES, Trailer};
use crate::model::{Digest, PackName};
use crate::pack::frame::slices;
use crate::pack::reader::decode_tail;
use crate::pack::{FrameDecoder, PackError};

/// A pack's footer as it was read.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) footer: Footer,
    pub(super) digest: Digest,
    /// Bytes of footer and trailer.
    pub(super) len: u64,
    /// What came with them: the last bytes before the footer.
    before: Vec<u8>,
}

/// Bytes at the end of a pack that are read first: the footer of most packs comes with its trailer in one request.
const TAIL_GUESS: u64 = 256 << 10;

/// Reads and checks the end of a pack of `len` bytes.
pub(super) fn read_tail(store: &dyn Store, pack: PackName, len: u64) -> Result<Tail, ControllerError> {
    let damaged = |source: PackError| ControllerError::Pack { pack, source };
    let short = || damaged(LayoutError::NotAPack.into());
    let start = len.saturating_sub(TAIL_GUESS);
    let mut before = store.read(pack.into(), start..len)?;
    let tail = &before;
    let trailer = tail.len().checked_sub(TRAILER_BYTES as usize).and_then(|at| tail.get(at..));
    let trailer = Trailer::decode(trailer.ok_or_else(short)?, len).map_err(|e| damaged(e.into()))?;
    let tail = match trailer.footer_offset.checked_sub(start) {
        Some(at) => before.split_off((at as usize).min(before.len())),
        None => {
            before.clear();
            store.read(pack.into(), trailer.footer_offset..len)?
        }
    };
    let footer = decode_tail(&tail, len).map_err(damaged)?;
    Ok(Tail { footer, digest: trailer.footer_digest, len: tail.len() as u64, before })
}

/// Reads every byte of a pack, verifies every chunk and hands it to `each`; its footer.
pub(super) fn check_pack(
    store: &dyn Store,
    pack: PackName,
    len: u64,
    each: &mut dyn FnMut(&Digest, &[u8]),
) -> Result<Tail, ControllerError> {
    let tail = read_tail(store, pack, len)?;
    let damaged = |source: PackError| ControllerError::Pack { pack, source };
    if store.read(pack.into(), 0..MAGIC.len() as u64)? != MAGIC {
        return Err(damaged(LayoutError::NotAPack.into()));
    }
    let (mut decoder, mut plain) = (FrameDecoder::new(), Vec::new());
    for frame in &tail.footer.frames {
        let stored = store.read(pack.into(), frame.stored_range())?;
        let chunks = tail.footer.chunks.get(frame.chunks.clone()).unwrap_or_default();
        decoder.decode(frame, &stored, chunks, &mut plain).map_err(damaged)?;
        slices(chunks, &plain).for_each(|(chunk, bytes)| each(&chunk.digest, bytes));
    }
    Ok(tail)
}

/// Reads single chunks, remembering a few footers and frames: pages of a manifest stand beside each other, and so do the
/// files of a folder.
pub(super) struct ChunkSource<'a> {
    store: &'a dyn Store,
    ahead: ReadAhead<'a>,
    /// Footers that others read, for those who ask often and briefly.
    shared: Option<&'a SharedTails>,
    /// The latest last.
    tails: Vec<(PackName, Arc<IndexedTail>)>,
    /// The latest last.
    frames: Vec<DecodedFrame>,
    decoder: FrameDecoder,
}

/// Footers by pack, the latest last, within [`KEPT_CHUNKS`] for all who share them. A pack never changes.
#[derive(Default)]
pub(super) struct SharedTails(Mutex<Vec<(PackName, Arc<IndexedTail>)>>);

struct IndexedTail {
    footer: Footer,
    /// Indices of chunks, in the order of digests.
    by_digest: Vec<u32>,
}

struct DecodedFrame {
    pack: PackName,
    offset: u64,
    plain: Vec<u8>,
    /// Where each of its chunks ends: a frame of tiny files has thousands.
    ends: Vec<u32>,
}

/// Chunks of the footers that are kept beside the latest: 40 bytes each, and the footers of most packs have fewer than
/// 20,000.
const KEPT_CHUNKS: usize = 1 << 17;
/// What is read at once by those who follow a manifest: pages and lists are some kilobytes each.
const AHEAD_BYTES: u64 = 256 << 10;
/// Plaintext of the frames that are kept beside the latest.
const KEPT_FRAME_BYTES: usize = 4 << 20;

impl<'a> ChunkSource<'a> {
    pub(super) fn new(store: &'a dyn Store) -> Self {
        let (ahead, decoder) = (ReadAhead::new(store, 0), FrameDecoder::new());
        Self { store, ahead, shared: None, tails: Vec::new(), frames: Vec::new(), decoder }
    }

    /// The same, and what stands behind a frame is read with it.
    pub(super) fn ahead(store: &'a dyn Store) -> Self {
        Self { ahead: ReadAhead::new(store, AHEAD_BYTES), ..Self::new(store) }
    }

    /// Keeps the end of a pack that somebody read already.
    pub(super) fn keep(&mut self, pack: PackName, tail: Tail) {
        let end = tail.footer.frames.last().map_or(0, |frame| frame.stored_range().end);
        if let Some(start) = end.checked_sub(tail.before.len() as u64) {
            self.ahead.keep(pack, start, tail.before);
        }
        trim(&mut self.tails, KEPT_CHUNKS, |(_, kept)| kept.by_digest.len());
        self.tails.push((pack, Arc::new(IndexedTail::new(tail.footer))));
    }

    /// The same, with footers that others read before.
    pub(super) fn sharing(store: &'a dyn Store, tails: &'a SharedTails) -> Self {
        Self { shared: Some(tails), ..Self::new(store) }
    }

    /// Whether `pack` holds `digest`, as its footer says.
    pub(super) fn holds(
        &mut self,
        pack: PackName,
        len: u64,
        digest: Digest,
    ) -> Result<bool, ControllerError> {
        Ok(self.tail(pack, len)?.place(&digest).is_some())
    }

    /// A pack whose footer is kept and names `digest`.
    pub(super) fn kept(&self, digest: &Digest) -> Option<PackName> {
        self.tails.iter().rev().find(|(_, tail)| tail.place(digest).is_some()).map(|(pack, _)| *pack)
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
        let place = tail.place(&digest).ok_or_else(damaged)?;
        let frame =
            tail.footer.frames.iter().find(|frame| frame.chunks.contains(&place)).ok_or_else(damaged)?;
        let decoded = self.decode(pack, &tail.footer, frame)?;
        decoded.chunk(place - frame.chunks.start).map(<[u8]>::to_vec).ok_or_else(damaged)
    }

    /// A frame's plaintext, every chunk of it verified.
    fn decode(
        &mut self,
        pack: PackName,
        footer: &Footer,
        frame: &Frame,
    ) -> Result<&DecodedFrame, ControllerError> {
        let known = self.frames.iter().position(|kept| kept.pack == pack && kept.offset == frame.offset);
        let at = match known {
            Some(at) => at,
            None => {
                let stored = self.ahead.read(pack, footer, &frame.stored_range())?;
                let chunks = footer.chunks.get(frame.chunks.clone()).unwrap_or_default();
                let mut plain = Vec::new();
                let decoded = self.decoder.decode(frame, stored, chunks, &mut plain);
                decoded.map_err(|source| ControllerError::Pack { pack, source })?;
                trim(&mut self.frames, KEPT_FRAME_BYTES, |kept| kept.plain.len());
                let ends = chunks.iter().scan(0, |end, chunk| {
                    *end += chunk.len;
                    Some(*end)
                });
                let ends = ends.collect();
                self.frames.push(DecodedFrame { pack, offset: frame.offset, plain, ends });
                self.frames.len() - 1
            }
        };
        // The latest last.
        self.frames[at..].rotate_left(1);
        Ok(&self.frames[self.frames.len() - 1])
    }

    fn tail(&mut self, pack: PackName, len: u64) -> Result<Arc<IndexedTail>, ControllerError> {
        let tail = match self.tails.iter().position(|(kept, _)| *kept == pack) {
            Some(at) => self.tails.remove(at).1,
            None => {
                let tail = match self.shared {
                    Some(shared) => shared.tail(self.store, pack, len)?,
                    None => Arc::new(IndexedTail::new(read_tail(self.store, pack, len)?.footer)),
                };
                trim(&mut self.tails, KEPT_CHUNKS, |(_, kept)| kept.by_digest.len());
                tail
            }
        };
        self.tails.push((pack, Arc::clone(&tail)));
        Ok(tail)
    }
}

impl DecodedFrame {
    /// The bytes of the frame's chunk of that number.
    fn chunk(&self, number: usize) -> Option<&[u8]> {
        let start = number.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.plain.get(start as usize..*self.ends.get(number)? as usize)
    }
}

impl SharedTails {
    fn tail(&self, store: &dyn Store, pack: PackName, len: u64) -> Result<Arc<IndexedTail>, ControllerError> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let take = |tails: &mut Vec<(PackName, Arc<IndexedTail>)>| {
            let at = tails.iter().position(|(known, _)| *known == pack)?;
            Some(tails.remove(at).1)
        };
        let known = take(&mut kept());
        // Nobody waits for another's store.
        let tail = match known {
            Some(tail) => tail,
            None => Arc::new(IndexedTail::new(read_tail(store, pack, len)?.footer)),
        };
        let mut tails = kept();
        take(&mut tails);
        trim(&mut tails, KEPT_CHUNKS, |(_, kept)| kept.by_digest.len());
        tails.push((pack, Arc::clone(&tail)));
        Ok(tail)
    }
}

impl IndexedTail {
    fn new(footer: Footer) -> Self {
        let mut by_digest: Vec<u32> = (0..footer.chunks.len() as u32).collect();
        by_digest.sort_unstable_by_key(|&at| footer.chunks[at as usize].digest);
        Self { footer, by_digest }
    }

    fn place(&self, digest: &Digest) -> Option<usize> {
        let found = self.by_digest.binary_search_by_key(digest, |&at| self.footer.chunks[at as usize].digest);
        found.ok().map(|at| self.by_digest[at] as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::controller::store::{AnswerHeaders, DiskStore, Finding, PutIntent, StoreError, StoredObject};
    use crate::model::pack_layout::Codec;
    use crate::model::signed_url::file_path;
    use crate::model::{ChunkRef, ObjectKind, ObjectName, SignedUrl, limits};
    use crate::pack::Builder;

    /// A store that counts what is read of it.
    struct Counted(DiskStore, AtomicUsize);

    impl Store for Counted {
        fn sign_put(&self, object: ObjectName, intent: &PutIntent) -> Result<SignedUrl, StoreError> {
            self.0.sign_put(object, intent)
        }
        fn sign_get(&self, object: ObjectName, answer: &AnswerHeaders) -> Result<SignedUrl, StoreError> {
            self.0.sign_get(object, answer)
        }
        fn head(&self, object: ObjectName) -> Result<Option<u64>, StoreError> {
            self.0.head(object)
        }
        fn read(&self, object: ObjectName, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.read(object, range)
        }
        fn delete(&self, object: &StoredObject) -> Result<u64, StoreError> {
            self.0.delete(object)
        }
        fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(StoredObject)) -> Result<(), StoreError> {
            self.0.list(kind, each)
        }
        fn check(&self) -> Vec<Finding> {
            self.0.check()
        }
    }

    #[test]
    fn a_usual_footer_takes_one_request_and_a_giant_one_two() {
        let folder = tempfile::tempdir().unwrap();
        let store = Counted(DiskStore::open(folder.path()), AtomicUsize::new(0));
        for (chunks, bytes, requests) in [(1, 10, 1), (500, 900_000, 1), (20_000, 900_000, 2)] {
            let mut builder = Builder::new();
            for frame in 0..chunks {
                let len = (bytes / chunks).max(1) as u32;
                assert!(len <= limits::MAX_FRAME_BYTES as u32);
                let chunk = ChunkRef { digest: Digest::of(&u64::to_le_bytes(frame)), len };
                builder.push_frame(Codec::Raw, vec![7; len as usize], &[chunk]);
            }
            let pack = PackName([chunks as u8; 16]);
            let finished = builder.finish();
            let intent = PutIntent { len: finished.len, crc32c: None, sha256: None };
            let path = file_path(&store.sign_put(pack.into(), &intent).unwrap()).unwrap();
            fs_err::write(path, finished.parts.concat()).unwrap();
            let before = store.1.load(Ordering::Relaxed);
            let tail = read_tail(&store, pack, finished.len).unwrap();
            assert_eq!(store.1.load(Ordering::Relaxed) - before, requests, "{chunks} chunks");
            assert_eq!((tail.digest, tail.len), (finished.footer_digest, finished.tail_len));
            assert_eq!(tail.footer.chunks, finished.footer.chunks);
        }
    }
}
