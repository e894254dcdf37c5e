//! `pannier serve`: from what was configured to a controller that listens, or to a list of what to mend.

mod check;
mod config;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::controller::server::{KEY_FILE, Listen, ServerKey, Serving, Tls, Tokens, serve};
use crate::controller::store::{DiskStore, ServedStore, Store, StoreOptions, StoreUrl, open_store};
use crate::controller::{Clock, Controller, SystemClock};
use crate::protocol::TokenRequest;

use super::args::{Global, LogFormat, ServeArgs};
use super::exit::Exit;
use super::{Outcome, ui};
use config::ServeConfig;

/// What is logged unless `PANNIER_LOG` says otherwise.
const DEFAULT_LOG: &str = "info";
/// How long the token lives that the first start prints.
const FIRST_TOKEN_SECONDS: u64 = 365 * 24 * 60 * 60;

pub(super) fn run(global: &Global, args: &ServeArgs) -> Outcome {
    let config = ServeConfig::read(global, args)?;
    start_logging(config.log);
    fs_err::create_dir_all(&config.data)?;
    if args.check {
        return check::run(global, &config);
    }
    let key_file = config.data.join(KEY_FILE);
    let unusable = || "cannot use the controller's key";
    let (key, first) = ServerKey::read_or_new(&key_file).with_context(unusable)?;
    let tokens = Tokens::new(&key);
    let opened = open(&config, &key)?;
    let controller = Controller::open_to_serve(&config.data, opened.store)?;
    if first {
        // Only now: a start that failed was not the first one, and the next one prints a token.
        key.keep(&key_file).with_context(unusable)?;
    }
    let first_token =
        TokenRequest { operator: true, lives_seconds: FIRST_TOKEN_SECONDS, ..TokenRequest::default() };
    let token = first.then(|| tokens.issue(&first_token, SystemClock.now())).transpose()?;
    let serving = Serving { controller: Arc::new(controller), tokens, objects: opened.objects };
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    serve(serving, &listen(&config), |address| {
        let url = format!("{scheme}://{}", reachable(address));
        tracing::info!(url, "listening");
        // Once: whoever starts a controller is who may hand out its tokens.
        if let Some(token) = token {
            let lines = format!("export PANNIER_URL={url}\nexport PANNIER_TOKEN={}\n", token.token);
            if ui::print(&lines).is_err() {
                tracing::warn!("the first token could not be printed; `pannier token` makes another");
            }
        }
    })?;
    Ok(Exit::Done)
}

/// The store, and the same again where this server hands out its objects.
struct Opened {
    store: Box<dyn Store>,
    objects: Option<ServedStore>,
}

fn open(config: &ServeConfig, key: &ServerKey) -> anyhow::Result<Opened> {
    let url_life = Duration::from_secs(60 * u64::from(config.url_minutes));
    let own = || anyhow::Ok(StoreUrl::Disk(std::path::absolute(&config.data)?.join("store")));
    let url = config.store.clone().map_or_else(own, Ok)?;
    let (encryption, staging) = (config.encryption.clone(), config.staging);
    let options = StoreOptions { url_life, encryption, staging, ..StoreOptions::from_environment() };
    let store = open_store(&url, &options)?;
    let StoreUrl::Disk(folder) = &url else { return Ok(Opened { store, objects: None }) };
    let lives_seconds = i64::from(config.url_minutes) * 60;
    let disk = DiskStore::open(folder);
    let served = ServedStore::new(disk, &key.derive("objects"), Arc::new(SystemClock), lives_seconds);
    Ok(Opened { store: Box::new(served.clone()), objects: Some(served) })
}

fn listen(config: &ServeConfig) -> Listen {
    let tls = config.tls.clone().map(|(certificate, key)| Tls { certificate, key });
    let sweep_every = Duration::from_secs(60 * u64::from(config.sweep_minutes));
    Listen { address: config.listen, tls, sweep_every }
}

/// The address for agents: an unspecified one is this machine's name.
fn reachable(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{name}:{}", address.port())
}

fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_env("PANNIER_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).init();
        }
        LogFormat::Text => lines.with_target(false).init(),
    }
}
