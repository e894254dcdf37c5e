//! The first error of several threads that work on one thing. Not the decision to stop: each thread looks for itself.

use std::sync::Mutex;

use super::error::AgentError;

/// The first error of any thread.
#[derive(Default)]
pub(super) struct Failure(Mutex<Option<AgentError>>);

impl Failure {
    /// Keeps a thread's error unless one was kept before, and only then drops the thread's channel ends, so that its
    /// neighbours see closed channels after the reason is known.
    pub(super) fn keep<E>(&self, result: Result<(), AgentError>, ends: E) {
        if let Err(error) = result
            && !matches!(error, AgentError::Stopped)
            && let Ok(mut first) = self.0.lock()
        {
            first.get_or_insert(error);
        }
        drop(ends);
    }

    pub(super) fn is_known(&self) -> bool {
        self.0.lock().is_ok_and(|first| first.is_some())
    }

    pub(super) fn take(&self) -> Option<AgentError> {
        self.0.lock().ok()?.take()
    }
}
