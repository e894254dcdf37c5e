//! Disks that are full or read-only: a clear error with a next step, and nothing that was there before is lost.
//! Each test mounts small file systems in a mount namespace of its own, which takes root or user namespaces.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::served::Served;
use support::{Sandbox, assert_same_tree, noise, tree};

/// Set in the copy of this program that runs in the namespace.
const INSIDE: &str = "PANNIER_TEST_INSIDE_NAMESPACE";

/// Runs `body` in a mount namespace: this test program starts itself again in one, for this one test.
fn in_namespace(test: &str, body: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let Some(unshare) = unshare() else {
        assert!(std::env::var_os("PANNIER_TESTS_MUST_RUN").is_none(), "mount namespaces are needed");
        eprintln!("skipped: {test}: neither root nor user namespaces may mount a tmpfs here");
        return;
    };
    let inside = Command::new("unshare")
        .args(unshare)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout) + String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success() && said.contains("1 passed"), "{said}");
}

/// Flags of `unshare` under which a tmpfs can be mounted: as root, or as the root of a user namespace.
fn unshare() -> Option<&'static [&'static str]> {
    let folder = tempfile::tempdir().unwrap();
    let candidates: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    candidates.into_iter().find(|flags| {
        let mount = ["mount", "-t", "tmpfs", "tmpfs"];
        let tried = Command::new("unshare").args(*flags).args(mount).arg(folder.path()).output();
        tried.is_ok_and(|tried| tried.status.success())
    })
}

/// A small file system, gone with this value.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: PathBuf, size: &str) -> Self {
        fs::create_dir_all(&at).unwrap();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", at.to_str().unwrap()]);
        Self(at)
    }

    /// `folder` seen read-only, in its own place.
    fn read_only(folder: PathBuf) -> Self {
        let path = folder.to_str().unwrap();
        run("mount", &["--bind", path, path]);
        run("mount", &["-o", "remount,bind,ro", path]);
        Self(folder)
    }

    /// Takes what space is left; remove the file to give it back.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn run(program: &str, args: &[&str]) {
    assert!(Command::new(program).args(args).status().unwrap().success(), "{program} {args:?}");
}

/// A stash `earlier` of the folder `before`, 100 kB; and a workspace of 16 MB that does not compress.
fn fill_folders(sandbox: &Sandbox) {
    fs::create_dir_all(sandbox.path("before")).unwrap();
    for number in 0..20u64 {
        fs::write(sandbox.path("before").join(format!("{number}")), noise(number, 5000)).unwrap();
    }
    for number in 0..16u64 {
        fs::write(sandbox.work().join(format!("{number}")), noise(100 + number, 1 << 20)).unwrap();
    }
    sandbox.run(["stash", "earlier", "-C", "before"]).exits(0);
}

#[track_caller]
fn earlier_is_whole(sandbox: &Sandbox) {
    let _ = fs::remove_dir_all(sandbox.path("earlier.out"));
    sandbox.run(["unstash", "earlier", "-C", "earlier.out", "--no-cache"]).exits(0);
    assert_same_tree(&sandbox.path("before"), &sandbox.path("earlier.out"));
    sandbox.run(["verify"]).exits(0);
}

