//! What people type and see: names, filters, messages, hints, exit codes, JSON.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]

mod support;

use std::fs;

use support::{Run, Sandbox, make_rich_tree};

fn small() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.work().join(".git")).unwrap();
    for (path, text) in [("a.txt", "alpha"), ("b.log", "beta"), (".git/config", "x"), ("somefile~", "y")] {
        fs::write(sandbox.work().join(path), text).unwrap();
    }
    sandbox
}

fn dry_run(sandbox: &Sandbox, flags: &[&str]) -> Vec<String> {
    let run = sandbox.run([&["stash", "x", "-C", "work", "--dry-run", "-q"], flags].concat());
    run.exits(0).stdout().lines().map(str::to_owned).collect()
}

#[test]
fn a_stash_ends_in_one_line_that_says_what_moved() {
    let sandbox = small();
    let first = sandbox.run(["stash", "ws", "-C", "work"]).exits(0);
    assert_eq!(first.stdout(), "");
    assert!(first.stderr().starts_with("Stashed 4 files, 11 B: "), "{}", first.stderr());
    assert!(first.stderr().contains(" new in 1 pack, 0.0 % known, "), "{}", first.stderr());
    sandbox.run(["stash", "ws", "-C", "work"]).exits(0).says(": nothing new, 100 % known, ");
    assert_eq!(sandbox.run(["stash", "ws", "-C", "work", "--quiet"]).exits(0).stderr(), "");
}

#[test]
fn nothing_is_left_out_unless_it_is_asked_for() {
    let sandbox = small();
    assert_eq!(dry_run(&sandbox, &[]), [".git", ".git/config", "a.txt", "b.log", "somefile~"]);
    assert_eq!(dry_run(&sandbox, &["--default-excludes"]), ["a.txt", "b.log"]);
    assert_eq!(dry_run(&sandbox, &["--includes", "**/*.txt, .git/"]), [".git", ".git/config", "a.txt"]);
    assert_eq!(dry_run(&sandbox, &["--excludes", ".git/**,*.log"]), ["a.txt", "somefile~"]);
    fs::write(sandbox.work().join(".gitignore"), "*.log\n").unwrap();
    assert_eq!(
        dry_run(&sandbox, &["--gitignore", "--excludes", ".git/"]),
        [".gitignore", "a.txt", "somefile~"]
    );
    assert!(!sandbox.store().exists(), "a dry run makes nothing");
}

#[test]
fn names_are_checked_as_jenkins_checks_them() {
    let sandbox = small();
    for name in ["", ".", "a/b", "a*", "end."] {
        sandbox.run(["stash", name, "-C", "work"]).exits(2);
        sandbox.run(["unstash", name, "-C", "out"]).exits(2);
    }
    sandbox.run(["stash", "my stash čॐ", "-C", "work"]).exits(0);
    sandbox.run(["unstash", "my stash čॐ", "-C", "out"]).exits(0);
}

#[test]
fn an_empty_stash_is_refused_unless_it_is_welcome() {
    let sandbox = small();
    let refused = sandbox.run(["stash", "ws", "-C", "work", "--includes", "*.none"]).exits(1);
    refused.says("No files included in stash `ws`").says("hint: ").says("--allow-empty");
    sandbox.run(["stash", "ws", "-C", "work", "--includes", "*.none", "--allow-empty"]).exits(0);
    sandbox.run(["unstash", "ws", "-C", "out"]).exits(0);
    assert_eq!(fs::read_dir(sandbox.path("out")).unwrap().count(), 0);
}

#[test]
fn a_failed_stash_leaves_the_earlier_one() {
    let sandbox = small();
    let before = sandbox.stash("ws");
    sandbox.run(["stash", "ws", "-C", "work", "--includes", "*.none"]).exits(1);
    sandbox.run(["stash", "ws", "-C", "no-such-folder"]).exits(1).says("no-such-folder");
    assert_eq!(sandbox.run(["show", "ws", "--json"]).json()["stash"]["id"], before["stash"]["id"]);
}

#[test]
fn what_is_not_there_is_said_with_a_next_step() {
    let sandbox = small();
    for args in
        [&["unstash", "none", "-C", "out"][..], &["show", "none"], &["rm", "none"], &["export", "none"]]
    {
        let run: Run = sandbox.run(args).exits(4);
        run.says("No such saved stash ‘none’").says("hint: `pannier list`");
    }
    assert!(!sandbox.path("out").exists(), "an unstash of nothing makes no folder");
    sandbox.run(["stash", "x", "--no-such-flag"]).exits(2);
    sandbox.run(["import", "no-such.tar", "x"]).exits(1).says("no-such.tar");
}

#[test]
fn stashes_are_listed_shown_copied_and_removed() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    sandbox.stash("one");
    sandbox.stash("two");
    let listed = sandbox.run(["list"]).exits(0).stdout();
    assert_eq!(
        listed.lines().map(|line| line.split_whitespace().next().unwrap()).collect::<Vec<_>>(),
        ["one", "two"]
    );
    let about = sandbox.run(["show", "one"]).exits(0).stdout();
    assert!(
        about.contains("2 hard links") && about.contains("3 symlinks") && about.contains("1 fifo"),
        "{about}"
    );
    let entries = sandbox.run(["show", "one", "src/deep", "dangling"]).exits(0).stdout();
    assert!(
        entries.contains("dangling -> nowhere/at all") && entries.contains(" src/deep/er/empty\n"),
        "{entries}"
    );

    let copied = sandbox.run(["copy", "--from-build", "local", "--to-build", "42", "--json"]).json();
    assert_eq!(copied, serde_json::json!({ "stashes": 2, "artifacts": 0 }));
    sandbox.run(["rm", "one", "two"]).exits(0);
    assert_eq!(sandbox.run(["list", "--json"]).json(), serde_json::json!([]));
    sandbox.run(["gc"]).exits(0);
    sandbox.run(["unstash", "one", "--from-build", "42", "-C", "out"]).exits(0);
    assert!(sandbox.path("out/src/file7.txt").exists());
    sandbox.run(["rm", "one", "two", "--build", "42"]).exits(0);
    sandbox.run(["gc"]).exits(0);
    assert_eq!(sandbox.packs().len(), 0, "what nothing refers to is gone after one gc");
}

