//! One connection's worth of a client: a thread that has a lane drives its sockets itself, so that a small request wakes no
//! other thread. Retries nothing.

use std::time::Duration;

use reqwest::redirect::Policy;
use tokio::runtime::Runtime;

use super::options::ClientOptions;

/// Idle connections are dropped before servers and balancers drop theirs (60 s is common).
const POOL_IDLE: Duration = Duration::from_secs(30);

/// Connections, and the runtime that moves their bytes while somebody waits for them.
pub(super) struct Lane {
    http: reqwest::Client,
    /// Taken when the lane goes.
    runtime: Option<Runtime>,
}

impl Lane {
    /// A lane with these options. Proxies are the environment's (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`);
    /// certificates are the system's (or those that `SSL_CERT_FILE` names) and `ca_file`'s. Why there is none, if not.
    pub(super) fn new(options: &ClientOptions) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("pannier/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            // One transfer, one connection: what several at once bring is then to be measured (`transfer::gate`).
            .http1_only()
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(POOL_IDLE)
            .retry(reqwest::retry::never());
        for certificate in certificates(options)? {
            builder = builder.tls_certs_merge([certificate]);
        }
        let http = builder.build().map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .thread_name("pannier-http")
            .enable_all()
            .build()
            .map_err(|error| format!("no sockets for it: {error}"))?;
        Ok(Self { http, runtime: Some(runtime) })
    }

    /// What sends requests, while [`Self::run`] runs.
    pub(super) const fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Drives `future` and all of the lane's connections until it is done.
    pub(super) fn run<T, E: From<NoRuntime>>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(future),
            None => Err(NoRuntime.into()),
        }
    }
}

/// Only `drop` takes a lane's runtime, and nobody has the lane then.
pub(super) struct NoRuntime;

impl Drop for Lane {
    fn drop(&mut self) {
        // Waiting for it could block an async task of somebody else's.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn certificates(options: &ClientOptions) -> Result<Vec<reqwest::Certificate>, String> {
    let Some(file) = &options.ca_file else { return Ok(Vec::new()) };
    let pem = fs_err::read(file).map_err(|error| error.to_string())?;
    let found = reqwest::Certificate::from_pem_bundle(&pem)
        .map_err(|error| format!("{} holds no certificates: {error}", file.display()))?;
    if found.is_empty() { Err(format!("{} holds no certificates", file.display())) } else { Ok(found) }
}
