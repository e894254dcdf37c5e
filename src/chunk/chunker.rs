//! One file's bytes in, chunks and their digests out. Not a reader of files, and not a store: each chunk is
//! handed to the caller's sink once, as soon as it is cut.
//!
//! Memory is bounded whatever the file: a buffer of two chunks, and the digests of at most one chunk list besides
//! the references to the lists before it (36 bytes for each 256 MiB or so).

use std::sync::LazyLock;

use crate::model::limits::{MAX_CHUNK_BYTES, MAX_INLINE_CHUNKS, WHOLE_FILE_CHUNK_BYTES};
use crate::model::manifest::chunk_list;
use crate::model::{ChunkRef, Content, Digest};

use super::cdc;

/// The largest chunk of a hole: no cut is ever found in zeros (a test holds this), so all but the last are this.
static ZEROS: [u8; MAX_CHUNK_BYTES] = [0; MAX_CHUNK_BYTES];
static ZEROS_DIGEST: LazyLock<Digest> = LazyLock::new(|| Digest::of(&ZEROS));
/// The chunk list that ends after nothing but such chunks, and how many it lists.
static ZEROS_LIST: LazyLock<(ChunkRef, u64)> = LazyLock::new(|| {
    let mut list = vec![ChunkRef { digest: *ZEROS_DIGEST, len: MAX_CHUNK_BYTES as u32 }];
    while !chunk_list::ends_after(&ZEROS_DIGEST, list.len()) {
        list.push(list[0]);
    }
    let bytes = chunk_list::encode(&list);
    (ChunkRef { digest: Digest::of(&bytes), len: bytes.len() as u32 }, list.len() as u64)
});

/// Cuts files, one after another, with one buffer.
///
/// The same bytes give the same [`Content`] and the same calls of the sink, however they are pushed. The sink gets
/// every chunk of the file, and chunk lists where the file needs them; what is the same as the one before it, as in a
/// hole, is given once.
#[derive(Debug, Default)]
pub struct Chunker {
    /// Bytes of the file that are not cut yet; fewer than [`MAX_CHUNK_BYTES`] between two calls.
    pending: Vec<u8>,
    size: u64,
    chunks: ChunkRefs,
}

impl Chunker {
    /// A chunker at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Digest, &[u8])) {
        self.size += bytes.len() as u64;
        if !self.pending.is_empty() {
            bytes = self.push_pending(bytes, sink);
        }
        while bytes.len() >= MAX_CHUNK_BYTES {
            let (chunk, rest) = bytes.split_at(first_chunk(bytes));
            self.chunks.add(chunk, sink);
            bytes = rest;
        }
        self.pending.extend_from_slice(bytes);
    }

    /// Takes the next `len` bytes of the file, which are zeros: a hole costs nothing but its chunks' references.
    pub fn push_zeros(&mut self, mut len: u64, sink: &mut impl FnMut(Digest, &[u8])) {
        while len > 0 {
            if self.pending.is_empty() && len >= MAX_CHUNK_BYTES as u64 {
                let count = len / MAX_CHUNK_BYTES as u64;
                self.size += count * MAX_CHUNK_BYTES as u64;
                self.chunks.add_zeros(count, sink);
                len %= MAX_CHUNK_BYTES as u64;
            } else {
                let step = len.min((MAX_CHUNK_BYTES - self.pending.len()) as u64);
                self.push(&ZEROS[..step as usize], sink);
                len -= step;
            }
        }
    }

    /// Cuts what is left and says what the file is made of; the chunker is then at the start of the next file.
    pub fn finish(&mut self, sink: &mut impl FnMut(Digest, &[u8])) -> Content {
        let pending = std::mem::take(&mut self.pending);
        let whole = self.size <= WHOLE_FILE_CHUNK_BYTES;
        let mut rest = &pending[..];
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(if whole { rest.len() } else { cdc::cut(rest) });
            self.chunks.add(chunk, sink);
            rest = after;
        }
        self.pending = pending;
        self.pending.clear();
        let (listed, chunks) = std::mem::take(&mut self.chunks).finish(sink);
        Content { size: std::mem::take(&mut self.size), listed, chunks }
    }

    /// Forgets the file so far, as when it changed while it was read; its chunks may have reached the sink.
    pub fn abandon(&mut self) {
        self.pending.clear();
        self.size = 0;
        self.chunks = ChunkRefs::default();
    }

    /// Fills the buffer from `bytes` and cuts it until what is left of it is a suffix of `bytes`, or all is taken;
    /// the bytes that are still to be cut.
    fn push_pending<'b>(&mut self, bytes: &'b [u8], sink: &mut impl FnMut(Digest, &[u8])) -> &'b [u8] {
        let before = self.pending.len();
        let taken = bytes.len().min(2 * MAX_CHUNK_BYTES - before);
        self.pending.extend_from_slice(&bytes[..taken]);
        let mut start = 0;
        while start < before && self.pending.len() - start >= MAX_CHUNK_BYTES {
            let len = first_chunk(&self.pending[start..]);
            self.chunks.add(&self.pending[start..start + len], sink);
            start += len;
        }
        if start >= before {
            self.pending.clear();
            return &bytes[start - before..];
        }
        // Fewer bytes than a chunk may need are left, so all of `bytes` was taken.
        self.pending.drain(..start);
        &bytes[taken..]
    }
}

