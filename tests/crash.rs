//! `kill -9` at moments spread over a run of stash, unstash and gc; and all of them at once on one store.
//! What was stashed before stays, what is visible is whole, and the same command again succeeds.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use support::{Sandbox, assert_same_tree, noise, tree};

/// Moments at which a run is killed.
const KILLS: u32 = 20;
/// How many kills there are for each look at everything, which takes longer than the run itself.
const FULL_CHECK_EVERY: u32 = 5;

/// Folders of small files and one large one: 2,000 files.
fn fill(root: &Path, seed: u64) {
    for folder in 0..20u64 {
        let path = root.join(format!("folder{folder:02}"));
        fs::create_dir_all(path.join("deep")).unwrap();
        for file in 0..100u64 {
            let bytes = noise(seed * 1_000_000 + folder * 1000 + file, 2000 + file as usize * 20);
            let place = if file % 2 == 0 { path.join("deep") } else { path.clone() };
            fs::write(place.join(format!("{file}")), bytes).unwrap();
        }
    }
    fs::write(root.join("large"), noise(seed, 8 << 20)).unwrap();
}

/// A store with a small stash `earlier` of the folder `before`.
fn scene() -> Sandbox {
    let sandbox = Sandbox::new();
    let before = sandbox.path("before");
    fs::create_dir(&before).unwrap();
    for number in 0..50u64 {
        fs::write(before.join(format!("{number}")), noise(number + 77, 5000)).unwrap();
    }
    sandbox.run(["stash", "earlier", "-C", "before"]).exits(0);
    sandbox
}

/// Runs the command and kills it after `delay`; whether it came to its end first.
fn kill_after(mut command: Command, delay: Duration) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(delay);
    // An error says that it has ended by itself.
    let _ = child.kill();
    child.wait().unwrap().success()
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// Moments from the start to a little after the usual end; a run under way is as slow as the measured one, or slower.
fn delays(run: Duration) -> impl Iterator<Item = (u32, Duration)> {
    (0..KILLS).map(move |kill| (kill, run.mul_f64(f64::from(kill) * 1.1 / f64::from(KILLS))))
}

fn earlier_is_whole(sandbox: &Sandbox) {
    let _ = fs::remove_dir_all(sandbox.path("earlier.out"));
    sandbox.run(["unstash", "earlier", "-C", "earlier.out", "--no-cache"]).exits(0);
    assert_same_tree(&sandbox.path("before"), &sandbox.path("earlier.out"));
}

fn names(sandbox: &Sandbox) -> Vec<String> {
    let listed = sandbox.run(["list", "--json"]).json();
    listed.as_array().unwrap().iter().map(|stash| stash["name"].as_str().unwrap().to_owned()).collect()
}

/// As if every lease had ended: the sessions of killed runs keep their packs for a quarter of an hour.
fn end_all_leases(sandbox: &Sandbox) {
    let ledger = rusqlite::Connection::open(sandbox.store().join("ledger.sqlite")).unwrap();
    ledger.execute("UPDATE sessions SET expires_at = 0", []).unwrap();
}

/// Every file beneath the store's packs, finished or not.
fn objects(sandbox: &Sandbox) -> usize {
    sandbox.packs().len()
}

#[test]
fn a_killed_stash_shows_nothing_and_loses_nothing() {
    let sandbox = scene();
    let work = sandbox.work();
    fill(&work, 1);
    let earlier_objects = objects(&sandbox);
    let run = timed(|| drop(sandbox.stash("new")));
    let whole_objects = objects(&sandbox);
    let mut killed = 0;
    for (kill, delay) in delays(run) {
        sandbox.run(["rm", "new"]);
        sandbox.run(["gc"]).exits(0);
        let done = kill_after(sandbox.command(["stash", "new", "-C", "work"]), delay);
        killed += u32::from(!done);
        let visible = names(&sandbox);
        assert!(!done || visible == ["earlier", "new"], "{visible:?}");
        earlier_is_whole(&sandbox);
        if kill % FULL_CHECK_EVERY == 0 || (!done && visible.len() == 2) {
            sandbox.run(["verify"]).exits(0);
            sandbox.stash("new");
            sandbox.run(["unstash", "new", "-C", "out", "--mirror"]).exits(0);
            assert_same_tree(&work, &sandbox.path("out"));
        }
    }
    assert!(killed >= KILLS / 3, "only {killed} runs were under way when they were killed");

    sandbox.stash("new");
    end_all_leases(&sandbox);
    sandbox.run(["gc"]).exits(0);
    sandbox.run(["gc"]).exits(0);
    assert!(objects(&sandbox) <= whole_objects, "{} objects, not {whole_objects}", objects(&sandbox));
    sandbox.run(["rm", "new"]).exits(0);
    sandbox.run(["gc"]).exits(0);
    assert_eq!(objects(&sandbox), earlier_objects, "what killed runs left is swept");
    earlier_is_whole(&sandbox);
    sandbox.run(["verify"]).exits(0);
}

