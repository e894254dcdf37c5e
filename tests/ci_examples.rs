//! The examples of `docs/ci`, run as far as their shell goes: the environment that each CI system sets, its rule of what runs
//! after a failure, a real controller. What stands in a `Jenkinsfile` or YAML around the shell is not interpreted but for that.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::served::Served;
use support::{Run, Sandbox};

/// A worker: its checkout, and the variables of the CI system.
struct Worker<'a> {
    sandbox: &'a Sandbox,
    served: &'a Served,
    checkout: PathBuf,
    environment: Vec<(&'static str, &'static str)>,
}

impl<'a> Worker<'a> {
    fn new(
        sandbox: &'a Sandbox,
        served: &'a Served,
        name: &str,
        environment: &[(&'static str, &'static str)],
    ) -> Self {
        let checkout = sandbox.path(name);
        fs::create_dir(&checkout).unwrap();
        Self { sandbox, served, checkout, environment: environment.to_vec() }
    }

    /// What the examples call `make`: a build, and tests that write a report and then fail.
    fn with_makefile(self) -> Self {
        let makefile = "build:\n\tmkdir -p out && echo built > out/program && chmod 750 out/program\n\
            test:\n\ttest -x out/program && mkdir -p reports/unit && echo '<failed/>' > reports/unit/a.xml && exit 7\n";
        fs::write(self.checkout.join("Makefile"), makefile).unwrap();
        self
    }

    /// Runs one step's shell, as its CI system does; its exit code.
    fn sh(&self, script: &str) -> i32 {
        self.run(Command::new("bash").args(["-e", "-c", script]))
    }

    fn run(&self, command: &mut Command) -> i32 {
        let program = Path::new(env!("CARGO_BIN_EXE_pannier")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        command
            .current_dir(&self.checkout)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.sandbox.path("home"));
        command.env("PANNIER_URL", &self.served.url).env("PANNIER_TOKEN", &self.served.token);
        command.env("PANNIER_CACHE_DIR", self.sandbox.path("cache")).envs(self.environment.iter().copied());
        let run = Run(command.output().unwrap());
        assert!(run.code() != 127, "{}", run.stderr());
        run.code()
    }
}

fn example(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci").join(file)).unwrap()
}

/// Asserts that the build has the failed tests' report, and that it is the one that they wrote.
fn assert_report_is_kept(sandbox: &Sandbox, served: &Served, project: &str, build: &str) {
    let out = sandbox.path("fetched");
    fs::create_dir(&out).unwrap();
    let arguments = ["artifact", "download", "reports/*", "fetched", "--project", project, "--build", build];
    sandbox.run_at(served, arguments).exits(0);
    assert_eq!(fs::read_to_string(out.join("reports/unit/a.xml")).unwrap(), "<failed/>\n");
}

/// Proves that the plugin's hooks take a stash, make one of a command that succeeded, and upload artifacts of one that failed.
#[test]
fn buildkite_plugin() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, "data", &[]);
    let agent = [
        ("BUILDKITE", "true"),
        ("BUILDKITE_ORGANIZATION_SLUG", "org"),
        ("BUILDKITE_PIPELINE_SLUG", "pipe"),
        ("BUILDKITE_BUILD_ID", "0191-build"),
        ("BUILDKITE_BUILD_NUMBER", "7"),
        ("BUILDKITE_BRANCH", "main"),
    ];
    let hook = |worker: &Worker<'_>, hook: &str, more: &[(&str, &str)]| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci/buildkite-plugin/hooks").join(hook);
        let mut command = Command::new("bash");
        command.arg("-c").arg(format!(
            "{} exec {}",
            more.iter().map(|(name, value)| format!("export {name}='{value}';")).collect::<String>(),
            file.display()
        ));
        worker.run(&mut command)
    };
    let first = [&agent[..], &[("BUILDKITE_JOB_ID", "job-1"), ("BUILDKITE_STEP_KEY", "build")]].concat();
    let build = Worker::new(&sandbox, &served, "build", &first).with_makefile();
    assert_eq!(build.sh("make build"), 0);
    let stash = ("BUILDKITE_PLUGIN_PANNIER_STASH", "workspace");
    assert_eq!(hook(&build, "post-command", &[stash, ("BUILDKITE_COMMAND_EXIT_STATUS", "0")]), 0);
    let second = [&agent[..], &[("BUILDKITE_JOB_ID", "job-2"), ("BUILDKITE_STEP_KEY", "tests")]].concat();
    let test = Worker::new(&sandbox, &served, "test", &second);
    assert_eq!(hook(&test, "pre-command", &[("BUILDKITE_PLUGIN_PANNIER_UNSTASH", "workspace")]), 0);
    assert_ne!(test.sh("make test"), 0, "the tests fail");
    let globs = ("BUILDKITE_PLUGIN_PANNIER_ARTIFACT_PATHS", "reports/**/*.xml;nothing/*");
    let failed = ("BUILDKITE_COMMAND_EXIT_STATUS", "2");
    let unwanted = ("BUILDKITE_PLUGIN_PANNIER_STASH", "broken");
    assert_eq!(hook(&test, "post-command", &[globs, failed, unwanted]), 0);
    assert_report_is_kept(&sandbox, &served, "org/pipe", "0191-build");
    let listed =
        sandbox.run_at(&served, ["list", "--project", "org/pipe", "--build", "0191-build", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "no stash of a command that failed: {listed}");
}

