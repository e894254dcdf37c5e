//! Pages of a manifest that are stored as patches: what they save, and that a stash is the same whichever way its pages are stored;
//! what becomes of it when bases, caches, stashes or the ledger go.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod support;

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use support::served::Served;
use support::{Sandbox, assert_same_tree, noise};

/// Files in a workspace that fills several pages.
const FILES: usize = 5_000;
/// Every so many-th is changed.
const STRIDE: usize = 100;

/// A workspace of small files in folders, of an old date so that no second stash finds them racing with the clock.
fn workspace() -> Sandbox {
    let sandbox = Sandbox::new();
    for at in 0..FILES {
        write(&sandbox, at, 0);
    }
    sandbox
}

fn write(sandbox: &Sandbox, at: usize, state: u64) {
    write_in(&sandbox.work(), at, state);
}

fn write_in(folder: &std::path::Path, at: usize, state: u64) {
    let folder = folder.join(format!("folder{:02}", at % 40));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("file{at:05}.bin"));
    fs::write(&path, noise(at as u64 * 1000 + state, 300)).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_millis(1_600_000_000_000 + 7 * state);
    fs::File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
}

/// Changes every hundredth file.
fn change(sandbox: &Sandbox, state: u64) {
    (0..FILES).step_by(STRIDE).for_each(|at| write(sandbox, at, state));
}

fn number(said: &Value, field: &str) -> u64 {
    said[field].as_u64().unwrap_or_else(|| panic!("no {field} in {said}"))
}

/// A sandbox whose second stash `two` has patched pages; what that said.
fn patched() -> (Sandbox, Value) {
    let sandbox = workspace();
    sandbox.stash("one");
    // The cache trusts no file whose last change is as late as its own stamp.
    std::thread::sleep(Duration::from_millis(30));
    change(&sandbox, 1);
    let said = sandbox.stash("two");
    (sandbox, said)
}

/// Asserts that `name` comes back as the workspace is.
#[track_caller]
fn assert_restores(sandbox: &Sandbox, name: &str, folder: &str) {
    sandbox.unstash(name, folder);
    assert_same_tree(&sandbox.work(), &sandbox.path(folder));
}

/// Proves that scattered changes cost little more than themselves, that the stash is the same as one without patches, and that a
/// third stash that changes one file more brings one patch more.
#[test]
fn scattered_changes_cost_little_and_the_stash_is_the_same() {
    let (sandbox, said) = patched();
    let changed = (FILES / STRIDE) as u64;
    let per_file = (number(&said, "uploaded_bytes") - number(&said, "new_stored_bytes")) / changed;
    assert!(per_file < 120, "{per_file} bytes for each changed file beside its content: {said}");
    assert_restores(&sandbox, "two", "out");
    assert_restores(&sandbox, "two", "out");

    let whole = Sandbox { dir: sandbox.dir };
    let other = whole.path("other");
    let elsewhere = whole
        .command(["stash", "two", "-C", "work", "--json"])
        .env("PANNIER_URL", &other)
        .env("PANNIER_CACHE_DIR", whole.path("cache2"))
        .output()
        .unwrap();
    let id = |said: &Value| said["stash"]["id"].as_str().unwrap().to_owned();
    let elsewhere: Value = serde_json::from_slice(&elsewhere.stdout).unwrap();
    assert_eq!(id(&elsewhere), id(&said));
    let tar = |url: &std::path::Path| {
        whole.command(["export", "two"]).env("PANNIER_URL", url).output().unwrap().stdout
    };
    assert!(!tar(&other).is_empty() && tar(&other) == tar(&whole.store()));

    write(&whole, 5, 2);
    let said = whole.stash("three");
    assert_eq!(number(&said, "new_chunks"), 4, "a file, a patch, the list, the root: {said}");
    assert_restores(&whole, "three", "out3");
    let shown = whole.run(["show", "three", "--all", "--json"]).exits(0).stdout();
    assert!(shown.contains("file00005.bin"));
}

/// Proves that an unchanged stash of a patched one sends nothing, from the workspace that made it and from one that it was restored to.
#[test]
fn unchanged_is_nothing_new_wherever_it_came_from() {
    let (sandbox, said) = patched();
    let again = sandbox.stash("two");
    assert_eq!((number(&again, "uploaded_bytes"), &again["stash"]["id"]), (0, &said["stash"]["id"]));
    sandbox.unstash("two", "restored");
    let moved = sandbox.run(["stash", "three", "-C", "restored", "--json"]).json();
    assert_eq!((number(&moved, "uploaded_bytes"), &moved["stash"]["id"]), (0, &said["stash"]["id"]));
    assert_restores(&sandbox, "three", "out");
    // The bases came with it: the next change is sent as patches too.
    std::thread::sleep(Duration::from_millis(30));
    (0..FILES).step_by(STRIDE).for_each(|at| write_in(&sandbox.path("restored"), at, 5));
    let moved = sandbox.run(["stash", "three", "-C", "restored", "--json"]).json();
    let beside = number(&moved, "uploaded_bytes") - number(&moved, "new_stored_bytes");
    assert!(beside / ((FILES / STRIDE) as u64) < 120, "{moved}");
    sandbox.unstash("three", "out3");
    assert_same_tree(&sandbox.path("restored"), &sandbox.path("out3"));
}