/// As [`cdc::cut`]; zeros, which it would search in vain, are compared instead, and a first byte rules out most data.
fn first_chunk(bytes: &[u8]) -> usize {
    if bytes.starts_with(&ZEROS) { MAX_CHUNK_BYTES } else { cdc::cut(bytes) }
}

/// Cuts a whole file that is in memory.
pub fn chunks_of(bytes: &[u8], sink: &mut impl FnMut(Digest, &[u8])) -> Content {
    if bytes.is_empty() || bytes.len() as u64 > WHOLE_FILE_CHUNK_BYTES {
        let mut chunker = Chunker::new();
        chunker.push(bytes, sink);
        return chunker.finish(sink);
    }
    let mut chunks = ChunkRefs::default();
    chunks.add(bytes, sink);
    Content { size: bytes.len() as u64, listed: false, chunks: chunks.run.into() }
}

/// The chunks of one file so far: in line up to a bound, in chunk lists beyond it.
#[derive(Debug, Default)]
struct ChunkRefs {
    /// Chunks that are in no list yet: all of them while `lists` is empty.
    run: Vec<ChunkRef>,
    /// Lists that were written out.
    lists: Vec<ChunkRef>,
    /// The chunk that the sink was given last.
    given: Option<Digest>,
    /// Whether the file has too many chunks to stand in line.
    listed: bool,
}

impl ChunkRefs {
    fn add(&mut self, chunk: &[u8], sink: &mut impl FnMut(Digest, &[u8])) {
        // Comparing is several times as fast as hashing, and a first byte rules out most chunks.
        let zeros = chunk.len() == MAX_CHUNK_BYTES && chunk == ZEROS;
        let digest = if zeros { *ZEROS_DIGEST } else { Digest::of(chunk) };
        self.add_named(digest, chunk, sink);
    }

    /// Adds the largest chunk of zeros `count` times. Lists of nothing else are all the same, so the first of them
    /// stands for the others: a hole of a TiB is a thousand references, not four million.
    fn add_zeros(&mut self, mut count: u64, sink: &mut impl FnMut(Digest, &[u8])) {
        let (list, list_chunks) = *ZEROS_LIST;
        while count > 0 {
            if count >= list_chunks && self.run.is_empty() && self.lists.last() == Some(&list) {
                let lists = count / list_chunks;
                self.lists.extend((0..lists).map(|_| list));
                count -= lists * list_chunks;
            } else {
                self.add_named(*ZEROS_DIGEST, &ZEROS, sink);
                count -= 1;
            }
        }
    }

    fn add_named(&mut self, digest: Digest, chunk: &[u8], sink: &mut impl FnMut(Digest, &[u8])) {
        if self.given.replace(digest) != Some(digest) {
            sink(digest, chunk);
        }
        self.run.push(ChunkRef { digest, len: chunk.len() as u32 });
        if self.listed {
            self.write_list_if_ended(sink);
        } else if self.run.len() > MAX_INLINE_CHUNKS {
            // The lists are cut as if they had been from the start: a list may not depend on the file's size.
            self.listed = true;
            for chunk in std::mem::take(&mut self.run) {
                self.run.push(chunk);
                self.write_list_if_ended(sink);
            }
        }
    }

