//! What pages cost a controller: how much it reads for one folder of a large stash, and how much memory a stream takes. As
//! Linux counts both for a process; no times.

use std::fs;
use std::io::Read as _;

use crate::plain_http::Visitor;
use crate::support::served::Served;
use crate::support::{Sandbox, noise};

const FOLDERS: usize = 4;
const INNER: usize = 10;
const FILES: usize = 1000;

/// A number behind a name in a file of the process below `/proc`.
fn told(served: &Served, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/{file}", served.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// A tar of many tiny files.
fn large_tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for number in 0..FOLDERS * INNER * FILES {
        let (folder, inner) = (number / (INNER * FILES), number / FILES % INNER);
        let body = format!("{number}");
        let mut header = tar::Header::new_ustar();
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        let path = format!("folder-{folder}/inner-{inner}/a-file-with-a-name-{number:06}");
        tar.append_data(&mut header, path, body.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Proves that a page reads what its rows need: in a stash of 40,000 entries, pages of the manifest and not the manifest.
#[test]
fn a_folder_of_a_large_stash_reads_a_small_part_of_its_manifest() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("large.tar"), large_tar()).unwrap();
    let served = Served::start(&sandbox, "data", &[]);
    let import = ["import", "large.tar", "large", "--project", "p", "--build", "1"];
    sandbox.run_at(&served, import).exits(0);
    let visitor = Visitor::with(&served, &served.token);
    // The footer of 40,000 chunks is 1.7 MB with its trailer; it is read once, and then kept. A frame of manifest pages is
    // half a megabyte: a list of the files of one folder takes one or two of them, a list of folders one for each.
    let mega = 1_000_000;
    for (path, rows, most) in [
        ("", FOLDERS, 4 * mega),
        ("", FOLDERS, 2 * mega),
        ("&path=folder-2", INNER, 2 * mega),
        ("&path=folder-3/inner-7", FILES, mega),
    ] {
        let from = told(&served, "io", "rchar");
        let page = visitor.get(&format!("/ui/stash?project=p&build=1&stash=large{path}"));
        assert_eq!(page.text().matches("<th scope=\"row\"").count(), rows, "{path}");
        let read = told(&served, "io", "rchar") - from;
        assert!(read < most, "{read} bytes were read for `{path}`");
    }
}

/// Proves that a stream holds a few frames however large the file is, though nobody takes what it sends.
#[test]
fn a_stream_that_nobody_reads_holds_a_few_frames() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("work/large.bin"), noise(5, 96 << 20)).unwrap();
    let served = Served::start(&sandbox, "data", &[]);
    sandbox.run_at(&served, ["stash", "deps", "-C", "work", "--project", "p", "--build", "1"]).exits(0);
    let visitor = Visitor::with(&served, &served.token);
    visitor.get("/ui/stash?project=p&build=1&stash=deps");
    let before = told(&served, "status", "VmHWM");
    let mut streams = Vec::new();
    for page in ["file", "tar"] {
        let mut stream = visitor.open(&format!("/ui/{page}?project=p&build=1&stash=deps&path=large.bin"));
        let mut first = [0; 1000];
        stream.read_exact(&mut first).unwrap();
        streams.push(stream);
    }
    let whole = visitor.get("/ui/file?project=p&build=1&stash=deps&path=large.bin");
    assert!(whole.is_whole && whole.body.len() == 96 << 20);
    let grown = told(&served, "status", "VmHWM") - before;
    assert!(grown < 64 << 10, "three streams took {grown} kB");
}
