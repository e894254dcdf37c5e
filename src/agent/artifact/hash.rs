//! Reads a file once for all its checksums, and makes sure that what was read is one state of it. Sends nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use crc_fast::CrcAlgorithm;
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::OFlags;

use crate::http::Bytes;
use crate::model::checksum::{Sha1, Sha256};
use crate::model::progress::Progress;
use crate::model::{Digest, Stop};
use crate::protocol::artifact::{MAX_PARTS, PART_BYTES};
use crate::workspace::beneath::stat_of;
use crate::workspace::stat::{FileType, Stat};

/// Bytes read at a time.
const PIECE_BYTES: usize = 256 << 10;
/// Files of at least this many bytes have their hashes computed side by side.
const WIDE_BYTES: u64 = 4 << 20;
/// How often a file that keeps changing is read.
const ATTEMPTS: usize = 3;

/// Everything that is told of a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    /// Bytes.
    pub(super) len: u64,
    /// SHA-1.
    pub(super) sha1: Sha1,
    /// SHA-256.
    pub(super) sha256: Sha256,
    /// BLAKE3-256.
    pub(super) blake3: Digest,
    /// CRC-32C of the whole.
    pub(super) crc32c: u32,
    /// CRC-32C of each part of [`part_bytes`].
    pub(super) parts: Vec<u32>,
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct Hashed {
    /// Its checksums.
    pub(super) sums: Sums,
    /// What held before and after it was read.
    pub(super) stat: Stat,
    /// Its content, if it was to be kept.
    pub(super) content: Option<Bytes>,
}

/// Bytes of each part but the last of a file of `len` bytes, if it goes up in parts.
pub(super) const fn part_bytes(len: u64) -> u64 {
    // As controllers cut: in whole mebibytes.
    let least = len.div_ceil(MAX_PARTS).next_multiple_of(1 << 20);
    if least > PART_BYTES { least } else { PART_BYTES }
}

/// Opens a file to read it, without waiting where it has become a fifo meanwhile.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits() as i32;
    Ok(fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?.into_file())
}

/// The checksums of nothing: of an artifact without content.
pub(super) fn sums_of_nothing() -> Sums {
    Running::new(0).finish()
}

/// Reads the file at `path`; again if it changes meanwhile. `keeps` says of a length whether the content is wanted too.
pub(super) fn hash(path: &Path, keeps: impl Fn(u64) -> bool, progress: &Progress) -> io::Result<Hashed> {
    for _ in 0..ATTEMPTS {
        let file = open(path)?;
        let before = stat_of(&file)?;
        if before.file_type() != FileType::File {
            return Err(io::Error::other("it is no regular file any more"));
        }
        let (sums, content) = read(&file, before.size, keeps(before.size), &progress.stop)?;
        let after = stat_of(&file)?;
        if after.is_same_state(&before) && sums.len == after.size {
            return Ok(Hashed { sums, stat: after, content });
        }
    }
    Err(io::Error::other("it changes while it is read"))
}

