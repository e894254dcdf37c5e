//! Members that contradict each other: hard links to nowhere, names twice, something beneath what is no folder.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::Scene;
use crate::archive::{file, folder, hard_link, link_to, member, pax, tar};

/// Proves that a hard link to anything but an earlier member of the tar is refused with link and target named.
#[test]
fn hard_links_to_nowhere_are_refused_and_said() {
    let scene = Scene::new();
    let precious = scene.sandbox.path("precious");
    let absolute = precious.to_str().unwrap();
    let nowhere = |target: &str| format!("it is a hard link to `{target}`, which does not stand before it");
    let cases: [(&str, String); 6] = [
        ("nowhere", nowhere("nowhere")),
        ("link", nowhere("link")),
        ("../precious", "`../precious` has an empty, `.` or `..` component".to_owned()),
        (absolute, format!("`{absolute}` is an absolute path")),
        ("", "an empty path".to_owned()),
        ("./", "the workspace itself as the target of its hard link".to_owned()),
    ];
    for (target, why) in cases {
        scene.refuses(&tar(&[hard_link(b"link", target.as_bytes())]), &["`link`", &why]);
        if !target.is_empty() {
            let member = [pax("linkpath", target.as_bytes()), hard_link(b"link", b"harmless")].concat();
            scene.refuses(&tar(&[file(b"harmless", b"x"), member]), &["`link`", &why]);
        }
    }
    let later = tar(&[hard_link(b"link", b"later"), file(b"later", b"x")]);
    scene.refuses(&later, &["`link`", &nowhere("later")]);
    let to_folder = tar(&[folder(b"d"), hard_link(b"link", b"d")]);
    scene.refuses(&to_folder, &["`link`", "it is a hard link to the folder `d`"]);
    let through = tar(&[link_to(b"way", b"../outside"), hard_link(b"link", b"way/precious")]);
    scene.refuses(&through, &["`link`", &nowhere("way/precious")]);
    let device = tar(&[member(b"null", b'3', b"", b""), hard_link(b"link", b"null")]);
    scene.refuses(&device, &["`link`", &nowhere("null")]);
}

/// Proves that a hard link to a symlink links the symlink, and that writing to the link's name later writes nowhere
/// else.
#[test]
fn a_hard_link_to_a_symlink_is_a_name_of_the_symlink() {
    let scene = Scene::new();
    let both = [link_to(b"s", b"../precious"), hard_link(b"h", b"s")];
    scene.restores(&tar(&both), &["h", "s"]);
    let members = [&both[..], &[file(b"h", b"overwritten")]].concat();
    fs::write(scene.sandbox.path("t.tar"), tar(&members)).unwrap();
    scene.restores(&tar(&members), &["h", "s"]);
    scene.sandbox.run(["import", "t.tar", "hostile"]).exits(0);
    scene.sandbox.run(["unstash", "hostile", "-C", "out"]).exits(0);
    assert_eq!(fs::read(scene.out().join("h")).unwrap(), b"overwritten");
    assert_eq!(fs::read_link(scene.out().join("s")).unwrap().to_str(), Some("../precious"));
    assert_eq!(fs::symlink_metadata(scene.out().join("h")).unwrap().nlink(), 1);
}

/// Proves that something beneath a file, fifo or link is refused with both names, in whichever order they stand.
#[test]
fn a_file_where_a_folder_is_needed_is_refused_and_said() {
    let scene = Scene::new();
    let blocks = [
        (file(b"d", b"x"), "`d` is a file"),
        (member(b"d", b'6', b"", b""), "`d` is a fifo"),
        (link_to(b"d", b"elsewhere"), "`d` is a symlink"),
        ([file(b"a", b"x"), hard_link(b"d", b"a")].concat(), "`d` is a hard link"),
    ];
    for (block, why) in blocks {
        for below in [file(b"d/below", b"y"), folder(b"d/below"), hard_link(b"d/below", b"before")] {
            let texts = ["`d/below` cannot be imported", why, "in the same tar"];
            let before = file(b"before", b"z");
            scene.refuses(&tar(&[before.clone(), block.clone(), below.clone()]), &texts);
            scene.refuses(&tar(&[before, below, block.clone()]), &texts);
        }
    }
    // Through folders that no member names.
    let deep = tar(&[file(b"d", b"x"), file(b"d/e/f/below", b"y")]);
    scene.refuses(&deep, &["`d/e/f/below` cannot be imported", "`d` is a file"]);
}

/// Proves that of two members of one name the later counts, as when the tar is unpacked, however it is spelled.
#[test]
fn names_twice() {
    let scene = Scene::new();
    let content = |members: &[Vec<u8>]| {
        fs::write(scene.sandbox.path("twice.tar"), tar(members)).unwrap();
        scene.sandbox.run(["import", "twice.tar", "hostile"]).exits(0);
        scene.sandbox.run(["unstash", "hostile", "-C", "out"]).exits(0);
        let content = fs::read(scene.out().join("twice")).unwrap();
        scene.clear();
        content
    };
    let (first, second) = (file(b"twice", b"first"), file(b"./twice", b"second"));
    assert_eq!(content(&[first.clone(), second.clone()]), b"second");
    assert_eq!(content(&[link_to(b"twice", b"../precious"), second.clone()]), b"second");
    assert_eq!(content(&[folder(b"twice"), second.clone()]), b"second");
    // The other name of the replaced inode keeps what it had.
    let link = hard_link(b"other", b"twice");
    assert_eq!(content(&[first.clone(), link.clone(), second.clone()]), b"second");
    fs::write(scene.sandbox.path("twice.tar"), tar(&[first.clone(), link, second])).unwrap();
    scene.sandbox.run(["import", "twice.tar", "hostile"]).exits(0);
    scene.sandbox.run(["unstash", "hostile", "-C", "out"]).exits(0);
    assert_eq!(fs::read(scene.out().join("other")).unwrap(), b"first");
    scene.clear();
    scene.restores(&tar(&[first, folder(b"twice"), file(b"twice/in", b"x")]), &["twice", "twice/in"]);
}
