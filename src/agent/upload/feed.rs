//! The end of an upload where chunks go in. Passes over what it was given before; asks and sends nothing itself.

use std::ops::Range;

use crossbeam_channel::Sender;

use crate::agent::digest_set::DigestSet;
use crate::agent::error::AgentError;
use crate::agent::failure::Failure;
use crate::model::{Digest, Stop};

use super::session::Session;
use super::window::Window;

/// Where chunks go in, in path order, from one thread.
pub(in crate::agent) struct Feed<'a> {
    windows: Sender<Window>,
    window: Window,
    seen: DigestSet,
    session: &'a Session<'a>,
    failure: &'a Failure,
    stop: &'a Stop,
}

impl<'a> Feed<'a> {
    pub(super) fn new(
        windows: Sender<Window>,
        session: &'a Session<'a>,
        failure: &'a Failure,
        stop: &'a Stop,
    ) -> Self {
        Self { windows, window: Window::default(), seen: DigestSet::default(), session, failure, stop }
    }

    /// Whether the store has every chunk of the parent named when it was started. Opens the session if need be.
    pub(in crate::agent) fn parent_accepted(&self) -> Result<bool, AgentError> {
        self.session.parent_accepted()
    }

    /// For each digest, in order: whether the store misses it.
    pub(in crate::agent) fn missing(&self, digests: &[Digest]) -> Result<Vec<bool>, AgentError> {
        self.session.ask(digests)
    }

    /// A chunk of a file. A chunk that was given before is passed over.
    pub(in crate::agent) fn chunk(&mut self, digest: Digest, bytes: &[u8]) -> Result<(), AgentError> {
        self.add(digest, bytes, false)
    }

    /// Chunks of files as ranges of `bytes`, which is taken as it is and not copied.
    pub(in crate::agent) fn chunks(
        &mut self,
        bytes: Vec<u8>,
        chunks: &[(Digest, Range<usize>)],
    ) -> Result<(), AgentError> {
        self.go_on()?;
        let fresh: Vec<_> = chunks.iter().filter(|(digest, _)| self.seen.insert(*digest)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        if self.window.is_full(bytes.len(), fresh.len()) {
            self.flush()?;
        }
        self.window.take(bytes, fresh);
        Ok(())
    }

    /// A page or the root. After the first of them no file's chunk may follow.
    pub(in crate::agent) fn manifest_chunk(
        &mut self,
        digest: Digest,
        bytes: &[u8],
    ) -> Result<(), AgentError> {
        self.add(digest, bytes, true)
    }

    /// Fails if the run is to end.
    fn go_on(&self) -> Result<(), AgentError> {
        if self.stop.is_stopped() { Err(AgentError::Stopped) } else { Ok(()) }
    }

    fn add(&mut self, digest: Digest, bytes: &[u8], manifest: bool) -> Result<(), AgentError> {
        self.go_on()?;
        if !self.seen.insert(digest) {
            return Ok(());
        }
        if self.window.is_full(bytes.len(), 1) {
            self.flush()?;
        }
        self.window.push(digest, bytes, manifest);
        Ok(())
    }

    /// Hands on what was gathered.
    pub(super) fn flush(&mut self) -> Result<(), AgentError> {
        let window = std::mem::take(&mut self.window);
        if window.is_empty() {
            return Ok(());
        }
        self.go_on()?;
        if self.failure.is_known() {
            return Err(AgentError::Stopped);
        }
        self.windows.send(window).map_err(|_| AgentError::Stopped)
    }
}
