//! `export`: the stash as the tarball that it is, the same bytes every time.

use std::io::Write;

use crate::model::manifest::chunk_list;
use crate::model::progress::Progress;
use crate::model::{ChunkRef, Entry};
use crate::protocol::{BuildId, StashInfo, StashName};
use crate::tar;
use crate::transfer::Remote;

use super::error::AgentError;
use super::in_order::InOrder;
use super::open_stash::OpenStash;

/// Writes a stash to `out` as canonical tar.
pub fn export(
    remote: &dyn Remote,
    build: &BuildId,
    name: &StashName,
    out: &mut dyn Write,
    progress: &Progress,
) -> Result<StashInfo, AgentError> {
    let stash = OpenStash::open(remote, build, name)?;
    let root = stash.root()?;
    progress.found_entries.add(root.totals.entries);
    progress.found_bytes.add(root.totals.bytes);
    let mut tar = tar::Writer::new(out);
    let mut contents = InOrder::new(&stash);
    stash.pages(&root, 0..root.pages.len(), |page| {
        write_page(&stash, &page, &mut contents, &mut tar, progress)
    })?;
    tar.finish()?;
    Ok(stash.info.clone())
}

/// Writes a page's entries. The chunks of all its files are one run, so that small files share what is decoded.
fn write_page(
    stash: &OpenStash<'_>,
    page: &[Entry],
    contents: &mut InOrder<'_>,
    tar: &mut tar::Writer<&mut dyn Write>,
    progress: &Progress,
) -> Result<(), AgentError> {
    let mut rest = page;
    while let Some(first) = rest.first() {
        if progress.stop.is_stopped() {
            return Err(AgentError::Stopped);
        }
        let listed = |entry: &Entry| entry.content().is_some_and(|content| content.listed);
        let run = rest.iter().take_while(|entry| !listed(entry)).count();
        if run == 0 {
            write_listed(stash, first, contents, tar, progress)?;
            rest = &rest[1..];
        } else {
            write_run(&rest[..run], contents, tar, progress)?;
            rest = &rest[run..];
        }
    }
    Ok(())
}

fn write_run(
    entries: &[Entry],
    contents: &mut InOrder<'_>,
    tar: &mut tar::Writer<&mut dyn Write>,
    progress: &Progress,
) -> Result<(), AgentError> {
    let chunks: Vec<ChunkRef> = entries
        .iter()
        .filter_map(Entry::content)
        .flat_map(|content| content.chunks.iter().copied())
        .collect();
    let mut entries = entries.iter();
    let mut announce = |tar: &mut tar::Writer<&mut dyn Write>| announce_next(&mut entries, tar, progress);
    let mut left = 0;
    contents.read(&chunks, &"a file", |bytes| {
        while left == 0 {
            left = announce(tar)?.unwrap_or(bytes.len() as u64);
        }
        left = left.saturating_sub(bytes.len() as u64);
        progress.done_bytes.add(bytes.len() as u64);
        Ok(tar.content(bytes)?)
    })?;
    while announce(tar)?.is_some() {}
    Ok(())
}

/// Writes the header of the next entry; how many bytes of content follow it, or `None` after the last.
fn announce_next<'e>(
    entries: &mut impl Iterator<Item = &'e Entry>,
    tar: &mut tar::Writer<&mut dyn Write>,
    progress: &Progress,
) -> Result<Option<u64>, AgentError> {
    let Some(entry) = entries.next() else { return Ok(None) };
    tar.entry(entry)?;
    progress.done_entries.add(1);
    Ok(Some(entry.content().map_or(0, |content| content.size)))
}

/// A file of many chunks: one chunk list after the other, so that memory does not grow with the file.
fn write_listed(
    stash: &OpenStash<'_>,
    entry: &Entry,
    contents: &mut InOrder<'_>,
    tar: &mut tar::Writer<&mut dyn Write>,
    progress: &Progress,
) -> Result<(), AgentError> {
    announce_next(&mut std::iter::once(entry), tar, progress)?;
    let lists = entry.content().map(|content| &content.chunks[..]).unwrap_or_default();
    InOrder::new(stash).read(lists, &entry.path, |list| {
        let chunks = chunk_list::decode(list).map_err(|source| stash.manifest_error(source))?;
        contents.read(&chunks, &entry.path, |bytes| {
            progress.done_bytes.add(bytes.len() as u64);
            if progress.stop.is_stopped() { Err(AgentError::Stopped) } else { Ok(tar.content(bytes)?) }
        })
    })
}
