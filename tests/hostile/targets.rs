//! What a restore meets in its target: links that lead out, files where folders belong, folders where files belong;
//! and bits that a tar must not bring back.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::Scene;
use crate::archive::{file, folder, tar, with_mode};
use crate::support::assert_same_tree;

/// A scene with a stash `ws` of the folder `d`, the file `d/precious` and the file `f`.
fn with_stash() -> Scene {
    let scene = Scene::new();
    let bytes = tar(&[folder(b"d"), file(b"d/precious", b"new"), file(b"f", b"new")]);
    fs::write(scene.sandbox.path("t.tar"), bytes).unwrap();
    scene.sandbox.run(["import", "t.tar", "ws"]).exits(0);
    fs::create_dir(scene.out()).unwrap();
    scene
}

#[test]
fn what_stands_where_links_lead_before_the_restore_is_not_followed() {
    let scene = with_stash();
    let out = scene.out();
    symlink("../outside", out.join("d")).unwrap();
    symlink("../precious", out.join("f")).unwrap();
    let before = scene.outside();
    scene.sandbox.run(["unstash", "ws", "-C", "out"]).exits(0);
    assert_eq!(scene.outside(), before);
    assert_eq!(fs::read(out.join("d/precious")).unwrap(), b"new");
    assert!(fs::symlink_metadata(out.join("d")).unwrap().is_dir());
}

/// Proves that a file where the stash has a folder is replaced, and that a folder with something in it where the stash
/// has a file is not: it is named, nothing changes, and `--mirror` is the way to say so.
#[test]
fn a_file_for_a_folder_and_a_folder_for_a_file() {
    let scene = with_stash();
    let out = scene.out();
    fs::write(out.join("d"), b"a file").unwrap();
    scene.sandbox.run(["unstash", "ws", "-C", "out"]).exits(0);
    assert_eq!(fs::read(out.join("d/precious")).unwrap(), b"new");
    fs::remove_file(out.join("f")).unwrap();
    fs::create_dir(out.join("f")).unwrap();
    fs::write(out.join("f/mine"), b"mine").unwrap();
    fs::write(out.join("d/precious"), b"changed").unwrap();
    let refused = scene.sandbox.run(["unstash", "ws", "-C", "out"]).exits(1);
    refused.says("f is a folder here and a file in the stash").says("hint: --mirror");
    assert_eq!(fs::read(out.join("f/mine")).unwrap(), b"mine");
    assert_eq!(fs::read(out.join("d/precious")).unwrap(), b"changed");
    scene.sandbox.run(["unstash", "ws", "-C", "out", "--mirror"]).exits(0);
    assert_eq!(fs::read(out.join("f")).unwrap(), b"new");
}

#[test]
fn set_id_bits_of_a_tar_do_no_harm() {
    let scene = Scene::new();
    let set_id = with_mode(file(b"tool", b"#!/bin/sh\n"), 0o6755);
    fs::write(scene.sandbox.path("set-id.tar"), tar(&[set_id])).unwrap();
    scene.sandbox.run(["import", "set-id.tar", "set-id"]).exits(0);
    scene.sandbox.run(["unstash", "set-id", "-C", "out"]).exits(0);
    let mode = fs::metadata(scene.out().join("tool")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    // The same through a pipe.
    let exported = scene.sandbox.run(["export", "set-id"]).exits(0).0.stdout;
    fs::write(scene.sandbox.path("again.tar"), exported).unwrap();
    scene.sandbox.run(["import", "again.tar", "again"]).exits(0);
    scene.sandbox.run(["unstash", "again", "-C", "again.out"]).exits(0);
    assert_same_tree(&scene.out(), &scene.sandbox.path("again.out"));
}