    fn write_list_if_ended(&mut self, sink: &mut impl FnMut(Digest, &[u8])) {
        if self.run.last().is_some_and(|last| chunk_list::ends_after(&last.digest, self.run.len())) {
            self.write_list(sink);
        }
    }

    fn write_list(&mut self, sink: &mut impl FnMut(Digest, &[u8])) {
        let bytes = chunk_list::encode(&self.run);
        let list = ChunkRef { digest: Digest::of(&bytes), len: bytes.len() as u32 };
        if self.lists.last() != Some(&list) {
            sink(list.digest, &bytes);
        }
        self.lists.push(list);
        self.run.clear();
    }

    fn finish(mut self, sink: &mut impl FnMut(Digest, &[u8])) -> (bool, Box<[ChunkRef]>) {
        if !self.listed {
            return (false, self.run.into());
        }
        if !self.run.is_empty() {
            self.write_list(sink);
        }
        (true, self.lists.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

    use crate::model::limits::{AVERAGE_CHUNK_BYTES, MIN_CHUNK_BYTES};

    use super::*;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        let mut bytes = vec![0; len];
        reader.fill(&mut bytes);
        bytes
    }

    /// What the sink was given, and the content.
    fn pushed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<ChunkRef>, Content) {
        let mut given = Vec::new();
        let mut sink = |digest, bytes: &[u8]| {
            assert_eq!(Digest::of(bytes), digest);
            given.push(ChunkRef { digest, len: bytes.len() as u32 });
        };
        let mut chunker = Chunker::new();
        pieces.into_iter().for_each(|piece| chunker.push(piece, &mut sink));
        let content = chunker.finish(&mut sink);
        (given, content)
    }

    #[test]
    fn nothing_has_no_chunks_and_a_small_file_has_one() {
        assert_eq!(pushed([]).1, Content::default());
        for len in [1, MIN_CHUNK_BYTES, MIN_CHUNK_BYTES + 1, WHOLE_FILE_CHUNK_BYTES as usize] {
            let bytes = noise(1, len);
            let (given, content) = pushed([&bytes[..]]);
            assert_eq!(given, [ChunkRef { digest: Digest::of(&bytes), len: len as u32 }]);
            assert_eq!(content, Content { size: len as u64, listed: false, chunks: given.into() });
        }
    }

    #[test]
    fn a_file_of_one_byte_more_is_cut_by_content() {
        let bytes = noise(2, WHOLE_FILE_CHUNK_BYTES as usize + 1);
        let (_, content) = pushed([&bytes[..]]);
        assert_eq!(content.chunks[0].len as usize, cdc::cut(&bytes));
    }

    #[test]
    fn chunks_put_together_are_the_file() {
        let bytes = noise(3, 40 * AVERAGE_CHUNK_BYTES + 17);
        let mut together = Vec::new();
        let content = chunks_of(&bytes, &mut |_, chunk| together.extend_from_slice(chunk));
        assert_eq!(together, bytes);
        assert_eq!(content.size, bytes.len() as u64);
        assert_eq!(content.chunks.iter().map(|chunk| u64::from(chunk.len)).sum::<u64>(), content.size);
    }

    #[test]
    fn one_chunker_serves_file_after_file() {
        let (mut chunker, mut sink) = (Chunker::new(), |_: Digest, _: &[u8]| {});
        chunker.push(&noise(4, 300_000), &mut sink);
        chunker.abandon();
        for seed in 5..8 {
            let bytes = noise(seed, 500_000);
            chunker.push(&bytes, &mut sink);
            assert_eq!(chunker.finish(&mut sink), pushed([&bytes[..]]).1);
        }
    }

    #[test]
    fn a_large_file_stands_in_lists_of_which_an_edit_moves_one() {
        let file = |markers: &[u64]| {
            let (mut written, mut listed) = (Vec::new(), Vec::new());
            let mut sink = |_: Digest, bytes: &[u8]| match chunk_list::decode(bytes) {
                Ok(list) => listed.extend(list),
                Err(_) => written.push(ChunkRef { digest: Digest::of(bytes), len: bytes.len() as u32 }),
            };
            let mut chunks = ChunkRefs::default();
            markers.iter().for_each(|marker| chunks.add(&marker.to_le_bytes(), &mut sink));
            let (is_listed, lists) = chunks.finish(&mut sink);
            assert!(is_listed && written == listed);
            lists
        };
        let markers: Vec<u64> = (0..9000).collect();
        let mut edited = markers.clone();
        edited[5] = 9999;
        let (before, after) = (file(&markers), file(&edited));
        assert!(before.len() > 3);
        let moved = after.iter().filter(|list| !before.contains(list)).count();
        assert_eq!(moved, 1, "of {} lists", before.len());
    }