/// Proves that what a patch needs stays when the stash that brought it goes, and goes when nothing needs it.
#[test]
fn a_base_stays_as_long_as_a_patch_needs_it() {
    let (sandbox, _) = patched();
    sandbox.run(["rm", "one"]).exits(0);
    sandbox.run(["gc"]).exits(0);
    sandbox.run(["verify"]).exits(0);
    assert_restores(&sandbox, "two", "out");
    sandbox.run(["copy", "--from-build", "local", "--build", "later"]);
    sandbox.run(["rm", "two"]).exits(0);
    sandbox.run(["gc"]).exits(0);
    assert!(sandbox.packs().is_empty(), "{:?}", sandbox.packs());
    // The cache still names bases and a parent that are gone.
    change(&sandbox, 3);
    sandbox.stash("two");
    sandbox.run(["verify"]).exits(0);
    assert_restores(&sandbox, "two", "out2");
}

/// Proves that lost or damaged caches cost bytes and nothing else.
#[test]
fn lost_and_damaged_caches_cost_bytes_alone() {
    let (sandbox, said) = patched();
    let files = |extension: &str| -> Vec<std::path::PathBuf> {
        let files = walkdir::WalkDir::new(sandbox.path("cache")).into_iter().filter_map(Result::ok);
        files
            .map(|file| file.into_path())
            .filter(|path| path.extension().is_some_and(|e| e == extension))
            .collect()
    };
    let [pages] = &files("pages")[..] else { panic!("{:?}", files("pages")) };
    let whole = fs::read(pages).unwrap();
    let mut state = 10;
    let mut stash_after = |what: &str| {
        state += 1;
        change(&sandbox, state);
        let said = sandbox.stash("two");
        sandbox.run(["verify", "--quiet"]).exits(0);
        assert_restores(&sandbox, "two", &format!("out-{what}"));
        number(&said, "uploaded_bytes") - number(&said, "new_stored_bytes")
    };
    let patches = stash_after("intact");
    // A page's first byte, a head, the magic, an end: what is cut or altered is not used.
    for (at, what) in [(8 + 40 + 9, "byte"), (10, "head"), (2, "magic")] {
        fs::write(pages, &whole).unwrap();
        fs::File::options().write(true).open(pages).unwrap().write_all_at(&[0xff], at).unwrap();
        assert!(stash_after(what) > patches, "{what}");
    }
    fs::write(pages, &whole[..whole.len() / 2]).unwrap();
    stash_after("cut");
    // What a killed run has left is written over.
    fs::write(pages.with_extension("pages.new"), &whole).unwrap();
    fs::remove_file(pages).unwrap();
    assert!(stash_after("none") > 3 * patches);
    files("stat").iter().for_each(|path| fs::remove_file(path).unwrap());
    stash_after("no stat cache");
    assert!(files("new").is_empty(), "nothing unfinished is left");
    let _ = said;
}

/// Proves that a damaged pack of bases is found, named, and healed by the next stash.
#[test]
fn damaged_bases_are_found_and_healed() {
    let (sandbox, _) = patched();
    sandbox.run(["rm", "one"]).exits(0);
    // The first packs hold the content and the bases; the last one the patches.
    let mut packs = sandbox.packs();
    packs.sort_by_key(|pack| fs::metadata(pack).unwrap().modified().unwrap());
    let with_bases = &packs[packs.len() - 2];
    let len = fs::metadata(with_bases).unwrap().len();
    let middle = len - len / 8;
    fs::File::options().write(true).open(with_bases).unwrap().write_all_at(&[0xa5; 64], middle).unwrap();
    let failed = sandbox.run(["unstash", "two", "-C", "out"]).exits(1);
    assert!(failed.stderr().contains("is damaged"), "{}", failed.stderr());
    sandbox.run(["verify"]).exits(3);
    sandbox.stash("two");
    sandbox.run(["gc"]).exits(0);
    sandbox.run(["verify"]).exits(0);
    assert_restores(&sandbox, "two", "out2");
}

/// Proves that a lost ledger is made anew of the packs, patched pages and all.
#[test]
fn a_rebuilt_ledger_knows_patched_stashes() {
    let (sandbox, said) = patched();
    fs::remove_file(sandbox.store().join("ledger.sqlite")).unwrap();
    for side in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = fs::remove_file(sandbox.store().join(side));
    }
    sandbox.run(["verify", "--rebuild-index"]).exits(0);
    let name = format!("recovered-{}", &said["stash"]["id"].as_str().unwrap()[..8]);
    let listed = sandbox.run(["list", "--build", "recovered", "--json"]).exits(0).stdout();
    let name = listed
        .split('"')
        .find(|text| text.starts_with(&name))
        .unwrap_or_else(|| panic!("{listed}"))
        .to_owned();
    sandbox.run(["unstash", &name, "--build", "recovered", "-C", "out"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
    sandbox.run(["gc"]).exits(0);
    sandbox.run(["verify"]).exits(0);
}

/// Proves the same over HTTP: little moves, an unchanged stash takes two requests, a part comes back, and people see the files of a patched page.
#[test]
fn over_http_it_is_the_same() {
    let sandbox = workspace();
    let served = Served::start(&sandbox, "data", &[]);
    let stash = || -> Value {
        let run = sandbox.run_at(&served, ["stash", "one", "-C", "work", "--json"]).exits(0);
        serde_json::from_slice(&run.0.stdout).unwrap()
    };
    stash();
    std::thread::sleep(Duration::from_millis(30));
    change(&sandbox, 1);
    let said = stash();
    let beside = number(&said, "uploaded_bytes") - number(&said, "new_stored_bytes");
    assert!(beside / ((FILES / STRIDE) as u64) < 120, "{said}");
    let before = served.log().len();
    stash();
    let requests = served.requests(before);
    assert!(requests.len() <= 2, "{requests:?} for nothing new");
    sandbox.run_at(&served, ["unstash", "one", "folder07", "-C", "part"]).exits(0);
    assert_same_tree(&sandbox.work().join("folder07"), &sandbox.path("part").join("folder07"));
    sandbox.run_at(&served, ["unstash", "one", "-C", "out"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
}
