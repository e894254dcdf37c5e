//! The maps of sparse files in their four spellings: GNU's old header, PAX 0.0, 0.1 and 1.0 (GNU tar manual,
//! "Storing Sparse Files"). Not the content.

use std::io::Read;

use crate::tar::blocks::Blocks;
use crate::tar::body::Segment;
use crate::tar::header::Header;
use crate::tar::records::Records;
use crate::tar::{BLOCK_BYTES, TarError, decimal, number};

/// Segments that a map may have: 16 MiB of memory.
const MAX_SEGMENTS: usize = 1 << 20;

/// A sparse file's map.
pub(super) struct Map {
    /// Bytes of the file with its holes.
    pub(super) size: u64,
    pub(super) segments: Vec<Segment>,
    /// Bytes of the map itself that stood before the data and count as stored.
    pub(super) map_bytes: u64,
}

impl Map {
    /// The map in a GNU header of type `S` and the blocks that continue it.
    pub(super) fn old_gnu<R: Read>(header: &Header, input: &mut Blocks<R>) -> Result<Self, TarError> {
        let gnu = header.gnu()?;
        let mut map =
            Self { size: header.length(&gnu.realsize, "real size")?, segments: Vec::new(), map_bytes: 0 };
        let first = gnu.sparse.iter().map(|s| (&s.offset[..], &s.numbytes[..]));
        let mut more = map.add_old(header, first)? && gnu.isextended[0] != 0;
        while more {
            let block = input.block()?.ok_or(TarError::TruncatedHeader { offset: header.offset })?;
            let (pairs, rest) = block.split_at(21 * 24);
            let pairs = pairs.chunks_exact(24).map(|pair| pair.split_at(12));
            more = map.add_old(header, pairs)? && rest[0] != 0;
        }
        Ok(map)
    }

    /// Adds pairs up to the first empty one; whether there was none.
    fn add_old<'a>(
        &mut self,
        header: &Header,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<bool, TarError> {
        for (offset, len) in pairs {
            if len[0] == 0 {
                return Ok(false);
            }
            let both = number::parse(offset).zip(number::parse(len));
            let both = both.and_then(|(o, l)| u64::try_from(o).ok().zip(u64::try_from(l).ok()));
            let (offset, len) = both.ok_or_else(|| header.bad("sparse map"))?;
            self.add(header, offset, len)?;
        }
        Ok(true)
    }

    /// The map that PAX `records` hold or announce, if they do. `stored` bounds a map in the content.
    pub(super) fn pax<R: Read>(
        header: &Header,
        records: &Records,
        stored: u64,
        input: &mut Blocks<R>,
    ) -> Result<Option<Self>, TarError> {
        let size = records.last(b"GNU.sparse.realsize").or_else(|| records.last(b"GNU.sparse.size"));
        let Some(size) = size else { return Ok(None) };
        let size = number_in(header, size)?;
        let mut map = Self { size, segments: Vec::new(), map_bytes: 0 };
        match records.last(b"GNU.sparse.major") {
            Some(b"1") => map.read_from_content(header, stored, input)?,
            Some(b"0") | None => map.read_from_records(header, records)?,
            Some(_) => return Err(header.record("an unknown version of a sparse map")),
        }
        Ok(Some(map))
    }

    fn read_from_records(&mut self, header: &Header, records: &Records) -> Result<(), TarError> {
        if let Some(text) = records.last(b"GNU.sparse.map") {
            let mut numbers = text.split(|&b| b == b',').filter(|n| !n.is_empty());
            while let Some(offset) = numbers.next() {
                let len = numbers.next().ok_or_else(|| header.record("half a pair in a sparse map"))?;
                self.add(header, number_in(header, offset)?, number_in(header, len)?)?;
            }
            return Ok(());
        }
        let mut offset = None;
        for (key, value) in records.iter() {
            match key {
                b"GNU.sparse.offset" => offset = Some(number_in(header, value)?),
                b"GNU.sparse.numbytes" => {
                    let offset = offset.take().ok_or_else(|| header.record("half a pair in a sparse map"))?;
                    self.add(header, offset, number_in(header, value)?)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Version 1.0: lines of decimals before the data (a count, then pairs), padded to a block.
    fn read_from_content<R: Read>(
        &mut self,
        header: &Header,
        stored: u64,
        input: &mut Blocks<R>,
    ) -> Result<(), TarError> {
        let mut block: Vec<u8> = Vec::new();
        let mut at = 0;
        let mut line = || -> Result<u64, TarError> {
            let mut digits = Vec::new();
            loop {
                if at == block.len() {
                    if self.map_bytes + BLOCK_BYTES as u64 > stored {
                        return Err(header.record("a sparse map longer than its entry"));
                    }
                    let next = input.block()?.ok_or(TarError::TruncatedHeader { offset: header.offset })?;
                    block = next.to_vec();
                    self.map_bytes += BLOCK_BYTES as u64;
                    at = 0;
                }
                let byte = block[at];
                at += 1;
                match byte {
                    b'\n' => return number_in(header, &digits),
                    _ if digits.len() < 20 => digits.push(byte),
                    _ => return Err(header.record("a bad number in a sparse map")),
                }
            }
        };
        let count = line()?;
        if count > MAX_SEGMENTS as u64 {
            return Err(header.record("too many segments in a sparse map"));
        }
        let mut pairs = Vec::new();
        for _ in 0..count {
            pairs.push((line()?, line()?));
        }
        pairs.into_iter().try_for_each(|(offset, len)| self.add(header, offset, len))
    }

    fn add(&mut self, header: &Header, offset: u64, len: u64) -> Result<(), TarError> {
        let start = self.segments.last().map_or(0, |last| last.offset + last.len);
        let end = offset.checked_add(len).filter(|&end| offset >= start && end <= self.size);
        if end.is_none() {
            return Err(header.record("a sparse map out of order or beyond the file's size"));
        }
        if self.segments.len() == MAX_SEGMENTS {
            return Err(header.record("too many segments in a sparse map"));
        }
        self.segments.push(Segment { offset, len });
        Ok(())
    }
}

fn number_in(header: &Header, text: &[u8]) -> Result<u64, TarError> {
    decimal::parse(text).ok_or_else(|| header.record("a bad number in a sparse map"))
}
