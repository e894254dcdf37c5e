//! One artifact into a folder: written beside, verified, and only then under its name. Finds nothing.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use aws_lc_rs::digest::{Context, SHA256};
use crossbeam_channel::{Receiver, bounded};

use crate::model::progress::Progress;
use crate::model::{Digest, EntryPath, Sha256};
use crate::protocol::artifact::ArtifactInfo;
use crate::transfer::BlobError;
use crate::transfer::get_blob::BlobSource;
use crate::workspace::beneath::{BeneathError, Directory, Folder, stat_of};
use crate::workspace::stat::FileType;

/// Bytes of one read; a larger file is read by several threads.
pub(super) const PIECE_BYTES: u64 = 4 << 20;
/// Threads that read one large file; each has a piece at hand and a piece under way.
const READERS: u64 = 4;
/// Permission bits that an artifact may bring: no set-id, no sticky.
const MODES: u32 = 0o777;

/// Why one artifact is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// It could not be read.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// It could not be written.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
    /// It is not what it should be.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The run is to end.
    #[error("stopped")]
    Stopped,
}

/// Where an artifact's content is.
pub(super) enum Content<'a> {
    /// Here, not verified yet.
    Held(Vec<u8>),
    /// In its store.
    Elsewhere(&'a BlobSource<'a>),
}

/// How an artifact came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// It was written.
    Written,
    /// It was there already, byte for byte.
    Kept,
}

