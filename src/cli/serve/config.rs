//! What `pannier serve` was told, by flags and by its configuration file; flags win. Not what follows from it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::controller::store::{Encryption, StoreUrl};

use crate::cli::args::{Global, LogFormat, ServeArgs};

const DEFAULT_LISTEN: &str = "127.0.0.1:7117";
const DEFAULT_URL_MINUTES: u32 = 15;
const DEFAULT_SWEEP_MINUTES: u32 = 60;

/// The configuration file; every key is a flag's.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    listen: Option<SocketAddr>,
    data: Option<PathBuf>,
    store: Option<String>,
    encryption: Option<String>,
    #[serde(default)]
    staging: bool,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    url_minutes: Option<u32>,
    sweep_minutes: Option<u32>,
    log: Option<LogFormat>,
}

/// Everything, with nothing left to default.
#[derive(Debug)]
pub(super) struct ServeConfig {
    pub(super) listen: SocketAddr,
    pub(super) data: PathBuf,
    /// The data folder's own without.
    pub(super) store: Option<StoreUrl>,
    pub(super) encryption: Option<Encryption>,
    pub(super) staging: bool,
    pub(super) tls: Option<(PathBuf, PathBuf)>,
    pub(super) url_minutes: u32,
    pub(super) sweep_minutes: u32,
    pub(super) log: LogFormat,
}

impl ServeConfig {
    /// Reads the file if there is one, and puts the flags over it.
    pub(super) fn read(global: &Global, args: &ServeArgs) -> anyhow::Result<Self> {
        let file = args.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let default_listen = DEFAULT_LISTEN.parse().context("the default address")?;
        let data = match args.data.clone().or(file.data) {
            Some(data) => data,
            None => global.store_folder()?,
        };
        let certificate = args.tls_certificate.clone().or(file.tls_certificate);
        let tls = match (certificate, args.tls_key.clone().or(file.tls_key)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => bail!("a certificate and its key go together: tls-certificate and tls-key"),
        };
        let encryption = args.encryption.clone().or(file.encryption);
        let url_minutes = args.url_minutes.or(file.url_minutes).unwrap_or(DEFAULT_URL_MINUTES);
        if !(1..=DEFAULT_URL_MINUTES).contains(&url_minutes) {
            bail!("url-minutes is {url_minutes}, and must be 1 to {DEFAULT_URL_MINUTES}");
        }
        Ok(Self {
            listen: args.listen.or(file.listen).unwrap_or(default_listen),
            data,
            store: args.store.clone().or(file.store).map(|url| url.parse()).transpose()?,
            encryption: encryption.map(|text| text.parse().map_err(anyhow::Error::msg)).transpose()?,
            staging: args.staging || file.staging,
            tls,
            url_minutes,
            sweep_minutes: args.sweep_minutes.or(file.sweep_minutes).unwrap_or(DEFAULT_SWEEP_MINUTES),
            log: args.log.or(file.log).unwrap_or_default(),
        })
    }
}

fn read_file(path: &Path) -> anyhow::Result<File> {
    let text = fs_err::read_to_string(path)?;
    toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
}
