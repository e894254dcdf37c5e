//! Up and down again: content, modes and names as they were; what is known moves no more.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::bed::Bed;
use crate::support::noise;

const ODD: &str = "odd/xxx#?:$&'\"<>čॐ \\ *[a]{b}.log";

fn fill(bed: &Bed) {
    bed.write("log/a.log", "hello\n");
    bed.write("log/deep/empty.log", "");
    bed.write("log/deep/large.bin", noise(1, 5_000_000));
    bed.write(ODD, "odd");
    bed.write("odd/new\nline", "two lines");
    let script = bed.write("bin/run", "#!/bin/sh\n");
    fs::set_permissions(script, fs::Permissions::from_mode(0o751)).unwrap();
    fs::set_permissions(bed.sandbox.work().join("log/a.log"), fs::Permissions::from_mode(0o600)).unwrap();
}

fn modes_and_contents(folder: &std::path::Path) -> Vec<(Vec<u8>, u32, Vec<u8>)> {
    // Times of artifacts are those of their download.
    let tree = crate::support::tree(folder).into_iter();
    tree.filter(|(_, node)| node.mode & 0o170_000 != 0o040_000)
        .map(|(path, node)| (path, node.mode, node.content))
        .collect()
}

#[test]
fn content_modes_and_names_come_back_and_what_is_there_is_kept() {
    for bed in Bed::all("artifact-round-trip") {
        fill(&bed);
        let up = bed.upload(&["**"]);
        assert_eq!(
            (&up["sent_files"], &up["known_files"], &up["bytes"]),
            (&6.into(), &0.into(), &5_000_028.into())
        );
        let down = bed.download("*", "out", &[]);
        assert_eq!((&down["kept"], &down["fetched_bytes"]), (&0.into(), &5_000_028.into()));
        let (work, out) = (bed.sandbox.work(), bed.sandbox.path("out"));
        assert_eq!(modes_and_contents(&work), modes_and_contents(&out));
        fs::write(out.join("log/a.log"), "other").unwrap();
        let again = bed.download("*", "out", &[]);
        assert_eq!((&again["kept"], &again["fetched_bytes"]), (&5.into(), &6.into()));
        assert_eq!(modes_and_contents(&work), modes_and_contents(&out));
        let sum = bed.run(&["shasum", ODD, "--sha256"]).exits(0).stdout();
        assert_eq!(sum.trim().len(), 64);
        bed.run(&["shasum", "log/a.log"]).exits(0);
        // RFC 3174's algorithm over `hello` and a line feed, by sha1sum.
        assert_eq!(bed.run(&["shasum", "log/a.log"]).stdout(), "f572d396fae9206628714fb2ce00f72e94f2258f\n");
        assert_eq!(bed.download("odd/*", "merged/odd", &[])["artifacts"].as_array().unwrap().len(), 2);
        assert_eq!(fs::read(bed.sandbox.path("merged").join(ODD)).unwrap(), b"odd");
    }
}

/// Proves that a second upload, also as another build's, moves no content and costs two requests.
#[test]
fn what_is_known_is_not_sent_again() {
    for bed in Bed::all("artifact-known") {
        fill(&bed);
        bed.upload(&["**"]);
        for build in ["local", "2"] {
            let (mark, sent) = (bed.mark(), bed.sent());
            let up = bed.upload(&["**", "--build", build]);
            assert_eq!((&up["sent_files"], &up["known_files"]), (&0.into(), &6.into()));
            if bed.served.is_some() {
                let expected: &[&str] = match build {
                    "local" => &["POST /v1/artifacts"],
                    _ => &["POST /v1/artifacts", "POST /v1/artifacts/finish"],
                };
                assert_eq!(bed.requests(mark), expected);
            }
            // The controller may look an object up, which takes a few hundred bytes; content takes five million.
            assert!(bed.sent() - sent < 100_000, "{} bytes went to the store", bed.sent() - sent);
        }
        let down = bed.download("*", "out", &["--build", "2"]);
        assert_eq!(down["artifacts"].as_array().unwrap().len(), 6);
    }
}

