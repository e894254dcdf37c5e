//! `import`: any tar into a stash. The same content gives the same id as stashing the unpacked tree would.

use std::io::Read;

use crate::chunk::Chunker;
use crate::model::progress::Progress;
use crate::model::{Content, Entry, EntryKind};
use crate::protocol::{BuildId, Commit, Committed, Open, StashName};
use crate::tar::{self, Piece, TarEntry, TarKind};
use crate::transfer::Remote;

use super::bases::Bases;
use super::error::{AgentError, Problem};
use super::manifest::feed_manifest;
use super::members::Members;
use super::upload::{Feed, Journal, UploadOptions, UploadStats, upload};

/// Content is read from the tar in pieces of at most this size; a hole is one piece.
const PIECE_BYTES: usize = 256 << 10;

/// Where an imported tar goes.
#[derive(Debug)]
pub struct ImportRequest {
    /// The build that gets the stash.
    pub build: BuildId,
    /// Its name.
    pub name: StashName,
    /// Whether to keep numeric owners.
    pub owner: bool,
    /// Whether to keep extended attributes.
    pub xattrs: bool,
    /// Compression and threads.
    pub upload: UploadOptions,
}

/// What an import did.
#[derive(Debug)]
pub struct Imported {
    /// The stash as the controller has it.
    pub committed: Committed,
    /// What moved.
    pub stats: UploadStats,
    /// Members of the tar that a stash does not hold: devices.
    pub problems: Vec<Problem>,
}

/// Reads a tar to its end and stashes what it holds.
pub fn import(
    remote: &dyn Remote,
    input: impl Read,
    request: &ImportRequest,
    progress: &Progress,
) -> Result<Imported, AgentError> {
    let open = Open {
        build: request.build.clone(),
        name: request.name.clone(),
        parent: None,
        resume: None,
        digests: Vec::new(),
    };
    let mut problems = Vec::new();
    let (manifest, uploaded) = upload(remote, open, Journal::default(), request.upload, progress, |feed| {
        let members = read_members(input, request, feed, &mut problems, progress)?;
        feed_manifest(members.into_entries()?, None, &mut Bases::default(), feed)
    })?;
    let commit =
        Commit { session: uploaded.session, root: manifest.id, patches: None, packs: uploaded.packs };
    let committed = remote.commit(&commit).inspect_err(|_| remote.release(uploaded.session))?;
    Ok(Imported { committed, stats: uploaded.stats, problems })
}

/// The tar's members by path; where a name stands twice, the later one counts, as when it is unpacked.
fn read_members(
    input: impl Read,
    request: &ImportRequest,
    feed: &mut Feed<'_>,
    problems: &mut Vec<Problem>,
    progress: &Progress,
) -> Result<Members, AgentError> {
    let mut tar = tar::Reader::new(input);
    let mut chunker = Chunker::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut members = Members::default();
    while let Some(member) = tar.next_entry()? {
        let kind = match member.kind {
            TarKind::File { .. } => {
                EntryKind::File(read_content(&mut tar, &mut chunker, &mut piece, feed, progress)?)
            }
            TarKind::Directory => EntryKind::Directory,
            TarKind::Symlink { ref target } => EntryKind::Symlink { target: target.clone() },
            TarKind::HardLink { ref target } => EntryKind::HardLink { target: target.clone() },
            TarKind::Fifo => EntryKind::Fifo,
            TarKind::Device => {
                let what = "a device: left out".to_owned();
                problems.push(Problem { path: member.path.to_string(), what, is_error: false });
                continue;
            }
        };
        progress.found_entries.add(1);
        progress.done_entries.add(1);
        members.insert(entry(member, kind, request))?;
    }
    Ok(members)
}

fn entry(member: TarEntry, kind: EntryKind, request: &ImportRequest) -> Entry {
    Entry {
        path: member.path,
        mode: member.mode,
        mtime: member.mtime,
        owner: request.owner.then_some(member.owner),
        xattrs: if request.xattrs { member.xattrs } else { Box::default() },
        kind,
    }
}

fn read_content(
    tar: &mut tar::Reader<impl Read>,
    chunker: &mut Chunker,
    piece: &mut [u8],
    feed: &mut Feed<'_>,
    progress: &Progress,
) -> Result<Content, AgentError> {
    let mut fed = Ok(());
    let mut sink = |digest, bytes: &[u8]| {
        if fed.is_ok() {
            fed = feed.chunk(digest, bytes);
        }
    };
    loop {
        let bytes = match tar.read_piece(piece)? {
            Piece::Bytes(read) => {
                chunker.push(&piece[..read], &mut sink);
                read as u64
            }
            Piece::Zeros(zeros) => {
                chunker.push_zeros(zeros, &mut sink);
                zeros
            }
            Piece::End => break,
        };
        progress.found_bytes.add(bytes);
        progress.done_bytes.add(bytes);
    }
    let content = chunker.finish(&mut sink);
    fed.map(|()| content)
}