fn read(file: &File, len: u64, keep: bool, stop: &Stop) -> io::Result<(Sums, Option<Bytes>)> {
    let mut running = Running::new(len);
    if keep {
        // One byte more than it should have, so that the same read sees that it ends there.
        let mut bytes = vec![0; len as usize + 1];
        let read = read_full(file, &mut bytes, 0)?;
        bytes.truncate(read);
        running.update(&bytes);
        return Ok((running.finish(), Some(bytes.into())));
    }
    let mut piece = vec![0; PIECE_BYTES];
    let mut position = 0;
    loop {
        if stop.is_stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let read = read_full(file, &mut piece, position)?;
        running.update(&piece[..read]);
        position += read as u64;
        if read < PIECE_BYTES {
            return Ok((running.finish(), None));
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], at + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// All checksums of what was read so far.
struct Running {
    len: u64,
    sha1: Context,
    sha256: Context,
    blake3: blake3::Hasher,
    crc: Crcs,
    wide: bool,
}

impl Running {
    fn new(len: u64) -> Self {
        Self {
            len: 0,
            sha1: Context::new(&SHA1_FOR_LEGACY_USE_ONLY),
            sha256: Context::new(&SHA256),
            blake3: blake3::Hasher::new(),
            crc: Crcs::new(len),
            wide: len >= WIDE_BYTES,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        let Self { sha1, sha256, blake3, crc, wide, .. } = self;
        let mut rest = || {
            sha1.update(bytes);
            crc.update(bytes);
        };
        if *wide {
            let tree = || {
                blake3.update(bytes);
            };
            rayon::join(|| sha256.update(bytes), || rayon::join(rest, tree));
        } else {
            rest();
            sha256.update(bytes);
            blake3.update(bytes);
        }
    }

    fn finish(self) -> Sums {
        let (mut sha1, mut sha256) = (Sha1([0; 20]), Sha256([0; 32]));
        sha1.0.copy_from_slice(self.sha1.finish().as_ref());
        sha256.0.copy_from_slice(self.sha256.finish().as_ref());
        let (crc32c, parts) = self.crc.finish();
        let blake3 = Digest::from_bytes(*self.blake3.finalize().as_bytes());
        Sums { len: self.len, sha1, sha256, blake3, crc32c, parts }
    }
}

/// CRC-32C of the whole and of each of its parts.
struct Crcs {
    whole: crc_fast::Digest,
    part: crc_fast::Digest,
    /// Bytes of the open part, and of each.
    filled: u64,
    part_bytes: u64,
    parts: Vec<u32>,
}

impl Crcs {
    fn new(len: u64) -> Self {
        Self { whole: crc(), part: crc(), filled: 0, part_bytes: part_bytes(len), parts: Vec::new() }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        self.whole.update(bytes);
        while !bytes.is_empty() {
            let room = usize::try_from(self.part_bytes - self.filled).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.part.update(now);
            self.filled += now.len() as u64;
            bytes = later;
            if self.filled == self.part_bytes {
                self.end_part();
            }
        }
    }

    fn end_part(&mut self) {
        self.parts.push(std::mem::replace(&mut self.part, crc()).finalize() as u32);
        self.filled = 0;
    }

    fn finish(mut self) -> (u32, Vec<u32>) {
        if self.filled > 0 {
            self.end_part();
        }
        (self.whole.finalize() as u32, self.parts)
    }
}

fn crc() -> crc_fast::Digest {
    crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], keep: bool) -> Hashed {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, bytes).unwrap();
        hash(&path, |_| keep, &Progress::default()).unwrap()
    }

    #[test]
    fn the_sums_are_the_published_ones_however_they_are_read() {
        // RFC 3174 and FIPS 180-2 for `abc`; the check value of CRC-32/ISCSI in the catalogue of parametrised CRCs.
        let abc = of(b"abc", true);
        assert_eq!(abc.sums.sha1.to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(abc.sums.sha256.to_string().starts_with("ba7816bf8f01cfea414140de5dae2223"));
        assert_eq!(abc.content.as_deref(), Some(&b"abc"[..]));
        assert_eq!(of(b"123456789", false).sums.crc32c, 0xE306_9283);
        let large: Vec<u8> = (0..WIDE_BYTES as usize + 300_001).map(|at| ((at * at) >> 7) as u8).collect();
        let (wide, narrow) = (of(&large, false), {
            let mut running = Running::new(0);
            large.chunks(1000).for_each(|piece| running.update(piece));
            running.finish()
        });
        assert_eq!(wide.sums, narrow);
        assert_eq!(wide.sums.blake3, Digest::of(&large));
        assert_eq!(of(b"", false).sums, sums_of_nothing());
    }

    #[test]
    fn parts_have_sums_of_their_own() {
        let mut crcs = Crcs { part_bytes: 4, ..Crcs::new(0) };
        crcs.update(b"12");
        crcs.update(b"345678");
        crcs.update(b"9");
        let one = |bytes: &[u8]| {
            let mut sum = crc();
            sum.update(bytes);
            sum.finalize() as u32
        };
        assert_eq!(crcs.finish(), (one(b"123456789"), vec![one(b"1234"), one(b"5678"), one(b"9")]));
        assert_eq!(part_bytes(1), PART_BYTES);
        assert_eq!(part_bytes(PART_BYTES * MAX_PARTS + 1), PART_BYTES + (1 << 20));
    }

    #[test]
    fn what_is_no_file_any_more_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert!(hash(&fifo, |_| true, &Progress::default()).unwrap_err().to_string().contains("no regular"));
    }
}
