//! The same restores as a user whom the file system refuses things: root is refused nothing, and so proves less.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use pannier::workspace::beneath::Folder;

use crate::tree::{BACK_ENDS, Tree, expectation, oracle, path, restore};

/// Set in the run that is not root's, so that it does not start another.
const INNER: &str = "PANNIER_TEST_UNPRIVILEGED";

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs every test of this program again as `nobody`. Whoever is not root has run them as themselves already.
#[test]
#[allow(clippy::print_stderr, reason = "a test that cannot run here says so")]
fn the_same_tests_as_nobody() {
    if !is_root() || std::env::var_os(INNER).is_some() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (program, own) = (dir.path().join("containment"), dir.path().join("tmp"));
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::create_dir(&own).unwrap();
    for (at, mode) in [(dir.path(), 0o755), (&own, 0o777)] {
        fs::set_permissions(at, fs::Permissions::from_mode(mode)).unwrap();
    }
    let nobody = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).args(args);
        command.current_dir(dir.path()).env("TMPDIR", &own).env(INNER, "1").output()
    };
    if !nobody(&["--list"]).is_ok_and(|tried| tried.status.success()) {
        assert!(std::env::var_os("PANNIER_TESTS_MUST_RUN").is_none(), "setpriv is needed");
        eprintln!("skipped: root cannot become another user here");
        return;
    }
    let run = nobody(&[]).unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    let race = "hostile::a_folder_that_is_swapped_for_a_symlink_meanwhile_is_not_followed ... ok";
    assert!(said.contains(race) && said.contains("no_right_over_a_folder_is_no_way_out ... ok"), "{said}");
}

/// Proves that what even its owner may not open comes back with those modes and with everything in it.
#[test]
fn closed_folders_and_files_come_back() {
    for open in BACK_ENDS {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = Tree::default();
        tree.dir("closed", 0o0).file("closed/file", 0o0, (1, 1), b"in").dir("closed/deep", 0o111);
        tree.file("closed/deep/file", 0o200, (1, 2), b"deep").dir("read-only", 0o555);
        tree.file("read-only/file", 0o444, (1, 3), b"read");
        restore(open(dir.path()), &tree, false).unwrap();
        // From the top, opening what was closed.
        for node in &mut tree.0 {
            let at = dir.path().join(node.0.path.as_path());
            let found = fs::symlink_metadata(&at).unwrap().permissions().mode() & 0o7777;
            assert_eq!(found, node.0.mode, "{}", node.0.path);
            node.0.mode |= 0o700;
            fs::set_permissions(at, fs::Permissions::from_mode(node.0.mode)).unwrap();
        }
        assert_eq!(oracle(dir.path()), expectation(&tree));
    }
}

/// Proves that a target which its user may not change is an error with a path, that nothing is changed, and that the
/// modes of somebody else's folders are left alone.
#[test]
fn no_right_over_a_folder_is_no_way_out() {
    if is_root() {
        return; // refused nothing
    }
    for open in BACK_ENDS {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        fs::create_dir_all(target.join("open")).unwrap();
        fs::write(target.join("open/f"), "old").unwrap();
        let mut tree = Tree::default();
        tree.dir("open", 0o755).file("open/f", 0o600, (1, 1), b"new").file("g", 0o600, (1, 1), b"new");
        // The target's own mode is not the stash's to change, also where its user could.
        fs::set_permissions(&target, fs::Permissions::from_mode(0o555)).unwrap();
        let before = oracle(&target);
        let error = restore(open(&target), &tree, false).err().unwrap();
        assert!(error.to_string().contains("staging folder"), "{error}");
        assert_eq!(oracle(&target), before);
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();

        // A folder that cannot be searched cannot be compared: said with the path, before anything changes.
        fs::set_permissions(target.join("open"), fs::Permissions::from_mode(0o600)).unwrap();
        let error = restore(open(&target), &tree, false).err().unwrap();
        assert!(error.to_string().contains("open"), "{error}");
        assert!(!target.join("g").exists());
        fs::set_permissions(target.join("open"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(fs::read(target.join("open/f")).unwrap(), b"old");

        // Root's folders, reached by the very names: nothing is written, nothing of theirs is changed.
        let root = Folder::open(std::path::Path::new("/")).unwrap();
        assert!(root.create_file(&path("usr/pannier-test"), 0o600).is_err());
        assert!(root.set_mode(&path("usr"), 0o777).is_err());
    }
}

/// Proves that a mirror can replace and delete folders that their owner may not write, as Go's module cache is made
/// of, at the top and deeper.
#[test]
fn read_only_folders_are_replaced_and_deleted() {
    for open in BACK_ENDS {
        let dir = tempfile::tempdir().unwrap();
        let mut old = Tree::default();
        for at in ["a", "d/a", "extra", "d/extra", "extra/deep"] {
            old.dir(at, 0o555).file(format!("{at}/file"), 0o444, (1, 1), b"old");
        }
        restore(open(dir.path()), &old, false).unwrap();
        let mut new = Tree::default();
        new.file("a", 0o600, (1, 1), b"new").dir("d", 0o755).link("d/a", "x");
        restore(open(dir.path()), &new, true).unwrap();
        assert_eq!(oracle(dir.path()), expectation(&new));
    }
}