#[test]
fn a_full_store_loses_nothing() {
    in_namespace("a_full_store_loses_nothing", || {
        let sandbox = Sandbox::new();
        let disk = Mounted::tmpfs(sandbox.store(), "8m");
        fill_folders(&sandbox);
        let packs = sandbox.packs();
        let full = sandbox.run(["stash", "large", "-C", "work"]).exits(1);
        full.says("could not store pack").says("No space left").says("hint: free some space");
        let listed = sandbox.run(["list"]).exits(0).stdout();
        assert!(!listed.contains("large"), "{listed}");
        earlier_is_whole(&sandbox);
        sandbox.run(["gc"]).exits(0);
        assert_eq!(sandbox.packs(), packs, "what did not fit is not left lying about");

        // Not a byte is left: what writes says so, and nothing breaks.
        let filler = disk.fill();
        for args in [&["stash", "small", "-C", "before", "--no-cache"][..], &["rm", "earlier"], &["gc"]] {
            let run = sandbox.run(args);
            if run.code() != 0 {
                run.exits(1).says("hint: free some space");
            }
        }
        let reading = sandbox.run(["unstash", "earlier", "-C", "read", "--no-cache"]);
        assert!([0, 1, 4].contains(&reading.code()), "{}", reading.stderr());
        fs::remove_file(filler).unwrap();
        sandbox.run(["stash", "earlier", "-C", "before"]).exits(0);
        earlier_is_whole(&sandbox);
    });
}

#[test]
fn a_new_store_on_a_full_disk_is_refused_and_can_be_made_later() {
    in_namespace("a_new_store_on_a_full_disk_is_refused_and_can_be_made_later", || {
        let sandbox = Sandbox::new();
        fs::write(sandbox.work().join("file"), b"content").unwrap();
        let disk = Mounted::tmpfs(sandbox.store(), "1m");
        let filler = disk.fill();
        sandbox.run(["stash", "ws", "-C", "work"]).exits(1).says("hint: free some space");
        fs::remove_file(filler).unwrap();
        sandbox.run(["stash", "ws", "-C", "work"]).exits(0);
        sandbox.run(["unstash", "ws", "-C", "out"]).exits(0);
        assert_same_tree(&sandbox.work(), &sandbox.path("out"));
    });
}

#[test]
fn a_full_target_stays_as_it_was() {
    in_namespace("a_full_target_stays_as_it_was", || {
        let sandbox = Sandbox::new();
        fill_folders(&sandbox);
        sandbox.run(["stash", "large", "-C", "work"]).exits(0);
        let disk = Mounted::tmpfs(sandbox.path("out"), "8m");
        fs::write(sandbox.path("out/3"), b"old").unwrap();
        fs::write(sandbox.path("out/mine"), b"mine").unwrap();
        let before = tree(&sandbox.path("out"));
        for flags in [&[][..], &["--mirror"]] {
            let args = [&["unstash", "large", "-C", "out"], flags].concat();
            sandbox.run(args).exits(1).says("No space left").says("hint: free some space");
            assert!(tree(&sandbox.path("out")) == before, "{:?}", tree(&sandbox.path("out")).keys());
        }
        sandbox.run(["unstash", "earlier", "-C", "out", "--mirror"]).exits(0);
        assert_same_tree(&sandbox.path("before"), &sandbox.path("out"));

        let exported = sandbox.run(["export", "large", "-o", "out/large.tar"]).exits(1);
        exported.says("hint: free some space");
        assert_same_tree(&sandbox.path("before"), &sandbox.path("out"));
        drop(disk);
    });
}

#[test]
fn a_full_cache_folder_fails_nothing() {
    in_namespace("a_full_cache_folder_fails_nothing", || {
        let sandbox = Sandbox::new();
        let disk = Mounted::tmpfs(sandbox.path("cache"), "64k");
        disk.fill();
        fill_folders(&sandbox);
        for _ in 0..2 {
            sandbox.run(["stash", "large", "-C", "work"]).exits(0);
            sandbox.run(["unstash", "large", "-C", "out"]).exits(0);
        }
        assert_same_tree(&sandbox.work(), &sandbox.path("out"));
        drop(disk);
        let blocked = Mounted::read_only(sandbox.path("cache"));
        sandbox.run(["stash", "large", "-C", "work"]).exits(0);
        sandbox.run(["unstash", "large", "-C", "again"]).exits(0);
        drop(blocked);
    });
}

