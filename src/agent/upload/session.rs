//! The session of one upload, opened with the first question that needs it.

use std::sync::Mutex;

use crate::model::Digest;
use crate::model::limits::MAX_MISSING_DIGESTS;
use crate::protocol::{Open, Opened, SessionId};
use crate::transfer::Remote;

use crate::agent::error::AgentError;

/// A session that may not be open yet: opening it carries the first digests, which saves a request.
pub(super) struct Session<'a> {
    pub(super) remote: &'a dyn Remote,
    open: Open,
    opened: Mutex<Option<Opened>>,
}

impl<'a> Session<'a> {
    pub(super) const fn new(remote: &'a dyn Remote, open: Open) -> Self {
        Self { remote, open, opened: Mutex::new(None) }
    }

    /// For each digest, in order: whether the store misses it.
    pub(super) fn ask(&self, digests: &[Digest]) -> Result<Vec<bool>, AgentError> {
        let mut missing = Vec::with_capacity(digests.len());
        for batch in digests.chunks(MAX_MISSING_DIGESTS) {
            let answer = match self.open_with(batch)? {
                (_, Some(answer)) => answer,
                (session, None) => self.remote.missing(session, batch)?,
            };
            missing.extend(answer);
        }
        Ok(missing)
    }

    pub(super) fn parent_accepted(&self) -> Result<bool, AgentError> {
        self.id()?;
        let opened = self.opened.lock().map_err(|_| AgentError::Stopped)?;
        Ok(opened.as_ref().is_some_and(|opened| opened.parent_accepted))
    }

    pub(super) fn id(&self) -> Result<SessionId, AgentError> {
        Ok(self.open_with(&[])?.0)
    }

    /// Ends the session if there is one.
    pub(super) fn release(&self) {
        if let Ok(opened) = self.opened.lock()
            && let Some(opened) = opened.as_ref()
        {
            self.remote.release(opened.session);
        }
    }

    /// The session, and the answer about `digests` if this call opened it.
    fn open_with(&self, digests: &[Digest]) -> Result<(SessionId, Option<Vec<bool>>), AgentError> {
        let mut opened = self.opened.lock().map_err(|_| AgentError::Stopped)?;
        if let Some(opened) = opened.as_ref() {
            return Ok((opened.session, None));
        }
        let mut answer = self.remote.open(&Open { digests: digests.to_vec(), ..self.open.clone() })?;
        let missing = std::mem::take(&mut answer.missing);
        let session = answer.session;
        *opened = Some(answer);
        Ok((session, Some(missing)))
    }
}
