//! Reads one file into chunks, and makes sure that what was read is one state of it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::chunk::Chunker;
use crate::chunk::chunker::chunks_of;
use crate::model::limits::WHOLE_FILE_CHUNK_BYTES;
use crate::model::progress::Progress;
use crate::model::{Content, Digest, EntryPath};
use crate::workspace::beneath::{BeneathError, Directory, Folder, data_ranges, stat_of};
use crate::workspace::stat::{FileType, Stat};
use crate::workspace::walk::Found;

/// How often a file that keeps changing is read before its last reading is taken as it is.
const ATTEMPTS: usize = 3;
/// Bytes read at a time: a read of this size costs little more than the copy.
const READ_BYTES: usize = 256 << 10;

/// What became of a file that was to be read.
#[derive(Debug)]
pub(super) enum ReadFile {
    /// One state of the file, with the stat that held before and after.
    Whole(Content, Stat),
    /// It changed during every attempt; this is the last reading.
    Changing(Content, Stat),
    /// It is gone, or no regular file any more.
    Vanished,
    /// It cannot be opened or read.
    Unreadable(String),
}

/// Reads `found`, giving each chunk to `emit`. An attempt that a change made worthless has emitted its chunks too.
pub(super) fn read_file(
    folders: &mut Folders<'_>,
    found: &Found,
    buffers: &mut Buffers,
    progress: &Progress,
    emit: &mut Emit<'_>,
) -> ReadFile {
    let mut before = found.stat;
    for attempt in 1..=ATTEMPTS {
        let file = match folders.open(&found.path) {
            Ok(file) => file,
            Err(error) if error.is_gone() => return ReadFile::Vanished,
            Err(error) => return ReadFile::Unreadable(error.to_string()),
        };
        let read =
            read_once(&file, &before, buffers, emit).and_then(|content| Ok((content, stat_of(&file)?)));
        match read {
            Ok((_, after)) if after.file_type() != FileType::File => return ReadFile::Vanished,
            Ok((content, after)) if after.is_same_state(&before) && after.size == content.size => {
                progress.done_bytes.add(content.size);
                return ReadFile::Whole(content, after);
            }
            Ok((content, after)) if attempt == ATTEMPTS => {
                progress.done_bytes.add(content.size);
                return ReadFile::Changing(content, after);
            }
            Ok((_, after)) => before = after,
            Err(error) => {
                buffers.chunker.abandon();
                return ReadFile::Unreadable(error.to_string());
            }
        }
    }
    ReadFile::Vanished
}

fn read_once(
    file: &File,
    stat: &Stat,
    buffers: &mut Buffers,
    mut emit: &mut Emit<'_>,
) -> io::Result<Content> {
    // A file without holes is one range, found without asking the file system.
    if stat.size <= WHOLE_FILE_CHUNK_BYTES
        && let Some(content) = read_small(file, stat.size as usize, buffers, emit)?
    {
        return Ok(content);
    }
    let is_sparse = stat.blocks.saturating_mul(512) < stat.size;
    let ranges =
        if is_sparse { data_ranges(file, stat.size)? } else { std::iter::once(0..stat.size).collect() };
    let mut position = 0;
    for range in ranges {
        buffers.chunker.push_zeros(range.start.saturating_sub(position), &mut emit);
        position = read_range(file, range, buffers, emit)?;
    }
    let holes =
        if stat.blocks.saturating_mul(512) < stat.size { stat.size.saturating_sub(position) } else { 0 };
    buffers.chunker.push_zeros(holes, &mut emit);
    Ok(buffers.chunker.finish(&mut emit))
}

/// Reads a file that is one chunk, with one read; `None` if it does not have the size that it should.
fn read_small(
    file: &File,
    size: usize,
    buffers: &mut Buffers,
    mut emit: &mut Emit<'_>,
) -> io::Result<Option<Content>> {
    // One byte more than the file should have, so that the same read sees that it ends there.
    let buffer = &mut buffers.bytes[..size + 1];
    let read = loop {
        match file.read_at(buffer, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    Ok((read == size).then(|| chunks_of(&buffer[..size], &mut emit)))
}

/// Reads up to the end of `range` or of the file; answers where it stopped.
fn read_range(
    file: &File,
    range: Range<u64>,
    buffers: &mut Buffers,
    mut emit: &mut Emit<'_>,
) -> io::Result<u64> {
    let mut position = range.start;
    while position < range.end {
        let want = usize::try_from(range.end - position).map_or(READ_BYTES, |left| left.min(READ_BYTES));
        let buffer = &mut buffers.bytes[..want];
        match file.read_at(buffer, position) {
            Ok(0) => break,
            Ok(read) => {
                buffers.chunker.push(&buffer[..read], &mut emit);
                position += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(position)
}

/// What a worker keeps from file to file.
pub(super) struct Buffers {
    chunker: Chunker,
    bytes: Box<[u8]>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { chunker: Chunker::default(), bytes: vec![0; READ_BYTES].into() }
    }
}

/// Opens files beneath a folder, keeping the handle of the last one's parent: in path order most files stand beside
/// the one before, and this saves opening and closing their folder for each.
pub(super) struct Folders<'a> {
    top: &'a Folder,
    last: Option<(EntryPath, Arc<Directory>)>,
}

impl<'a> Folders<'a> {
    pub(super) const fn new(top: &'a Folder) -> Self {
        Self { top, last: None }
    }

    fn open(&mut self, path: &EntryPath) -> Result<File, BeneathError> {
        let at = |source| BeneathError::At { action: "open", path: path.clone(), source };
        let Some(parent) = path.parent() else {
            return self.top.top().open_unchecked(path.file_name()).map_err(at);
        };
        let folder = match &self.last {
            Some((last, folder)) if *last == parent => folder.clone(),
            _ => self.top.directory(Some(&parent))?,
        };
        let file = folder.open_unchecked(path.file_name()).map_err(at);
        self.last = Some((parent, folder));
        file
    }
}

/// Takes a chunk and its digest.
pub(super) type Emit<'a> = dyn FnMut(Digest, &[u8]) + 'a;
