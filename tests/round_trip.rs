//! What goes into a stash comes out of it: the program itself, on real folders, through its command line alone.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use support::{Sandbox, assert_same_tree, make_rich_tree, noise, tree};

#[test]
fn everything_that_a_folder_holds_comes_back() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    let stashed = sandbox.stash("ws");
    assert_eq!(stashed["problems"], serde_json::json!([]));
    sandbox.run(["unstash", "ws", "-C", "out", "--set-id"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
    let sparse = fs::metadata(sandbox.path("out/sparse.img")).unwrap();
    assert!(sparse.blocks() * 512 < 1 << 20, "holes are holes again: {} blocks", sparse.blocks());
}

/// Proves that a hole costs neither time nor memory for its size, on the way in, in the controller and on the way
/// out: as 33 million chunks it would take minutes.
#[test]
fn a_hole_of_eight_tebibytes_comes_back() {
    let sandbox = Sandbox::new();
    let size = 8 << 40;
    let file = fs::File::create(sandbox.work().join("disk.img")).unwrap();
    if file.set_len(size).is_err() {
        eprintln!("this file system has no files of 8 TiB");
        return;
    }
    std::os::unix::fs::FileExt::write_all_at(&file, b"middle", 5 << 40).unwrap();
    drop(file);
    sandbox.stash("ws");
    sandbox.run(["verify"]).exits(0);
    sandbox.unstash("ws", "out");
    let out = fs::File::open(sandbox.path("out/disk.img")).unwrap();
    let found = out.metadata().unwrap();
    assert_eq!(found.len(), size);
    assert!(found.blocks() * 512 < 1 << 20, "{} blocks", found.blocks());
    let mut middle = [1; 8];
    std::os::unix::fs::FileExt::read_exact_at(&out, &mut middle, (5 << 40) - 1).unwrap();
    assert_eq!(&middle, b"\0middle\0");
}

#[test]
fn set_id_bits_come_back_only_when_asked_for() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work().join("tool"), b"x").unwrap();
    fs::set_permissions(sandbox.work().join("tool"), fs::Permissions::from_mode(0o6755)).unwrap();
    sandbox.stash("ws");
    sandbox.unstash("ws", "out");
    assert_eq!(fs::metadata(sandbox.path("out/tool")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn a_second_stash_of_an_unchanged_folder_opens_and_moves_nothing() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    std::thread::sleep(std::time::Duration::from_millis(50));
    let first = sandbox.stash("ws");
    assert!(first["uploaded_bytes"].as_u64().unwrap() > 3_000_000);
    let packs = sandbox.packs();
    let second = sandbox.stash("ws");
    assert_eq!((second["uploaded_bytes"].as_u64(), second["new_chunks"].as_u64()), (Some(0), Some(0)));
    assert_eq!(second["stash"]["id"], first["stash"]["id"]);
    // Every file that holds something, each inode once.
    let inodes: std::collections::BTreeSet<_> = tree(&sandbox.work())
        .into_iter()
        .filter(|(_, node)| node.mode & 0o170_000 == 0o100_000 && !node.content.is_empty())
        .map(|(path, node)| node.link.unwrap_or(path))
        .collect();
    assert_eq!(second["unopened_files"].as_u64(), Some(inodes.len() as u64));
    assert_eq!(sandbox.packs(), packs);
}

#[test]
fn a_stash_right_after_an_unstash_opens_nothing() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    fs::set_permissions(sandbox.work().join("src/file3.txt"), fs::Permissions::from_mode(0o755)).unwrap();
    let first = sandbox.stash("ws");
    sandbox.unstash("ws", "out");
    let again = sandbox.run(["stash", "again", "-C", "out", "--json"]).json();
    assert_eq!(again["stash"]["id"], first["stash"]["id"]);
    assert_eq!(again["uploaded_bytes"].as_u64(), Some(0));
    assert!(again["unopened_files"].as_u64() > Some(300), "{again}");
}

#[test]
fn a_change_moves_only_what_changed() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    sandbox.stash("ws");
    let large = sandbox.work().join("target/debug/large.bin");
    let mut bytes = fs::read(&large).unwrap();
    bytes.splice(1_500_000..1_500_000, noise(9, 10));
    fs::write(&large, bytes).unwrap();
    let second = sandbox.stash("ws");
    let new = second["new_bytes"].as_u64().unwrap() - second["new_manifest_bytes"].as_u64().unwrap();
    assert!(
        (1..=2 * (256 << 10)).contains(&new),
        "ten bytes in the middle move one or two chunks, not {new} bytes"
    );
    sandbox.run(["unstash", "ws", "-C", "out", "--set-id"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
}

#[test]
fn unstash_onto_a_workspace_leaves_equal_files_alone_and_replaces_the_rest() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    fs::set_permissions(sandbox.work().join("src/file3.txt"), fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.stash("ws");
    sandbox.unstash("ws", "out");
    let out = sandbox.path("out");
    let inode = |path: &str| fs::symlink_metadata(out.join(path)).unwrap().ino();
    let (kept, changed) = (inode("src/file10.txt"), inode("src/file11.txt"));
    fs::write(out.join("src/file11.txt"), b"other").unwrap();
    fs::write(out.join("extra"), b"extra").unwrap();
    fs::remove_file(out.join("src/file12.txt")).unwrap();

    let restored = sandbox.unstash("ws", "out");
    assert_eq!(restored["restored"]["written_files"].as_u64(), Some(2));
    assert_eq!(inode("src/file10.txt"), kept);
    assert_ne!(inode("src/file11.txt"), changed);
    assert!(out.join("extra").exists());

    sandbox.run(["unstash", "ws", "-C", "out", "--mirror"]).exits(0);
    assert_same_tree(&sandbox.work(), &out);
    assert_eq!(inode("src/file10.txt"), kept);
}

#[test]
fn equal_files_are_found_by_content_where_no_cache_knows_them() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    sandbox.stash("ws");
    assert!(
        Command::new("cp")
            .args(["-a", "work", "copy"])
            .current_dir(sandbox.dir.path())
            .status()
            .unwrap()
            .success()
    );
    let restored = sandbox.unstash("ws", "copy");
    assert_eq!(restored["restored"]["written_files"].as_u64(), Some(0), "{restored}");
    assert_eq!(restored["fetched"]["fetched_bytes"].as_u64(), Some(0));
}