#[test]
fn a_read_only_store_or_target_is_said_and_left_alone() {
    in_namespace("a_read_only_store_or_target_is_said_and_left_alone", || {
        let sandbox = Sandbox::new();
        fill_folders(&sandbox);
        let store = tree(&sandbox.store());
        let blocked = Mounted::read_only(sandbox.store());
        let stash = sandbox.run(["stash", "large", "-C", "work"]).exits(1);
        assert!(
            mentions(&stash.stderr(), &sandbox.store()) && stash.stderr().contains("hint: "),
            "{}",
            stash.stderr()
        );
        for args in [&["unstash", "earlier", "-C", "out"][..], &["list"], &["verify"], &["gc"]] {
            let run = sandbox.run(args);
            assert!([0, 1].contains(&run.code()), "{args:?}: {}", run.stderr());
            assert!(run.code() == 0 || run.stderr().contains("hint: "), "{args:?}: {}", run.stderr());
        }
        drop(blocked);
        assert!(packs_of(&tree(&sandbox.store())) == packs_of(&store));
        earlier_is_whole(&sandbox);

        fs::create_dir(sandbox.path("target")).unwrap();
        let blocked = Mounted::read_only(sandbox.path("target"));
        sandbox.run(["unstash", "earlier", "-C", "target"]).exits(1).says("ead-only file system");
        drop(blocked);
        assert!(tree(&sandbox.path("target")).is_empty());
    });
}

fn mentions(said: &str, path: &Path) -> bool {
    said.contains(path.to_str().unwrap()) || said.contains("ledger")
}

fn packs_of<V: Clone>(tree: &std::collections::BTreeMap<Vec<u8>, V>) -> Vec<(Vec<u8>, V)> {
    let packs = tree.iter().filter(|(path, _)| path.ends_with(b".pack"));
    packs.map(|(path, node)| (path.clone(), node.clone())).collect()
}

/// Proves that a controller whose disk fills up refuses at once what does not fit, serves what it has, and goes on as before
/// once there is space again, without a restart.
#[test]
fn a_controller_on_a_full_disk_loses_nothing_and_goes_on() {
    in_namespace("a_controller_on_a_full_disk_loses_nothing_and_goes_on", || {
        let sandbox = Sandbox::new();
        let disk = Mounted::tmpfs(sandbox.path("data"), "10m");
        fill_folders(&sandbox);
        let served = Served::start(&sandbox, "data", &[]);
        sandbox.run_at(&served, ["stash", "earlier", "-C", "before"]).exits(0);
        let refused = sandbox.run_at(&served, ["stash", "large", "-C", "work"]).exits(1);
        refused.says("the controller's disk is full").says("free some space on the controller's disk");

        let filler = disk.fill();
        let full = sandbox.run_at(&served, ["stash", "small", "-C", "before", "--no-cache"]);
        assert!([0, 1].contains(&full.code()), "{}", full.stderr());
        if full.code() == 1 {
            full.says("disk is full");
        }
        // A lease to read is a row: on a disk without a byte it may be refused, but never with wrong bytes.
        let read = sandbox.run_at(&served, ["unstash", "earlier", "-C", "full.out", "--no-cache"]);
        match read.code() {
            0 => assert_same_tree(&sandbox.path("before"), &sandbox.path("full.out")),
            _ => drop(read.exits(1).says("disk is full")),
        }
        fs::remove_file(filler).unwrap();

        sandbox.run_at(&served, ["gc"]).exits(0);
        fs::remove_file(sandbox.work().join("0")).unwrap();
        (1..12).for_each(|number| fs::remove_file(sandbox.work().join(format!("{number}"))).unwrap());
        sandbox.run_at(&served, ["stash", "large", "-C", "work"]).exits(0);
        for (name, folder) in [("earlier", "before"), ("large", "work")] {
            let out = format!("{name}.out");
            sandbox.run_at(&served, ["unstash", name, "-C", &out, "--no-cache"]).exits(0);
            assert_same_tree(&sandbox.path(folder), &sandbox.path(&out));
        }
        sandbox.run_at(&served, ["verify"]).exits(0);
    });
}
