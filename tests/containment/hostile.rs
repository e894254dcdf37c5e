//! Targets that lead elsewhere, change meanwhile, or were left by a kill.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pannier::model::progress::Progress;
use pannier::workspace::beneath::{Directory, Folder};
use pannier::workspace::restore::RestoreOptions;

use crate::tree::{BACK_ENDS, Tree, expectation, oracle, path, prepare, restore};

#[test]
fn symlinks_that_lead_out_are_replaced_not_followed() {
    for open in BACK_ENDS {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("f"), "outside").unwrap();
        let before = oracle(outside.path());
        symlink(outside.path(), dir.path().join("d")).unwrap();
        fs::create_dir(dir.path().join("e")).unwrap();
        symlink(outside.path(), dir.path().join("e/extra")).unwrap();
        symlink(outside.path().join("f"), dir.path().join("f")).unwrap();
        symlink(outside.path(), dir.path().join("g")).unwrap();
        let mut tree = Tree::default();
        tree.dir("d", 0o755).file("d/f", 0o600, (1, 1), b"in").dir("e", 0o755);
        tree.file("f", 0o600, (1, 1), b"in").file("g/h", 0o600, (1, 1), b"in");
        restore(open(dir.path()), &tree, true).unwrap();
        let mut found = oracle(dir.path());
        assert!(found.remove(&b"g"[..]).unwrap().starts_with("dir"));
        assert_eq!(found, expectation(&tree));
        assert_eq!(oracle(outside.path()), before);
    }
}

#[test]
fn no_path_leads_through_a_symlink() {
    for open in BACK_ENDS {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("f"), "outside").unwrap();
        fs::create_dir(outside.path().join("sub")).unwrap();
        fs::write(outside.path().join("sub/f"), "outside").unwrap();
        symlink(outside.path(), dir.path().join("d")).unwrap();
        symlink(outside.path().join("f"), dir.path().join("f")).unwrap();
        // One that leads to another place in the very same folder is not followed either.
        fs::create_dir_all(dir.path().join("real/sub")).unwrap();
        symlink("real", dir.path().join("within")).unwrap();
        fs::write(dir.path().join("own"), "").unwrap();
        let before = oracle(outside.path());
        let (folder, through, own) = (open(dir.path()), path("d/f"), path("own"));
        for deeper in ["d/sub", "within/sub"] {
            let at = |name: &str| path(format!("{deeper}/{name}"));
            assert!(folder.directory(Some(&path(deeper))).is_err(), "{deeper}");
            assert!(folder.create_file(&at("new"), 0o600).is_err() && folder.open_file(&at("f")).is_err());
            assert!(folder.create_dir(&at("new"), 0o700).is_err() && folder.remove_file(&at("f")).is_err());
        }
        assert!(folder.stat(&through).is_err() && folder.open_file(&through).is_err());
        assert!(folder.open_file(&path("f")).is_err() && folder.set_mode(&path("f"), 0).is_err());
        assert!(folder.create_file(&path("f"), 0o600).is_err());
        assert!(folder.create_file(&path("d/new"), 0o600).is_err());
        assert!(
            folder.create_dir(&path("d/new"), 0o700).is_err() && folder.fifo(&path("d/p"), 0o600).is_err()
        );
        assert!(folder.symlink(b"x", &path("d/new")).is_err() && folder.list(Some(&path("d"))).is_err());
        assert!(
            folder.hard_link(&own, &path("d/new")).is_err()
                && folder.hard_link(&through, &path("n")).is_err()
        );
        assert!(folder.rename(&own, &path("d/new")).is_err() && folder.rename(&through, &path("n")).is_err());
        assert!(folder.remove_file(&through).is_err() && folder.remove_dir_all(&through).is_err());
        assert!(
            folder.set_mode(&through, 0).is_err() && folder.set_mtime(&through, Default::default()).is_err()
        );
        folder.set_mtime(&path("f"), Default::default()).unwrap();
        assert_eq!(folder.remove_dir_all(&path("d")).unwrap(), 1);
        assert_eq!(oracle(outside.path()), before);
    }
}

