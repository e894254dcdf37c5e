//! Restores to real folders: what comes back, what stays, and that nothing outside the target is ever touched.
//! Every test that can runs on both back ends.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod hostile;
mod random;
mod tree;
mod unprivileged;

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

use pannier::model::progress::Progress;
use pannier::model::{Content, EntryKind, Xattr};
use pannier::workspace::beneath::Folder;
use pannier::workspace::restore::{Known, Restore, RestoreError, RestoreOptions, RestoreScope, Restored};

use tree::{
    BACK_ENDS, NOTHING_KNOWN, Tree, content, expectation, oracle, path, prepare, restore, restore_with,
};

fn everything() -> Tree {
    let mut tree = Tree::default();
    tree.dir("a", 0o555).file("a/x", 0o444, (-5, 999_999_999), b"old").dir("a/empty", 0o1777);
    let big: Vec<u8> = (0..300_000u32).map(|i| (i / 7) as u8).collect();
    tree.file("a/big", 0o640, (4_000_000_000, 1), &big);
    tree.link("dangling", "no/where").link("to-dir", "a").link("up", "../..").hard("up2", "up");
    // What nobody but root can read afterwards is looked at in `unprivileged`.
    let closed = !unprivileged::is_root();
    for mode in [0o0, 0o1, 0o644, 0o755, 0o7777, 0o4755, 0o2070] {
        let mode = if closed { mode | 0o400 } else { mode };
        tree.file(format!("m{mode:o}"), mode, (1_234_567_890, 123_456_789), format!("{mode}").as_bytes());
    }
    tree.dir("d0", if closed { 0o500 } else { 0o0 })
        .file("d0/in", 0o600, (0, 0), b"x")
        .dir("d7", 0o7777)
        .dir("d0/deep", 0o500);
    tree.file("empty", 0o600, (1, 2), b"").add("pipe", 0o622, (3, 4), EntryKind::Fifo);
    tree.hard("hard", "a/big").hard("d0/hard", "a/big");
    tree.file(b"\xff\xfe\n\\ name", 0o600, (9, 9), b"bytes").file("implied/by/path", 0o600, (9, 9), b"i");
    tree
}

#[test]
fn everything_comes_back_and_a_second_restore_changes_no_inode() {
    for open in BACK_ENDS {
        let dir = tempfile::tempdir().unwrap();
        let tree = everything();
        let check = || {
            let mut found = oracle(dir.path());
            assert!(found.remove(&b"implied"[..]).is_some() && found.remove(&b"implied/by"[..]).is_some());
            assert_eq!(found, expectation(&tree));
        };
        let inodes = |restored: Restored| {
            let stamp = restored.stamp;
            let mut inodes = Vec::new();
            for (stat, content) in restored.files {
                assert!(stat.ctime < stamp && stat.size == content.size);
                inodes.push((stat.ino, (stat.ctime.secs, i64::from(stat.ctime.nanos))));
            }
            inodes
        };
        let first = inodes(restore(open(dir.path()), &tree, false).unwrap());
        check();
        assert_eq!(tree.0.iter().filter(|e| e.0.content().is_some()).count(), first.len());
        // The stats are those that a walk finds right afterwards.
        let mut walked = Vec::new();
        for entry in walkdir::WalkDir::new(dir.path()) {
            let meta = entry.unwrap().metadata().unwrap();
            walked.push((meta.ino(), (meta.ctime(), meta.ctime_nsec())));
        }
        assert!(first.iter().all(|inode| walked.contains(inode)));
        let again = restore(open(dir.path()), &tree, true).unwrap();
        assert_eq!((again.stats.written_files, again.stats.deleted), (0, 0));
        assert_eq!(inodes(again), first);
        check();
    }
}

