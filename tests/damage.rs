//! The damage matrix: every kind of damage × every file that pannier keeps × every command that reads it.
//! Never a panic, never wrong bytes, always a name and a next step; and stashing again makes whole.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Run, Sandbox, assert_same_tree, noise, tree};

/// What is done to a file. Flips name a place as parts of a pack lie: magic, frames, footer, 64 bytes of trailer.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Delete,
    Half,
    Empty,
    Magic,
    Frame,
    Footer,
    Trailer,
}

const ALL: [Damage; 7] = [
    Damage::Delete,
    Damage::Half,
    Damage::Empty,
    Damage::Magic,
    Damage::Frame,
    Damage::Footer,
    Damage::Trailer,
];

impl Damage {
    fn apply(self, file: &Path) {
        let bytes = fs::read(file).unwrap();
        let flip = |at: usize| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            fs::write(file, bytes).unwrap();
        };
        match self {
            Self::Delete => fs::remove_file(file).unwrap(),
            Self::Half => fs::write(file, &bytes[..bytes.len() / 2]).unwrap(),
            Self::Empty => fs::write(file, b"").unwrap(),
            Self::Magic => flip(3),
            // A third in: in the frames of the large file, or of the pages.
            Self::Frame => flip(bytes.len() / 3),
            Self::Footer => flip(bytes.len() - 64 - 20),
            Self::Trailer => flip(bytes.len() - 40),
        }
    }
}

