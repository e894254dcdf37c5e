//! A `buildkite-agent` that `tests/servers` built, in the environment of a job. No test.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::api::Api;
use crate::support::Run;
use crate::support::servers::installed;

/// The agents by their folders: the first sends parts (3.83 and later), the second forms.
pub(crate) const VERSIONS: [&str; 2] = ["buildkite-agent", "buildkite-agent-forms"];

/// A job's agent.
pub(crate) struct Agent {
    program: PathBuf,
    url: String,
    token: String,
    build: String,
}

impl Agent {
    /// The agent in a job of that build of project org/pipe; `None`, said in one line, where it could not be built.
    pub(crate) fn of(api: &Api, version: &str, build: &str, test: &str) -> Option<Self> {
        let program = installed(&format!("{version}/bin/buildkite-agent"), test)?;
        let arguments =
            ["--for-project", "org/pipe", "--for-build", build, "--for-job", "job-1", "--for-step", "tests"];
        let token = api.token(&arguments);
        Some(Self { program, url: api.served.url.clone(), token, build: build.to_owned() })
    }

    /// `artifact …` in `folder`, not started yet.
    pub(crate) fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("artifact").args(arguments).current_dir(folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", folder);
        command.env("BUILDKITE_AGENT_ENDPOINT", format!("{}/v3", self.url));
        command.env("BUILDKITE_AGENT_ACCESS_TOKEN", &self.token);
        command.env("BUILDKITE_JOB_ID", "job-1").env("BUILDKITE_BUILD_ID", &self.build);
        command.env("BUILDKITE_NO_COLOR", "true");
        command
    }

    pub(crate) fn run(&self, folder: &Path, arguments: &[&str]) -> Run {
        Run(self.command(folder, arguments).output().unwrap())
    }
}
