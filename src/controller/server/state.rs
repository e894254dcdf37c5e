//! What every handler shares: the controller, its tokens, its limits, its counters. Handlers are async, the controller is
//! not: each request does its work on a thread of its own, of which there are so many and no more.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::controller::error::ControllerError;
use crate::controller::open::Controller;

use super::answer::Failure;
use super::buildkite::Relays;
use super::metrics::Metrics;
use super::objects::Objects;
use super::tokens::Tokens;

/// Requests at work at once; each may hold a body of [`super::routes::MAX_BODY_BYTES`] and a thread.
const AT_WORK: usize = 64;

/// Streams at once to browsers; each holds a thread, a few frames and a footer or two: about 16 MB.
const STREAMS: usize = 16;

/// The state behind the routes.
pub(super) struct Server {
    pub(super) controller: Arc<Controller>,
    pub(super) tokens: Tokens,
    pub(super) metrics: Metrics,
    /// The disk store's objects, which this server hands out itself; none where a cloud does.
    pub(super) objects: Option<Objects>,
    at_work: Arc<Semaphore>,
    /// Whether the server itself speaks TLS.
    pub(super) tls: bool,
    /// Content of foreign agents on its way through.
    pub(super) relays: Relays,
    /// Places for files and tarballs on their way to browsers.
    pub(super) streams: Arc<Semaphore>,
}

impl Server {
    pub(super) fn new(
        controller: Arc<Controller>,
        tokens: Tokens,
        objects: Option<Objects>,
        tls: bool,
    ) -> Self {
        let at_work = Arc::new(Semaphore::new(AT_WORK));
        let metrics = Metrics::default();
        controller.ledger.observe(metrics.ledger_observer());
        let streams = Arc::new(Semaphore::new(STREAMS));
        Self { controller, tokens, metrics, objects, at_work, tls, relays: Relays::default(), streams }
    }

    /// Runs `work` on a blocking thread, once one of the places is free.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Controller) -> Result<T, ControllerError> + Send + 'static,
    ) -> Result<T, Failure> {
        let place = Arc::clone(&self.at_work).acquire_owned().await.map_err(|_| Failure::Busy)?;
        let controller = Arc::clone(&self.controller);
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&controller)
        });
        // A panic in a handler is a bug; it ends that request alone.
        done.await.map_err(|_| Failure::Busy)?.map_err(Failure::Controller)
    }
}
