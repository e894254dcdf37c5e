//! Where the commands run: a folder of this machine, or a served controller on its own disk or on SeaweedFS. No test.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;

use crate::support::proxy::Proxy;
use crate::support::served::Served;
use crate::support::servers::{BUCKET, Server, seaweedfs, seaweedfs_variables};
use crate::support::{Run, Sandbox};

/// A controller, with whatever must live as long.
pub(crate) struct Bed {
    pub(crate) sandbox: Sandbox,
    pub(crate) served: Option<Served>,
    /// The way to the store, where that is a server of its own.
    pub(crate) proxy: Option<Proxy>,
    _store: Option<Arc<Server>>,
}

impl Bed {
    /// The controller in the process itself.
    pub(crate) fn embedded() -> Self {
        Self { sandbox: Sandbox::new(), served: None, proxy: None, _store: None }
    }

    /// A served controller on its own disk.
    pub(crate) fn served() -> Self {
        let sandbox = Sandbox::new();
        let served = Served::start(&sandbox, "data", &[]);
        Self { sandbox, served: Some(served), proxy: None, _store: None }
    }

    /// A served controller on SeaweedFS behind a proxy, below a prefix of its own; `None`, said in one line, where that is not installed.
    pub(crate) fn on_seaweedfs(test: &str) -> Option<Self> {
        let store = seaweedfs(test)?;
        let proxy = Proxy::to(store.port);
        let sandbox = Sandbox::new();
        let url = format!("s3://{BUCKET}/{test}");
        let mut variables = seaweedfs_variables(&store);
        for (name, value) in &mut variables {
            if *name == "AWS_ENDPOINT_URL" {
                *value = format!("http://127.0.0.1:{}", proxy.port);
            }
        }
        let served = Served::start_with(&sandbox, "data", &["--store", &url], &variables);
        Some(Self { sandbox, served: Some(served), proxy: Some(proxy), _store: Some(store) })
    }

    /// Every kind that can be had here.
    pub(crate) fn all(test: &str) -> Vec<Self> {
        [Some(Self::embedded()), Some(Self::served()), Self::on_seaweedfs(test)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// `pannier artifact …`, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let args = [&["artifact"], args].concat();
        match &self.served {
            Some(served) => self.sandbox.at(served, args),
            None => self.sandbox.command(args),
        }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        Run(self.command(args).output().unwrap())
    }

    /// Uploads what fits from the workspace; what it said.
    #[track_caller]
    pub(crate) fn upload(&self, args: &[&str]) -> Value {
        self.run(&[&["upload", "-C", "work", "--json"], args].concat()).json()
    }

    /// Downloads into a folder of that name, which is made first; what it said.
    #[track_caller]
    pub(crate) fn download(&self, query: &str, folder: &str, args: &[&str]) -> Value {
        self.folder(folder);
        self.run(&[&["download", query, folder, "--json"], args].concat()).json()
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.sandbox.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Writes a file of the workspace.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.sandbox.work().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        file
    }

    /// Paths of what a search finds.
    #[track_caller]
    pub(crate) fn found(&self, query: &str, args: &[&str]) -> Vec<String> {
        let format = ["search", query, "--format", "%p\\n", "--allow-empty-results"];
        let run = self.run(&[&format[..], args].concat()).exits(0);
        run.stdout().lines().map(str::to_owned).collect()
    }

    /// How long the controller's log is now.
    pub(crate) fn mark(&self) -> usize {
        self.served.as_ref().map_or(0, |served| served.log().len())
    }

    /// What was asked of the controller since, in order.
    pub(crate) fn requests(&self, mark: usize) -> Vec<String> {
        self.served.as_ref().map_or_else(Vec::new, |served| served.requests(mark))
    }

    /// Bytes that went to the store so far.
    pub(crate) fn sent(&self) -> u64 {
        self.proxy.as_ref().map_or(0, Proxy::sent)
    }
}