/// Content of every file, by path.
fn contents(root: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let files = tree(root).into_iter().filter(|(_, node)| node.mode & 0o170_000 == 0o100_000);
    files.map(|(path, node)| (path, node.content)).collect()
}

fn leftovers(root: &Path) -> Vec<Vec<u8>> {
    tree(root).into_keys().filter(|path| path.starts_with(b".pannier-restore-")).collect()
}

#[test]
fn a_killed_unstash_leaves_no_path_half_written() {
    let sandbox = scene();
    fill(&sandbox.work(), 1);
    sandbox.stash("new");
    let new = contents(&sandbox.work());
    let run = timed(|| sandbox.run(["unstash", "new", "-C", "timed"]).exits(0).stdout().truncate(0));
    for (kill, delay) in delays(run) {
        let out = sandbox.path("out");
        let _ = fs::remove_dir_all(&out);
        kill_after(sandbox.command(["unstash", "new", "-C", "out", "--no-cache"]), delay);
        if out.exists() {
            every_top_level_path_is_whole(&out, &new);
        }
        if kill % FULL_CHECK_EVERY == FULL_CHECK_EVERY - 1 {
            sandbox.run(["unstash", "new", "-C", "out"]).exits(0);
            assert_same_tree(&sandbox.work(), &out);
        }
    }
    earlier_is_whole(&sandbox);
    sandbox.run(["verify"]).exits(0);
}

/// Each top-level path but the staging folder has everything that the stash has there.
fn every_top_level_path_is_whole(out: &Path, new: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let found = contents(out);
    for entry in fs::read_dir(out).unwrap() {
        let name = entry.unwrap().file_name().into_encoded_bytes();
        if name.starts_with(b".pannier-restore-") {
            continue;
        }
        let beneath = |path: &Vec<u8>| path.split(|&byte| byte == b'/').next() == Some(&name[..]);
        for (path, content) in new.iter().filter(|(path, _)| beneath(path)) {
            let shown = String::from_utf8_lossy(path);
            assert!(found.get(path) == Some(content), "`{shown}` is not whole beside what is visible");
        }
    }
}

#[test]
fn a_killed_unstash_onto_a_workspace_leaves_each_file_old_or_new() {
    let sandbox = scene();
    fill(&sandbox.work(), 1);
    sandbox.stash("new");
    let new = contents(&sandbox.work());
    let old_folder = sandbox.path("old");
    fs::create_dir(&old_folder).unwrap();
    fill(&old_folder, 2);
    let old = contents(&old_folder);
    let copy = |to: &str| {
        let _ = fs::remove_dir_all(sandbox.path(to));
        let copied = Command::new("cp").args(["-a", "old", to]).current_dir(sandbox.dir.path()).status();
        assert!(copied.unwrap().success());
    };
    copy("out");
    let run = timed(|| drop(sandbox.run(["unstash", "new", "-C", "out", "--no-cache"]).exits(0)));
    for (kill, delay) in delays(run) {
        copy("out");
        let out = sandbox.path("out");
        kill_after(sandbox.command(["unstash", "new", "-C", "out", "--no-cache"]), delay);
        let found = contents(&out);
        for (path, content) in &old {
            let now = found.get(path);
            let shown = String::from_utf8_lossy(path);
            assert!(now == Some(content) || now == new.get(path), "`{shown}` is neither old nor new");
        }
        if kill % FULL_CHECK_EVERY == FULL_CHECK_EVERY - 2 {
            sandbox.run(["unstash", "new", "-C", "out"]).exits(0);
            assert!(leftovers(&out).is_empty(), "the next run removes what the killed one left");
            assert_same_tree(&sandbox.work(), &out);
        }
    }
}

