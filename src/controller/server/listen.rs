//! From a controller to a server that listens, and back: start, stop cleanly, sweep meanwhile.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::RustlsConfig;

use crate::controller::caller::Caller;
use crate::controller::open::Controller;
use crate::controller::store::ServedStore;
use crate::protocol::GcOptions;

use super::routes::router;
use super::state::Server;
use super::tokens::Tokens;

/// How long requests under way may take once the server is to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Where and how to listen.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// Certificate and key; plain HTTP without, for loopback or behind a proxy that adds TLS.
    pub tls: Option<Tls>,
    /// How often what nothing refers to is swept; never with zero.
    pub sweep_every: Duration,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate and those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why the server could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use the certificate {} with the key {}", certificate.display(), key.display())]
    Tls {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Threads or signals are not to be had.
    #[error("the server cannot run")]
    Run(#[source] io::Error),
}

/// What is served.
pub struct Serving {
    /// The controller.
    pub controller: Arc<Controller>,
    /// Its tokens.
    pub tokens: Tokens,
    /// The disk store, where this server hands out its objects.
    pub objects: Option<ServedStore>,
}

/// Serves until SIGINT or SIGTERM; `started` is told the address once connections are taken.
pub fn serve(serving: Serving, listen: &Listen, started: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("pannier-serve")
        .enable_all()
        .build()
        .map_err(ServeError::Run)?;
    let controller = Arc::clone(&serving.controller);
    let is_elsewhere = serving.objects.is_none();
    let server =
        Arc::new(Server::new(serving.controller, serving.tokens, serving.objects, listen.tls.is_some()));
    runtime.block_on(async {
        let address = |source| ServeError::Address { address: listen.address, source };
        let listener = TcpListener::bind(listen.address).map_err(address)?;
        listener.set_nonblocking(true).map_err(address)?;
        started(listener.local_addr().map_err(address)?);
        let handle = Handle::new();
        tokio::spawn(stop_on_signal(handle.clone()));
        if is_elsewhere {
            tokio::spawn(look_at_store(Arc::clone(&controller)));
        }
        if !listen.sweep_every.is_zero() {
            tokio::spawn(sweep(controller, listen.sweep_every));
        }
        let app = router(server).into_make_service();
        match &listen.tls {
            None => {
                let server = axum_server::from_tcp(listener).map_err(ServeError::Run)?;
                // An answer's head goes before its body, which would otherwise wait until the other side has acknowledged it.
                let server = server.acceptor(NoDelayAcceptor::new());
                server.handle(handle).serve(app).await.map_err(ServeError::Run)
            }
            Some(tls) => {
                let config =
                    RustlsConfig::from_pem_file(&tls.certificate, &tls.key).await.map_err(|source| {
                        ServeError::Tls { certificate: tls.certificate.clone(), key: tls.key.clone(), source }
                    })?;
                let server = axum_server::from_tcp_rustls(listener, config).map_err(ServeError::Run)?;
                let server = server.map(|acceptor| acceptor.acceptor(NoDelayAcceptor::new()));
                server.handle(handle).serve(app).await.map_err(ServeError::Run)
            }
        }
    })?;
    // A verify may still be reading; it changes nothing that a kill would hurt.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

/// Whether certificate and key can be read and belong together.
pub fn check_tls(certificate: &Path, key: &Path) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(RustlsConfig::from_pem_file(certificate, key)).map(drop)
}

/// The first signal lets requests under way end; the second ends the process at once.
async fn stop_on_signal(handle: Handle<SocketAddr>) {
    if wait_for_signal().await.is_err() {
        tracing::warn!("signals cannot be caught: a stop will not wait for requests under way");
        return;
    }
    tracing::info!(connections = handle.connection_count(), "stopping");
    handle.graceful_shutdown(Some(GRACE));
    let _ = wait_for_signal().await;
    handle.shutdown();
}

async fn wait_for_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Says at the start what agents would meet later. The server stays: a store that is down may be back in a minute.
async fn look_at_store(controller: Arc<Controller>) {
    let looked = tokio::task::spawn_blocking(move || controller.store.check()).await;
    for finding in looked.unwrap_or_default() {
        match finding.mend {
            Some(mend) => tracing::error!(what = finding.what, mend, "the store is not as it should be"),
            None => tracing::info!(what = finding.what, "the store was tried"),
        }
    }
}

/// Reaps dead sessions and deletes what nothing refers to.
async fn sweep(controller: Arc<Controller>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let controller = Arc::clone(&controller);
        let swept =
            tokio::task::spawn_blocking(move || controller.gc(&Caller::local(), &GcOptions::default())).await;
        if let Ok(Err(error)) = swept {
            tracing::error!(
                why = crate::controller::error::reasons(&error),
                "the sweep failed; it comes again"
            );
        }
    }
}
