//! The walk on real trees, with Linux's system calls and with every Unix's.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType as RawType, Mode};

use crate::model::progress::Progress;
use crate::workspace::select::{SelectOptions, Selection};

use super::calls::Calls;
use super::walker::{PART_NAMES, walk_with};
use super::{Found, SkipReason, Walk, WalkError, WalkOptions, walk};

fn options() -> WalkOptions {
    WalkOptions { threads: 2, ..WalkOptions::default() }
}

/// Walks with both sets of calls, which must agree.
fn walk_all(dir: &Path, selection: &Selection, options: &WalkOptions) -> Walk {
    let native = walk_with(Calls::Native, dir, selection, options, &Progress::default()).unwrap();
    let progress = Progress::default();
    let portable = walk_with(Calls::Portable, dir, selection, options, &progress).unwrap();
    assert_eq!(native.found, portable.found);
    assert_eq!(native.fingerprint, portable.fingerprint);
    let texts =
        |walk: &Walk| walk.skipped.iter().map(|s| format!("{} {}", s.path, s.reason)).collect::<Vec<_>>();
    assert_eq!(texts(&native), texts(&portable));
    assert_eq!(progress.found_entries.sum(), native.found.len() as u64);
    assert!(native.found.windows(2).all(|pair| pair[0].path < pair[1].path), "sorted, each once");
    native
}

fn everything(dir: &Path) -> Walk {
    walk_all(dir, &Selection::everything(), &options())
}

fn names(found: &[Found]) -> Vec<String> {
    found.iter().map(|found| found.path.to_string()).collect()
}

fn write(dir: &Path, path: &str) {
    let file = dir.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, path).unwrap();
}

#[test]
fn finds_every_kind_with_any_bytes_in_names() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "d/file");
    std::fs::write(dir.path().join(OsStr::from_bytes(b"\xff\n")), b"12345").unwrap();
    symlink("nowhere\n", dir.path().join("dangling")).unwrap();
    symlink("d", dir.path().join("to-folder")).unwrap();
    rustix::fs::mknodat(CWD, dir.path().join("fifo"), RawType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let walk = everything(dir.path());
    let wanted = ["d", "d/file", "dangling", "empty", "fifo", "to-folder", "\\xff\\n"];
    assert_eq!(names(&walk.found), wanted);
    let target =
        |name: &str| walk.found.iter().find(|found| found.path.to_string() == name).unwrap().target.clone();
    assert_eq!(target("dangling").as_deref(), Some(&b"nowhere\n"[..]));
    assert_eq!(target("to-folder").as_deref(), Some(&b"d"[..]));
    assert!(
        matches!(&walk.skipped[..], [one] if matches!(one.reason, SkipReason::Socket) && !one.reason.is_error())
    );
}

#[test]
fn agrees_with_walkdir_on_thousands_of_files_and_a_wide_folder() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    for number in 0..PART_NAMES * 2 + 10 {
        std::fs::write(dir.path().join(format!("w{number}")), b"").unwrap();
    }
    for number in 0..600 {
        write(dir.path(), &format!("{}/{}/{number}", number % 7, number % 31));
    }
    let walk = everything(dir.path());
    let all = walkdir::WalkDir::new(dir.path()).min_depth(1).into_iter().map(Result::unwrap);
    let wanted: BTreeSet<_> = all
        .map(|entry| {
            let meta = entry.metadata().unwrap();
            let path = entry.path().strip_prefix(dir.path()).unwrap().as_os_str().to_owned().into_vec();
            let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
            (path, meta.dev(), meta.ino(), meta.size(), meta.mode(), meta.nlink(), times)
        })
        .collect();
    let ours: BTreeSet<_> = walk
        .found
        .iter()
        .map(|Found { path, stat, .. }| {
            let (mtime, ctime) = (stat.mtime, stat.ctime);
            let times = (mtime.secs, i64::from(mtime.nanos), ctime.secs, i64::from(ctime.nanos));
            let path = path.as_bytes().to_vec();
            (path, stat.dev, stat.ino, stat.size, stat.mode, u64::from(stat.nlink), times)
        })
        .collect();
    assert_eq!(ours, wanted);
}