#[test]
fn set_id_and_attributes_come_back_when_asked_for() {
    for open in BACK_ENDS {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = everything();
        let xattr = Xattr { name: b"user.k".as_slice().into(), value: b"v\0".as_slice().into() };
        tree.0.iter_mut().find(|e| e.0.path == path("a/x")).unwrap().0.xattrs = Box::new([xattr.clone()]);
        // Symlinks and fifos among them: what has no attributes needs none of the system's ways to set them.
        let options = RestoreOptions { set_id: true, xattrs: true, threads: 2, ..Default::default() };
        restore_with(open(dir.path()), &tree, options).unwrap();
        assert_eq!(fs::symlink_metadata(dir.path().join("m7777")).unwrap().mode() & 0o7777, 0o7777);
        assert_eq!(fs::symlink_metadata(dir.path().join("d7")).unwrap().mode() & 0o7777, 0o7777);
        assert_eq!(open(dir.path()).xattrs(&path("a/x")).unwrap(), [xattr]);
        // Only root looks into a folder of mode 0 again.
        if rustix::process::geteuid().is_root() {
            assert_eq!(restore_with(open(dir.path()), &tree, options).unwrap().stats.written_files, 0);
        }
    }
}

#[test]
fn holes_come_back_as_holes() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = vec![0; 4 << 20];
    bytes[2_000_000] = 1;
    let mut tree = Tree::default();
    tree.file("sparse", 0o600, (1, 1), &bytes).file("zeros", 0o600, (1, 1), &[0; 40_000]);
    restore(Folder::open(dir.path()).unwrap(), &tree, false).unwrap();
    assert_eq!(oracle(dir.path()), expectation(&tree));
    assert!(fs::metadata(dir.path().join("sparse")).unwrap().blocks() <= 16);
    assert_eq!(fs::metadata(dir.path().join("zeros")).unwrap().blocks(), 0);
}

#[test]
fn changed_files_are_replaced_by_rename_and_extras_kept_or_mirrored() {
    for open in BACK_ENDS {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("d/extra")).unwrap();
        fs::write(at("d/f"), "old").unwrap();
        fs::write(at("d/extra/x"), "x").unwrap();
        fs::write(at("d/same"), "same").unwrap();
        let (open_file, inode) =
            (fs::File::open(at("d/f")).unwrap(), fs::metadata(at("d/same")).unwrap().ino());
        let mut tree = Tree::default();
        tree.dir("d", 0o755).file("d/f", 0o600, (1, 1), b"new").file("d/same", 0o640, (1, 1), b"same");
        restore(open(dir.path()), &tree, false).unwrap();
        let mut old = [0; 3];
        open_file.read_exact_at(&mut old, 0).unwrap();
        assert_eq!((&old, fs::read(at("d/f")).unwrap().as_slice()), (b"old", &b"new"[..]));
        assert_eq!(fs::metadata(at("d/same")).unwrap().ino(), inode);
        assert!(at("d/extra/x").exists());
        fs::write(at("top-extra"), "").unwrap();
        // Only beneath the scope …
        let progress = Progress::default();
        let options = RestoreOptions { mirror: true, ..Default::default() };
        let scope = RestoreScope::Paths(vec![path("d")]);
        let part =
            Restore::prepare(dir.path(), tree.entries(), scope, NOTHING_KNOWN, options, &progress).unwrap();
        assert_eq!(part.finish().unwrap().stats.deleted, 2);
        assert!(at("top-extra").exists());
        // … or everywhere.
        assert_eq!(restore(open(dir.path()), &tree, true).unwrap().stats.deleted, 1);
        assert_eq!(oracle(dir.path()), expectation(&tree));
    }
}

