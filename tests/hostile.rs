//! Tars that mean harm, through the program itself: each is refused with the path named, or becomes a stash whose
//! restore changes nothing outside its folder. Workspaces that change under the reader have `hostile_folders.rs`.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use support::{Run, Sandbox, assert_same_tree, tree};

/// A ustar header by hand, with a right checksum and nothing else checked.
fn header(name: &[u8], kind: u8, link: &[u8], size: &[u8]) -> Vec<u8> {
    let mut block = vec![0u8; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, size);
    put(136, b"14000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link);
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn octal(size: usize) -> Vec<u8> {
    format!("{size:011o}\0").into_bytes()
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn member(name: &[u8], kind: u8, link: &[u8], content: &[u8]) -> Vec<u8> {
    [header(name, kind, link, &octal(content.len())), padded(content.to_vec())].concat()
}

fn file(name: &[u8], content: &[u8]) -> Vec<u8> {
    member(name, b'0', b"", content)
}

fn folder(name: &[u8]) -> Vec<u8> {
    member(name, b'5', b"", b"")
}

fn link_to(name: &[u8], target: &[u8]) -> Vec<u8> {
    member(name, b'2', target, b"")
}

fn hard_link(name: &[u8], target: &[u8]) -> Vec<u8> {
    member(name, b'1', target, b"")
}

/// A PAX header for the next member.
fn pax(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let digits = |len: usize| len.to_string().len();
    let mut len = rest + digits(rest);
    len = rest + digits(len);
    let record = [format!("{len} {key}=").as_bytes(), value, b"\n"].concat();
    member(b"pax", b'x', b"", &record)
}

fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

/// A sandbox with something outside the target that must stay as it is.
struct Scene {
    sandbox: Sandbox,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        fs::create_dir(sandbox.path("outside")).unwrap();
        fs::write(sandbox.path("outside/precious"), b"precious").unwrap();
        fs::write(sandbox.path("precious"), b"precious").unwrap();
        // So that the first stash of a case is not the one that makes the store and the cache.
        fs::write(sandbox.work().join("file"), b"x").unwrap();
        sandbox.stash("first");
        Self { sandbox }
    }

    /// Imports and, where that is accepted, restores: onto nothing, and onto what a first restore left.
    fn throws(&self, what: &str, bytes: &[u8], name: &str) {
        let archive = self.sandbox.path("hostile.tar");
        fs::write(&archive, bytes).unwrap();
        let import = self.sandbox.run(["import", "hostile.tar", "hostile"]);
        self.is_calm(what, &import);
        if import.code() == 1 {
            assert!(import.stderr().contains(name), "{what}: `{name}` is not in: {}", import.stderr());
            return;
        }
        let before = self.outside();
        for round in 0..2 {
            let run = self.sandbox.run(["unstash", "hostile", "-C", "out"]);
            self.is_calm(what, &run);
            assert_eq!(self.outside(), before, "{what}, round {round}: changed something outside");
        }
        let _ =
            std::process::Command::new("chmod").args(["-R", "u+rwX"]).arg(self.sandbox.path("out")).status();
        let _ = fs::remove_dir_all(self.sandbox.path("out"));
    }

    fn is_calm(&self, what: &str, run: &Run) {
        let said = run.stderr();
        assert!(
            [0, 1, 3].contains(&run.code()) && !said.contains("panicked"),
            "{what}: {}: {said}",
            run.code()
        );
    }

    /// Every path outside the target and pannier's own folders.
    fn outside(&self) -> Vec<(Vec<u8>, Vec<u8>, u32)> {
        let own: [&[u8]; 3] = [b"out", b"store", b"cache"];
        let is_own = |path: &[u8]| own.contains(&path.split(|&byte| byte == b'/').next().unwrap());
        let nodes = tree(self.sandbox.dir.path()).into_iter().filter(|(path, _)| !is_own(path));
        nodes.map(|(path, node)| (path, node.content, node.mode)).collect()
    }
}

#[test]
fn names_that_lead_out_of_the_folder() {
    let scene = Scene::new();
    let absolute = scene.sandbox.path("outside/escape").into_os_string().into_encoded_bytes();
    let absolute_folder = scene.sandbox.path("outside").into_os_string().into_encoded_bytes();
    let names: [&[u8]; 9] = [
        b"../escape",
        b"a/../../escape",
        b"./../escape",
        b"..",
        b"/escape",
        b"//escape",
        b"a/..",
        b"./",
        b"a/./b//c/",
    ];
    for name in names {
        let shown = String::from_utf8_lossy(name).into_owned();
        let last = if shown.contains("escape") { "escape" } else { "" };
        scene.throws(&shown, &tar(&[file(name, b"escaped")]), last);
        scene.throws(&shown, &tar(&[folder(name)]), last);
        scene.throws(&shown, &tar(&[pax("path", name), file(b"harmless", b"escaped")]), last);
    }
    scene.throws("an absolute name", &tar(&[pax("path", &absolute), file(b"x", b"escaped")]), "escape");
    for target in [b"../outside".to_vec(), absolute_folder, b"..".to_vec(), b".".to_vec()] {
        let way_out = link_to(b"way", &target);
        scene.throws("a file through a link", &tar(&[way_out.clone(), file(b"way/escape", b"x")]), "way");
        scene.throws("a folder through a link", &tar(&[way_out.clone(), folder(b"way/escape")]), "way");
        scene.throws(
            "a folder over a link",
            &tar(&[way_out.clone(), folder(b"way"), file(b"way/e", b"x")]),
            "way",
        );
        scene.throws("a link later", &tar(&[folder(b"way"), file(b"way/escape", b"x"), way_out]), "way");
    }
    let through = [link_to(b"s", b"../outside/precious"), file(b"s", b"overwritten")];
    scene.throws("a file over a link", &tar(&through), "s");
}

#[test]
fn hard_links_to_what_is_not_in_the_tar() {
    let scene = Scene::new();
    let precious = scene.sandbox.path("precious").into_os_string().into_encoded_bytes();
    for target in [b"nowhere".to_vec(), b"../precious".to_vec(), precious, b"link".to_vec(), b"".to_vec()] {
        scene.throws("a hard link", &tar(&[hard_link(b"link", &target)]), "link");
    }
    let members = [link_to(b"s", b"../precious"), hard_link(b"h", b"s"), file(b"h", b"overwritten")];
    scene.throws("a hard link to a symlink, then a file", &tar(&members), "h");
    let members = [folder(b"d"), hard_link(b"link", b"d")];
    scene.throws("a hard link to a folder", &tar(&members), "link");
    let members = [link_to(b"way", b"../outside"), hard_link(b"link", b"way/precious")];
    scene.throws("a hard link through a symlink", &tar(&members), "link");
}

#[test]
fn what_stands_where_links_lead_before_the_restore_is_not_followed() {
    let scene = Scene::new();
    let bytes = tar(&[folder(b"d"), file(b"d/precious", b"new"), file(b"f", b"new")]);
    fs::write(scene.sandbox.path("t.tar"), bytes).unwrap();
    scene.sandbox.run(["import", "t.tar", "ws"]).exits(0);
    let out = scene.sandbox.path("out");
    fs::create_dir(&out).unwrap();
    symlink("../outside", out.join("d")).unwrap();
    symlink("../precious", out.join("f")).unwrap();
    let before = scene.outside();
    scene.sandbox.run(["unstash", "ws", "-C", "out"]).exits(0);
    assert_eq!(scene.outside(), before);
    assert_eq!(fs::read(out.join("d/precious")).unwrap(), b"new");
    assert!(fs::symlink_metadata(out.join("d")).unwrap().is_dir());
}

#[test]
fn names_twice_and_names_that_contradict_each_other() {
    let scene = Scene::new();
    scene.throws("a file above a file", &tar(&[file(b"d", b"x"), file(b"d/below", b"y")]), "d");
    scene.throws("a file after its contents", &tar(&[file(b"d/below", b"y"), file(b"d", b"x")]), "d");
    scene.throws("a fifo above a file", &tar(&[member(b"p", b'6', b"", b""), file(b"p/below", b"y")]), "p");
    let twice = tar(&[file(b"twice", b"first"), file(b"twice", b"second")]);
    fs::write(scene.sandbox.path("twice.tar"), twice).unwrap();
    scene.sandbox.run(["import", "twice.tar", "twice"]).exits(0);
    scene.sandbox.run(["unstash", "twice", "-C", "twice.out"]).exits(0);
    assert_eq!(fs::read(scene.sandbox.path("twice.out/twice")).unwrap(), b"second");
}

#[test]
fn sizes_that_are_not_there() {
    let scene = Scene::new();
    let ten_gb = format!("{:011o}\0", 10u64 << 30 >> 1).into_bytes();
    let claims: [(&str, Vec<u8>); 8] = [
        ("5 GB in octal", header(b"claim", b'0', b"", &ten_gb)),
        ("2^62 in base 256", header(b"claim", b'0', b"", b"\x80\0\0\0\x40\0\0\0\0\0\0\0")),
        (
            "2^95 in base 256",
            header(b"claim", b'0', b"", b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        ),
        ("a negative one", header(b"claim", b'0', b"", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")),
        ("letters", header(b"claim", b'0', b"", b"abcdefghijk\0")),
        ("10 GB in PAX", [pax("size", b"10737418240"), file(b"claim", b"x")].concat()),
        ("a PAX header of 5 GB", header(b"claim", b'x', b"", &ten_gb)),
        ("a GNU name of 5 GB", header(b"claim", b'L', b"", &ten_gb)),
    ];
    for (what, bytes) in claims {
        let archive = [bytes, vec![b'x'; 600]].concat();
        fs::write(scene.sandbox.path("hostile.tar"), &archive).unwrap();
        let run = scene.sandbox.run(["import", "hostile.tar", "hostile"]);
        scene.is_calm(what, &run);
        assert_eq!(run.code(), 1, "{what}: {}", run.stderr());
    }
}

#[test]
fn a_tar_cut_anywhere_is_refused_or_whole_to_the_cut() {
    let scene = Scene::new();
    let whole = tar(&[folder(b"d"), file(b"d/a", &[1; 700]), pax("mtime", b"1.5"), file(b"d/b", &[2; 100])]);
    for cut in (0..whole.len()).step_by(177).chain([1, 511, 512, 513, 1024, 1535, 1536, 1537]) {
        scene.throws(&format!("cut at {cut}"), &whole[..cut], "");
    }
    // In the middle of a file's content there is no doubt.
    fs::write(scene.sandbox.path("cut.tar"), &whole[..1324]).unwrap();
    scene.sandbox.run(["import", "cut.tar", "cut"]).exits(1).says("d/a");
}

#[test]
fn devices_are_left_out_and_odd_names_kept() {
    let scene = Scene::new();
    let odd: [&[u8]; 5] = [b"new\nline", b"\xff\xfe", b"\x1b[2Jclear", b"a\\b", b"-rf"];
    let files = odd.map(|name| file(name, name));
    let devices = [member(b"null", b'3', b"", b""), member(b"disk", b'4', b"", b"")];
    fs::write(scene.sandbox.path("odd.tar"), tar(&[&devices[..], &files[..]].concat())).unwrap();
    let import = scene.sandbox.run(["import", "odd.tar", "odd"]);
    scene.is_calm("devices", &import);
    import.says("null").says("disk");
    scene.sandbox.run(["unstash", "odd", "-C", "out"]).exits(0);
    let found = tree(&scene.sandbox.path("out"));
    assert_eq!(found.keys().map(Vec::as_slice).collect::<std::collections::BTreeSet<_>>(), odd.into());
    assert!(found.iter().all(|(path, node)| *path == node.content));
    let shown = scene.sandbox.run(["show", "odd", "--all"]).exits(0).stdout();
    assert!(
        !shown.contains('\x1b') && !shown.contains("new\nline"),
        "a name cannot write on a terminal: {shown:?}"
    );
}

#[test]
fn paths_that_no_file_system_takes() {
    let scene = Scene::new();
    let long_name = vec![b'n'; 100_000];
    let deep: Vec<u8> = b"d/".iter().copied().cycle().take(99_999).collect();
    for path in [&long_name, &deep] {
        scene.throws("100,000 bytes", &tar(&[pax("path", path), file(b"x", b"y")]), "");
        scene.throws("100,000 bytes of target", &tar(&[pax("linkpath", path), link_to(b"x", b"y")]), "");
    }
    scene.throws("a zero byte", &tar(&[pax("path", b"a\0b"), file(b"x", b"y")]), "");
    scene.throws("no name", &tar(&[pax("path", b""), file(b"", b"y")]), "");
}

#[test]
fn set_id_bits_and_closed_folders_of_a_tar_do_no_harm() {
    let scene = Scene::new();
    let mut set_id = file(b"tool", b"#!/bin/sh\n");
    set_id[100..108].copy_from_slice(b"0006755\0");
    set_id[148..156].copy_from_slice(b"        ");
    let sum: u32 = set_id[..512].iter().map(|&byte| u32::from(byte)).sum();
    set_id[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    fs::write(scene.sandbox.path("set-id.tar"), tar(&[set_id])).unwrap();
    scene.sandbox.run(["import", "set-id.tar", "set-id"]).exits(0);
    scene.sandbox.run(["unstash", "set-id", "-C", "out"]).exits(0);
    let mode = fs::metadata(scene.sandbox.path("out/tool")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    // The same through a pipe.
    let exported = scene.sandbox.run(["export", "set-id"]).exits(0).0.stdout;
    fs::write(scene.sandbox.path("again.tar"), exported).unwrap();
    scene.sandbox.run(["import", "again.tar", "again"]).exits(0);
    scene.sandbox.run(["unstash", "again", "-C", "again.out"]).exits(0);
    assert_same_tree(&scene.sandbox.path("out"), &scene.sandbox.path("again.out"));
}
