//! Files and tarballs: exactly the bytes, or an error; never others.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt;

use crate::plain_http::Visitor;
use crate::support::served::{Served, files};
use crate::support::{Sandbox, make_rich_tree, noise};

const STASH: &str = "project=p&build=1&stash=deps";

fn served(sandbox: &Sandbox) -> Served {
    let served = Served::start(sandbox, "data", &[]);
    sandbox.run_at(&served, ["stash", "deps", "-C", "work", "--project", "p", "--build", "1"]).exits(0);
    served
}

/// Proves that a tarball from the page is what `export` writes, byte by byte.
#[test]
fn a_tarball_is_what_export_writes() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    let served = served(&sandbox);
    let export = ["export", "deps", "-o", "deps.tar", "--project", "p", "--build", "1"];
    sandbox.run_at(&served, export).exits(0);
    let answer = Visitor::with(&served, &served.token).get(&format!("/ui/tar?{STASH}"));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-tar")));
    let disposition = answer.header("content-disposition").unwrap();
    assert_eq!(disposition, "attachment; filename=\"deps.tar\"; filename*=UTF-8''deps.tar");
    assert!(answer.is_whole);
    assert!(answer.body == fs::read(sandbox.path("deps.tar")).unwrap(), "the bytes differ");
}

/// Proves that a file comes whole or in ranges, whether it is empty, small, of many chunks or of chunk lists; under the
/// name of another's inode too; and that nothing in it can run.
#[test]
fn a_file_comes_whole_and_in_ranges() {
    let sandbox = Sandbox::new();
    let large = noise(1, 3_000_000);
    fs::write(sandbox.path("work/large.bin"), &large).unwrap();
    fs::write(sandbox.path("work/empty.txt"), "").unwrap();
    fs::write(sandbox.path("work/page.html"), "<script>alert(1)</script>").unwrap();
    fs::hard_link(sandbox.path("work/large.bin"), sandbox.path("work/other.bin")).unwrap();
    // More than 1,024 chunks, nearly all of them the same.
    let listed = fs::File::create(sandbox.path("work/listed.img")).unwrap();
    listed.set_len(600 << 20).unwrap();
    listed.write_all_at(b"near the end", 590 << 20).unwrap();
    let served = served(&sandbox);
    let visitor = Visitor::with(&served, &served.token);
    let get = |path: &str, range: Option<&str>| {
        let headers: Vec<(&str, &str)> = range.map(|range| ("Range", range)).into_iter().collect();
        visitor.get_with(&format!("/ui/file?{STASH}&path={path}"), &headers)
    };
    for name in ["large.bin", "other.bin"] {
        let whole = get(name, None);
        assert_eq!((whole.status, whole.header("content-length")), (200, Some("3000000")));
        assert!(whole.body == large, "{name} differs");
    }
    for (range, told, bytes) in [
        ("bytes=0-0", "bytes 0-0/3000000", &large[..1]),
        ("bytes=1000000-2000000", "bytes 1000000-2000000/3000000", &large[1_000_000..=2_000_000]),
        ("bytes=-5", "bytes 2999995-2999999/3000000", &large[2_999_995..]),
    ] {
        let part = get("large.bin", Some(range));
        assert_eq!((part.status, part.header("content-range")), (206, Some(told)));
        assert!(part.body == bytes, "{range} differs");
    }
    assert_eq!(get("large.bin", Some("bytes=3000000-")).status, 416);
    let part = get("listed.img", Some(&format!("bytes={}-{}", (590 << 20) - 2, (590 << 20) + 12)));
    assert_eq!((part.status, &part.body[..]), (206, &b"\0\0near the end\0"[..]));
    assert_eq!((get("empty.txt", None).status, get("empty.txt", None).body.len()), (200, 0));
    let page = get("page.html", None);
    assert_eq!(page.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().ends_with("; sandbox"));
    assert!(page.header("content-disposition").unwrap().starts_with("inline; "));
    let kept = get("page.html&download", None);
    assert_eq!(kept.header("content-type"), Some("application/octet-stream"));
    assert!(kept.header("content-disposition").unwrap().starts_with("attachment; "));
}

