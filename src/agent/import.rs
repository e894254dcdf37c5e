//! `import`: any tar into a stash. The same content gives the same id as stashing the unpacked tree would.

use std::collections::BTreeMap;
use std::io::Read;

use crate::chunk::Chunker;
use crate::model::manifest::Root;
use crate::model::progress::Progress;
use crate::model::{Entry, EntryKind, EntryPath};
use crate::protocol::{BuildId, Commit, Committed, Open, StashName};
use crate::tar::{self, TarEntry, TarKind};
use crate::transfer::Remote;

use super::error::{AgentError, Problem};
use super::manifest::feed_manifest;
use super::upload::{Feed, UploadOptions, UploadStats, upload};

/// Content is read from the tar in pieces of this size.
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
        digests: Vec::new(),
    };
    let mut problems = Vec::new();
    let (manifest, uploaded) = upload(remote, open, request.upload, progress, |feed| {
        let members = read_members(input, request, feed, &mut problems, progress)?;
        let entries = settle_links(members)?;
        check_folders(&entries)?;
        feed_manifest(entries.into_values(), None::<&Root>, feed)
    })?;
    let commit = Commit { session: uploaded.session, root: manifest.id, packs: uploaded.packs };
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
) -> Result<BTreeMap<EntryPath, Entry>, AgentError> {
    let mut tar = tar::Reader::new(input);
    let mut chunker = Chunker::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut members: BTreeMap<EntryPath, Entry> = BTreeMap::new();
    while let Some(member) = tar.next_entry()? {
        let kind = match member.kind {
            TarKind::File { .. } => EntryKind::File(read_content(&mut tar, &mut chunker, &mut piece, feed, progress)?),
            TarKind::Directory => EntryKind::Directory,
            TarKind::Symlink { ref target } => EntryKind::Symlink { target: target.clone() },
            TarKind::HardLink { ref target } => EntryKind::HardLink { target: owner_of(&members, &member.path, target)? },
            TarKind::Fifo => EntryKind::Fifo,
            TarKind::Device => {
                let what = "a device: left out".to_owned();
                problems.push(Problem { path: member.path.to_string(), what, is_error: false });
                continue;
            }
        };
        progress.found_entries.add(1);
        progress.done_entries.add(1);
        let entry = entry(member, kind, request);
        members.insert(entry.path.clone(), entry);
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
) -> Result<crate::model::Content, AgentError> {
    let mut fed = Ok(());
    let mut sink = |digest, bytes: &[u8]| {
        if fed.is_ok() {
            fed = feed.chunk(digest, bytes);
        }
    };
    loop {
        let read = tar.read_content(piece)?;
        if read == 0 {
            break;
        }
        chunker.push(&piece[..read], &mut sink);
        progress.found_bytes.add(read as u64);
        progress.done_bytes.add(read as u64);
    }
    let content = chunker.finish(&mut sink);
    fed.map(|()| content)
}

/// The member that owns the data of a hard link to `target`: `target` itself, or what that is a link to.
fn owner_of(
    members: &BTreeMap<EntryPath, Entry>,
    path: &EntryPath,
    target: &EntryPath,
) -> Result<EntryPath, AgentError> {
    let bad = |why: String| AgentError::Import { path: path.clone(), why };
    match members.get(target).map(|entry| &entry.kind) {
        None => Err(bad(format!("it is a hard link to `{target}`, which does not stand before it"))),
        Some(EntryKind::Directory) => Err(bad(format!("it is a hard link to the folder `{target}`"))),
        Some(_) if path == target => Err(bad("it is a hard link to itself".to_owned())),
        Some(EntryKind::HardLink { target }) if target == path => Err(bad("it is a hard link to itself".to_owned())),
        Some(EntryKind::HardLink { target }) => Ok(target.clone()),
        Some(_) => Ok(target.clone()),
    }
}

/// Gives the data of each group of hard links to the first path, and every name the same metadata.
fn settle_links(mut members: BTreeMap<EntryPath, Entry>) -> Result<BTreeMap<EntryPath, Entry>, AgentError> {
    let mut groups: BTreeMap<EntryPath, Vec<EntryPath>> = BTreeMap::new();
    for (path, entry) in &members {
        if let EntryKind::HardLink { target } = &entry.kind {
            groups.entry(target.clone()).or_default().push(path.clone());
        }
    }
    for (owner, mut names) in groups {
        let Some(data) = members.get(&owner).filter(|entry| !matches!(entry.kind, EntryKind::HardLink { .. })).cloned()
        else {
            let path = names.swap_remove(0);
            let why = format!("it is a hard link to `{owner}`, which a later member of the tar replaced");
            return Err(AgentError::Import { path, why });
        };
        names.push(owner);
        names.sort();
        let first = names[0].clone();
        for path in names {
            let kind = match path == first {
                true => data.kind.clone(),
                false => EntryKind::HardLink { target: first.clone() },
            };
            members.insert(path.clone(), Entry { path, kind, ..data.clone() });
        }
    }
    Ok(members)
}

/// Nothing may stand beneath what is no folder.
fn check_folders(entries: &BTreeMap<EntryPath, Entry>) -> Result<(), AgentError> {
    for path in entries.keys() {
        let mut parent = path.parent();
        while let Some(folder) = parent {
            match entries.get(&folder).map(|entry| &entry.kind) {
                // What is above a folder was checked when the folder itself was.
                Some(EntryKind::Directory) => break,
                Some(kind) => {
                    let why = format!("`{folder}` is a {} in the same tar", kind.noun());
                    return Err(AgentError::Import { path: path.clone(), why });
                }
                None => parent = folder.parent(),
            }
        }
    }
    Ok(())
}
