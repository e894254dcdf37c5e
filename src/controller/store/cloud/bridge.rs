//! Waits on a plain thread for a request that runs on a small runtime of the store's own. Not a thread pool for others.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that drive sockets; what computes (signatures, checksums) runs on the thread that waits.
const THREADS: usize = 2;

/// The runtime behind a store's blocking methods.
pub(super) struct Bridge {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Bridge {
    pub(super) fn new() -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(THREADS).thread_name("store").enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Waits for `request`. From a plain or a blocking thread, never from within another runtime's task: that panics.
    pub(super) fn wait<F: Future>(&self, request: F) -> F::Output {
        self.handle.block_on(request)
    }
}

impl Drop for Bridge {
    /// A server may drop its store inside its own runtime, where waiting for threads is not allowed.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