/// Proves that a handle takes one name at a time, whoever calls it.
#[test]
fn a_name_of_several_components_or_none_is_refused() {
    for open in BACK_ENDS {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(outside.path().join("f"), "outside").unwrap();
        let before = oracle(outside.path());
        let absolute = outside.path().join("f").into_os_string().into_encoded_bytes();
        let folder = open(dir.path());
        let top = folder.top();
        for name in [&b""[..], b".", b"..", b"d/../f", b"d/f", b"a\0b", &absolute] {
            assert!(top.create_file(name, 0o600).is_err() && top.open_unchecked(name).is_err());
            assert!(top.open_dir(name).is_err() && top.stat(name).is_err() && top.remove_all(name).is_err());
            assert!(top.set_mode(name, 0o777).is_err() && top.set_mtime(name, Default::default()).is_err());
        }
        assert_eq!(oracle(outside.path()), before);
        assert_eq!(oracle(dir.path()).len(), 1);
    }
}

#[test]
fn a_folder_that_is_swapped_for_a_symlink_meanwhile_is_not_followed() {
    for open in BACK_ENDS {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (real, aside) = (dir.path().join("d"), dir.path().join("aside"));
        // So that a path through the symlink would find where to write.
        (0..20).for_each(|index| fs::create_dir(outside.path().join(format!("{index}"))).unwrap());
        let before = oracle(outside.path());
        fs::create_dir(&real).unwrap();
        let mut tree = Tree::default();
        tree.dir("d", 0o755).link("d/l", "x").dir("d/new", 0o755);
        // Two trees in turn, so that each round has everything to write.
        let mut other = tree.clone();
        for index in 0..20 {
            // Each in a folder of its own, whose path leads through the one that is swapped.
            tree.file(format!("d/{index}/f"), 0o600, (1, index), b"in");
            other.file(format!("d/{index}/f"), 0o600, (1, index), b"IN");
        }
        let stop = AtomicBool::new(false);
        let (mut whole, mut refused) = (0, 0);
        let swaps = std::thread::scope(|scope| {
            let racer = scope.spawn(|| {
                let mut swaps = 0;
                while !stop.load(Ordering::Relaxed) {
                    let clear = || fs::remove_file(&real).or_else(|_| fs::remove_dir_all(&real));
                    if fs::rename(&real, &aside).is_ok() {
                        // Fails when the restore has just put a folder there.
                        swaps += usize::from(symlink(outside.path(), &real).is_ok());
                        std::thread::yield_now();
                        let _ = clear();
                        let _ = fs::rename(&aside, &real);
                    } else {
                        let _ = clear();
                        let _ = fs::remove_dir_all(&aside);
                        let _ = fs::create_dir(&real);
                    }
                }
                swaps
            });
            let start = std::time::Instant::now();
            let mut round = 0;
            while round < 100 || (start.elapsed() < Duration::from_secs(3)) {
                match restore(open(dir.path()), [&tree, &other][round % 2], false) {
                    Ok(_) => whole += 1,
                    Err(_) => refused += 1,
                }
                if oracle(outside.path()) != before {
                    stop.store(true, Ordering::Relaxed);
                    panic!("round {round}: {:?}", oracle(outside.path()));
                }
                round += 1;
            }
            stop.store(true, Ordering::Relaxed);
            racer.join().unwrap()
        });
        assert!(swaps > 1000, "{swaps} swaps prove nothing ({whole} whole, {refused} refused)");
    }
}

const CHILD: &str = "PANNIER_TEST_CHILD_TARGET";

fn kill_tree() -> Tree {
    let mut tree = Tree::default();
    tree.dir("d", 0o755).file("d/f", 0o600, (1, 1), b"new").dir("n", 0o755);
    for index in 0..50 {
        tree.file(format!("n/{index}"), 0o600, (1, index), &[index as u8 + 1; 120_000]);
    }
    tree
}

