//! The session of one upload, opened with the first question that needs it.

use std::sync::{Mutex, RwLock, RwLockReadGuard};

use crate::model::limits::MAX_MISSING_DIGESTS;
use crate::model::{ChunkRef, Digest, PackName};
use crate::protocol::{Open, Opened, SessionId};
use crate::transfer::Remote;

use super::journal::Journal;
use crate::agent::error::AgentError;

/// A session that may not be open yet: opening it carries the first digests, which saves a request.
pub(super) struct Session<'a> {
    pub(super) remote: &'a dyn Remote,
    open: Open,
    opened: Mutex<Option<Opened>>,
    journal: RwLock<Journal>,
}

impl<'a> Session<'a> {
    pub(super) fn new(remote: &'a dyn Remote, mut open: Open, journal: Journal) -> Self {
        open.resume = journal.resume();
        Self { remote, open, opened: Mutex::new(None), journal: RwLock::new(journal) }
    }

    /// For each digest, in order: whether the store misses it.
    pub(super) fn ask(&self, digests: &[Digest]) -> Result<Vec<bool>, AgentError> {
        let mut missing = Vec::with_capacity(digests.len());
        for batch in digests.chunks(MAX_MISSING_DIGESTS) {
            let answer = match self.open_with(batch)? {
                (_, Some(answer)) => answer,
                (session, None) => self.remote.missing(session, batch)?,
            };
            let journal = self.journal()?;
            let missed = batch.iter().zip(answer).map(|(digest, missing)| missing && !journal.has(digest));
            missing.extend(missed);
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

    /// Notes a pack that is durable.
    pub(super) fn sent(&self, pack: PackName, chunks: &[ChunkRef]) -> Result<(), AgentError> {
        self.journal()?.sent(pack, chunks);
        Ok(())
    }

    /// The packs that an agent before this one had sent in the same session.
    pub(super) fn sent_earlier(&self) -> Result<Vec<PackName>, AgentError> {
        Ok(self.journal()?.packs().to_vec())
    }

    /// Whether another run can go on with the session.
    pub(super) fn is_kept(&self) -> bool {
        self.journal().is_ok_and(|journal| journal.is_kept())
    }

    /// Ends the session if there is one.
    pub(super) fn release(self) {
        if let Ok(Some(opened)) = self.opened.into_inner() {
            self.remote.release(opened.session);
        }
        if let Ok(journal) = self.journal.into_inner() {
            journal.remove();
        }
    }

    /// The journal, to be kept until the commit.
    pub(super) fn into_journal(self) -> Journal {
        self.journal.into_inner().unwrap_or_default()
    }

    fn journal(&self) -> Result<RwLockReadGuard<'_, Journal>, AgentError> {
        self.journal.read().map_err(|_| AgentError::Stopped)
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
        self.journal.write().map_err(|_| AgentError::Stopped)?.begin(session);
        *opened = Some(answer);
        Ok((session, Some(missing)))
    }
}
