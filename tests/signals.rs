//! SIGINT and SIGTERM at moments spread over a run: it ends with 130 or 143, nothing is half-written, and no session is
//! left open.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use support::{Sandbox, assert_same_tree, noise};

/// Moments at which a run is stopped.
const STOPS: u32 = 10;

fn fill(sandbox: &Sandbox) {
    for folder in 0..10u64 {
        let path = sandbox.work().join(format!("{folder}"));
        fs::create_dir(&path).unwrap();
        for file in 0..100u64 {
            fs::write(path.join(format!("{file}")), noise(folder * 1000 + file, 3000)).unwrap();
        }
    }
    fs::write(sandbox.work().join("large"), noise(7, 8 << 20)).unwrap();
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// How a run ended: done, cut short with its own code, or ended by the signal before it watched for any.
fn is_expected(status: ExitStatus, code: i32) -> bool {
    status.code() == Some(0) || status.code() == Some(code) || status.signal() == Some(code - 128)
}

fn open_sessions(sandbox: &Sandbox) -> i64 {
    let ledger = rusqlite::Connection::open(sandbox.store().join("ledger.sqlite")).unwrap();
    ledger.query_row("SELECT count(*) FROM sessions WHERE state = 0", [], |row| row.get(0)).unwrap()
}

fn nothing_is_left(sandbox: &Sandbox) {
    assert_eq!(open_sessions(sandbox), 0);
    let unfinished = sandbox.packs().into_iter().filter(|path| path.to_string_lossy().ends_with(".part"));
    assert_eq!(unfinished.count(), 0);
    let staged = walkdir::WalkDir::new(sandbox.dir.path()).into_iter().filter_map(Result::ok);
    assert!(
        staged.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with(".pannier-restore-"))
    );
}

/// Stops the command after each of several delays; how often it was cut short.
fn stop_at_moments(sandbox: &Sandbox, args: &[&str], run: Duration, before: impl Fn()) -> u32 {
    let mut cut_short = 0;
    for stop in 0..STOPS {
        before();
        let (name, code) = if stop % 2 == 0 { ("TERM", 143) } else { ("INT", 130) };
        let child = spawn(sandbox.command(args));
        std::thread::sleep(run.mul_f64(f64::from(stop) / f64::from(STOPS)));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(is_expected(output.status, code), "{:?}: {said}", output.status);
        if output.status.code() == Some(code) {
            cut_short += 1;
            assert!(said.contains(&format!("stopped by SIG{name}")), "{said}");
        }
        nothing_is_left(sandbox);
    }
    cut_short
}

#[test]
fn a_stopped_stash_or_unstash_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    let started = Instant::now();
    sandbox.stash("first");
    let run = started.elapsed();
    let mut cut_short = stop_at_moments(&sandbox, &["stash", "x", "-C", "work", "--no-cache"], run, || {
        for name in ["x", "first"] {
            sandbox.run(["rm", name]);
        }
        sandbox.run(["gc"]).exits(0);
    });
    sandbox.stash("whole");
    let out = sandbox.path("out");
    cut_short += stop_at_moments(&sandbox, &["unstash", "whole", "-C", "out", "--no-cache"], run, || {
        drop(fs::remove_dir_all(&out));
    });
    assert!(cut_short > 0, "no run was under way when it was stopped");
    sandbox.unstash("whole", "out");
    assert_same_tree(&sandbox.work(), &out);
}

/// Proves that an import that waits for its tar ends as well, and that its stash is not there.
#[test]
fn an_import_is_stopped_in_the_middle_of_its_tar() {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    sandbox.stash("ws");
    let tar = sandbox.run(["export", "ws", "-o", "-"]).exits(0).0.stdout;
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let mut child = spawn(sandbox.command(["import", "-", "stopped"]));
        let mut input = child.stdin.take().unwrap();
        // More than the pipe and every queue hold: it is reading when the signal comes.
        input.write_all(&tar[..6 << 20]).unwrap();
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        drop(input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        nothing_is_left(&sandbox);
        assert!(!sandbox.run(["list"]).exits(0).stdout().contains("stopped"));
    }
}

/// Proves that an export that is stopped while nobody reads it ends once somebody does, and keeps the old file.
#[test]
fn a_stopped_export_keeps_the_old_file() {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    sandbox.stash("ws");
    fs::write(sandbox.path("old.tar"), b"old").unwrap();
    let started = Instant::now();
    sandbox.run(["export", "ws", "-o", "timed.tar"]).exits(0);
    let run = started.elapsed();
    stop_at_moments(&sandbox, &["export", "ws", "-o", "old.tar"], run, || {
        fs::write(sandbox.path("old.tar"), b"old").unwrap();
    });
    let tars: Vec<_> =
        fs::read_dir(sandbox.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(tars.iter().all(|name| !name.to_string_lossy().ends_with(".part")), "{tars:?}");
    let old = fs::read(sandbox.path("old.tar")).unwrap();
    assert!(old == b"old" || old == fs::read(sandbox.path("timed.tar")).unwrap());

    let child = spawn(sandbox.command(["export", "ws", "-o", "-"]));
    std::thread::sleep(run);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert!(is_expected(output.status, 130), "{:?}", output.status);
    nothing_is_left(&sandbox);
}