/// Proves that each CI system's variables alone name project and build, and that a flag wins over them.
#[test]
fn the_environment_of_ci_says_whose_stash_it_is() {
    type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str);
    let cases: [Case; 4] = [
        (
            &[
                ("BUILDKITE", "true"),
                ("BUILDKITE_ORGANIZATION_SLUG", "acme"),
                ("BUILDKITE_PIPELINE_SLUG", "web"),
                ("BUILDKITE_BUILD_ID", "0190-b"),
            ],
            "acme/web",
            "0190-b",
        ),
        (
            &[("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "octo/repo"), ("GITHUB_RUN_ID", "165")],
            "octo/repo",
            "165",
        ),
        (&[("GITLAB_CI", "true"), ("CI_PROJECT_PATH", "g/s/app"), ("CI_PIPELINE_ID", "42")], "g/s/app", "42"),
        (
            &[("JENKINS_URL", "http://j/"), ("JOB_NAME", "app/dev%2Fmain"), ("BUILD_NUMBER", "153")],
            "app/dev%2Fmain",
            "153",
        ),
    ];
    let sandbox = small();
    for (environment, project, build) in cases {
        let run =
            |args: &[&str]| Run(sandbox.command(args).envs(environment.iter().copied()).output().unwrap());
        run(&["stash", "ws", "-C", "work"]).exits(0);
        run(&["stash", "other", "-C", "work", "--build", "7"]).exits(0);
        let listed = |build: &str| {
            let stashes = sandbox.run(["list", "--project", project, "--build", build, "--json"]).json();
            let stashes = stashes.as_array().unwrap().clone();
            stashes.iter().map(|stash| stash["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((listed(build), listed("7")), (vec!["ws".to_owned()], vec!["other".to_owned()]));
        let shown = run(&["show", "ws"]).exits(0).stdout();
        assert!(shown.contains(&format!("build {build} of {project}")), "{shown}");
    }
    assert_eq!(sandbox.run(["list", "--json"]).json(), serde_json::json!([]), "nothing is in `local`");
}

/// Proves that a rebuilt build is told where the stash may be, and does not get it unasked.
#[test]
fn a_rebuilt_build_is_told_of_the_one_before() {
    let sandbox = small();
    let run = |args: &[&str], build: &str| {
        let mut command = sandbox.command(args);
        command.env("BUILDKITE", "true").env("BUILDKITE_ORGANIZATION_SLUG", "acme");
        command.env("BUILDKITE_PIPELINE_SLUG", "web").env("BUILDKITE_BUILD_ID", build);
        Run(command.env("BUILDKITE_REBUILT_FROM_BUILD_ID", "first").output().unwrap())
    };
    run(&["stash", "ws", "-C", "work"], "first").exits(0);
    let missing = run(&["unstash", "ws", "-C", "out"], "second").exits(4);
    missing.says("hint: this build was rebuilt from first: pannier unstash ws --from-build first\n");
    assert!(!sandbox.path("out").exists());
    run(&["unstash", "ws", "-C", "out", "--from-build", "first"], "second").exits(0);
    assert!(sandbox.path("out/a.txt").exists());
    run(&["unstash", "ws", "--from-build", "zeroth"], "second").exits(4).says("hint: `pannier list`");
    run(&["list"], "").exits(1).says("BUILDKITE_BUILD_ID");
}

#[test]
fn sockets_are_counted_and_named_and_are_no_failure() {
    let sandbox = small();
    let _socket = std::os::unix::net::UnixListener::bind(sandbox.work().join("socket")).unwrap();
    sandbox.run(["stash", "ws", "-C", "work"]).exits(0).says("socket");
}

#[test]
fn a_store_inside_the_workspace_is_not_part_of_the_stash() {
    let sandbox = small();
    let run = |name: &str| {
        let mut command = sandbox.command(["stash", name, "-C", "work", "--json"]);
        command
            .env("PANNIER_URL", sandbox.work().join(".store"))
            .env("PANNIER_CACHE_DIR", sandbox.work().join(".cache"));
        Run(command.output().unwrap()).json()
    };
    run("first");
    let second = run("second");
    assert_eq!(second["stash"]["totals"]["entries"].as_u64(), Some(5), "{second}");
}

#[test]
fn every_help_lists_exit_codes_and_every_shell_has_completions() {
    let sandbox = Sandbox::new();
    for verb in ["stash", "unstash", "list", "show", "rm", "copy", "export", "import", "verify", "gc"] {
        let help = sandbox.run([verb, "--help"]).exits(0).stdout();
        assert!(help.contains("Exit codes:"), "{verb}: {help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(sandbox.run(["completions", shell]).exits(0).stdout().contains("unstash"), "{shell}");
    }
}

#[test]
fn other_urls_than_folders_are_refused_in_words() {
    let sandbox = small();
    let mut command = sandbox.command(["list"]);
    command.env("PANNIER_URL", "https://user:secret@pannier.example/");
    let refused = Run(command.output().unwrap()).exits(1).says("PANNIER_URL is not the URL of a controller");
    assert!(!refused.stderr().contains("secret"));
}
