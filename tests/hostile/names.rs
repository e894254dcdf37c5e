//! Names that lead out of the target, that no file system takes, or that would write on a terminal.

use std::collections::BTreeSet;
use std::fs;

use crate::archive::{file, folder, gnu_name, hard_link, link_to, member, pax, tar};
use crate::support::tree;
use crate::{Scene, lossy};

/// Proves that a name with `..` or an absolute one is refused as it was written, in whichever header it stands and
/// whatever kind of member it names.
#[test]
fn names_that_lead_out_of_the_folder_are_refused_and_said() {
    let scene = Scene::new();
    let absolute = scene.sandbox.path("outside/escape").into_os_string().into_encoded_bytes();
    let (dots, slash) = ("`.` or `..` component", "is an absolute path");
    // What the error shows is without the `.` and empty components, which mean nothing.
    let cases: [(&[u8], &str, &str); 8] = [
        (b"../escape", "`../escape`", dots),
        (b"a/../../escape", "`a/../../escape`", dots),
        (b"./../escape", "`../escape`", dots),
        (b"..", "`..`", dots),
        (b"a/..", "`a/..`", dots),
        (b"/escape", "`/escape`", slash),
        (b"//escape", "`/escape`", slash),
        (&absolute, &format!("`{}`", lossy(&absolute)), slash),
    ];
    for (name, shown, why) in cases {
        let members = [
            file(name, b"escaped"),
            folder(name),
            link_to(name, b"precious"),
            hard_link(name, b"before"),
            member(name, b'6', b"", b""),
            [pax("path", name), file(b"harmless", b"escaped")].concat(),
            [gnu_name(name), file(b"harmless", b"escaped")].concat(),
        ];
        for member in members {
            scene.refuses(&tar(&[file(b"before", b"x"), member]), &[shown, why, "the tar header at byte "]);
        }
    }
}

/// Proves that odd spellings of names inside the folder mean what they say, and that the folder itself is no entry.
#[test]
fn odd_spellings_stay_inside() {
    let scene = Scene::new();
    scene.restores(&tar(&[file(b"a/./b//c", b"x")]), &["a", "a/b", "a/b/c"]);
    // A v7 tar marks a folder by its slash alone.
    scene.restores(&tar(&[file(b"a/./b//c/", b"")]), &["a", "a/b", "a/b/c"]);
    for itself in [file(b"./", b"skipped"), folder(b"./"), folder(b".")] {
        scene.restores(&tar(&[itself, file(b"f", b"x")]), &["f"]);
    }
    scene.restores(&tar(&[pax("path", b"./"), file(b"ignored", b"skipped"), file(b"f", b"x")]), &["f"]);
    scene.refuses(&tar(&[file(b".", b"x")]), &["at byte 0", "an empty path"]);
    scene.refuses(&tar(&[file(b"", b"x")]), &["at byte 0", "an empty path"]);
    scene.restores(&tar(&[file(b"...", b"x"), file(b"..a/b..", b"x")]), &["...", "..a", "..a/b.."]);
}

/// Proves that a link may say anything, and that nothing is ever written through one.
#[test]
fn links_that_lead_out_are_kept_and_never_followed() {
    let scene = Scene::new();
    let absolute = scene.sandbox.path("outside").into_os_string().into_encoded_bytes();
    for target in [b"../outside".to_vec(), absolute, b"..".to_vec(), b".".to_vec(), b"/".to_vec()] {
        let way_out = link_to(b"way", &target);
        scene.restores(&tar(std::slice::from_ref(&way_out)), &["way"]);
        let beneath = ["`way/escape` cannot be imported", "`way` is a symlink"];
        scene.refuses(&tar(&[way_out.clone(), file(b"way/escape", b"x")]), &beneath);
        scene.refuses(&tar(&[way_out.clone(), folder(b"way/escape")]), &beneath);
        scene.refuses(&tar(&[way_out.clone(), link_to(b"way/escape", b"x")]), &beneath);
        scene.refuses(&tar(&[folder(b"way"), file(b"way/escape", b"x"), way_out.clone()]), &beneath);
        let replaced = tar(&[way_out, folder(b"way"), file(b"way/e", b"x")]);
        scene.restores(&replaced, &["way", "way/e"]);
    }
    scene.restores(&tar(&[link_to(b"s", b"../outside/precious"), file(b"s", b"overwritten")]), &["s"]);
    for target in [&b""[..], b"a\0b"] {
        let member = [pax("linkpath", target), link_to(b"s", b"")].concat();
        scene.refuses(&tar(&[member]), &["`s` is a symlink whose target is empty, too long or holds a NUL"]);
    }
}