/// The scripts of `sh '…'`, in order.
fn jenkins_steps(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim).filter_map(|line| line.strip_prefix("sh '"));
    lines.map(|rest| rest.strip_suffix('\'').unwrap()).collect()
}

/// Proves that the `Jenkinsfile`'s stages pass a workspace on and keep a failed test's report.
#[test]
fn jenkinsfile() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, "data", &[]);
    let environment =
        [("JENKINS_URL", "https://jenkins.example/"), ("JOB_NAME", "dev%2Fmain"), ("BUILD_NUMBER", "12")];
    let text = example("Jenkinsfile");
    let steps = jenkins_steps(&text);
    let [build, stash, unstash, test, upload] = steps[..] else { panic!("{steps:?}") };
    assert!(text.split("always {").nth(1).unwrap().contains(upload), "it runs after a failure");
    let first = Worker::new(&sandbox, &served, "first", &environment).with_makefile();
    assert_eq!((first.sh(build), first.sh(stash)), (0, 0));
    let second = Worker::new(&sandbox, &served, "second", &environment);
    assert_eq!(second.sh(unstash), 0);
    assert_ne!(second.sh(test), 0);
    assert_eq!(second.sh(upload), 0);
    assert_report_is_kept(&sandbox, &served, "dev%2Fmain", "12");
}

/// Proves that the GitHub workflow's jobs pass a workspace on and keep a failed test's report.
#[test]
fn github_workflow() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, "data", &[]);
    let environment = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "owner/repository"),
        ("GITHUB_WORKFLOW_REF", "owner/repository/.github/workflows/pannier.yml@refs/heads/main"),
        ("GITHUB_RUN_ID", "991"),
        ("GITHUB_RUN_ATTEMPT", "1"),
        ("GITHUB_JOB", "build"),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_SHA", "abc"),
    ];
    let text = example("github.yml");
    let lines = text.lines().map(|line| line.trim().trim_start_matches("- "));
    let steps: Vec<&str> = lines.filter_map(|line| line.strip_prefix("run: ")).collect();
    let [build, stash, unstash, test, upload] = steps[..] else { panic!("{steps:?}") };
    assert!(text.split("if: always()").nth(1).unwrap().contains(upload), "it runs after a failure");
    let first = Worker::new(&sandbox, &served, "first", &environment).with_makefile();
    assert_eq!((first.sh(build), first.sh(stash)), (0, 0));
    let second = Worker::new(&sandbox, &served, "second", &environment);
    assert_eq!(second.sh(unstash), 0);
    assert_ne!(second.sh(test), 0);
    assert_eq!(second.sh(upload), 0);
    let build =
        sandbox.run_at(&served, ["list", "--json", "--project", "owner/repository", "--build", "991"]).json();
    assert_eq!(build[0]["name"], "workspace", "{build}");
    assert_report_is_kept(&sandbox, &served, "owner/repository", "991");
}

/// Proves that the GitLab jobs pass a workspace on and keep a failed test's report.
#[test]
fn gitlab_jobs() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, "data", &[]);
    let environment = [
        ("GITLAB_CI", "true"),
        ("CI_PROJECT_PATH", "group/project"),
        ("CI_PIPELINE_ID", "55"),
        ("CI_JOB_ID", "801"),
        ("CI_JOB_NAME", "test"),
        ("CI_COMMIT_REF_NAME", "main"),
        ("CI_COMMIT_SHA", "abc"),
    ];
    let text = example("gitlab-ci.yml");
    let steps: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("    - ")).collect();
    let [build, stash, unstash, test, upload] = steps[..] else { panic!("{steps:?}") };
    assert!(text.split("after_script:").nth(1).unwrap().contains(upload), "it runs after a failure");
    let first = Worker::new(&sandbox, &served, "first", &environment).with_makefile();
    assert_eq!((first.sh(build), first.sh(stash)), (0, 0));
    let second = Worker::new(&sandbox, &served, "second", &environment);
    assert_eq!(second.sh(unstash), 0);
    assert_ne!(second.sh(test), 0);
    assert_eq!(second.sh(upload), 0);
    assert_report_is_kept(&sandbox, &served, "group/project", "55");
}
