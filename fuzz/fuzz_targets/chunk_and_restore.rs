//! Files in any pieces through chunker, frames and packs: what comes out is what went in, and how it was pushed does
//! not show.
//!
//! Input: operations of four bytes (what, two of length, a value) and, for literal bytes, the bytes themselves.
#![no_main]

use std::collections::HashMap;
use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use pannier::chunk::{Chunker, chunker};
use pannier::model::manifest::chunk_list;
use pannier::model::{ChunkRef, Content, Digest};
use pannier::pack::{Builder, FrameBuilder, FrameDecoder, FrameEncoder, PlainFrame, frame, reader};

/// What one run handles at most; a file of one byte more than this is not interesting either.
const TOTAL_BYTES: usize = 2 << 20;

/// How a part of a file is made and handed over.
enum Part {
    Bytes(Vec<u8>),
    Zeros(u64),
    EndOfFile,
    Abandon,
}

fuzz_target!(|input: &[u8]| {
    let Some((&level, input)) = input.split_first() else { return };
    let level = i32::from(level % 8) - 1;
    let (mut stored, mut files) = (Stored::new(level), Vec::new());
    let mut in_pieces = Chunker::new();
    let (mut plain, mut given) = (Vec::new(), Vec::new());
    for part in parts(input).into_iter().chain([Part::EndOfFile]) {
        let mut sink = |digest: Digest, bytes: &[u8]| given.push((digest, bytes.to_vec()));
        match part {
            Part::Bytes(bytes) => {
                in_pieces.push(&bytes, &mut sink);
                plain.extend_from_slice(&bytes);
            }
            Part::Zeros(len) => {
                in_pieces.push_zeros(len, &mut sink);
                plain.resize(plain.len() + len as usize, 0);
            }
            Part::Abandon => {
                in_pieces.abandon();
                plain.clear();
                given.clear();
            }
            Part::EndOfFile => {
                let content = in_pieces.finish(&mut sink);
                check_one_push(&plain, &content, &given);
                given.drain(..).for_each(|(digest, bytes)| stored.take(digest, &bytes));
                files.push((content, std::mem::take(&mut plain)));
            }
        }
    }
    let chunks = stored.read_back();
    for (content, plain) in &files {
        assert!(joined(&chunks, content) == *plain, "a file that is not what was pushed");
    }
});

fn parts(mut input: &[u8]) -> Vec<Part> {
    let (mut parts, mut total, mut last) = (Vec::new(), 0, Vec::new());
    while let [what, low, high, value, rest @ ..] = input {
        input = rest;
        let number = usize::from(u16::from_le_bytes([*low, *high]));
        let len = (number * (1 << (what >> 4))).min(TOTAL_BYTES - total);
        let bytes = match what & 7 {
            0 => {
                let (literal, rest) = input.split_at(len.min(input.len()));
                input = rest;
                literal.to_vec()
            }
            1 => vec![*value; len],
            2 => noise(*value, len),
            // The same again, so that chunks repeat, within a file and between files.
            3 => last.clone().into_iter().take(TOTAL_BYTES - total).collect(),
            4 => {
                total += len;
                parts.push(Part::Zeros(len as u64));
                continue;
            }
            5 => {
                parts.push(Part::Abandon);
                continue;
            }
            _ => {
                parts.push(Part::EndOfFile);
                continue;
            }
        };
        total += bytes.len();
        last.clone_from(&bytes);
        parts.push(Part::Bytes(bytes));
    }
    parts
}

fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ u64::from(seed);
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

/// One push of the whole file, and the way for files in memory, give the same content and the same chunks in order.
fn check_one_push(plain: &[u8], content: &Content, given: &[(Digest, Vec<u8>)]) {
    assert!(given.iter().all(|(digest, bytes)| *digest == Digest::of(bytes)), "a chunk under a wrong name");
    let mut whole = Vec::new();
    let mut sink = |digest: Digest, bytes: &[u8]| whole.push((digest, bytes.to_vec()));
    let mut one = Chunker::new();
    one.push(plain, &mut sink);
    assert_eq!(one.finish(&mut sink), *content, "pieces that show in the content");
    assert!(whole == given, "pieces that show in the chunks");
    whole.clear();
    let mut sink = |digest: Digest, bytes: &[u8]| whole.push((digest, bytes.to_vec()));
    assert_eq!(chunker::chunks_of(plain, &mut sink), *content, "a file in memory is cut otherwise");
    assert!(whole == given, "a file in memory gives other chunks");
}

/// Chunks on their way into a pack.
struct Stored {
    level: i32,
    known: HashMap<Digest, ()>,
    frames: FrameBuilder,
    encoder: FrameEncoder,
    pack: Builder,
}

impl Stored {
    fn new(level: i32) -> Self {
        let (frames, encoder, pack) = (FrameBuilder::new(), FrameEncoder::new(), Builder::new());
        Self { level, known: HashMap::new(), frames, encoder, pack }
    }

    fn take(&mut self, digest: Digest, bytes: &[u8]) {
        if self.known.insert(digest, ()).is_none()
            && let Some(full) = self.frames.push(digest, bytes)
        {
            self.close(&full);
        }
    }

    fn close(&mut self, plain: &PlainFrame) {
        let (codec, stored) = self.encoder.encode(&plain.bytes, self.level);
        assert!(stored.len() <= plain.bytes.len(), "a frame that grew");
        self.pack.push_frame(codec, stored, &plain.chunks);
    }

    /// Finishes the pack, and reads every chunk of it.
    fn read_back(mut self) -> HashMap<Digest, Vec<u8>> {
        if let Some(last) = self.frames.take() {
            self.close(&last);
        }
        let finished = self.pack.finish();
        let bytes = finished.parts.concat();
        assert_eq!(bytes.len() as u64, finished.len);
        let verified = reader::verify(&mut Cursor::new(&bytes)).expect("our own pack is one");
        assert!(verified.damaged.is_empty(), "{:?}", verified.damaged);
        assert_eq!(verified.footer, finished.footer);
        let (mut decoder, mut plain, mut found) = (FrameDecoder::new(), Vec::new(), HashMap::new());
        for stored in &verified.footer.frames {
            let range = stored.stored_range();
            let chunks = &verified.footer.chunks[stored.chunks.clone()];
            let stored_bytes = &bytes[range.start as usize..range.end as usize];
            decoder.decode(stored, stored_bytes, chunks, &mut plain).expect("our own frame is one");
            found.extend(frame::slices(chunks, &plain).map(|(chunk, bytes)| (chunk.digest, bytes.to_vec())));
        }
        assert_eq!(found.len(), self.known.len(), "chunks that are missing");
        found
    }
}

fn joined(chunks: &HashMap<Digest, Vec<u8>>, content: &Content) -> Vec<u8> {
    let bytes_of = |refs: &[ChunkRef]| refs.iter().flat_map(|chunk| chunks[&chunk.digest].clone()).collect();
    if !content.listed {
        return bytes_of(&content.chunks);
    }
    let lists = content.chunks.iter().map(|list| chunk_list::decode(&chunks[&list.digest]));
    lists.flat_map(|list| bytes_of(&list.expect("our own list is one"))).collect()
}