#[test]
fn devices_are_left_out_and_odd_names_kept() {
    let scene = Scene::new();
    let odd: [&[u8]; 5] = [b"new\nline", b"\xff\xfe", b"\x1b[2Jclear", b"a\\b", b"-rf"];
    let files = odd.map(|name| file(name, name));
    let devices = [member(b"null", b'3', b"", b""), member(b"disk", b'4', b"", b"")];
    fs::write(scene.sandbox.path("odd.tar"), tar(&[&devices[..], &files[..]].concat())).unwrap();
    let import = scene.sandbox.run(["import", "odd.tar", "odd"]).exits(0);
    import.says("`null`: a device: left out").says("`disk`: a device: left out");
    scene.sandbox.run(["unstash", "odd", "-C", "out"]).exits(0);
    let found = tree(&scene.out());
    assert_eq!(found.keys().map(Vec::as_slice).collect::<BTreeSet<_>>(), odd.into());
    assert!(found.iter().all(|(path, node)| *path == node.content));
    let shown = scene.sandbox.run(["show", "odd", "--all"]).exits(0).stdout();
    assert!(
        !shown.contains('\x1b') && !shown.contains("new\nline"),
        "a name cannot write on a terminal: {shown:?}"
    );
    // Nor can one in an error.
    scene.refuses(&tar(&[file(b"../\x1b[2Jclear\n", b"x")]), &["`../\\u{1b}[2Jclear\\n`"]);
}

/// Proves that a path or target of 100,000 bytes, and a name with a NUL byte or none, are refused in words, and that a
/// name which only the file system refuses fails the restore with that name and leaves nothing.
#[test]
fn paths_that_no_file_system_takes() {
    let scene = Scene::new();
    let long_name = vec![b'n'; 100_000];
    let deep: Vec<u8> = b"d/".iter().copied().cycle().take(99_999).collect();
    for (path, start) in [(&long_name, "nnnnnnnn"), (&deep, "d/d/d/d/")] {
        let too_long = [start, "is longer than 4095 bytes", "at byte"];
        scene.refuses(&tar(&[pax("path", path), file(b"x", b"y")]), &too_long);
        scene.refuses(&tar(&[pax("path", path), folder(b"x")]), &too_long);
        let target = ["`x` is a symlink whose target is", "too long"];
        scene.refuses(&tar(&[pax("linkpath", path), link_to(b"x", b"y")]), &target);
        let hard = ["`x` is a hard link to a name", start, "is longer than"];
        scene.refuses(&tar(&[pax("linkpath", path), hard_link(b"x", b"y")]), &hard);
    }
    let long = tar(&[gnu_name(&vec![b'n'; 70_000]), file(b"x", b"y")]);
    scene.refuses(&long, &["`././@LongLink` at byte 0", "too many bytes"]);
    scene.refuses(&tar(&[pax("path", b"a\0b"), file(b"x", b"y")]), &["`a\\u{0}b` holds a NUL byte"]);
    scene.refuses(&tar(&[pax("path", b""), file(b"", b"y")]), &["an empty path"]);

    let name = "n".repeat(256);
    let within = format!("d/{name}/f");
    for path in [&name, &within] {
        let one = tar(&[file(b"harmless", b"x"), pax("path", path.as_bytes()), file(b"x", b"y")]);
        scene.cannot_restore(&one, &[&name, "File name too long"]);
    }
}
