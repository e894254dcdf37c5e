//! The last stage of an upload: what was sent, or could not be, is ended at the controller, many at a time.

use std::path::PathBuf;

use crossbeam_channel::Receiver;

use crate::model::{Digest, Sha1, Sha256};
use crate::protocol::artifact::{ArtifactState, FinishArtifact, FinishedArtifact, MAX_ARTIFACTS};

use super::error::ArtifactError;
use super::ready::Ready;
use super::upload::{GATHER, Line, UploadedArtifact, gather};

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
            in_parts: false,
            journal: None,
        }
    }
}

/// Ends uploads until no more come.
pub(super) fn end_uploads(line: &Line<'_>, ended: &Receiver<Ended>) {
    loop {
        let batch = gather(ended, MAX_ARTIFACTS, Some(GATHER));
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
                open.into_iter().zip(answers).for_each(|(ended, answer)| settle(line, ended, answer));
            }
            Err(error) => line.fail(ArtifactError::Remote(error)),
        }
    }
}

fn settle(line: &Line<'_>, ended: Ended, answer: FinishedArtifact) {
    if let Some(journal) = &ended.journal {
        // What stays is of an artifact that is over, and is begun anew.
        let _ = fs_err::remove_file(journal);
    }
    match (ended.why.clone(), answer.state) {
        (None, ArtifactState::Finished) => finished(line, ended),
        (Some(why), _) => line.problem(ended.index, why),
        (None, state) => {
            let why = answer.why.unwrap_or_else(|| format!("its upload ended in state `{}`", state.word()));
            line.problem(ended.index, why);
        }
    }
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