/// The folders that were made, or seen, on the way to `path`.
pub(super) fn make_folders(folder: &Folder, path: &EntryPath) -> Result<Arc<Directory>, BeneathError> {
    let Some(parent) = path.parent() else { return folder.directory(None) };
    match folder.directory(Some(&parent)) {
        Ok(found) => return Ok(found),
        Err(error) if !error.is_gone() => return Err(error),
        Err(_) => {}
    }
    make_folders(folder, &parent)?;
    match folder.create_dir(&parent, 0o777) {
        // Another thread was first.
        Err(BeneathError::At { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    folder.directory(Some(&parent))
}

/// Whether a file of that content is there already; its mode is then set.
pub(super) fn is_there(
    parent: &Directory,
    path: &EntryPath,
    artifact: &ArtifactInfo,
    progress: &Progress,
) -> bool {
    let same = || -> io::Result<bool> {
        let file = parent.open_file(path.file_name())?;
        let stat = stat_of(&file)?;
        if stat.file_type() != FileType::File || stat.size != artifact.len {
            return Ok(false);
        }
        let mut sum = Sum::of(artifact);
        let mut piece = vec![0; PIECE_BYTES.min(artifact.len) as usize];
        for range in pieces(artifact.len) {
            if progress.stop.is_stopped() {
                return Ok(false);
            }
            let piece = &mut piece[..(range.end - range.start) as usize];
            file.read_exact_at(piece, range.start)?;
            sum.update(piece);
        }
        let is_same = sum.check().is_ok();
        if is_same && let Some(mode) = artifact.mode.filter(|mode| mode & MODES != stat.permissions()) {
            file.set_permissions(std::fs::Permissions::from_mode(mode & MODES))?;
        }
        Ok(is_same)
    };
    same().unwrap_or(false)
}

/// Writes the artifact's content to `path`. What is held is written under the lock `queue`, which those who write to one folder share: the
/// system lets one at a time into a folder anyway, and has the others spin.
pub(super) fn fetch(
    parent: &Directory,
    path: &EntryPath,
    artifact: &ArtifactInfo,
    content: &Content<'_>,
    queue: &Mutex<()>,
    progress: &Progress,
) -> Result<(), FetchError> {
    let at =
        |action| move |source| FetchError::Beneath(BeneathError::At { action, path: path.clone(), source });
    let _turn = match content {
        Content::Held(bytes) => {
            let mut sum = Sum::of(artifact);
            sum.update(bytes);
            sum.check().map_err(FetchError::Damaged)?;
            note(progress, bytes);
            Some(queue.lock().unwrap_or_else(PoisonError::into_inner))
        }
        Content::Elsewhere(_) => None,
    };
    let unfinished = unfinished_name().map_err(at("name"))?;
    let file = parent.create_file(&unfinished, 0o666).map_err(at("create"))?;
    let written = match content {
        Content::Held(bytes) => file.write_all_at(bytes, 0).map_err(at("write")),
        Content::Elsewhere(source) => write_large(&file, path, artifact, source, progress),
    };
    let written = written
        .and_then(|()| match artifact.mode {
            Some(mode) => file
                .set_permissions(std::fs::Permissions::from_mode(mode & MODES))
                .map_err(at("set the mode of")),
            None => Ok(()),
        })
        .and_then(|()| parent.rename(&unfinished, parent, path.file_name()).map_err(at("rename to")));
    if written.is_err() {
        // Best effort: the name is random, and nothing takes it for the artifact.
        let _ = parent.remove_file(&unfinished);
    }
    written
}

/// Makes a symlink that says `target`, in place of what is there.
pub(super) fn link(parent: &Directory, path: &EntryPath, target: &str) -> Result<(), BeneathError> {
    let at = |action| move |source| BeneathError::At { action, path: path.clone(), source };
    let unfinished = unfinished_name().map_err(at("name"))?;
    parent.symlink(target.as_bytes(), &unfinished).map_err(at("create symlink"))?;
    let renamed = parent.rename(&unfinished, parent, path.file_name()).map_err(at("rename to"));
    if renamed.is_err() {
        let _ = parent.remove_file(&unfinished);
    }
    renamed
}

fn unfinished_name() -> io::Result<Vec<u8>> {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(format!(".pannier-{:016x}.part", u64::from_le_bytes(random)).into_bytes())
}

/// The content of an artifact that is no longer than a piece.
pub(super) fn read_small(
    artifact: &ArtifactInfo,
    source: &BlobSource<'_>,
    progress: &Progress,
) -> Result<Vec<u8>, FetchError> {
    if progress.stop.is_stopped() {
        return Err(FetchError::Stopped);
    }
    let mut bytes = Vec::new();
    source.read(0..artifact.len, &mut bytes)?;
    Ok(bytes)
}

fn note(progress: &Progress, bytes: &[u8]) {
    progress.done_bytes.add(bytes.len() as u64);
    progress.moved_bytes.add(bytes.len() as u64);
}

fn write_large(
    file: &File,
    path: &EntryPath,
    artifact: &ArtifactInfo,
    source: &BlobSource<'_>,
    progress: &Progress,
) -> Result<(), FetchError> {
    let keep = |range: &Range<u64>, mut bytes: Vec<u8>| -> Result<Vec<u8>, FetchError> {
        if progress.stop.is_stopped() {
            return Err(FetchError::Stopped);
        }
        source.read(range.clone(), &mut bytes)?;
        file.write_all_at(&bytes, range.start).map_err(|source| {
            FetchError::Beneath(BeneathError::At { action: "write", path: path.clone(), source })
        })?;
        note(progress, &bytes);
        Ok(bytes)
    };
    let mut sum = Sum::of(artifact);
    in_order(artifact.len, &keep, |bytes| sum.update(bytes))?;
    sum.check().map_err(FetchError::Damaged)
}

/// Has `keep` read and write every piece, by several threads, and shows them to `each` in order.
fn in_order(
    len: u64,
    keep: &(impl Fn(&Range<u64>, Vec<u8>) -> Result<Vec<u8>, FetchError> + Sync),
    mut each: impl FnMut(&[u8]),
) -> Result<(), FetchError> {
    // Pieces that were shown, to be filled again: fresh memory costs a page fault for every page.
    let (shown, spare) = bounded::<Vec<u8>>(2 * READERS as usize);
    thread::scope(|scope| {
        // Reader `n` has every `READERS`th piece from `n` on, and waits when one of them was not taken yet.
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                let (sender, receiver) = bounded::<Result<Vec<u8>, FetchError>>(1);
                let spare: Receiver<Vec<u8>> = spare.clone();
                scope.spawn(move || {
                    for range in pieces(len).skip(reader as usize).step_by(READERS as usize) {
                        let kept = keep(&range, spare.try_recv().unwrap_or_default());
                        let is_last = kept.is_err();
                        if sender.send(kept).is_err() || is_last {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        for (_, receiver) in pieces(len).zip(readers.iter().cycle()) {
            let piece = receiver.recv().map_err(|_| FetchError::Stopped)??;
            each(&piece);
            // There is room for all that are about.
            let _ = shown.try_send(piece);
        }
        Ok(())
    })
}

fn pieces(len: u64) -> impl Iterator<Item = Range<u64>> {
    (0..len.div_ceil(PIECE_BYTES)).map(move |at| at * PIECE_BYTES..len.min((at + 1) * PIECE_BYTES))
}

/// The sum that is compared. BLAKE3 where it is known, which is the faster one; otherwise SHA-256, which every artifact has. A
/// second one would show no more.
enum Sum {
    Blake3(Box<blake3::Hasher>, Digest),
    Sha256(Context, Sha256),
}

impl Sum {
    fn of(artifact: &ArtifactInfo) -> Self {
        match artifact.blake3 {
            Some(told) => Self::Blake3(Box::default(), told),
            None => Self::Sha256(Context::new(&SHA256), artifact.sha256),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher, _) => drop(hasher.update(bytes)),
            Self::Sha256(context, _) => context.update(bytes),
        }
    }

    /// What differs, if it does.
    fn check(self) -> Result<(), String> {
        match self {
            Self::Blake3(hasher, told) if hasher.finalize().as_bytes() != told.as_bytes() => {
                Err(format!("its BLAKE3 is not {told}"))
            }
            Self::Sha256(context, told) if context.clone().finish().as_ref() != told.0 => {
                Err(format!("its SHA-256 is not {told}"))
            }
            _ => Ok(()),
        }
    }
}
