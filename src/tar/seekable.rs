//! The zstd seekable format (zstd's `contrib/seekable_format/zstd_seekable_compression_format.md`, version 0.1.0):
//! independent frames, then a table of their sizes in a skippable frame. Any zstd reads it. Not a reader.

use std::io::{self, Write};

use rayon::prelude::*;

/// Plaintext of a frame, but for the last.
const FRAME_BYTES: usize = 4 << 20;
/// Fixed, so that one zstd release gives the same bytes everywhere.
const LEVEL: i32 = 3;
/// Frames held at a time at most: 32 MiB of plaintext, and as much again compressed.
const MAX_BATCH_FRAMES: usize = 8;
/// `ZSTD_seekTableFooter`'s magic number.
const TABLE_MAGIC: u32 = 0x8F92_EAB1;
/// The skippable frame that the format has chosen for its table.
const SKIPPABLE_MAGIC: u32 = 0x184D_2A5E;

/// Compresses what is written to it, on rayon's threads. The bytes do not depend on how many there are, nor on
/// how writes are cut; they may differ from one zstd release to another.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    plain: Vec<u8>,
    batch_bytes: usize,
    /// Compressed and plain bytes of each frame, as the table has them.
    frames: Vec<(u32, u32)>,
}

impl<W: Write> Writer<W> {
    /// Starts a file.
    pub fn new(out: W) -> Self {
        let batch_bytes = rayon::current_num_threads().clamp(1, MAX_BATCH_FRAMES) * FRAME_BYTES;
        Self { out, plain: Vec::new(), batch_bytes, frames: Vec::new() }
    }

    /// Writes what is held and the table, and gives the output back, flushed.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_frames()?;
        let count = u32_of(self.frames.len())?;
        let mut table = Vec::with_capacity(17 + 8 * self.frames.len());
        table.extend_from_slice(&SKIPPABLE_MAGIC.to_le_bytes());
        table.extend_from_slice(&u32_of(self.frames.len() * 8 + 9)?.to_le_bytes());
        for (compressed, plain) in &self.frames {
            table.extend_from_slice(&compressed.to_le_bytes());
            table.extend_from_slice(&plain.to_le_bytes());
        }
        table.extend_from_slice(&count.to_le_bytes());
        table.push(0); // no checksums in the table: each frame ends with its own
        table.extend_from_slice(&TABLE_MAGIC.to_le_bytes());
        self.out.write_all(&table)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write_frames(&mut self) -> io::Result<()> {
        let frames: Vec<(Vec<u8>, usize)> = self
            .plain
            .par_chunks(FRAME_BYTES)
            .map(|plain| Ok((compressed(plain)?, plain.len())))
            .collect::<io::Result<_>>()?;
        for (frame, plain) in frames {
            self.out.write_all(&frame)?;
            self.frames.push((u32_of(frame.len())?, u32_of(plain)?));
        }
        self.plain.clear();
        Ok(())
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let taken = buf.len().min(self.batch_bytes - self.plain.len());
        self.plain.extend_from_slice(&buf[..taken]);
        if self.plain.len() == self.batch_bytes {
            self.write_frames()?;
        }
        Ok(taken)
    }

    /// Does not end a frame: where frames end is a function of the content alone.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn compressed(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    compressor.compress(plain)
}

fn u32_of(value: usize) -> io::Result<u32> {
    u32::try_from(value).map_err(|_| io::Error::other("too many frames for a zstd seek table"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(content: &[u8], pieces: usize, threads: usize) -> Vec<u8> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut writer = Writer::new(Vec::new());
            content.chunks(pieces).for_each(|piece| writer.write_all(piece).unwrap());
            writer.finish().unwrap()
        })
    }

    fn content(len: usize) -> Vec<u8> {
        (0..len as u64).map(|at| (at.wrapping_mul(at >> 7) >> 3) as u8).collect()
    }

    #[test]
    fn bytes_do_not_depend_on_threads_or_pieces() {
        let content = content(2 * FRAME_BYTES + 5);
        let one = written(&content, content.len(), 1);
        assert!(one == written(&content, 100_003, 3));
        assert_eq!(zstd::decode_all(&one[..]).unwrap(), content);
    }

    #[test]
    fn the_table_leads_to_each_frame() {
        let content = content(FRAME_BYTES + 1000);
        let bytes = written(&content, 1 << 20, 2);
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let end = bytes.len();
        assert_eq!((word(end - 4), bytes[end - 5], word(end - 9)), (TABLE_MAGIC, 0, 2));
        let table = end - 9 - 16;
        assert_eq!((word(table - 8), word(table - 4)), (SKIPPABLE_MAGIC, 25));
        let second = word(table) as usize;
        assert_eq!(word(table + 4) as usize, FRAME_BYTES);
        let frame = &bytes[second..second + word(table + 8) as usize];
        assert_eq!(zstd::decode_all(frame).unwrap(), &content[FRAME_BYTES..]);
    }

    #[test]
    fn nothing_is_a_table_of_nothing() {
        let bytes = written(b"", 1, 1);
        assert_eq!(bytes.len(), 17);
        assert!(crate::tar::is_zstd(&bytes));
    }
}
