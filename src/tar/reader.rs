//! Any tar to entries and their content: v7, ustar, PAX, GNU. Not a decompressor, and not what is done with them.

use std::io::Read;

use crate::model::limits::MAX_FILE_BYTES;
use crate::model::{EntryPath, Owner, Timestamp, Xattr};
use crate::tar::blocks::Blocks;
use crate::tar::body::{Body, Piece, Segment};
use crate::tar::header::Header;
use crate::tar::metadata::{Metadata, Pending};
use crate::tar::records::Records;
use crate::tar::sparse::Map;
use crate::tar::{BLOCK_BYTES, TarError, entry_name};

/// Bytes of PAX records that one entry, or the archive as a whole, may have.
const MAX_RECORD_BYTES: u64 = 1 << 20;
/// Bytes of a GNU long name; longer than any path, so that the error can name it.
const MAX_LONG_NAME_BYTES: u64 = 64 << 10;

/// An entry of a tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarEntry {
    /// Where it stands, without `./` and the like.
    pub path: EntryPath,
    /// `mode & 0o7777`.
    pub mode: u32,
    /// When it last changed.
    pub mtime: Timestamp,
    /// Numeric owner; names are not read.
    pub owner: Owner,
    /// Extended attributes, sorted by name.
    pub xattrs: Box<[Xattr]>,
    /// What it is.
    pub kind: TarKind,
}

/// What an entry of a tar is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TarKind {
    /// A folder.
    Directory,
    /// A regular file; its content is next.
    File {
        /// Bytes, holes included; at most [`MAX_FILE_BYTES`].
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// 1 to 4,095 bytes without NUL.
        target: Box<[u8]>,
    },
    /// Another name of an earlier entry, if there is one of that name: the caller checks.
    HardLink {
        /// The earlier name.
        target: EntryPath,
    },
    /// A named pipe.
    Fifo,
    /// A device node, which no stash holds.
    Device,
}

/// Reads a tar. After an error it is of no more use. Wrap a file in a `BufReader`.
///
/// Memory is bounded, and time by the input's length: a hole is one piece, whatever its size.
pub struct Reader<R> {
    input: Blocks<R>,
    global: Records,
    body: Option<Body>,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Starts at the archive's first byte.
    pub fn new(input: R) -> Self {
        Self { input: Blocks::new(input), global: Records::default(), body: None, ended: false }
    }

    /// The input, as far as it was read; what follows the end marker is still in it.
    pub fn into_inner(self) -> R {
        self.input.into_inner()
    }