/// Not a test of its own: the child that the next test kills.
#[test]
fn child_that_is_killed() {
    let Some(target) = std::env::var_os(CHILD) else { return };
    let (tree, progress) = (kill_tree(), Progress::default());
    let folder = Folder::open(Path::new(&target)).unwrap();
    let restore = prepare(folder, &tree, RestoreOptions::default(), &progress).unwrap();
    for (id, path, _) in restore.wanted() {
        restore.write(id, 0, &tree.bytes(path)[..tree.bytes(path).len() / 2]).unwrap();
    }
    fs::write(Path::new(&target).join("ready"), "").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_restore_changes_nothing_and_the_next_one_sweeps_and_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    fs::write(dir.path().join("d/f"), "old").unwrap();
    let before = oracle(dir.path());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::child_that_is_killed"])
        .env(CHILD, dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let ready = dir.path().join("ready");
    let _ = (0..3000).find(|_| {
        std::thread::sleep(Duration::from_millis(10));
        ready.exists()
    });
    fs::remove_file(&ready).unwrap();
    let staging = || {
        let names = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".pannier-restore-")).count()
    };
    assert_eq!(staging(), 1);
    // While its owner lives it is nobody's leftover.
    let folder = || Folder::open(dir.path()).unwrap();
    restore(folder(), &Tree::default(), false).unwrap();
    assert_eq!(staging(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut after = oracle(dir.path());
    after.retain(|name, _| !name.starts_with(b".pannier-restore-"));
    assert_eq!(after, before);
    restore(folder(), &kill_tree(), false).unwrap();
    assert_eq!(staging(), 0);
    assert_eq!(oracle(dir.path()), expectation(&kill_tree()));
}

#[test]
fn a_tree_deeper_than_any_path_is_removed() {
    for open in BACK_ENDS {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::of(open(dir.path()).top().open_dir_or_create(b"top"));
        for _ in 0..600 {
            folder.create_file(&path("file"), 0o600).unwrap();
            folder = Folder::of(folder.top().open_dir_or_create(b"a-long-folder-name"));
        }
        assert_eq!(open(dir.path()).remove_dir_all(&path("top")).unwrap(), 601 + 600);
        assert!(oracle(dir.path()).is_empty());
    }
}

trait OpenOrCreate {
    fn open_dir_or_create(&self, name: &[u8]) -> Directory;
}

impl OpenOrCreate for Directory {
    fn open_dir_or_create(&self, name: &[u8]) -> Directory {
        self.create_dir(name, 0o700).unwrap();
        self.open_dir(name).unwrap()
    }
}

/// A mount inside the target has its own staging folder: no rename leads into it from elsewhere.
#[test]
fn a_mount_inside_the_target_is_restored_to() {
    for open in BACK_ENDS {
        let dir = tempfile::tempdir().unwrap();
        let mount = dir.path().join("d/mount");
        fs::create_dir_all(&mount).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&mount).status();
        if !mounted.is_ok_and(|status| status.success()) {
            return; // needs leave to mount
        }
        fs::write(mount.join("f"), "old").unwrap();
        fs::write(mount.join("extra"), "old").unwrap();
        let mut tree = Tree::default();
        tree.dir("d", 0o755).dir("d/mount", 0o750).file("d/mount/f", 0o600, (1, 1), b"new");
        tree.dir("d/mount/n", 0o700).file("d/mount/n/g", 0o600, (1, 1), b"new").file(
            "d/g",
            0o600,
            (1, 1),
            b"x",
        );
        let restored = restore(open(dir.path()), &tree, true);
        let found = oracle(dir.path());
        assert!(Command::new("umount").arg(&mount).status().unwrap().success());
        restored.unwrap();
        // Inode numbers repeat between mounts, so names of inodes are not compared.
        let lines = |map: BTreeMap<Vec<u8>, String>| -> Vec<_> {
            map.into_iter().map(|(k, v)| (k, v.split(" as ").next().unwrap().to_owned())).collect()
        };
        assert_eq!(lines(found), lines(expectation(&tree)));
    }
}
