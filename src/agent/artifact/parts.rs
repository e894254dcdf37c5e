//! An upload in parts: each signed when it is about to be sent, several at once, and none twice after a kill.

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crc_fast::CrcAlgorithm;

use crate::protocol::artifact::{ArtifactId, FinishArtifact, MAX_PARTS, PartIntent, SentPart};
use crate::transfer::BlobError;
use crate::transfer::put_blob::{Payload, put_blob};
use crate::workspace::beneath::stat_of;
use crate::workspace::stat::Stat;

use super::finish::Ended;
use super::hash::{open, part_bytes};
use super::journal::PartsJournal;
use super::ready::Ready;
use super::send::{STREAMED_BYTES, first, same};
use super::upload::Line;

/// A file on its way in parts.
pub(super) struct PartsUpload<'a> {
    id: ArtifactId,
    ready: Ready<'a>,
    part_bytes: u64,
    file: Arc<File>,
    state: Mutex<State>,
}

struct State {
    journal: PartsJournal,
    sent: Vec<SentPart>,
    /// Parts that did not end yet.
    left: u64,
    /// Whether this run has sent any.
    moved: bool,
    failure: Option<String>,
}

impl<'a> PartsUpload<'a> {
    /// Opens file and journal. What cannot begin has ended.
    pub(super) fn begin(
        line: &Line<'_>,
        id: ArtifactId,
        part_bytes: u64,
        ready: Ready<'a>,
    ) -> Result<Self, Box<Ended>> {
        let failed = |ready: &Ready<'a>, id: &ArtifactId, why: String| {
            let finish = FinishArtifact { id: id.clone(), failed: true, parts: Vec::new() };
            Box::new(Ended { why: Some(why), ..Ended::of(ready, finish, false) })
        };
        let count = ready.new.len.checked_div(part_bytes).map(|_| ready.new.len.div_ceil(part_bytes));
        let Some(count) = count.filter(|count| *count <= MAX_PARTS) else {
            return Err(failed(&ready, &id, format!("it cannot be sent in parts of {part_bytes} bytes")));
        };
        let file = match open(&line.request.found[ready.index].absolute) {
            Ok(file) if ready.stat.is_some_and(|stat| same(&stat_of(&file), &stat)) => Arc::new(file),
            Ok(_) => return Err(failed(&ready, &id, BlobError::Changed.to_string())),
            Err(error) => return Err(failed(&ready, &id, error.to_string())),
        };
        let folder = line.request.journals.as_deref();
        let (journal, mut sent) = PartsJournal::open(folder, &line.remote.identity(), &ready.new.key, &id);
        sent.retain(|part| part.number >= 1 && u64::from(part.number) <= count);
        let skipped: u64 = sent.iter().map(|part| part_len(ready.new.len, part_bytes, part.number)).sum();
        line.progress.done_bytes.add(skipped);
        let left = count - sent.len() as u64;
        let state = State { journal, sent, left, moved: false, failure: None };
        Ok(Self { id, ready, part_bytes, file, state: Mutex::new(state) })
    }

    pub(super) fn path(&self) -> &str {
        &self.ready.new.path
    }

    /// Numbers of the parts that are still to be sent.
    pub(super) fn missing(&self) -> Vec<u32> {
        let state = self.lock();
        let count = self.ready.new.len.div_ceil(self.part_bytes) as u32;
        let sent: std::collections::HashSet<u32> = state.sent.iter().map(|part| part.number).collect();
        (1..=count).filter(|number| !sent.contains(number)).collect()
    }

    /// Its end, if an earlier run had sent every part.
    pub(super) fn finish_if_done(&self) -> Option<Ended> {
        let state = self.lock();
        (state.left == 0).then(|| self.ended(&state))
    }

    /// Sends one part.
    pub(super) fn send(&self, line: &Line<'_>, number: u32) -> Result<(), BlobError> {
        if self.lock().failure.is_some() {
            return Ok(());
        }
        let start = u64::from(number - 1) * self.part_bytes;
        let len = part_len(self.ready.new.len, self.part_bytes, number);
        let _permit = line.gate.enter(STREAMED_BYTES);
        let crc32c = self.crc32c(number, start, len)?;
        let sign = || first(line.remote.sign_parts(&self.id, &[PartIntent { number, len, crc32c }])?);
        let url = sign().map_err(BlobError::Renew)?;
        let payload = Payload::File { file: Arc::clone(&self.file), start, len, crc32c };
        let sent = put_blob(line.remote.transport(), &line.gate, &line.progress.stop, &url, &payload, sign);
        if !self.is_unchanged() {
            return Err(BlobError::Changed);
        }
        let part = SentPart { number, etag: sent? };
        line.progress.moved_bytes.add(len);
        line.progress.done_bytes.add(len);
        let mut state = self.lock();
        state.journal.sent(&part);
        state.sent.push(part);
        state.moved = true;
        Ok(())
    }

    /// Notes how a part ended; the upload's end, if it was the last one.
    pub(super) fn part_ended(&self, failure: Option<String>) -> Option<Ended> {
        let mut state = self.lock();
        if let Some(why) = failure {
            state.failure.get_or_insert(why);
        }
        state.left = state.left.saturating_sub(1);
        (state.left == 0).then(|| self.ended(&state))
    }

    fn ended(&self, state: &State) -> Ended {
        let mut parts = state.sent.clone();
        parts.sort_unstable_by_key(|part| part.number);
        let finish = FinishArtifact { id: self.id.clone(), failed: state.failure.is_some(), parts };
        let journal = state.journal.path();
        let ended = Ended::of(&self.ready, finish, state.moved);
        Ended { why: state.failure.clone(), journal, in_parts: true, ..ended }
    }

    fn is_unchanged(&self) -> bool {
        self.ready.stat.as_ref().is_some_and(|stat: &Stat| same(&stat_of(&self.file), stat))
    }

    /// Known since the file was hashed, unless the controller cuts otherwise.
    fn crc32c(&self, number: u32, start: u64, len: u64) -> Result<u32, BlobError> {
        if self.part_bytes == part_bytes(self.ready.new.len)
            && let Some(sum) = self.ready.parts.get(number as usize - 1)
        {
            return Ok(*sum);
        }
        crc32c_of(&self.file, start, len)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one of a single list or number.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn part_len(len: u64, part_bytes: u64, number: u32) -> u64 {
    len.saturating_sub(u64::from(number.saturating_sub(1)) * part_bytes).min(part_bytes)
}

fn crc32c_of(file: &File, start: u64, len: u64) -> Result<u32, BlobError> {
    use std::os::unix::fs::FileExt;
    let mut sum = crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi);
    let mut piece = vec![0; STREAMED_BYTES as usize];
    let mut done = 0;
    while done < len {
        let want = (len - done).min(STREAMED_BYTES) as usize;
        file.read_exact_at(&mut piece[..want], start + done).map_err(|_| BlobError::Changed)?;
        sum.update(&piece[..want]);
        done += want as u64;
    }
    Ok(sum.finalize() as u32)
}
