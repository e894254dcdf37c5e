//! The last stage of an upload: what was sent, or could not be, is ended at the controller, many at a time.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::model::{Digest, Sha1, Sha256};
use crate::protocol::artifact::{ArtifactState, FinishArtifact, FinishedArtifact, MAX_ARTIFACTS};

use super::error::ArtifactError;
use super::ready::Ready;
use super::upload::{GATHER, Line, UploadedArtifact, gather};

/// Between two questions about what is still read.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a controller may take to read what arrived, with what others have sent before it.
const READ_TIME: Duration = Duration::from_secs(15 * 60);
/// And at least how fast it reads.
const READ_BYTES_A_SECOND: u64 = 8 << 20;

/// An upload that has ended on the agent's side.
pub(super) struct Ended {
    pub(super) index: usize,
    pub(super) len: u64,
    pub(super) sha1: Sha1,
    pub(super) sha256: Sha256,
    pub(super) blake3: Option<Digest>,
    pub(super) finish: FinishArtifact,
    /// Whether its content had to be sent.
    pub(super) sent: bool,
    /// Why it failed here, if it did.
    pub(super) why: Option<String>,
    /// Whether the controller knows that it is finished.
    pub(super) is_over: bool,
    /// Until when the controller may read it.
    pub(super) read_until: Option<Instant>,
    /// Whether its parts were counted as progress.
    pub(super) in_parts: bool,
    /// What is of no use any more.
    pub(super) journal: Option<PathBuf>,
}

impl Ended {
    pub(super) fn of(ready: &Ready<'_>, finish: FinishArtifact, sent: bool) -> Self {
        let (index, new) = (ready.index, &ready.new);
        Self {
            index,
            len: new.len,
            sha1: new.sha1,
            sha256: new.sha256,
            blake3: new.blake3,
            finish,
            sent,
            why: None,
            is_over: false,
            read_until: None,
            in_parts: false,
            journal: None,
        }
    }
}

/// Ends uploads until no more come, and asks again about what the controller still reads.
pub(super) fn end_uploads(line: &Line<'_>, ended: &Receiver<Ended>) {
    let mut unread: Vec<Ended> = Vec::new();
    loop {
        let mut batch = match unread.is_empty() {
            true => gather(ended, MAX_ARTIFACTS, Some(GATHER)),
            false => ended.try_iter().take(MAX_ARTIFACTS - unread.len()).collect(),
        };
        batch.append(&mut unread);
        if batch.is_empty() {
            return;
        }
        if line.progress.stop.is_stopped() {
            continue; // they go on when the command runs again
        }
        let (over, open): (Vec<Ended>, Vec<Ended>) = batch.into_iter().partition(|ended| ended.is_over);
        over.into_iter().for_each(|ended| finished(line, ended));
        if open.is_empty() {
            continue;
        }
        let requests: Vec<FinishArtifact> = open.iter().map(|ended| ended.finish.clone()).collect();
        match line.remote.finish_artifacts(&requests) {
            Ok(answers) => {
                unread =
                    open.into_iter().zip(answers).filter_map(|(open, end)| settle(line, open, end)).collect();
            }
            Err(error) => line.fail(ArtifactError::Remote(error)),
        }
        if !unread.is_empty() {
            thread::sleep(PAUSE); // a controller that reads keeps the answer back for longer, but this one need not
        }
    }
}

/// Notes how an upload ended; it comes back if it did not end yet.
fn settle(line: &Line<'_>, mut ended: Ended, answer: FinishedArtifact) -> Option<Ended> {
    if (ended.why.as_ref(), answer.state) == (None, ArtifactState::New) {
        let reading = READ_TIME + Duration::from_secs(ended.len / READ_BYTES_A_SECOND);
        if Instant::now() < *ended.read_until.get_or_insert_with(|| Instant::now() + reading) {
            return Some(ended);
        }
        let said = answer.why.as_deref().unwrap_or("its upload has not ended");
        line.problem(ended.index, format!("{said}; `artifact upload` again asks for it and sends nothing"));
        return None;
    }
    if let Some(journal) = &ended.journal {
        // What stays is of an artifact that is over, and is begun anew.
        let _ = fs_err::remove_file(journal);
    }
    match (ended.why.take(), answer.state) {
        (None, ArtifactState::Finished) => finished(line, ended),
        (Some(why), _) => line.problem(ended.index, why),
        (None, state) => {
            let why = answer.why.unwrap_or_else(|| format!("its upload ended in state `{}`", state.word()));
            line.problem(ended.index, why);
        }
    }
    None
}

fn finished(line: &Line<'_>, ended: Ended) {
    line.progress.done_entries.add(1);
    if !ended.in_parts {
        line.progress.done_bytes.add(ended.len);
    }
    let mut uploaded = line.uploaded();
    uploaded.bytes += ended.len;
    if ended.sent {
        uploaded.sent_files += 1;
        uploaded.sent_bytes += ended.len;
        line.progress.new_bytes.add(ended.len);
    }
    uploaded.artifacts.push(UploadedArtifact {
        id: ended.finish.id,
        path: line.request.found[ended.index].path.clone(),
        len: ended.len,
        sha1: ended.sha1,
        sha256: ended.sha256,
        blake3: ended.blake3.unwrap_or_else(|| Digest::of(b"")),
        sent: ended.sent,
    });
}