#[test]
fn thousands_of_files_go_in_a_few_requests() {
    let bed = Bed::served();
    for number in 0..2500 {
        bed.write(&format!("many/{number}"), format!("file {number}"));
    }
    let mark = bed.mark();
    let up = bed.upload(&["many/*"]);
    assert_eq!((&up["sent_files"], up["artifacts"].as_array().unwrap().len()), (&2500.into(), 2500));
    let requests = bed.requests(mark);
    let count = |wanted: &str| requests.iter().filter(|request| *request == wanted).count();
    assert_eq!(count("PUT /objects/{object}"), 2500);
    let finishes = count("POST /v1/artifacts/finish");
    assert_eq!(
        (requests.len() - 2500 - finishes, count("POST /v1/artifacts")),
        (3, 3),
        "a thousand at a time"
    );
    // Each gathers what is sent within a moment.
    assert!((3..300).contains(&finishes), "{finishes} requests end them");
    let mark = bed.mark();
    bed.download("many/*", "out", &[]);
    let requests = bed.requests(mark);
    let count = |wanted: &str| requests.iter().filter(|request| *request == wanted).count();
    assert_eq!(count("POST /v1/artifacts/search"), requests.len() - count("POST /objects"), "{requests:?}");
    assert_eq!(count("POST /objects"), 40, "small ones come together, 64 at most");
    let names = |folder: &str| {
        let mut files = modes_and_contents(&bed.sandbox.path(folder));
        files.sort();
        files
    };
    assert_eq!(names("work"), names("out"));
}

#[test]
fn symlinks_are_what_the_policy_says() {
    let bed = Bed::embedded();
    bed.write("a.txt", "content");
    symlink("a.txt", bed.sandbox.work().join("link.txt")).unwrap();
    let kept = bed.upload(&["*.txt", "--symlinks", "keep", "--build", "kept"]);
    assert_eq!(kept["artifacts"].as_array().unwrap().len(), 2);
    bed.download("*", "kept", &["--build", "kept"]);
    assert_eq!(fs::read_link(bed.sandbox.path("kept/link.txt")).unwrap().to_str(), Some("a.txt"));
    assert_same_kind(&bed);
    bed.download("*", "skipped", &["--build", "kept", "--symlinks", "skip"]);
    assert!(!bed.sandbox.path("skipped/link.txt").exists());
    bed.upload(&["*.txt", "--build", "followed"]);
    bed.download("*", "followed", &["--build", "followed"]);
    assert_eq!(fs::read(bed.sandbox.path("followed/link.txt")).unwrap(), b"content");
    assert!(!fs::symlink_metadata(bed.sandbox.path("followed/link.txt")).unwrap().is_symlink());
    for flag in [&["--symlinks", "skip"][..], &["--upload-skip-symlinks"]] {
        let skipped = bed.upload(&[&["*.txt", "--build", "skipped"], flag].concat());
        assert_eq!(skipped["artifacts"].as_array().unwrap().len(), 1);
    }
}

/// A kept link is made again over what stands in its place, and is not written through.
fn assert_same_kind(bed: &Bed) {
    let outside = bed.sandbox.path("outside");
    fs::write(&outside, "untouched").unwrap();
    fs::remove_file(bed.sandbox.path("kept/a.txt")).unwrap();
    symlink(&outside, bed.sandbox.path("kept/a.txt")).unwrap();
    bed.download("*", "kept", &["--build", "kept"]);
    assert_eq!(fs::read(&outside).unwrap(), b"untouched");
    assert_eq!(fs::read(bed.sandbox.path("kept/a.txt")).unwrap(), b"content");
    assert!(!fs::symlink_metadata(bed.sandbox.path("kept/a.txt")).unwrap().is_symlink());
}

#[test]
fn a_copied_build_has_the_artifacts_too() {
    let bed = Bed::served();
    fill(&bed);
    bed.upload(&["log/**"]);
    let served = bed.served.as_ref().unwrap();
    bed.sandbox.run_at(served, ["copy", "--from-build", "local", "--to-build", "43"]).exits(0);
    bed.download("log/*", "one", &[]);
    bed.download("log/*", "two", &["--build", "43"]);
    let (one, two) = (bed.sandbox.path("one"), bed.sandbox.path("two"));
    assert_eq!(modes_and_contents(&one), modes_and_contents(&two));
}