    /// The next entry, past what is left of the last one's content; `None` at the end. The workspace itself
    /// (`./`) is left out.
    pub fn next_entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        if let Some(body) = self.body.take() {
            body.skip_rest(&mut self.input)?;
        }
        let mut pending = Pending::default();
        while !self.ended {
            let Some(header) = self.header()? else {
                self.ended = true;
                if pending.any {
                    return Err(TarError::TruncatedHeader { offset: self.input.offset });
                }
                break;
            };
            if self.take_extension(&header, &mut pending)? {
                continue;
            }
            if let Some(entry) = self.entry(&header, &std::mem::take(&mut pending))? {
                return Ok(Some(entry));
            }
            if let Some(body) = self.body.take() {
                body.skip_rest(&mut self.input)?;
            }
        }
        Ok(None)
    }

    /// The next piece of the current entry's content, of which `buf` takes what bytes it has.
    pub fn read_piece(&mut self, buf: &mut [u8]) -> Result<Piece, TarError> {
        match &mut self.body {
            Some(body) => body.read(&mut self.input, buf),
            None => Ok(Piece::End),
        }
    }

    /// The next header; `None` at two zero blocks, or one, or none if the input ends there.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let offset = self.input.offset;
        let Some(block) = self.input.block()? else { return Ok(None) };
        if block != [0; BLOCK_BYTES] {
            return Header::new(block, offset).map(Some);
        }
        match self.input.block()? {
            Some(next) if next != [0; BLOCK_BYTES] => Err(TarError::LoneZeroBlock { offset }),
            _ => Ok(None),
        }
    }

    /// Reads a record that is about another entry or none; whether it was one.
    fn take_extension(&mut self, header: &Header, pending: &mut Pending) -> Result<bool, TarError> {
        let offset = header.offset;
        match header.typeflag() {
            b'x' | b'X' => {
                pending.record_bytes = pending.record_bytes.saturating_add(header.size()?);
                let body = self.bounded(header, pending.record_bytes, MAX_RECORD_BYTES)?;
                pending.records.parse(&body).map_err(|reason| header.record(reason))?;
            }
            b'g' => {
                let mut records = Records::default();
                let body = self.bounded(header, header.size()?, MAX_RECORD_BYTES)?;
                records.parse(&body).map_err(|reason| header.record(reason))?;
                self.global.override_with(records);
                if self.global.weight() as u64 > MAX_RECORD_BYTES {
                    return Err(header.record("too many bytes"));
                }
                return Ok(true);
            }
            b'L' => pending.long_path = Some(self.long_name(header)?),
            b'K' => pending.long_link = Some(self.long_name(header)?),
            // Volume labels; Solaris access lists and attributes: nothing that a stash holds.
            b'V' | b'A' | b'E' => {
                let size = header.size()?;
                let missing = self.input.skip(size)? + self.input.skip(crate::tar::blocks::padding(size))?;
                return if missing == 0 { Ok(true) } else { Err(TarError::TruncatedHeader { offset }) };
            }
            b'M' => return Err(TarError::Unsupported { offset, what: "a part of a multi-volume archive" }),
            b'N' => return Err(TarError::Unsupported { offset, what: "a list of names of an old GNU tar" }),
            _ => return Ok(false),
        }
        pending.any = true;
        Ok(true)
    }

    fn bounded(&mut self, header: &Header, total: u64, limit: u64) -> Result<Vec<u8>, TarError> {
        if total > limit {
            return Err(header.record("too many bytes"));
        }
        self.input.body(header.size()?, header.offset)
    }

    fn long_name(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        let mut name = self.bounded(header, header.size()?, MAX_LONG_NAME_BYTES)?;
        name.truncate(name.iter().position(|&b| b == 0).unwrap_or(name.len()));
        Ok(name)
    }

    /// The entry of `header`; `None` for the workspace itself.
    fn entry(&mut self, header: &Header, pending: &Pending) -> Result<Option<TarEntry>, TarError> {
        let metadata = Metadata { header, pending, global: &self.global };
        let raw_path = metadata.raw_path();
        let name_error = |source| TarError::Name { offset: header.offset, source };
        let folder = raw_path.ends_with(b"/");
        let Some(path) = entry_name::normalized(&raw_path).map_err(name_error)? else {
            return match header.typeflag() {
                b'5' | b'D' => self.workspace_itself(header).map(|()| None),
                b'0' | 0 if folder => self.workspace_itself(header).map(|()| None),
                _ => Err(name_error(crate::model::entry_path::EntryPathError::Empty)),
            };
        };
        let (mode, mtime, owner) = (header.mode()?, metadata.mtime()?, metadata.owner()?);
        let xattrs = metadata.xattrs(&path)?;
        let kind = match header.typeflag() {
            b'1' => TarKind::HardLink { target: metadata.hard_link_target(&path)? },
            b'2' => TarKind::Symlink { target: metadata.symlink_target(&path)? },
            b'3' | b'4' => TarKind::Device,
            // POSIX: the size of a folder is a hint and nothing follows.
            b'5' => TarKind::Directory,
            b'6' => TarKind::Fifo,
            typeflag => {
                let stored = metadata.stored()?;
                if typeflag == b'D' || folder {
                    self.body = Some(Body::skipped(path.clone(), stored));
                    TarKind::Directory
                } else {
                    TarKind::File { size: self.open(&path, header, pending, stored)? }
                }
            }
        };
        Ok(Some(TarEntry { path, mode, mtime, owner, xattrs, kind }))
    }

    /// A GNU incremental archive lists the workspace's names as the body of `./`.
    fn workspace_itself(&mut self, header: &Header) -> Result<(), TarError> {
        let size = if header.typeflag() == b'5' { 0 } else { header.size()? };
        match self.input.skip(size)? + self.input.skip(crate::tar::blocks::padding(size))? {
            0 => Ok(()),
            _ => Err(TarError::TruncatedHeader { offset: header.offset }),
        }
    }

    /// Makes the content of a file readable; returns its size.
    fn open(
        &mut self,
        path: &EntryPath,
        header: &Header,
        pending: &Pending,
        stored: u64,
    ) -> Result<u64, TarError> {
        let map = match header.typeflag() {
            b'S' => Some(Map::old_gnu(header, &mut self.input)?),
            _ => Map::pax(header, &pending.records, stored, &mut self.input)?,
        };
        let size = map.as_ref().map_or(stored, |map| map.size);
        if size > MAX_FILE_BYTES {
            return Err(TarError::FileSize { path: path.clone(), size });
        }
        let Some(map) = map else {
            let whole = vec![Segment { offset: 0, len: stored }];
            self.body = Some(Body::new(path.clone(), stored, whole, stored));
            return Ok(size);
        };
        // Segments ascend within the file's size, so that their sum cannot overflow.
        let data: u64 = map.segments.iter().map(|segment| segment.len).sum();
        if map.map_bytes.checked_add(data) != Some(stored) {
            let reason = "a sparse map that does not fit its size in the tar";
            return Err(TarError::Entry { path: path.clone(), reason });
        }
        self.body = Some(Body::new(path.clone(), size, map.segments, data));
        Ok(size)
    }
}