    /// Proves that a hole of 8 TiB, as a hostile tar may claim, costs a few thousand steps, and says the same as one
    /// that is put together chunk by chunk.
    #[test]
    fn a_huge_hole_is_cut_as_its_chunks_would_be() {
        let (mut given, mut sink_bytes) = (0, 0);
        let mut chunker = Chunker::new();
        chunker.push(&noise(9, 300_000), &mut |_: Digest, _: &[u8]| {});
        let mut sink = |_: Digest, bytes: &[u8]| {
            given += 1;
            sink_bytes += bytes.len();
        };
        chunker.push_zeros(8 << 40, &mut sink);
        let content = chunker.finish(&mut sink);
        assert!(given < 20 && sink_bytes < 4 << 20, "{given} calls, {sink_bytes} bytes");
        assert_eq!(content.size, (8 << 40) + 300_000);

        let counted = |lists: u64| {
            let (mut in_one, mut one_by_one) = (ChunkRefs::default(), ChunkRefs::default());
            let (mut first, mut second) = (Vec::new(), Vec::new());
            in_one.add(b"head", &mut |digest, _: &[u8]| first.push(digest));
            one_by_one.add(b"head", &mut |digest, _: &[u8]| second.push(digest));
            let zeros = lists * ZEROS_LIST.1 + 7;
            in_one.add_zeros(zeros, &mut |digest, _: &[u8]| first.push(digest));
            (0..zeros).for_each(|_| one_by_one.add_zeros(1, &mut |digest, _: &[u8]| second.push(digest)));
            let whole = (in_one.finish(&mut |digest, _: &[u8]| first.push(digest)), first);
            assert_eq!(whole, (one_by_one.finish(&mut |digest, _: &[u8]| second.push(digest)), second));
        };
        (0..5).for_each(counted);
    }

    #[test]
    fn the_longest_file_in_line_is_not_listed() {
        let mut sink = |_: Digest, _: &[u8]| {};
        let mut chunker = Chunker::new();
        chunker.push_zeros((MAX_INLINE_CHUNKS * MAX_CHUNK_BYTES) as u64, &mut sink);
        let in_line = chunker.finish(&mut sink);
        assert!(!in_line.listed && in_line.chunks.len() == MAX_INLINE_CHUNKS);
        chunker.push_zeros((MAX_INLINE_CHUNKS * MAX_CHUNK_BYTES) as u64 + 1, &mut sink);
        let listed = chunker.finish(&mut sink);
        assert!(listed.listed && listed.chunks.len() == 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn pieces_do_not_matter(seed: u64, len in 0..5 * MAX_CHUNK_BYTES, steps in proptest::collection::vec(1..700_000usize, 1..9)) {
            let bytes = noise(seed, len);
            let (mut pieces, mut rest, mut steps) = (Vec::new(), &bytes[..], steps.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(*steps.next().unwrap_or(&1)));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(pushed(pieces), pushed([&bytes[..]]));
        }

        #[test]
        fn a_hole_is_the_same_as_its_zeros(seed: u64, before in 0..400_000usize, hole in 0..1_500_000u64, after in 0..400_000usize) {
            let (head, tail) = (noise(seed, before), noise(!seed, after));
            let whole = [&head[..], &vec![0; hole as usize], &tail].concat();
            let mut given = Vec::new();
            let mut sink = |digest, bytes: &[u8]| given.push(ChunkRef { digest, len: bytes.len() as u32 });
            let mut chunker = Chunker::new();
            chunker.push(&head, &mut sink);
            chunker.push_zeros(hole, &mut sink);
            chunker.push(&tail, &mut sink);
            let content = chunker.finish(&mut sink);
            prop_assert_eq!((given, content), pushed([&whole[..]]));
        }
    }
}
