//! The first stages of an upload: files are hashed, then announced many at a time. Sends no content.

use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::model::Digest;
use crate::model::wire::Writer;
use crate::protocol::artifact::{
    CreatedArtifact, FinishArtifact, MAX_ARTIFACT_PATH_BYTES, MAX_ARTIFACTS, NewArtifact, NewArtifacts,
    PART_BYTES, Upload,
};

use super::collect::{Found, Kind};
use super::content_type::content_type;
use super::error::ArtifactError;
use super::finish::Ended;
use super::hash::{Hashed, Sums, hash, sums_of_nothing};
use super::parts::PartsUpload;
use super::ready::Ready;
use super::send::Task;
use super::upload::{Line, UploadRequest, gather};

/// Hashes files until there are no more. One that cannot be read is named.
pub(super) fn read_files<'a>(line: &'a Line<'_>, hashed: &Sender<Ready<'a>>) {
    while !line.is_over()
        && let Some(index) = line.take_next()
    {
        match read_file(line, index) {
            Ok(ready) => {
                if hashed.send(ready).is_err() {
                    return; // whoever announces has stopped, and its own error says why
                }
            }
            Err(_) if line.progress.stop.is_stopped() => return,
            Err(error) => line.problem(index, error.to_string()),
        }
    }
}

fn read_file<'a>(line: &'a Line<'_>, index: usize) -> io::Result<Ready<'a>> {
    let found = &line.request.found[index];
    let (sums, stat, kept) = match found.kind {
        Kind::Link(..) => (sums_of_nothing(), None, None),
        Kind::File(len) => {
            let taken = line.budget.take(len);
            let Hashed { sums, stat, content } =
                hash(&found.absolute, |now| taken.is_some() && now <= len, line.progress)?;
            let kept = taken.zip(content).map(|(taken, content)| taken.with(content));
            (sums, Some(stat), kept)
        }
    };
    let mode = stat.map(|stat| stat.permissions());
    let modified = stat.map(|stat| stat.mtime.secs);
    let new = describe(line.request, found, &sums, mode, modified);
    Ok(Ready { index, new, crc32c: sums.crc32c, parts: sums.parts, stat, kept })
}

fn describe(
    request: &UploadRequest,
    found: &Found,
    sums: &Sums,
    mode: Option<u32>,
    modified: Option<i64>,
) -> NewArtifact {
    let (link, modified) = match &found.kind {
        Kind::Link(target, modified) => (Some(target.clone()), Some(*modified)),
        Kind::File(_) => (None, modified),
    };
    let absolute = found.absolute.to_str().filter(|path| path.len() <= MAX_ARTIFACT_PATH_BYTES);
    let content_type = request.content_type.clone().unwrap_or_else(|| content_type(&found.path));
    let mut new = NewArtifact {
        key: String::new(),
        path: found.path.clone(),
        absolute_path: absolute.map(str::to_owned),
        len: sums.len,
        mode,
        modified,
        link,
        content_type,
        sha1: sums.sha1,
        sha256: sums.sha256,
        blake3: Some(sums.blake3),
        crc32c: (sums.len <= PART_BYTES).then_some(sums.crc32c),
        keep_days: request.keep_days,
    };
    new.key = key(request, &new);
    new
}

/// The same for the same file of the same job, whenever and wherever the agent runs: an upload that was killed goes on as the same artifact.
fn key(request: &UploadRequest, new: &NewArtifact) -> String {
    let mut text = Writer::default();
    let job = &request.job;
    let names = [&request.build.project, &request.build.build, &job.id, &new.path, &new.content_type];
    names.iter().for_each(|name| text.bytes(name.as_bytes()));
    text.bytes(job.shard.as_deref().unwrap_or_default().as_bytes());
    text.bytes(new.link.as_deref().unwrap_or_default().as_bytes());
    text.raw(&new.sha256.0);
    [job.attempt, new.mode.unwrap_or(u32::MAX), new.keep_days.unwrap_or(u32::MAX)]
        .iter()
        .for_each(|number| text.u32(*number));
    Digest::of(&text.0).to_string()
}

/// Announces what was hashed, and hands on what has to be sent.
pub(super) fn announce<'a>(
    line: &'a Line<'_>,
    hashed: &Receiver<Ready<'a>>,
    tasks: &Sender<Task<'a>>,
    ended: &Sender<Ended>,
) {
    let patience = line.patience();
    loop {
        let batch = gather(hashed, MAX_ARTIFACTS, patience);
        if batch.is_empty() || line.is_over() {
            return;
        }
        let request = NewArtifacts {
            build: line.request.build.clone(),
            facts: line.request.facts.clone(),
            job: line.request.job.clone(),
            artifacts: batch.iter().map(|ready| ready.new.clone()).collect(),
        };
        let created = match line.remote.create_artifacts(&request) {
            Ok(created) => created,
            Err(error) => return line.fail(ArtifactError::Remote(error)),
        };
        for (ready, created) in batch.into_iter().zip(created) {
            hand_on(line, ready, created, tasks, ended);
        }
    }
}

fn hand_on<'a>(
    line: &'a Line<'_>,
    ready: Ready<'a>,
    created: CreatedArtifact,
    tasks: &Sender<Task<'a>>,
    ended: &Sender<Ended>,
) {
    let CreatedArtifact { id, upload } = created;
    let finish = |id| FinishArtifact { id, failed: false, parts: Vec::new() };
    // Whoever takes what is handed on stops only at the end of the run, or when it has failed.
    match upload {
        Upload::Finished => {
            drop(ended.send(Ended { is_over: true, ..Ended::of(&ready, finish(id), false) }));
        }
        Upload::Known => drop(ended.send(Ended::of(&ready, finish(id), false))),
        Upload::Whole { put } => drop(tasks.send(Task::Whole { id, put, ready: Box::new(ready) })),
        Upload::Parts { part_bytes } => match PartsUpload::begin(line, id, part_bytes, ready) {
            Ok(parts) => {
                let parts = Arc::new(parts);
                if let Some(whole) = parts.finish_if_done() {
                    drop(ended.send(whole));
                }
                parts.missing().into_iter().for_each(|number| {
                    drop(tasks.send(Task::Part { upload: Arc::clone(&parts), number }));
                });
            }
            Err(failed) => drop(ended.send(*failed)),
        },
    }
}
