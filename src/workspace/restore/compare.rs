//! Whether what stands in the target already is what an entry says. Reads; changes nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::metadata::{desired_mode, differing_xattrs};
use super::request::{Known, RestoreOptions};
use crate::model::{ChunkRef, Content, Digest, Entry, EntryKind};
use crate::workspace::beneath::Directory;
use crate::workspace::stat::{FileType, Stat};

/// Bytes read at once while hashing.
const BUFFER_BYTES: usize = 256 << 10;
/// Chunks that one thread hashes of one file: about 8 MiB.
const CHUNKS_PER_TASK: usize = 128;

/// Whether content (of a symlink: its target) is equal; `stat` is of `name`.
pub(super) fn is_equal(
    entry: &Entry,
    folder: &Directory,
    name: &[u8],
    stat: &Stat,
    known: &Known<'_>,
) -> io::Result<bool> {
    match (&entry.kind, stat.file_type()) {
        (EntryKind::File(content), FileType::File) => {
            if content.size != stat.size {
                return Ok(false);
            }
            match (known.content)(stat) {
                Some(found) => Ok(found == *content),
                None => is_content(content, folder, name, stat, known),
            }
        }
        (EntryKind::Symlink { target }, FileType::Symlink) => Ok(folder.read_link(name)? == *target),
        (EntryKind::Fifo, FileType::Fifo) => Ok(true),
        // Whether it is the right inode is decided once its target is.
        (EntryKind::HardLink { .. }, FileType::File | FileType::Symlink | FileType::Fifo) => Ok(true),
        _ => Ok(false),
    }
}

/// Whether mode, mtime, owner and attributes are what the entry and the options want.
pub(super) fn has_metadata(
    entry: &Entry,
    folder: &Directory,
    name: &[u8],
    stat: &Stat,
    options: &RestoreOptions,
) -> io::Result<bool> {
    let mode = stat.file_type() == FileType::Symlink || stat.permissions() == desired_mode(entry, options);
    let owner = entry.owner.filter(|_| options.owner);
    let owned = owner.is_none_or(|owner| (owner.uid, owner.gid) == (stat.uid, stat.gid));
    if !mode || !owned || stat.mtime != entry.mtime {
        return Ok(false);
    }
    Ok(!options.xattrs || differing_xattrs(entry, folder, name)?.is_none())
}

fn is_content(
    content: &Content,
    folder: &Directory,
    name: &[u8],
    stat: &Stat,
    known: &Known<'_>,
) -> io::Result<bool> {
    let chunks: Vec<ChunkRef>;
    let chunks = match content.listed {
        false => &*content.chunks,
        true => match (known.chunks)(content) {
            Some(expanded) => {
                chunks = expanded;
                &chunks
            }
            None => return Ok(false),
        },
    };
    let file = match folder.open_file(name) {
        Ok(file) => file,
        // What may not be read cannot be proved equal.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut offset = 0;
    let mut tasks = Vec::with_capacity(chunks.len().div_ceil(CHUNKS_PER_TASK));
    for task in chunks.chunks(CHUNKS_PER_TASK) {
        tasks.push((offset, task));
        offset += task.iter().map(|chunk| u64::from(chunk.len)).sum::<u64>();
    }
    if offset != content.size {
        return Ok(false);
    }
    let equal = match &*tasks {
        [(offset, chunks)] => have_digests(&file, *offset, chunks)?,
        _ => tasks
            .into_par_iter()
            .try_fold(
                || true,
                |equal, (offset, chunks)| Ok::<_, io::Error>(equal && have_digests(&file, offset, chunks)?),
            )
            .try_reduce(|| true, |a, b| Ok(a && b))?,
    };
    // A file that somebody writes to at this moment is replaced, not trusted.
    let after = crate::workspace::beneath::stat_of(&file)?;
    Ok(equal && (after.ino, after.ctime, after.size) == (stat.ino, stat.ctime, stat.size))
}

fn have_digests(file: &File, mut offset: u64, chunks: &[ChunkRef]) -> io::Result<bool> {
    let longest = chunks.iter().map(|chunk| chunk.len as usize).max().unwrap_or(0);
    let mut buffer = vec![0; longest.min(BUFFER_BYTES)];
    for chunk in chunks {
        let mut hasher = blake3::Hasher::new();
        let mut left = chunk.len as usize;
        while left > 0 {
            let len = left.min(buffer.len());
            match file.read_exact_at(&mut buffer[..len], offset) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                result => result?,
            }
            hasher.update(&buffer[..len]);
            offset += len as u64;
            left -= len;
        }
        if Digest::from_bytes(*hasher.finalize().as_bytes()) != chunk.digest {
            return Ok(false);
        }
    }
    Ok(true)
}