#[test]
fn a_part_is_restored_from_that_part_s_frames_alone() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    sandbox.stash("ws");
    let part = sandbox.run(["unstash", "ws", "./src/deep/", "alink", "-C", "out", "--json"]).json();
    let paths: Vec<String> =
        tree(&sandbox.path("out")).into_keys().map(|path| String::from_utf8(path).unwrap()).collect();
    assert_eq!(paths, ["alink", "src", "src/deep", "src/deep/er", "src/deep/er/empty"]);
    assert!(part["fetched"]["decoded_bytes"].as_u64().unwrap() <= 1 << 20, "{part}");
    sandbox.run(["unstash", "ws", "no/such", "-C", "out"]).exits(4).says("no/such");
}

#[test]
fn part_of_a_group_of_hard_links_stays_a_group() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    sandbox.stash("ws");
    sandbox.run(["unstash", "ws", "src/file7.txt", "src/zlink", "-C", "out"]).exits(0);
    let meta = |path: &str| fs::metadata(sandbox.path("out").join(path)).unwrap();
    assert_eq!(meta("src/file7.txt").ino(), meta("src/zlink").ino());
    assert_eq!(
        fs::read(sandbox.path("out/src/zlink")).unwrap(),
        fs::read(sandbox.work().join("alink")).unwrap()
    );
}

#[test]
fn export_gives_the_same_bytes_every_time_and_imports_to_the_same_stash() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    let stashed = sandbox.stash("ws");
    let first = sandbox.run(["export", "ws"]).exits(0).0.stdout;
    sandbox.run(["export", "ws", "-o", "second.tar"]).exits(0);
    assert!(first == fs::read(sandbox.path("second.tar")).unwrap());
    let imported = sandbox.run(["import", "second.tar", "imported", "--json"]).json();
    assert_eq!(imported["stash"]["id"], stashed["stash"]["id"]);
    assert_eq!(imported["uploaded_bytes"].as_u64(), Some(0));

    sandbox.run(["export", "ws", "--zstd", "-o", "ws.tar.zst"]).exits(0);
    let compressed = sandbox.run(["import", "ws.tar.zst", "compressed", "--json"]).json();
    assert_eq!(compressed["stash"]["id"], stashed["stash"]["id"]);
}

#[test]
fn owners_and_xattrs_are_kept_when_asked_for() {
    let sandbox = Sandbox::new();
    let file = sandbox.work().join("file");
    fs::write(&file, b"x").unwrap();
    let set = Command::new("setfattr").args(["-n", "user.origin", "-v", "here"]).arg(&file).status();
    if !set.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("PANNIER_TESTS_MUST_RUN").is_none(), "setfattr is needed");
        eprintln!("skipped: setfattr is not installed, or the file system has no xattrs");
        return;
    }
    let is_root = std::os::unix::fs::chown(&file, Some(1234), Some(5678)).is_ok();
    sandbox.run(["stash", "ws", "-C", "work", "--owner", "--xattrs"]).exits(0);
    sandbox.run(["unstash", "ws", "-C", "plain"]).exits(0);
    sandbox.run(["unstash", "ws", "-C", "full", "--owner", "--xattrs"]).exits(if is_root { 0 } else { 1 });
    let xattr = |folder: &str| {
        let output = Command::new("getfattr")
            .args(["--only-values", "-n", "user.origin"])
            .arg(sandbox.path(folder).join("file"))
            .output();
        output.unwrap().stdout
    };
    assert_eq!(xattr("plain"), b"");
    assert_ne!(fs::metadata(sandbox.path("plain/file")).unwrap().uid(), 1234);
    if is_root {
        assert_eq!(xattr("full"), b"here");
        let meta = fs::metadata(sandbox.path("full/file")).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (1234, 5678));
    }
    let exported = sandbox.run(["export", "ws"]).exits(0).0.stdout;
    fs::write(sandbox.path("ws.tar"), exported).unwrap();
    let stashed = sandbox.run(["show", "ws", "--json"]).json();
    let imported = sandbox.run(["import", "ws.tar", "again", "--owner", "--xattrs", "--json"]).json();
    assert_eq!(imported["stash"]["id"], stashed["stash"]["id"]);
}