/// Proves that an object of the store, which the same server hands out, is nothing that could run beside the pages.
#[test]
fn objects_run_nothing() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("work/a"), "a").unwrap();
    let served = served(&sandbox);
    let visitor = Visitor::stranger(&served);
    let bearer = format!("Bearer {}", served.token);
    let headers = [("Authorization", &bearer[..]), ("Content-Type", "application/json")];
    let asked = r#"{"project":"p","build":"1","name":"deps"}"#;
    let resolved = visitor.send("POST", "/v1/resolve", &headers, asked);
    let resolved: serde_json::Value = serde_json::from_slice(&resolved.body).unwrap();
    let text = resolved["packs"][0]["get"].to_string();
    let address = &text[text.find("/objects/").unwrap()..];
    let object = visitor.get(address.split('"').next().unwrap());
    assert_eq!((object.status, object.header("content-security-policy")), (200, Some("sandbox")));
    assert_eq!(object.header("x-content-type-options"), Some("nosniff"));
}

/// Proves that a damaged chunk is an error page where nothing was sent yet, and a body that breaks off where something was:
/// what did come is right.
#[test]
fn damage_is_an_error_and_never_other_bytes() {
    let sandbox = Sandbox::new();
    let (small, large) = (noise(2, 40_000), noise(3, 3_000_000));
    fs::write(sandbox.path("work/a-small.bin"), &small).unwrap();
    fs::write(sandbox.path("work/b-large.bin"), &large).unwrap();
    let served = served(&sandbox);
    let visitor = Visitor::with(&served, &served.token);
    let get = |path: &str| visitor.get(&format!("/ui/file?{STASH}&path={path}"));
    let flip = |at: usize| {
        // Noise does not compress, so the file's bytes stand in a pack as they are.
        for pack in files(&sandbox.path("data/store/packs")) {
            let mut bytes = fs::read(&pack).unwrap();
            let wanted = &large[at..at + 64];
            if let Some(found) = bytes.windows(64).position(|window| window == wanted) {
                bytes[found] ^= 1;
                fs::set_permissions(&pack, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
                fs::File::create(&pack).unwrap().write_all(&bytes).unwrap();
                return;
            }
        }
        panic!("no pack holds the bytes");
    };
    flip(2_500_000);
    let broken = get("b-large.bin");
    assert_eq!((broken.status, broken.is_whole), (200, false));
    assert!(broken.body.len() < large.len() && broken.body.len() > 500_000);
    assert!(broken.body[..] == large[..broken.body.len()], "what came is not the file");
    let tar = visitor.get(&format!("/ui/tar?{STASH}"));
    assert!(!tar.is_whole, "a tar of what is damaged has no end");
    let whole = get("a-small.bin");
    assert!(whole.status == 200 && whole.body == small, "what is whole can still be read");
    flip(100);
    let refused = get("b-large.bin");
    assert_eq!(refused.status, 500);
    let text = refused.text();
    assert!(text.contains("damaged") && text.contains("Make the stash again"), "{text}");
    sandbox.run_at(&served, ["stash", "deps", "-C", "work", "--project", "p", "--build", "1"]).exits(0);
    let healed = get("b-large.bin");
    assert!(healed.is_whole && healed.body == large, "the damage was reported, so a stash heals it");
}

/// Proves that files of a page that is stored as a patch are listed, opened and streamed as any others, also once the stash that brought its
/// base is gone.
#[test]
fn a_patched_page_shows_its_files() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, "data", &[]);
    let file = |at: usize| sandbox.path(&format!("work/files/{at:05}.txt"));
    fs::create_dir_all(sandbox.path("work/files")).unwrap();
    (0..1500).for_each(|at| fs::write(file(at), format!("file {at}")).unwrap());
    let run = |args: &[&str]| sandbox.run_at(&served, args.iter().copied()).exits(0);
    let stash =
        |name: &str| run(&["stash", name, "-C", "work", "--project", "p", "--build", "1", "--json"]).json();
    stash("before");
    std::thread::sleep(std::time::Duration::from_millis(30));
    fs::write(file(700), "changed").unwrap();
    let said = stash("deps");
    assert!(said["stash"]["patches"].is_string(), "{said}");
    run(&["rm", "before", "--project", "p", "--build", "1"]);
    run(&["gc"]);
    let visitor = Visitor::with(&served, &served.token);
    let listed = visitor.get(&format!("/ui/stash?{STASH}&path=files")).text();
    assert!(listed.contains("00000.txt") && listed.contains("00700.txt"));
    assert_eq!(visitor.get(&format!("/ui/file?{STASH}&path=files/00700.txt")).text(), "changed");
    assert_eq!(visitor.get(&format!("/ui/file?{STASH}&path=files/00701.txt")).text(), "file 701");
    let tar = visitor.get(&format!("/ui/tar?{STASH}"));
    assert!(tar.is_whole && tar.body.windows(7).any(|bytes| bytes == b"changed"));
}
