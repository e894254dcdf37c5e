//! Reads the files of a workspace on several threads and feeds their chunks, in path order, to one upload.
//!
//! Files are handed out in batches of about a MiB in path order; each batch answers on a channel of its own with few
//! slots, and the feeding thread empties the channels in order. So a worker never waits but for its turn, the head
//! of the line always moves, and memory is bounded by the slots, whatever the sizes of the files.

use std::ops::Range;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::model::Digest;
use crate::model::limits::FRAME_BYTES;
use crate::model::progress::Progress;
use crate::workspace::beneath::Folder;
use crate::workspace::walk::Found;

use super::error::AgentError;
use super::read_file::{Buffers, Folders, ReadFile, read_file};
use super::upload::Feed;

/// Bytes of small files that make a batch.
const BATCH_BYTES: u64 = 1 << 20;
/// Files that make a batch, however small.
const BATCH_FILES: usize = 256;
/// Pieces of a batch that may wait for the feeding thread.
const PIECES_AHEAD: usize = 3;
/// Batches that may be under way or waiting, for each thread.
const BATCHES_AHEAD: usize = 4;

/// Reads `files` (indices into `found`, in path order), feeds their chunks, and calls `done` with each outcome.
pub(super) fn read_files(
    folder: &Folder,
    found: &[Found],
    files: &[usize],
    threads: usize,
    feed: &mut Feed<'_>,
    progress: &Progress,
    mut done: impl FnMut(usize, &Found, ReadFile),
) -> Result<(), AgentError> {
    let threads = threads.max(1);
    thread::scope(|scope| {
        let (jobs, jobs_out) = bounded::<Job<'_>>(0);
        let (line_in, line) = bounded(BATCHES_AHEAD * threads);
        for _ in 0..threads {
            let jobs: Receiver<Job<'_>> = jobs_out.clone();
            scope.spawn(move || {
                let (mut buffers, mut folders) = (Buffers::default(), Folders::new(folder));
                jobs.into_iter().for_each(|job| run(&mut folders, found, &job, &mut buffers, progress));
            });
        }
        drop(jobs_out);
        scope.spawn(move || hand_out(found, files, &jobs, &line_in));
        for pieces in line {
            for piece in pieces {
                feed.chunks(piece.bytes, &piece.chunks)?;
                piece.done.into_iter().for_each(|(index, outcome)| done(index, &found[index], outcome));
            }
        }
        Ok(())
    })
}

struct Job<'a> {
    files: &'a [usize],
    pieces: Sender<Piece>,
}

/// Some chunks of a batch, and the files that ended among them.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    chunks: Vec<(Digest, Range<usize>)>,
    done: Vec<(usize, ReadFile)>,
}

/// Gives every batch a place in the line and then a worker, in this order, so that a waiting feeder always has one.
fn hand_out<'a>(found: &[Found], files: &'a [usize], jobs: &Sender<Job<'a>>, line: &Sender<Receiver<Piece>>) {
    let mut rest = files;
    while !rest.is_empty() {
        let (files, later) = rest.split_at(batch_len(found, rest));
        rest = later;
        let (pieces, receiver) = bounded(PIECES_AHEAD);
        // Either end closes only when the run has failed, and then there is nothing left to do here.
        if line.send(receiver).is_err() || jobs.send(Job { files, pieces }).is_err() {
            return;
        }
    }
}

fn batch_len(found: &[Found], files: &[usize]) -> usize {
    let mut bytes = 0;
    let fits = |&&index: &&usize| {
        bytes += found[index].stat.size;
        bytes <= BATCH_BYTES
    };
    files.iter().take(BATCH_FILES).take_while(fits).count().max(1)
}

fn run(
    folders: &mut Folders<'_>,
    found: &[Found],
    job: &Job<'_>,
    buffers: &mut Buffers,
    progress: &Progress,
) {
    let mut piece = Piece::default();
    for &index in job.files {
        let file = &found[index];
        let outcome = read_file(folders, file, buffers, progress, &mut |digest, bytes| {
            if piece.bytes.len() + bytes.len() > FRAME_BYTES {
                // The feeder stopped: what is read from here on is for nobody, and the batch soon ends.
                let _ = job.pieces.send(std::mem::take(&mut piece));
            }
            if piece.bytes.capacity() == 0 {
                piece.bytes.reserve_exact(FRAME_BYTES.max(bytes.len()));
            }
            let start = piece.bytes.len();
            piece.bytes.extend_from_slice(bytes);
            piece.chunks.push((digest, start..piece.bytes.len()));
        });
        progress.done_entries.add(1);
        piece.done.push((index, outcome));
    }
    let _ = job.pieces.send(piece);
}