#[test]
fn a_file_with_a_name_outside_the_restore_is_not_changed_through_it() {
    for open in BACK_ENDS {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t");
        fs::create_dir(&target).unwrap();
        fs::write(dir.path().join("outside"), "same").unwrap();
        fs::set_permissions(dir.path().join("outside"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::hard_link(dir.path().join("outside"), target.join("f")).unwrap();
        let before = oracle(dir.path())[&b"outside"[..]].clone();
        let mut tree = Tree::default();
        tree.file("f", 0o777, (7, 7), b"same");
        restore(open(&target), &tree, false).unwrap();
        assert_eq!(oracle(&target), expectation(&tree));
        assert_eq!(oracle(dir.path())[&b"outside"[..]], before);
    }
}

#[test]
fn conflicts_are_errors_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("f/sub")).unwrap();
    let before = oracle(dir.path());
    let refused = |tree: &Tree| restore(Folder::open(dir.path()).unwrap(), tree, false).err().unwrap();
    let mut tree = Tree::default();
    let error = refused(tree.file("a", 0o600, (1, 1), b"new").file("f", 0o600, (1, 1), b"x"));
    assert!(error.hint().unwrap().contains("--mirror") && error.to_string().starts_with("f is"), "{error}");
    assert!(!error.to_string().contains("--mirror"), "a hint has a line of its own");
    let error = refused(Tree::default().file("a", 0o600, (1, 1), b"x").dir("a/b", 0o700));
    assert!(matches!(error, RestoreError::NotAFolder { .. }));
    let error = refused(Tree::default().dir("a", 0o700).file("a", 0o600, (1, 1), b"x"));
    assert!(matches!(error, RestoreError::Duplicate(_)));
    // A link's target is a file of its own: neither a folder nor another link.
    let error = refused(Tree::default().dir("d", 0o700).hard("l", "d"));
    assert!(error.to_string().contains("hard link l needs d"), "{error}");
    let error = refused(Tree::default().file("a", 0o600, (1, 1), b"x").hard("b", "a").hard("l", "b"));
    assert!(error.to_string().contains("hard link l needs b"), "{error}");
    let error = refused(Tree::default().hard("a", "gone"));
    assert!(error.to_string().contains("gone"));
    assert_eq!(oracle(dir.path()), before);
    // With mirror the folder goes.
    restore(Folder::open(dir.path()).unwrap(), &tree, true).unwrap();
    assert_eq!(oracle(dir.path()), expectation(&tree));
}

#[test]
fn incomplete_files_and_foreign_bytes_are_errors_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut tree = Tree::default();
    tree.file("f", 0o600, (1, 1), &[1; 10]);
    let progress = Progress::default();
    let folder = Folder::open(dir.path()).unwrap();
    let restore = prepare(folder, &tree, RestoreOptions::default(), &progress).unwrap();
    let (id, ..) = restore.wanted().next().unwrap();
    restore.write(id, 0, &[1; 4]).unwrap();
    assert!(matches!(restore.write(id, 8, &[1; 4]), Err(RestoreError::NotWanted { .. })));
    assert!(matches!(restore.write(id, u64::MAX, &[1; 4]), Err(RestoreError::NotWanted { .. })));
    assert!(matches!(restore.finish(), Err(RestoreError::Incomplete(_))));
    assert!(oracle(dir.path()).is_empty());
}

#[test]
fn what_is_known_is_not_read_and_listed_contents_are_expanded() {
    let dir = tempfile::tempdir().unwrap();
    let mut tree = Tree::default();
    tree.file("known", 0o600, (1, 1), b"known").file("listed", 0o600, (1, 1), b"listed");
    restore(Folder::open(dir.path()).unwrap(), &tree, false).unwrap();
    // Only the cache says that this is still what it was.
    fs::write(dir.path().join("known"), "KNOWN").unwrap();
    let listed = tree.0[1].0.content().unwrap().clone();
    let mut entries = tree.entries();
    entries[1].kind = EntryKind::File(Content { listed: true, ..content(b"a list") });
    if let EntryKind::File(content) = &mut entries[1].kind {
        content.size = 6;
    }
    let kept = |expand: bool| {
        let (progress, options) = (Progress::default(), RestoreOptions::default());
        let known = Known {
            content: &|stat| {
                let known = fs::metadata(dir.path().join("known")).unwrap().ino() == stat.ino;
                known.then(|| content(b"known"))
            },
            chunks: &|_| expand.then(|| listed.chunks.to_vec()),
        };
        let scope = RestoreScope::Whole;
        let restore =
            Restore::prepare(dir.path(), entries.clone(), scope, known, options, &progress).unwrap();
        restore.wanted().map(|(_, path, _)| path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(kept(true), Vec::<String>::new());
    assert_eq!(kept(false), ["listed"]);
}
