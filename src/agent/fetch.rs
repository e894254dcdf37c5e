//! From a stash's packs into a restore, frame by frame in the order in which frames stand: each is fetched and
//! decoded once, whatever the number of files that want something of it.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::model::Digest;
use crate::model::progress::Progress;
use crate::pack::ranges::{self, Fetch};
use crate::pack::{FrameDecoder, frame};
use crate::workspace::restore::{FileId, Restore};

use super::error::AgentError;
use super::failure::Failure;
use super::open_stash::{OpenStash, Place};

/// GETs under way at the same time, at most; each holds up to `ranges::MAX_FETCH_BYTES`.
const FETCHERS: u32 = 4;

/// What was moved for an unstash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FetchStats {
    /// GETs of frames.
    pub fetches: u64,
    /// Bytes that they brought.
    pub fetched_bytes: u64,
    /// Plaintext bytes of the frames that were decoded.
    pub decoded_bytes: u64,
}

/// A place in a file that wants a chunk, so many times in a row: a hole is one want, whatever its size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Want {
    place: Place,
    file: FileId,
    offset: u64,
    times: u64,
}

/// A frame whose stored bytes are there.
struct StoredFrame<'a> {
    fetched: Arc<Vec<u8>>,
    start: usize,
    pack: u32,
    frame: u32,
    wants: &'a [Want],
}

/// Writes every byte that `restore` wants.
pub(super) fn fetch_into(
    stash: &OpenStash<'_>,
    restore: &Restore<'_>,
    threads: usize,
    progress: &Progress,
) -> Result<FetchStats, AgentError> {
    let wants = wants(stash, restore)?;
    let plan = plan(stash, &wants);
    let stats = stats(stash, &plan);
    let failure = Failure::default();
    thread::scope(|scope| {
        let (jobs_in, jobs) = bounded(0);
        let (frames_in, frames) = bounded::<StoredFrame<'_>>(2 * threads.max(1));
        for _ in 0..FETCHERS.min(stash.transport().gets().most()) {
            let (jobs, frames): (Receiver<_>, Sender<_>) = (jobs.clone(), frames_in.clone());
            let (failure, wants) = (&failure, &wants);
            scope.spawn(move || {
                let fetched = jobs
                    .iter()
                    .try_for_each(|(pack, fetch)| fetch_frames(stash, pack, fetch, wants, &frames, progress));
                failure.keep(fetched, (jobs, frames));
            });
        }
        for _ in 0..threads.max(1) {
            let frames = frames.clone();
            let failure = &failure;
            scope.spawn(move || {
                let (mut decoder, mut plain) = (FrameDecoder::new(), Vec::new());
                for stored in frames {
                    if !failure.is_known() && !progress.stop.is_stopped() {
                        let written = write_frame(stash, restore, &stored, &mut decoder, &mut plain);
                        failure.keep(written, ());
                    }
                }
            });
        }
        drop((jobs, frames_in, frames));
        for job in &plan {
            if failure.is_known() || progress.stop.is_stopped() || jobs_in.send((job.0, &job.1)).is_err() {
                break;
            }
        }
    });
    match failure.take() {
        Some(error) => Err(error),
        None if progress.stop.is_stopped() => Err(AgentError::Stopped),
        None => Ok(stats),
    }
}

/// Every chunk of every wanted file, in the order of packs, frames and chunks.
fn wants(stash: &OpenStash<'_>, restore: &Restore<'_>) -> Result<Vec<Want>, AgentError> {
    let mut wants = Vec::new();
    for (file, path, content) in restore.wanted() {
        let mut runs: Vec<(Digest, u64, u64)> = Vec::new();
        let mut offset = 0;
        stash.each_chunk(path, content, |chunk| {
            match runs.last_mut() {
                Some((digest, _, times)) if *digest == chunk.digest => *times += 1,
                _ => runs.push((chunk.digest, offset, 1)),
            }
            offset += u64::from(chunk.len);
        })?;
        for (digest, offset, times) in runs {
            wants.push(Want { place: stash.place(&digest, path)?, file, offset, times });
        }
    }
    wants.sort_unstable();
    Ok(wants)
}

fn plan(stash: &OpenStash<'_>, wants: &[Want]) -> Vec<(u32, Fetch)> {
    let mut plan = Vec::new();
    for of_pack in wants.chunk_by(|a, b| a.place.pack == b.place.pack) {
        let Some(first) = of_pack.first() else { continue };
        let by_frame = of_pack.chunk_by(|a, b| a.place.frame == b.place.frame);
        let frames: Vec<usize> =
            by_frame.filter_map(|wants| Some(wants.first()?.place.frame as usize)).collect();
        let footer = &stash.packs[first.place.pack as usize].footer;
        plan.extend(ranges::plan(footer, &frames).into_iter().map(|fetch| (first.place.pack, fetch)));
    }
    plan
}

fn stats(stash: &OpenStash<'_>, plan: &[(u32, Fetch)]) -> FetchStats {
    let mut stats = FetchStats { fetches: plan.len() as u64, ..FetchStats::default() };
    for (pack, fetch) in plan {
        stats.fetched_bytes += fetch.range.end - fetch.range.start;
        let frames = &stash.packs[*pack as usize].footer.frames;
        stats.decoded_bytes +=
            fetch.frames.iter().map(|&frame| u64::from(frames[frame].plain_len)).sum::<u64>();
    }
    stats
}

fn fetch_frames<'a>(
    stash: &OpenStash<'_>,
    pack: u32,
    fetch: &Fetch,
    wants: &'a [Want],
    frames: &Sender<StoredFrame<'a>>,
    progress: &Progress,
) -> Result<(), AgentError> {
    let open = &stash.packs[pack as usize];
    let fetched = Arc::new(stash.read(&open.source, fetch.range.clone())?);
    progress.moved_bytes.add(fetched.len() as u64);
    for &frame in &fetch.frames {
        let start = (open.footer.frames[frame].offset - fetch.range.start) as usize;
        let frame = frame as u32;
        let first = wants.partition_point(|want| (want.place.pack, want.place.frame) < (pack, frame));
        let end = wants.partition_point(|want| (want.place.pack, want.place.frame) <= (pack, frame));
        let stored = StoredFrame { fetched: fetched.clone(), start, pack, frame, wants: &wants[first..end] };
        frames.send(stored).map_err(|_| AgentError::Stopped)?;
    }
    Ok(())
}

fn write_frame(
    stash: &OpenStash<'_>,
    restore: &Restore<'_>,
    stored: &StoredFrame<'_>,
    decoder: &mut FrameDecoder,
    plain: &mut Vec<u8>,
) -> Result<(), AgentError> {
    let open = &stash.packs[stored.pack as usize];
    let layout = &open.footer.frames[stored.frame as usize];
    let chunks = &open.footer.chunks[layout.chunks.clone()];
    let bytes = &stored.fetched[stored.start..stored.start + layout.stored_len as usize];
    decoder.decode(layout, bytes, chunks, plain).map_err(|error| stash.damaged(&open.source, error))?;
    let mut wants = stored.wants.iter().peekable();
    for (index, (_, bytes)) in frame::slices(chunks, plain).enumerate() {
        let chunk = (layout.chunks.start + index) as u32;
        while let Some(want) = wants.next_if(|want| want.place.chunk == chunk) {
            if want.times > 1 && bytes.iter().all(|&byte| byte == 0) {
                restore.write_zeros(want.file, want.offset, want.times * bytes.len() as u64)?;
                continue;
            }
            for time in 0..want.times {
                restore.write(want.file, want.offset + time * bytes.len() as u64, bytes)?;
            }
        }
    }
    Ok(())
}