/// A store with stashes `older` and `ws` of one workspace and `other` of another, that can be put back as it was.
struct Scene {
    sandbox: Sandbox,
    tar: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let work = sandbox.work();
        fs::create_dir_all(work.join("src/deep")).unwrap();
        for number in 0..40u64 {
            fs::write(work.join(format!("src/{number}.txt")), format!("{number}\n").repeat(200)).unwrap();
        }
        fs::write(work.join("src/deep/empty"), b"").unwrap();
        // More than 4 MiB of file chunks: the manifest gets a pack of its own.
        fs::write(work.join("large.bin"), noise(1, 5 << 20)).unwrap();
        std::os::unix::fs::symlink("src", work.join("link")).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30));
        sandbox.stash("older");
        sandbox.stash("ws");
        fs::create_dir(sandbox.path("elsewhere")).unwrap();
        fs::write(sandbox.path("elsewhere/file"), b"of another stash").unwrap();
        sandbox.run(["stash", "other", "-C", "elsewhere"]).exits(0);
        copy(&work, &sandbox.path("existing"));
        fs::write(sandbox.path("existing/large.bin"), b"changed").unwrap();
        fs::write(sandbox.path("existing/src/7.txt"), b"changed").unwrap();
        fs::write(sandbox.path("existing/extra"), b"extra").unwrap();
        checkpoint(&sandbox.store().join("ledger.sqlite"));
        for folder in ["store", "cache", "existing"] {
            copy(&sandbox.path(folder), &sandbox.path(&format!("{folder}.kept")));
        }
        let tar = sandbox.run(["export", "ws"]).exits(0).0.stdout;
        Self { sandbox, tar }
    }

    /// Everything as it was before any damage.
    fn reset(&self) {
        for folder in ["store", "cache", "existing"] {
            fs::remove_dir_all(self.sandbox.path(folder)).unwrap();
            copy(&self.sandbox.path(&format!("{folder}.kept")), &self.sandbox.path(folder));
        }
        for folder in ["out", "healed", "healed-older"] {
            let _ = fs::remove_dir_all(self.sandbox.path(folder));
        }
        let _ = fs::remove_file(self.sandbox.path("out.tar"));
    }

    /// The pack of the large file, and that of the manifest: the two largest, in this order.
    fn packs(&self) -> [PathBuf; 2] {
        let mut packs = self.sandbox.packs();
        packs.sort_by_key(|pack| std::cmp::Reverse(fs::metadata(pack).unwrap().len()));
        [packs[0].clone(), packs[1].clone()]
    }

    fn work_equals(&self, folder: &str) {
        assert_same_tree(&self.sandbox.work(), &self.sandbox.path(folder));
    }

    /// Runs the command and checks what holds after any damage whatever; a failure says `object`.
    fn check(&self, action: &str, cell: &str, object: &str) -> Run {
        let run = match action {
            "stash" => self.run(&["stash", "ws", "-C", "work"]),
            "unstash" => self.run(&["unstash", "ws", "-C", "out"]),
            "unstash onto" => self.run(&["unstash", "ws", "-C", "existing"]),
            "export" => self.run(&["export", "ws", "-o", "out.tar"]),
            "verify" => self.run(&["verify"]),
            other => panic!("{other}"),
        };
        let said = format!("{cell}, {action}: exit {}: {}", run.code(), run.stderr());
        assert!(!run.stderr().contains("panicked"), "{said}");
        assert!([0, 1, 3].contains(&run.code()), "{said}");
        if run.code() != 0 {
            assert!(run.stderr().contains("hint: "), "{said}");
            assert!(run.stderr().contains(object), "{said}: does not name {object}");
        }
        self.check_target(action, run.code(), &said);
        run
    }

    fn check_target(&self, action: &str, code: i32, said: &str) {
        let whole = code == 0;
        match action {
            "unstash" if whole => self.work_equals("out"),
            "unstash" => {
                let out = self.sandbox.path("out");
                assert!(!out.exists() || tree(&out).is_empty(), "{said}: left {:?}", tree(&out).keys());
            }
            "unstash onto" if whole => {
                fs::remove_file(self.sandbox.path("existing/extra")).unwrap();
                self.same_but_folder_times("existing", said);
            }
            "unstash onto" => {
                assert_same_tree(&self.sandbox.path("existing.kept"), &self.sandbox.path("existing"));
            }
            "export" if whole => {
                assert!(fs::read(self.sandbox.path("out.tar")).unwrap() == self.tar, "{said}");
            }
            "export" => assert!(!self.sandbox.path("out.tar").exists(), "{said}"),
            _ => {}
        }
    }

    /// Removing `extra` changed the mtime of the root alone, which is no part of the picture.
    fn same_but_folder_times(&self, folder: &str, said: &str) {
        assert!(tree(&self.sandbox.work()) == tree(&self.sandbox.path(folder)), "{said}");
    }

    /// Stashing the workspace again makes every stash of it whole.
    fn heals(&self, cell: &str) {
        let stash = self.run(&["stash", "ws", "-C", "work"]);
        assert_eq!(stash.code(), 0, "{cell}: stash again: {}", stash.stderr());
        for (name, folder) in [("ws", "healed"), ("older", "healed-older")] {
            let run = self.run(&["unstash", name, "-C", folder]);
            assert_eq!(run.code(), 0, "{cell}: `{name}` after healing: {}", run.stderr());
            self.work_equals(folder);
        }
        let mut verify = self.run(&["verify"]);
        if verify.code() == 3 {
            // A pack's magic is in no range that a reader fetches: verify is the first to see that it is damaged.
            assert_eq!(self.run(&["stash", "ws", "-C", "work"]).code(), 0, "{cell}");
            verify = self.run(&["verify"]);
        }
        assert_eq!(verify.code(), 0, "{cell}: verify after healing: {}", verify.stderr());
    }

    fn run(&self, args: &[&str]) -> Run {
        self.sandbox.run(args)
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// Brings what the log holds into the ledger's own file, so that there is something to damage.
fn checkpoint(ledger: &Path) {
    let connection = rusqlite::Connection::open(ledger).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

/// A row of the matrix: one pack, every damage, every command. `which`: 0 the data pack, 1 the manifest's.
fn damage_pack(which: usize) {
    let scene = Scene::new();
    for damage in ALL {
        for action in ["stash", "unstash", "unstash onto", "export", "verify"] {
            let cell = format!("{damage:?} of pack {which}");
            scene.reset();
            let pack = &scene.packs()[which];
            damage.apply(pack);
            let pack = pack.file_stem().unwrap().to_str().unwrap();
            let run = scene.check(action, &cell, pack);
            if action == "verify" {
                let said = run.stderr();
                assert_eq!(run.code(), 3, "{cell}: {said}");
                assert!(said.contains("`older`") && said.contains("`ws`"), "{cell}: {said}");
                assert!(!said.contains("`other`"), "{cell}: {said}");
            }
            if action == "stash" {
                // An unchanged workspace is stashed without a look at the store; a reader finds the damage.
                assert_eq!(run.code(), 0, "{cell}: {}", run.stderr());
                scene.check("verify", &cell, pack);
            }
            scene.heals(&format!("{cell}, {action}"));
        }
    }
}

#[test]
fn a_damaged_data_pack() {
    damage_pack(0);
}

#[test]
fn a_damaged_manifest_pack() {
    damage_pack(1);
}

#[test]
fn a_changed_workspace_is_stashed_whatever_happened_to_the_packs_before() {
    let scene = Scene::new();
    for which in [0, 1] {
        for damage in ALL {
            let cell = format!("{damage:?} of pack {which}");
            scene.reset();
            damage.apply(&scene.packs()[which]);
            fs::write(scene.sandbox.work().join("src/9.txt"), format!("{cell}\n")).unwrap();
            // The first may find the damage and say so; what it found is missing from then on.
            let first = scene.run(&["stash", "ws", "-C", "work"]);
            assert!([0, 1].contains(&first.code()), "{cell}: {}", first.stderr());
            assert!(first.code() == 0 || first.stderr().contains("hint: "), "{cell}: {}", first.stderr());
            if first.code() == 0 {
                scene.run(&["verify"]);
            }
            let second = scene.run(&["stash", "ws", "-C", "work"]);
            assert_eq!(second.code(), 0, "{cell}: {}", second.stderr());
            let out = scene.run(&["unstash", "ws", "-C", "out"]);
            assert_eq!(out.code(), 0, "{cell}: {}", out.stderr());
            scene.work_equals("out");
        }
    }
}

#[test]
fn a_damaged_ledger_is_said_and_rebuilt() {
    let scene = Scene::new();
    let ledger = scene.sandbox.store().join("ledger.sqlite");
    let len = fs::metadata(&ledger).unwrap().len() as usize;
    let mut damages: Vec<(String, Box<dyn Fn()>)> = Vec::new();
    for damage in [Damage::Delete, Damage::Half, Damage::Empty, Damage::Magic] {
        let ledger = ledger.clone();
        damages.push((format!("{damage:?}"), Box::new(move || damage.apply(&ledger))));
    }
    for (name, from) in [("first page", 0), ("all but the header", 100), ("all but the first page", 4096)] {
        let ledger = ledger.clone();
        let end = if from == 0 { 4096 } else { len };
        damages.push((
            format!("garbage in {name}"),
            Box::new(move || {
                let mut bytes = fs::read(&ledger).unwrap();
                bytes[from..end].copy_from_slice(&noise(3, end - from));
                fs::write(&ledger, bytes).unwrap();
            }),
        ));
    }
    for (name, damage) in damages {
        for action in ["stash", "unstash", "unstash onto", "export", "verify"] {
            scene.reset();
            damage();
            let run = scene.check(action, &format!("ledger: {name}"), "ledger.sqlite");
            assert_eq!(run.code(), 1, "ledger {name}, {action}: {}", run.stderr());
            assert!(
                run.stderr().contains("pannier verify --rebuild-index"),
                "{name}, {action}: {}",
                run.stderr()
            );
        }
        let rebuilt = scene.run(&["verify", "--rebuild-index"]);
        assert_eq!(rebuilt.code(), 0, "ledger {name}: {}", rebuilt.stderr());
        let again = scene.sandbox.run(["stash", "ws", "-C", "work", "--json"]);
        assert_eq!(again.code(), 0, "ledger {name}: {}", again.stderr());
        let again = again.json();
        assert_eq!(again["new_bytes"].as_u64(), Some(0), "{name}: the index is there again: {again}");
        assert_eq!(scene.run(&["unstash", "ws", "-C", "healed"]).code(), 0);
        scene.work_equals("healed");
    }
}

/// Proves that beside a lost ledger, too, what is whole of a damaged stash can be had, outlives a sweep, and heals.
#[test]
fn a_lost_ledger_beside_a_damaged_pack_loses_no_more_than_the_damage() {
    let scene = Scene::new();
    let recovered = ["--project", "local", "--build", "recovered"];
    for (which, damage) in [(0, Damage::Frame), (0, Damage::Delete), (0, Damage::Footer), (1, Damage::Footer)]
    {
        let cell = format!("no ledger and {damage:?} of pack {which}");
        scene.reset();
        damage.apply(&scene.packs()[which]);
        fs::remove_file(scene.sandbox.store().join("ledger.sqlite")).unwrap();
        let rebuilt = scene.run(&["verify", "--rebuild-index"]).exits(3).says("damaged: ");
        let listed = scene.run(&[&["list", "--json"][..], &recovered].concat()).json();
        let broken = |stash: &&serde_json::Value| stash["totals"]["files"].as_u64() == Some(42);
        let name =
            listed.as_array().unwrap().iter().find(broken).map(|stash| stash["name"].as_str().unwrap());
        if which == 1 {
            // Root and pages alone stood there: no name can lead to what is left.
            assert_eq!(name, None, "{cell}");
            continue;
        }
        rebuilt.says("hint: stash the same workspace again").says("is kept until `pannier rm NAME`");
        let name = name.unwrap_or_else(|| panic!("{cell}: {listed}"));
        let packs = scene.sandbox.packs().len();
        scene.run(&["gc"]).exits(0);
        let unreadable = usize::from(matches!(damage, Damage::Footer));
        assert_eq!(scene.sandbox.packs().len(), packs - unreadable, "{cell}: gc keeps what is left");
        scene.run(&["unstash", name, "--from-build", "recovered", "-C", "out"]).exits(1).says("stash `");
        let part = ["unstash", name, "src/deep", "--from-build", "recovered", "-C", "out"];
        scene.run(&part).exits(0);
        assert!(scene.sandbox.path("out/src/deep/empty").exists(), "{cell}");
        if matches!(damage, Damage::Frame) {
            // The small files stand in another frame than the flipped bit.
            let part = ["unstash", name, "src", "link", "--from-build", "recovered", "-C", "out"];
            scene.run(&part).exits(0);
            assert_same_tree(&scene.sandbox.work().join("src"), &scene.sandbox.path("out/src"));
        }
        scene.run(&["stash", "ws", "-C", "work"]).exits(0);
        scene.run(&["unstash", name, "--from-build", "recovered", "-C", "healed"]).exits(0);
        scene.work_equals("healed");
        scene.run(&["verify"]).exits(0);
    }
}

#[test]
fn no_single_flipped_bit_of_a_ledger_gives_wrong_bytes() {
    let scene = Scene::new();
    let ledger = scene.sandbox.store().join("ledger.sqlite");
    let sound = fs::read(&ledger).unwrap();
    // Where something is written: an empty part of a page says nothing.
    let written: Vec<usize> = (0..sound.len()).filter(|&at| sound[at] != 0).collect();
    for step in 0..40 {
        let at = written[step * written.len() / 40];
        scene.reset();
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (step % 8);
        fs::write(&ledger, bytes).unwrap();
        for args in
            [&["unstash", "ws", "-C", "out"][..], &["stash", "new", "-C", "work"], &["verify"], &["gc"]]
        {
            let run = scene.run(args);
            let said = format!("bit at {at}, {args:?}: exit {}: {}", run.code(), run.stderr());
            assert!([0, 1, 3, 4].contains(&run.code()) && !run.stderr().contains("panicked"), "{said}");
            if args[0] == "unstash" && run.code() == 0 {
                scene.work_equals("out");
            }
        }
    }
}

#[test]
fn a_damaged_stat_cache_is_ignored() {
    let scene = Scene::new();
    let caches = || -> Vec<PathBuf> {
        let files = walkdir::WalkDir::new(scene.sandbox.path("cache")).into_iter().filter_map(Result::ok);
        files.filter(|file| file.file_type().is_file()).map(|file| file.into_path()).collect()
    };
    assert!(!caches().is_empty());
    for damage in ALL {
        scene.reset();
        caches().iter().for_each(|cache| damage.apply(cache));
        let run = scene.check("stash", &format!("{damage:?} of the stat cache"), "nothing");
        assert_eq!(run.code(), 0, "{damage:?}: {}", run.stderr());
        assert_eq!(scene.check("unstash", "stat cache", "nothing").code(), 0);
        caches().iter().for_each(|cache| damage.apply(cache));
        assert_eq!(scene.check("unstash onto", "stat cache", "nothing").code(), 0);
    }
}

#[test]
fn no_flipped_bit_of_a_stat_cache_gives_wrong_bytes() {
    let sandbox = Sandbox::new();
    for number in 0..6u64 {
        fs::write(sandbox.work().join(format!("{number}")), noise(number, 3000)).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(30));
    sandbox.stash("ws");
    let caches = walkdir::WalkDir::new(sandbox.path("cache")).into_iter().filter_map(Result::ok);
    let cache = caches.map(|file| file.into_path()).find(|path| path.is_file()).unwrap();
    let sound = fs::read(&cache).unwrap();
    for step in 0..60 {
        let at = step * sound.len() / 60;
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (step % 8);
        fs::write(&cache, bytes).unwrap();
        sandbox.run(["stash", "ws", "-C", "work"]).exits(0);
        sandbox.run(["unstash", "ws", "-C", "out", "--mirror", "--no-cache"]).exits(0);
        assert_same_tree(&sandbox.work(), &sandbox.path("out"));
    }
}
