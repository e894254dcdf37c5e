//! Workspaces and targets that change, vanish or refuse while they are read and written, and URLs that name no store.
//! Tars that mean harm have `hostile.rs`.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod support;

use std::fs;
use std::io::{Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use support::{Run, Sandbox, assert_same_tree, noise, tree};

/// Runs `meddle` again and again in a thread while `work` runs.
fn meanwhile(mut meddle: impl FnMut(u64) + Send, work: impl FnOnce()) {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    let stopped = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..).take_while(|_| !stopped.load(Relaxed)).for_each(&mut meddle));
        // Also when `work` fails: the scope waits for the thread.
        let _stop = Stop(&stopped);
        work();
    });
}

/// Files that stay as they are, so that the run has something to do.
fn steady_files(root: &Path) {
    fs::create_dir_all(root.join("steady")).unwrap();
    for number in 0..200u64 {
        fs::write(root.join(format!("steady/{number}")), noise(number, 4000)).unwrap();
    }
}

#[test]
fn a_file_that_is_rewritten_all_the_time() {
    let sandbox = Sandbox::new();
    steady_files(&sandbox.work());
    let path = sandbox.work().join("changing");
    fs::write(&path, vec![0; 1 << 20]).unwrap();
    let mut seen_changing = false;
    // Same length, another byte everywhere, in place: only the times tell.
    let rewrite = |round: u64| {
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let size = (1 << 20) + (round as usize % 3) * 1000;
        file.rewind().unwrap();
        file.write_all(&vec![round as u8; size]).unwrap();
        file.set_len(size as u64).unwrap();
    };
    meanwhile(rewrite, || {
        for _ in 0..6 {
            let run = sandbox.run(["stash", "ws", "-C", "work"]);
            assert!([0, 3].contains(&run.code()), "{}: {}", run.code(), run.stderr());
            assert_eq!(run.code() == 3, run.stderr().contains("changing"), "{}", run.stderr());
            seen_changing |= run.code() == 3;
            let whole = run.code() == 0;
            sandbox.run(["unstash", "ws", "-C", "out", "--mirror"]).exits(0);
            assert_same_tree(&sandbox.work().join("steady"), &sandbox.path("out/steady"));
            let restored = fs::read(sandbox.path("out/changing")).unwrap();
            let shown = sandbox.run(["show", "ws", "--json"]).json();
            let steady: u64 = 200 * 4000;
            assert_eq!(shown["stash"]["totals"]["bytes"].as_u64(), Some(steady + restored.len() as u64));
            // One write is one state, unless a write began and ended within the clock's tick.
            assert!(!whole || restored.len() >= 1 << 20, "{}", restored.len());
        }
    });
    assert!(seen_changing, "a file that is always being written was never seen to change");
}

#[test]
fn files_that_come_and_go() {
    let sandbox = Sandbox::new();
    steady_files(&sandbox.work());
    let fleeting = |round: u64| {
        for number in 0..10u64 {
            let _ = fs::create_dir(sandbox.work().join("fleeting"));
            let path = sandbox.work().join(format!("fleeting/{number}"));
            match round % 2 {
                0 => fs::write(path, noise(round, 30_000)).unwrap(),
                _ => drop(fs::remove_file(path)),
            }
        }
        if round % 4 == 3 {
            let _ = fs::remove_dir_all(sandbox.work().join("fleeting"));
        }
    };
    meanwhile(fleeting, || {
        for _ in 0..8 {
            let run = sandbox.run(["stash", "ws", "-C", "work"]);
            assert!([0, 3].contains(&run.code()), "{}: {}", run.code(), run.stderr());
            assert!(run.code() == 0 || run.stderr().contains("fleeting"), "{}", run.stderr());
            sandbox.run(["unstash", "ws", "-C", "out", "--mirror"]).exits(0);
            assert_same_tree(&sandbox.work().join("steady"), &sandbox.path("out/steady"));
        }
    });
    sandbox.run(["verify"]).exits(0);
}

#[test]
fn a_folder_that_becomes_a_symlink_while_it_is_restored() {
    let sandbox = Sandbox::new();
    steady_files(&sandbox.work());
    fs::create_dir(sandbox.work().join("steady/deep")).unwrap();
    for number in 0..200u64 {
        fs::write(sandbox.work().join(format!("steady/deep/{number}")), noise(number, 4000)).unwrap();
    }
    sandbox.stash("ws");
    let (out, outside) = (sandbox.path("out"), sandbox.path("outside"));
    fs::create_dir_all(&outside).unwrap();
    fs::create_dir_all(out.join("steady")).unwrap();
    fs::write(outside.join("precious"), b"precious").unwrap();
    fs::write(outside.join("5"), b"precious").unwrap();
    // So that a path through the symlink would find where to write.
    fs::create_dir(outside.join("deep")).unwrap();
    fs::write(outside.join("deep/5"), b"precious").unwrap();
    let before = tree(&outside);
    let deep_time = fs::metadata(outside.join("deep")).unwrap().modified().unwrap();
    let (folder, aside) = (out.join("steady"), sandbox.path("aside"));
    let swap = |_| {
        let _ = fs::rename(&folder, &aside);
        let _ = symlink(&outside, &folder);
        let _ = fs::remove_file(&folder);
        // Where the restore has made a new folder meanwhile, the old one is of no more use.
        if fs::rename(&aside, &folder).is_err() {
            let _ = fs::remove_dir_all(&aside);
        }
    };
    meanwhile(swap, || {
        for round in 0..25 {
            // Other content each time, so that everything is written.
            let flags: &[&str] = if round % 2 == 0 { &[] } else { &["--mirror"] };
            let run = sandbox.run([&["unstash", "ws", "-C", "out", "--no-cache"], flags].concat());
            assert!([0, 1].contains(&run.code()), "{}: {}", run.code(), run.stderr());
            assert!(tree(&outside) == before, "round {round}: {:?}", tree(&outside).keys());
            for number in 0..20 {
                for folder in ["", "deep/"] {
                    let name = format!("{folder}{}", 100 + number);
                    // Through the symlink, at times: what the test itself writes there is no finding.
                    let _ = fs::write(out.join("steady").join(&name), b"other");
                    let _ = fs::remove_file(outside.join(name));
                }
            }
            // Nor is the time that such a write gave the folder.
            fs::File::open(outside.join("deep")).unwrap().set_modified(deep_time).unwrap();
        }
    });
    sandbox.run(["unstash", "ws", "-C", "out", "--mirror"]).exits(0);
    assert_same_tree(&sandbox.work(), &out);
    assert!(tree(&outside) == before);
}