#[test]
fn a_tree_deeper_than_a_path_is_walked_as_far_as_it_can_be_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut handle = rustix::fs::open(dir.path(), rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..2_500 {
        rustix::fs::mkdirat(&handle, "d", Mode::RWXU).unwrap();
        handle = rustix::fs::openat(&handle, "d", rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let walk = everything(dir.path());
    assert_eq!(walk.found.len(), 2048, "d/d/…/d of 4,095 bytes is the longest");
    assert!(matches!(&walk.skipped[..], [one] if matches!(one.reason, SkipReason::PathTooLong)));
    assert!(walk.skipped[0].reason.is_error());
}

#[test]
fn the_store_and_abandoned_restores_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let abandoned = format!(".pannier-restore-{}", "0f".repeat(16));
    ["store/pack", "a/x", "b/.pannier-restore-1/y"].iter().for_each(|path| write(dir.path(), path));
    write(dir.path(), &format!("a/{abandoned}/z"));
    symlink("store", dir.path().join("link")).unwrap();
    let leave_out = vec![dir.path().join("link"), dir.path().join("absent")];
    let walk = walk_all(dir.path(), &Selection::everything(), &WalkOptions { leave_out, ..options() });
    assert_eq!(
        names(&walk.found),
        ["a", "a/x", "b", "b/.pannier-restore-1", "b/.pannier-restore-1/y", "link"]
    );
    assert!(matches!(walk.skipped[0].reason, SkipReason::AbandonedRestore));
    assert!(matches!(walk.skipped[1].reason, SkipReason::LeftOut));
    assert_eq!(walk.skipped.len(), 2);
}

#[test]
fn folders_are_kept_if_chosen_or_on_the_way_to_a_choice() {
    let dir = tempfile::tempdir().unwrap();
    ["a/b/x.o", "a/c/y.c", "d/e/z.c", "t/u/v"].iter().for_each(|path| write(dir.path(), path));
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let found = |includes: &str, excludes: &str| {
        let (includes, excludes) = (vec![includes.to_owned()], vec![excludes.to_owned()]);
        let options = SelectOptions { includes, excludes, ..SelectOptions::default() };
        names(&walk_all(dir.path(), &Selection::new(&options).unwrap(), &self::options()).found)
    };
    assert_eq!(found("**/*.o", ""), ["a", "a/b", "a/b/x.o"]);
    assert_eq!(found("empty, d/e", ""), ["d", "d/e", "empty"]);
    assert_eq!(found("", "**/*.c, t/**"), ["a", "a/b", "a/b/x.o", "a/c", "d", "d/e", "empty"]);
    assert_eq!(found("", "t, a/**, d/**, empty"), ["t", "t/u", "t/u/v"]);
    assert!(found("nothing/here", "").is_empty());
}

#[test]
fn gitignore_files_of_all_levels_and_info_exclude_count() {
    let dir = tempfile::tempdir().unwrap();
    ["a/x.o", "a/keep.o", "b/y.o", "out/z", "log", ".git/info/exclude"]
        .iter()
        .for_each(|path| write(dir.path(), path));
    std::fs::write(dir.path().join(".gitignore"), "*.o\nout/\n").unwrap();
    std::fs::write(dir.path().join("a/.gitignore"), "!keep.o\n").unwrap();
    std::fs::write(dir.path().join(".git/info/exclude"), "/log\n").unwrap();
    let options =
        SelectOptions { gitignore: true, excludes: vec![".git/".into()], ..SelectOptions::default() };
    let walk = walk_all(dir.path(), &Selection::new(&options).unwrap(), &self::options());
    assert_eq!(names(&walk.found), [".gitignore", "a", "a/.gitignore", "a/keep.o", "b"]);
}

#[test]
fn extended_attributes_are_read_if_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "x");
    symlink("x", dir.path().join("link")).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(dir.path().join("x"), "user.b", b"2", flags).is_err() {
        return; // a file system without them
    }
    rustix::fs::setxattr(dir.path().join("x"), "user.a", b"", flags).unwrap();
    let walk = walk_all(dir.path(), &Selection::everything(), &WalkOptions { xattrs: true, ..options() });
    let user = |index: usize| -> Vec<(&[u8], &[u8])> {
        let all = walk.found[index].xattrs.iter().map(|xattr| (&*xattr.name, &*xattr.value));
        all.filter(|(name, _)| name.starts_with(b"user.")).collect()
    };
    assert_eq!(user(1), [(&b"user.a"[..], &b""[..]), (b"user.b", b"2")]);
    assert!(user(0).is_empty() && everything(dir.path()).found[1].xattrs.is_empty());
}

#[test]
fn a_workspace_that_cannot_be_read_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let absent = walk(&dir.path().join("absent"), &Selection::everything(), &options(), &Progress::default());
    assert!(matches!(absent, Err(WalkError::Open { .. })));
}

/// Files written after the walk began are stamped no earlier than it says.
#[test]
fn the_start_is_by_the_clock_that_stamps_files() {
    let dir = tempfile::tempdir().unwrap();
    for calls in [Calls::Native, Calls::Portable] {
        let started = calls.now();
        write(dir.path(), "x");
        let walk =
            walk_with(calls, dir.path(), &Selection::everything(), &options(), &Progress::default()).unwrap();
        assert!(walk.found[0].stat.mtime >= started && walk.started >= started);
    }
}

/// Proves that the fingerprint of a walk is one of the tree, whatever its threads did, and that a change in any folder shows in it.
#[test]
fn the_fingerprint_is_the_trees() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["a/file", "a/deep/file", "b/file"] {
        write(dir.path(), path);
    }
    (0..2 * PART_NAMES + 3).for_each(|number| write(dir.path(), &format!("wide/{number}")));
    let same = everything(dir.path()).fingerprint;
    for threads in [1, 4, 4, 4] {
        let options = WalkOptions { threads, ..WalkOptions::default() };
        assert_eq!(walk_all(dir.path(), &Selection::everything(), &options).fingerprint, same, "{threads}");
    }
    for changed in ["a/deep/file", "b/file", "wide/8000"] {
        let before = everything(dir.path()).fingerprint;
        std::fs::write(dir.path().join(changed), "other content").unwrap();
        assert_ne!(everything(dir.path()).fingerprint, before, "{changed}");
    }
}
