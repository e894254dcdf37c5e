//! Which controller a command talks to, where its caches stand, and which build it is about.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::http::{Client, ClientOptions};
use crate::protocol::BuildId;
use crate::protocol::build::check_label;
use crate::transfer::{ArtifactRemote, HttpRemote, Remote};
use crate::workspace::stat_cache::cache_file;

use super::args::Global;
use super::embedded::Embedded;
use super::identity::{self, Identity};
use super::signals;

impl Global {
    /// Whom this process runs for.
    pub(super) fn identity(&self) -> Identity {
        Identity::find(&self.identity, &identity::of_process)
    }

    /// The build that flags, variables or the CI system name.
    pub(super) fn build_id(&self) -> anyhow::Result<BuildId> {
        self.identity().build_id()
    }

    /// Another build of the same project.
    pub(super) fn build_named(&self, build: &str) -> anyhow::Result<BuildId> {
        check_label(build).context("the build's name cannot be used")?;
        Ok(BuildId { project: self.identity().project_label()?, build: build.to_owned() })
    }

    /// The controller at the URL that was named, or in this process, on the folder that was named or the user's own.
    pub(super) fn connect(&self) -> anyhow::Result<Box<dyn Remote>> {
        match &self.url {
            Some(url) if is_http(url) => Ok(Box::new(self.connect_http(url)?)),
            _ => Ok(Box::new(Embedded::open(&self.store_folder()?)?)),
        }
    }

    /// The same controller's artifacts.
    pub(super) fn connect_artifacts(&self) -> anyhow::Result<Box<dyn ArtifactRemote>> {
        match &self.url {
            Some(url) if is_http(url) => Ok(Box::new(self.connect_http(url)?)),
            _ => Ok(Box::new(Embedded::open(&self.store_folder()?)?)),
        }
    }

    fn connect_http(&self, url: &str) -> anyhow::Result<HttpRemote> {
        let client = Client::new(&self.client_options()).context("cannot talk HTTP")?;
        Ok(HttpRemote::new(client, url, self.token.clone())?)
    }

    fn client_options(&self) -> ClientOptions {
        let options = ClientOptions {
            ca_file: self.ca_file.clone(),
            stop: signals::stop(),
            ..ClientOptions::default()
        };
        // Undocumented: tests have no minutes to wait.
        match std::env::var("PANNIER_HTTP_HASTE").ok().and_then(|by| by.parse().ok()) {
            Some(by) => options.hastened(by),
            None => options,
        }
    }

    /// Where ledger and store stand; an error if they are a controller's.
    pub(super) fn store_folder(&self) -> anyhow::Result<PathBuf> {
        let Some(url) = &self.url else { return user_folder("XDG_DATA_HOME", ".local/share") };
        match url.split_once("://") {
            None => Ok(PathBuf::from(url)),
            Some(("file", path)) if path.starts_with('/') => Ok(PathBuf::from(path)),
            Some(("http" | "https", _)) => bail!("this works on a folder, and PANNIER_URL is a controller's"),
            Some((scheme, _)) => bail!(
                "PANNIER_URL is a {scheme} URL: it takes a controller's (https://…) or a folder; a store's goes to `pannier serve --store`"
            ),
        }
    }

    /// Where what is remembered stands.
    pub(super) fn cache_folder(&self) -> anyhow::Result<PathBuf> {
        self.cache_dir.clone().map_or_else(|| user_folder("XDG_CACHE_HOME", ".cache"), Ok)
    }

    /// The stat cache of a workspace, unless it is not wanted.
    pub(super) fn cache_file(&self, workspace: &Path, unwanted: bool) -> anyhow::Result<Option<PathBuf>> {
        if unwanted {
            return Ok(None);
        }
        Ok(Some(cache_file(&self.cache_folder()?, workspace)))
    }

    /// Folders that a stash never holds, wherever they stand.
    pub(super) fn leave_out(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut folders = vec![self.cache_folder()?];
        if !self.url.as_deref().is_some_and(is_http) {
            folders.push(self.store_folder()?);
        }
        Ok(folders)
    }

    /// How many threads may work.
    pub(super) fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.threads.map_or_else(cores, std::num::NonZero::get)
    }
}

fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// `pannier` in the folder that `variable` names, or beneath the home folder.
fn user_folder(variable: &str, beneath_home: &str) -> anyhow::Result<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(beneath_home));
    let folder = named.or_else(home).with_context(|| {
        format!(
            "there is no home folder and no {variable}: name folders with PANNIER_URL and PANNIER_CACHE_DIR"
        )
    })?;
    Ok(folder.join("pannier"))
}