#[test]
fn a_killed_gc_deletes_nothing_that_is_needed() {
    let sandbox = scene();
    let garbage = |round: u32| {
        for number in 0..6u64 {
            fs::write(sandbox.work().join("file"), noise(u64::from(round) * 10 + number + 5000, 20_000))
                .unwrap();
            sandbox.stash(&format!("garbage{number}"));
        }
        sandbox
            .run((0..6).map(|number| format!("garbage{number}")).fold(
                vec!["rm".to_owned()],
                |mut all, name| {
                    all.push(name);
                    all
                },
            ))
            .exits(0);
    };
    garbage(0);
    let run = timed(|| drop(sandbox.run(["gc"]).exits(0)));
    let kept = objects(&sandbox);
    for (kill, delay) in delays(run) {
        if kill % 2 == 0 {
            garbage(kill + 1);
        }
        kill_after(sandbox.command(["gc"]), delay);
        assert_eq!(names(&sandbox), ["earlier"]);
        earlier_is_whole(&sandbox);
        sandbox.run(["verify"]).exits(0);
        if kill % 3 == 0 {
            sandbox.run(["gc"]).exits(0);
            assert_eq!(objects(&sandbox), kept, "the next gc finishes what the killed one began");
        }
    }
}

#[test]
fn stashes_and_a_sweeper_on_one_store_at_once() {
    let sandbox = scene();
    let until = Instant::now() + Duration::from_secs(4);
    let writer = |name: &'static str, seed: u64| {
        let sandbox = &sandbox;
        move || {
            let folder = sandbox.path(name);
            fs::create_dir(&folder).unwrap();
            let mut round = 0;
            while Instant::now() < until || round == 0 {
                // The same content comes and goes: what one run condemns, the next one refers to again.
                for file in 0..20u64 {
                    let content = noise(file * 3 + (round + seed) % 3, 20_000);
                    fs::write(folder.join(format!("{file}")), content).unwrap();
                }
                sandbox.run(["stash", name, "-C", name]).exits(0);
                round += 1;
            }
            round
        }
    };
    let rounds = std::thread::scope(|scope| {
        let writers = [scope.spawn(writer("one", 0)), scope.spawn(writer("two", 1))];
        let sweeper = scope.spawn(|| {
            while Instant::now() < until {
                sandbox.run(["gc"]).exits(0);
            }
        });
        sweeper.join().unwrap();
        writers.map(|writer| writer.join().unwrap())
    });
    assert!(rounds.iter().all(|&rounds| rounds >= 2), "{rounds:?}");
    sandbox.run(["verify"]).exits(0);
    for name in ["one", "two"] {
        sandbox.run(["unstash", name, "-C", &format!("{name}.out")]).exits(0);
        assert_same_tree(&sandbox.path(name), &sandbox.path(&format!("{name}.out")));
    }
    earlier_is_whole(&sandbox);
}

/// Proves that a verify, and one that indexes anew, finds nothing damaged while stashes replace each other and sweeps
/// delete the packs that it is reading.
#[test]
fn verify_beside_a_sweeper_and_stashes() {
    const VERIFIES: u32 = 40;
    let sandbox = scene();
    let done = AtomicBool::new(false);
    let is_over = |started: Instant| done.load(Relaxed) || started.elapsed() > Duration::from_secs(120);
    let write = || {
        let (started, mut round) = (Instant::now(), 0u64);
        while !is_over(started) {
            for file in 0..10u64 {
                fs::write(sandbox.work().join(format!("{file}")), noise(file + 100 * (round % 5), 60_000))
                    .unwrap();
            }
            sandbox.run(["stash", "comes", "-C", "work"]).exits(0);
            if round % 3 == 2 {
                sandbox.run(["rm", "comes"]).exits(0);
            }
            round += 1;
        }
    };
    let sweep = || {
        let (started, mut deleted) = (Instant::now(), 0);
        while !is_over(started) {
            deleted += sandbox.run(["gc", "--json"]).json()["deleted_packs"].as_u64().unwrap();
        }
        deleted
    };
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    let deleted = std::thread::scope(|scope| {
        // Also when a verify fails: the scope waits for the others.
        let stop = Stop(&done);
        let (_writer, sweeper) = (scope.spawn(write), scope.spawn(sweep));
        for round in 0..VERIFIES {
            let flags: &[&str] = if round % 3 == 2 { &["--rebuild-index"] } else { &[] };
            let verified = sandbox.run([&["verify", "--json"], flags].concat());
            let report = verified.json();
            for damage in ["damaged_packs", "damaged_stashes", "lost_stashes", "recovered_stashes"] {
                assert_eq!(report[damage].as_array().map(Vec::len), Some(0), "round {round}: {report}");
            }
        }
        drop(stop);
        sweeper.join().unwrap()
    });
    assert!(deleted >= 3, "only {deleted} packs were deleted beside {VERIFIES} verifies");
    sandbox.run(["gc"]).exits(0);
    sandbox.run(["verify"]).exits(0);
    earlier_is_whole(&sandbox);
}
