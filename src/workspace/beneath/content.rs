//! Bytes of a file with holes: writing them so that zeros stay unallocated, finding where data is.
//! Not which bytes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// The block size of ext4, xfs, btrfs and tmpfs on machines with 4 KiB pages: what a hole is made of.
const BLOCK_BYTES: usize = 4 << 10;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Writes `bytes` at `offset` of a file that reads as zero there; pieces between multiples of 4 KiB of the file
/// that are all zeros stay unwritten, and so stay holes. Returns where the last written byte ends (`offset` if
/// none was): the caller sets the size with `ftruncate`, before or after.
pub fn write_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<u64> {
    let mut end = offset;
    let mut position = 0;
    let mut data_start = None;
    while position < bytes.len() {
        let at = offset + position as u64;
        // What is left of the block that `at` lies in.
        let piece_len = (BLOCK_BYTES - (at % BLOCK_BYTES as u64) as usize).min(bytes.len() - position);
        let piece = &bytes[position..position + piece_len];
        if piece == &ZEROS[..piece_len] {
            if let Some(start) = data_start.take() {
                end = write_run(file, offset, &bytes[..position], start)?;
            }
        } else {
            data_start.get_or_insert(position);
        }
        position += piece_len;
    }
    match data_start {
        Some(start) => write_run(file, offset, bytes, start),
        None => Ok(end),
    }
}

/// Where a file of `size` bytes has data, in order; everything where the file system cannot say.
pub fn data_ranges(file: &File, size: u64) -> io::Result<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    let mut position = 0;
    while position < size {
        let start = match rustix::fs::seek(file, SeekFrom::Data(position)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(std::iter::once(0..size).collect()),
            Err(error) => return Err(error.into()),
        };
        // A file that shrinks meanwhile ends the search, as a hole would.
        let end = match rustix::fs::seek(file, SeekFrom::Hole(start)) {
            Err(Errno::NXIO) => break,
            result => result?.min(size),
        };
        if start >= end {
            break;
        }
        ranges.push(start..end);
        position = end;
    }
    Ok(ranges)
}

fn write_run(file: &File, offset: u64, bytes: &[u8], start: usize) -> io::Result<u64> {
    file.write_all_at(&bytes[start..], offset + start as u64)?;
    Ok(offset + bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn zeros_stay_holes_and_read_back() {
        let file = tempfile::tempfile().unwrap();
        let mut bytes = vec![0u8; 1 << 20];
        bytes[100_000] = 7;
        bytes[600_000..610_000].fill(9);
        file.set_len(bytes.len() as u64).unwrap();
        // Written in pieces that are not aligned, as chunks are.
        for (index, piece) in bytes.chunks(70_001).enumerate() {
            write_at(&file, index as u64 * 70_001, piece).unwrap();
        }
        let mut back = vec![1; bytes.len()];
        file.read_exact_at(&mut back, 0).unwrap();
        assert!(back == bytes);
        let blocks = file.metadata().unwrap().blocks();
        assert!(blocks <= 8 * (1 + 4), "{blocks} blocks of 512 bytes");
        let ranges = data_ranges(&file, bytes.len() as u64).unwrap();
        assert_eq!(ranges.len(), 2);
        assert!(ranges[0].contains(&100_000) && ranges[1].contains(&605_000));
    }

    #[test]
    fn dense_files_are_one_range_and_empty_ones_none() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(write_at(&file, 0, &[5; 10_000]).unwrap(), 10_000);
        let ranges = data_ranges(&file, 10_000).unwrap();
        assert!(ranges.len() == 1 && ranges[0] == (0..10_000));
        assert_eq!(data_ranges(&tempfile::tempfile().unwrap(), 0).unwrap(), []);
    }
}
