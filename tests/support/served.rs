//! A controller of a test's own: the program's `serve` on a free port of loopback, stopped with the value.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(unreachable_pub, reason = "each test program is a crate of its own")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Run, Sandbox};

/// A controller, its address and its first token.
pub struct Served {
    child: Child,
    pub url: String,
    pub token: String,
    log: PathBuf,
}

impl Served {
    /// Starts a controller on `data` for the first time, with further arguments of `serve`.
    pub fn start(sandbox: &Sandbox, data: &str, args: &[&str]) -> Self {
        Self::start_with(sandbox, data, args, &[])
    }

    /// The same with variables of a cloud.
    pub fn start_with(
        sandbox: &Sandbox,
        data: &str,
        args: &[&str],
        variables: &[(&'static str, String)],
    ) -> Self {
        let (mut served, stdout) = Self::spawn(sandbox, data, args, variables, 0);
        let mut lines = BufReader::new(stdout).lines();
        let mut value = |name: &str| {
            let line = lines.next().unwrap_or_else(|| panic!("no {name}: {}", served.log())).unwrap();
            line.strip_prefix(&format!("export {name}=")).unwrap().to_owned()
        };
        let (url, token) = (value("PANNIER_URL"), value("PANNIER_TOKEN"));
        served.url = url;
        served.token = token;
        served
    }

    /// Starts a controller again on the data and port of one that was stopped; it prints nothing this time.
    pub fn again(sandbox: &Sandbox, data: &str, args: &[&str], before: &Self) -> Self {
        Self::again_with(sandbox, data, args, &[], before)
    }

    /// The same with variables of a cloud.
    pub fn again_with(
        sandbox: &Sandbox,
        data: &str,
        args: &[&str],
        variables: &[(&'static str, String)],
        before: &Self,
    ) -> Self {
        let port = before.url.rsplit(':').next().unwrap().parse().unwrap();
        let (mut served, _) = Self::spawn(sandbox, data, args, variables, port);
        served.url.clone_from(&before.url);
        served.token.clone_from(&before.token);
        for _ in 0..600 {
            if sandbox.at(&served, ["list"]).output().unwrap().status.success() {
                return served;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("the controller did not come back: {}", served.log());
    }

    fn spawn(
        sandbox: &Sandbox,
        data: &str,
        args: &[&str],
        variables: &[(&'static str, String)],
        port: u16,
    ) -> (Self, impl Read + use<>) {
        let log = sandbox.path(&format!("{data}.log"));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command =
            sandbox.command(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data", data]);
        command.args(args).env_remove("PANNIER_URL").env("PANNIER_LOG", "debug");
        command.envs(variables.iter().cloned());
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        (Self { child, url: String::new(), token: String::new(), log }, stdout)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The requests answered since the log was `from` bytes long, as `METHOD route`, in order.
    pub fn requests(&self, from: usize) -> Vec<String> {
        let log = self.log();
        let lines =
            log[from..].lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let answered = lines.filter(|line| line["message"] == "answered");
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        answered
            .map(|line| format!("{} {}", text(&line["span"]["method"]), text(&line["span"]["route"])))
            .collect()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let asked = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(asked.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sandbox {
    /// A command that talks to `served`, with a cache of its own beside the sandbox's.
    pub fn at<S: AsRef<std::ffi::OsStr>>(
        &self,
        served: &Served,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = self.command(args);
        command.env("PANNIER_URL", &served.url).env("PANNIER_TOKEN", &served.token);
        command
    }

    pub fn run_at<S: AsRef<std::ffi::OsStr>>(
        &self,
        served: &Served,
        args: impl IntoIterator<Item = S>,
    ) -> Run {
        Run(self.at(served, args).output().unwrap())
    }
}

/// Every file beneath `folder`, by its path.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok);
    files.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}