/// Runs the program as somebody who is not root: this very user, or `nobody`, with a copy of it that he may read.
struct Nobody {
    sandbox: Sandbox,
    /// Program and arguments that go before pannier's own.
    prefix: Vec<String>,
}

impl Nobody {
    /// `None` where root cannot become anybody else.
    fn new() -> Option<Self> {
        let sandbox = Sandbox::new();
        let program = env!("CARGO_BIN_EXE_pannier").to_owned();
        let is_root = fs::metadata(sandbox.dir.path()).unwrap().uid() == 0;
        if !is_root {
            return Some(Self { sandbox, prefix: vec![program] });
        }
        let copy = sandbox.path("program");
        fs::copy(program, &copy).unwrap();
        fs::set_permissions(sandbox.dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let change = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let mut prefix: Vec<String> = change.map(str::to_owned).into();
        prefix.push(copy.to_str().unwrap().to_owned());
        let scene = Self { sandbox, prefix };
        let tried = scene.command(&["--version"]).output();
        if tried.is_ok_and(|tried| tried.status.success()) {
            return Some(scene);
        }
        assert!(std::env::var_os("PANNIER_TESTS_MUST_RUN").is_none(), "setpriv is needed");
        eprintln!("skipped: root cannot become another user here");
        None
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.sandbox.command(args);
        let mut other = Command::new(&self.prefix[0]);
        other.args(&self.prefix[1..]).args(args).current_dir(self.sandbox.dir.path()).env_clear();
        other.envs(
            command.env("HOME", "/nonexistent").get_envs().filter_map(|(key, value)| Some((key, value?))),
        );
        other
    }

    fn run(&self, args: &[&str]) -> Run {
        Run(self.command(args).output().unwrap())
    }
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_stashed() {
    let Some(nobody) = Nobody::new() else { return };
    let work = nobody.sandbox.work();
    fs::write(work.join("open"), b"open").unwrap();
    fs::write(work.join("closed"), b"closed").unwrap();
    fs::create_dir(work.join("folder")).unwrap();
    fs::write(work.join("folder/inside"), b"inside").unwrap();
    for closed in ["closed", "folder"] {
        fs::set_permissions(work.join(closed), fs::Permissions::from_mode(0o000)).unwrap();
    }
    nobody.run(&["stash", "ws", "-C", "work"]).exits(3).says("closed").says("folder");
    nobody.run(&["unstash", "ws", "-C", "out"]).exits(0);
    let out = nobody.sandbox.path("out");
    assert_eq!(fs::read(out.join("open")).unwrap(), b"open");
    assert!(!out.join("closed").exists());
    fs::set_permissions(work.join("folder"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_folder_that_may_not_be_written_is_said() {
    let Some(nobody) = Nobody::new() else { return };
    let sandbox = &nobody.sandbox;
    fs::write(sandbox.work().join("file"), b"x").unwrap();
    nobody.run(&["stash", "ws", "-C", "work"]).exits(0);
    for closed in ["closed", "target"] {
        fs::create_dir(sandbox.path(closed)).unwrap();
        fs::set_permissions(sandbox.path(closed), fs::Permissions::from_mode(0o555)).unwrap();
    }
    for url in ["closed", "closed/deeper"] {
        let mut command = nobody.command(&["stash", "ws", "-C", "work"]);
        let refused = Run(command.env("PANNIER_URL", sandbox.path(url)).output().unwrap()).exits(1);
        refused.says("closed").says("hint: ").says("PANNIER_URL");
    }
    nobody.run(&["unstash", "ws", "-C", "target"]).exits(1).says("ermission denied");
    assert!(tree(&sandbox.path("target")).is_empty());
    // A cache that cannot be written costs time and nothing else.
    let mut command = nobody.command(&["stash", "ws", "-C", "work"]);
    Run(command.env("PANNIER_CACHE_DIR", sandbox.path("closed/cache")).output().unwrap()).exits(0);
}

#[test]
fn a_url_that_names_a_file_is_refused_in_words() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work().join("file"), b"x").unwrap();
    fs::write(sandbox.path("a-file"), b"not a store").unwrap();
    for url in ["a-file", "a-file/deeper"] {
        for args in [&["stash", "ws", "-C", "work"][..], &["unstash", "ws"], &["list"], &["gc"], &["verify"]]
        {
            let mut command = sandbox.command(args);
            let run = Run(command.env("PANNIER_URL", sandbox.path(url)).output().unwrap()).exits(1);
            run.says("a-file").says("hint: ");
        }
    }
    assert_eq!(fs::read(sandbox.path("a-file")).unwrap(), b"not a store");
}
