//! The in-process controller from outside: commits, unchanged stashes, sweeps, damage; interleavings of writers, readers
//! and sweeps (`schedules`), and accidents at every call (`faults`), after each of which every committed stash must still
//! be whole; agents that lie (`liars`), about sizes too (`giants`).
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod crafted;
mod faults;
mod giants;
mod guarded;
mod liars;
mod scene;
mod schedules;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use pannier::controller::ledger::SqliteLedger;
use pannier::controller::store::{DiskStore, Store};
use pannier::controller::{Caller, Clock, Controller, ControllerError, ErrorKind};
use pannier::model::Digest;
use pannier::model::progress::Progress;
use pannier::model::signed_url::file_path;
use pannier::protocol::{
    BuildId, Commit, GcOptions, Open, PackIntent, SessionId, VerifyOptions, VerifyReport,
};

use crate::scene::{TestClock, Writer, build, manifest, name, pack, whole};

#[test]
fn a_stash_is_resolved_repeated_removed_and_swept() {
    let folder = tempfile::tempdir().unwrap();
    let controller = Controller::open(folder.path()).unwrap();
    Writer::new("x", "abc").run(&controller).unwrap();
    Writer::new("x", "abc").run(&controller).unwrap();
    whole(&controller);
    let resolved = controller.resolve(&Caller::local(), &build(), &name("x")).unwrap();
    assert_eq!((resolved.packs.len(), resolved.stash.totals.files), (1, 3));
    assert!(resolved.packs[0].has_manifest);
    let error = controller.resolve(&Caller::local(), &build(), &name("y")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.outside(), "No such saved stash ‘y’; this build has ‘x’");
    assert!(controller.remove(&Caller::local(), &build(), &name("x")).unwrap());
    assert_eq!(
        controller.gc(&Caller::local(), &GcOptions::default()).unwrap().deleted_packs,
        0,
        "a reader holds the pack"
    );
    controller.release(&Caller::local(), resolved.session);
    assert_eq!(controller.gc(&Caller::local(), &GcOptions { dry_run: true }).unwrap().deleted_packs, 1);
    assert_eq!(controller.gc(&Caller::local(), &GcOptions::default()).unwrap().deleted_packs, 1);
    assert!(!file_path(&resolved.packs[0].get).unwrap().exists());
}

/// Proves that the chunk list of a large file that did not change is not read again when its page changes, and that its packs are kept for
/// the new stash all the same.
#[test]
fn a_list_that_was_followed_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let controller = Controller::open(folder.path()).unwrap();
    let big: Vec<Vec<u8>> = (0..3).map(|part| vec![part; 1000]).collect();
    let mut first = Writer::with_big("x", "b", &big);
    (0..4).for_each(|_| first.step(&controller).unwrap());
    let shard = folder.path().join(format!("store/packs/{}", &first.packs[0].to_string()[..2]));
    let away = shard.with_extension("away");
    std::fs::rename(&shard, &away).unwrap();
    let mut second = Writer::with_big("y", "d", &big);
    (0..4).for_each(|_| second.step(&controller).unwrap());
    let missing = second.missing.iter().filter(|missing| **missing).count();
    assert_eq!(missing, 3, "a letter, its page and the root");
    if !shard.exists() {
        std::fs::rename(&away, &shard).unwrap();
    } else {
        // Both packs' names begin alike.
        for entry in std::fs::read_dir(&away).unwrap() {
            let entry = entry.unwrap();
            std::fs::rename(entry.path(), shard.join(entry.file_name())).unwrap();
        }
    }
    assert!(controller.remove(&Caller::local(), &build(), &name("x")).unwrap());
    assert_eq!(controller.gc(&Caller::local(), &GcOptions::default()).unwrap().deleted_packs, 0);
    whole(&controller);
}

#[test]
fn damage_is_confirmed_set_aside_and_healed_by_the_next_stash() {
    let folder = tempfile::tempdir().unwrap();
    let controller = Controller::open(folder.path()).unwrap();
    Writer::new("x", "abc").run(&controller).unwrap();
    let resolved = controller.resolve(&Caller::local(), &build(), &name("x")).unwrap();
    let pack = &resolved.packs[0];
    assert!(!controller.report_damaged(&Caller::local(), resolved.session, pack.name, "a lie").unwrap());
    let path = file_path(&pack.get).unwrap();
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[20] ^= 1;
    fs_err::write(&path, bytes).unwrap();
    assert!(controller.report_damaged(&Caller::local(), resolved.session, pack.name, "flipped").unwrap());
    Writer::new("y", "abc").run(&controller).unwrap();
    whole(&controller);
    assert_eq!(controller.resolve(&Caller::local(), &build(), &name("x")).unwrap().packs.len(), 1);
}

#[test]
fn a_lost_ledger_is_said_and_its_index_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    Writer::new("x", "abc").run(&Controller::open(folder.path()).unwrap()).unwrap();
    for damage in [
        "",
        "garbage, and more of it than a header of one hundred bytes holds, so that SQLite looks at it twice ……",
    ] {
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs_err::remove_file(folder.path().join(format!("ledger.sqlite{suffix}")));
        }
        fs_err::write(folder.path().join("ledger.sqlite"), damage).unwrap();
        let error = Controller::open(folder.path()).err().unwrap();
        assert!(error.hint().unwrap().contains("--rebuild-index"), "{error}");
        let controller = Controller::open_to_rebuild(folder.path()).unwrap();
        let options = VerifyOptions { rebuild_index: true };
        assert_eq!(
            controller.verify(&Caller::local(), &options, &Progress::default()).unwrap().rebuilt_packs,
            1
        );
    }
}

fn controller_at(folder: &std::path::Path, clock: &Arc<TestClock>) -> Controller {
    let ledger = SqliteLedger::in_memory().unwrap();
    Controller::with_parts(Box::new(ledger), Box::new(DiskStore::open(folder)), clock.clone())
}

/// Proves that a rebuild names what it finds, that no sweep before it deletes a pack, and none after it does either.
#[test]
fn a_lost_ledger_loses_no_whole_stash() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ["abc", "bcd"].map(|letters| {
        let writer = Writer::new("x", letters);
        let id = writer.root;
        writer.run(&Controller::open(folder.path()).unwrap()).unwrap();
        id
    });
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs_err::remove_file(folder.path().join(format!("ledger.sqlite{suffix}")));
    }
    let controller = Controller::open_to_rebuild(folder.path()).unwrap();
    for dry_run in [true, false] {
        let error = controller.gc(&Caller::local(), &GcOptions { dry_run }).unwrap_err();
        assert!(matches!(error, ControllerError::NeedsRebuild), "{error}");
    }
    drop(controller);
    let controller = Controller::open(folder.path()).unwrap();
    assert!(
        controller.gc(&Caller::local(), &GcOptions::default()).is_err(),
        "the flag stays with the ledger"
    );
    let options = VerifyOptions { rebuild_index: true };
    let report = controller.verify(&Caller::local(), &options, &Progress::default()).unwrap();
    assert_eq!((report.recovered_stashes.len(), report.lost_stashes.len()), (2, 0));
    assert_eq!(controller.gc(&Caller::local(), &GcOptions::default()).unwrap().deleted_packs, 0);
    whole(&controller);
    let recovered = BuildId { project: "local".into(), build: "recovered".into() };
    for id in ids {
        let resolved = controller
            .resolve(&Caller::local(), &recovered, &name(&format!("recovered-{}", id.short())))
            .unwrap();
        assert_eq!((resolved.stash.id, resolved.stash.totals.files), (id, 3));
    }
    let again = controller.verify(&Caller::local(), &options, &Progress::default()).unwrap();
    assert!(again.recovered_stashes.is_empty(), "a ledger that was not lost gets no stash from a rebuild");
}

/// Forgets the ledger, damages the first pack of stash `x`, and rebuilds.
fn rebuilt_beside_damage(
    folder: &std::path::Path,
    damage: impl FnOnce(&std::path::Path),
) -> (Controller, VerifyReport) {
    let controller = Controller::open(folder).unwrap();
    let first = controller.resolve(&Caller::local(), &build(), &name("x")).unwrap().packs[0].get.clone();
    drop(controller);
    damage(&file_path(&first).unwrap());
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs_err::remove_file(folder.join(format!("ledger.sqlite{suffix}")));
    }
    let controller = Controller::open_to_rebuild(folder).unwrap();
    let options = VerifyOptions { rebuild_index: true };
    let report = controller.verify(&Caller::local(), &options, &Progress::default()).unwrap();
    (controller, report)
}

/// Proves that what is left of a stash keeps a name and its packs through every sweep, is nobody's parent and no
/// answer to an unchanged stash, heals when its content is stashed again, and goes when its name is removed.
#[test]
fn a_rebuild_keeps_what_is_left_until_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let controller = Controller::open(folder.path()).unwrap();
    Writer::new("x", "abc").run(&controller).unwrap();
    Writer::new("y", "abcd").run(&controller).unwrap();
    drop(controller);
    let (controller, report) =
        rebuilt_beside_damage(folder.path(), |pack| fs_err::remove_file(pack).unwrap());
    let root = manifest("abcd").0;
    let recovered = BuildId { project: "local".into(), build: "recovered".into() };
    let left = name(&format!("recovered-{}", root.short()));
    assert_eq!(
        (&report.recovered_stashes, report.lost_stashes.len()),
        (&vec![left.clone()], 0),
        "{report:?}"
    );
    assert_eq!(report.damaged_stashes.len(), 1);
    assert!(report.damaged_stashes[0].why.contains("nothing readable holds it"), "{report:?}");
    for _ in 0..2 {
        assert_eq!(controller.gc(&Caller::local(), &GcOptions::default()).unwrap().deleted_packs, 0);
    }
    let resolved = controller.resolve(&Caller::local(), &recovered, &left).unwrap();
    assert_eq!((resolved.stash.totals.files, resolved.packs.len()), (4, 1));
    controller.release(&Caller::local(), resolved.session);

    let open = Open { build: build(), name: name("z"), parent: Some(root), resume: None, digests: vec![] };
    let opened = controller.open_session(&Caller::local(), &open).unwrap();
    assert!(!opened.parent_accepted, "what is not whole is no parent");
    let unchanged = Commit { session: opened.session, root, patches: None, packs: vec![] };
    assert_eq!(controller.commit(&Caller::local(), &unchanged).unwrap_err().kind(), ErrorKind::Damaged);
    controller.release(&Caller::local(), opened.session);

    Writer::new("y", "abcd").run(&controller).unwrap();
    let healed =
        controller.verify(&Caller::local(), &VerifyOptions::default(), &Progress::default()).unwrap();
    assert_eq!((healed.damaged_stashes.len(), healed.damaged_packs.len()), (0, 0), "{healed:?}");
    whole(&controller);
    for (build, name) in [(&recovered, &left), (&build(), &name("y"))] {
        assert!(controller.remove(&Caller::local(), build, name).unwrap());
    }
    controller.gc(&Caller::local(), &GcOptions::default()).unwrap();
    let store = DiskStore::open(&folder.path().join("store"));
    assert!(!store.holds_packs().unwrap(), "nothing is left once nobody wants it");
}

/// Proves that the readable part of a pack with a flipped bit stays readable after the ledger was lost as well, and
/// that a root of which nothing can be read gets no name.
#[test]
fn a_rebuild_keeps_a_damaged_pack_whose_footer_can_be_read() {
    for (flipped_byte, kept) in [(20, true), (usize::MAX, false)] {
        let folder = tempfile::tempdir().unwrap();
        let controller = Controller::open(folder.path()).unwrap();
        Writer::new("x", "abc").run(&controller).unwrap();
        Writer::new("y", "abcd").run(&controller).unwrap();
        drop(controller);
        let (controller, report) = rebuilt_beside_damage(folder.path(), |pack| {
            let mut bytes = fs_err::read(pack).unwrap();
            let at = flipped_byte.min(bytes.len() - 40);
            bytes[at] ^= 1;
            fs_err::write(pack, bytes).unwrap();
        });
        assert_eq!((report.damaged_packs.len(), report.recovered_stashes.len()), (1, 1), "{report:?}");
        let swept = controller.gc(&Caller::local(), &GcOptions::default()).unwrap();
        assert_eq!(swept.deleted_packs, u64::from(!kept), "a pack without a footer holds nothing readable");
        let recovered = BuildId { project: "local".into(), build: "recovered".into() };
        let left = report.recovered_stashes[0].clone();
        let resolved = controller.resolve(&Caller::local(), &recovered, &left).unwrap();
        assert_eq!(resolved.packs.len(), if kept { 2 } else { 1 });
    }
}

/// Proves that the answer is kept with the session: it says `replaced` again, even when the stash is gone by then.
#[test]
fn a_repeated_commit_gets_the_same_answer_for_a_day() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(TestClock::default()));
    let controller = controller_at(folder.path(), &clock);
    Writer::new("x", "abc").run(&controller).unwrap();
    let mut writer = Writer::new("x", "bcd");
    (0..3).for_each(|_| writer.step(&controller).unwrap());
    let twice = [writer.packs.clone(), writer.packs.clone()].concat();
    let commit = Commit { session: writer.session, root: writer.root, patches: None, packs: twice };
    let answer = controller.commit(&Caller::local(), &commit).unwrap();
    assert!(answer.replaced);
    assert_eq!(controller.commit(&Caller::local(), &commit).unwrap(), answer);
    assert!(controller.remove(&Caller::local(), &build(), &name("x")).unwrap());
    controller.gc(&Caller::local(), &GcOptions::default()).unwrap();
    assert_eq!(controller.commit(&Caller::local(), &commit).unwrap(), answer);
    assert!(
        controller
            .commit(&Caller::local(), &Commit { root: Digest::of(b"other"), ..commit.clone() })
            .is_err()
    );
    clock.0.fetch_add(24 * 60 * 60, Ordering::Relaxed);
    controller.gc(&Caller::local(), &GcOptions::default()).unwrap();
    assert_eq!(controller.commit(&Caller::local(), &commit).unwrap_err().kind(), ErrorKind::SessionEnded);
}

/// Proves that a killed writer's pack and a killed reader's hold go with the next sweep, and not while both live.
#[test]
fn what_a_killed_process_held_goes_with_the_next_sweep() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(TestClock::default()));
    let controller = controller_at(folder.path(), &clock);
    Writer::new("x", "abc").run(&controller).unwrap();
    controller.resolve(&Caller::local(), &build(), &name("x")).unwrap();
    let mut writer = Writer::new("y", "efg");
    (0..3).for_each(|_| writer.step(&controller).unwrap());
    controller.remove(&Caller::local(), &build(), &name("x")).unwrap();
    assert_eq!(controller.gc(&Caller::local(), &GcOptions::default()).unwrap().deleted_packs, 0, "both live");
    clock.1.store(true, Ordering::Relaxed);
    let report = controller.gc(&Caller::local(), &GcOptions::default()).unwrap();
    assert_eq!((report.reaped_sessions, report.deleted_packs), (2, 2));
}

/// The clock of a controller whose agents are elsewhere.
#[derive(Default)]
struct ServerClock(AtomicI64);

impl Clock for ServerClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Proves that an agent that was killed finds its session and its packs again, and nobody else's.
#[test]
fn a_killed_agents_session_is_resumed_if_it_is_its_own_and_open() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ServerClock::default());
    let ledger = SqliteLedger::in_memory().unwrap();
    let store = DiskStore::open(folder.path());
    let controller = Controller::with_parts(Box::new(ledger), Box::new(store), clock.clone());
    let mut killed = Writer::new("x", "abc");
    (0..3).for_each(|_| killed.step(&controller).unwrap());

    let open = |build, text, resume| Open { build, name: name(text), parent: None, resume, digests: vec![] };
    let opened = |open: &Open| controller.open_session(&Caller::local(), open).unwrap().session;
    let other = BuildId { project: "p".into(), build: "2".into() };
    for (build, text) in [(other, "x"), (build(), "y")] {
        assert_ne!(opened(&open(build, text, Some(killed.session))), killed.session);
    }
    assert_ne!(opened(&open(build(), "x", Some(SessionId(999)))), SessionId(999));
    let stranger = Caller { build: Some("2".into()), ..Caller::local() };
    let theirs = BuildId { project: "p".into(), build: "2".into() };
    let asked = controller.open_session(&stranger, &open(theirs, "x", Some(killed.session))).unwrap();
    assert_ne!(asked.session, killed.session);

    clock.0.fetch_add(14 * 60, Ordering::Relaxed);
    assert_eq!(opened(&open(build(), "x", Some(killed.session))), killed.session);
    clock.0.fetch_add(14 * 60, Ordering::Relaxed);
    killed.step(&controller).unwrap();
    assert_ne!(opened(&open(build(), "x", Some(killed.session))), killed.session, "it has committed");
    let late = opened(&open(build(), "x", None));
    clock.0.fetch_add(16 * 60, Ordering::Relaxed);
    assert_ne!(opened(&open(build(), "x", Some(late))), late, "its lease has ended");
    whole(&controller);
}

/// Proves that a session of a process is not resumed by another, which the next sweep would reap it under.
#[test]
fn a_session_of_a_process_ends_with_it() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(TestClock::default()));
    let controller = controller_at(folder.path(), &clock);
    let mut open = Open { build: build(), name: name("x"), parent: None, resume: None, digests: vec![] };
    let first = controller.open_session(&Caller::local(), &open).unwrap().session;
    open.resume = Some(first);
    assert_ne!(controller.open_session(&Caller::local(), &open).unwrap().session, first);
}

/// Proves that URLs are given anew to whoever holds the session, for its own packs and until they have arrived.
#[test]
fn urls_are_renewed_within_their_session() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ServerClock::default());
    let ledger = SqliteLedger::in_memory().unwrap();
    let store = DiskStore::open(folder.path());
    let controller = Controller::with_parts(Box::new(ledger), Box::new(store), clock.clone());
    let me = Caller::local();
    let mut writer = Writer::new("x", "abc");
    (0..2).for_each(|_| writer.step(&controller).unwrap());
    let (_, intent) = pack(&writer.chunks);
    let signed = controller.sign(&me, writer.session, &[intent]).unwrap().remove(0);
    assert_eq!(controller.renew_put(&me, writer.session, signed.name, &intent).unwrap(), signed.put);
    let longer = PackIntent { len: intent.len + 1, ..intent };
    assert!(controller.renew_put(&me, writer.session, signed.name, &longer).is_err());
    let open = Open { build: build(), name: name("y"), parent: None, resume: None, digests: vec![] };
    let other = controller.open_session(&me, &open).unwrap().session;
    assert!(controller.renew_put(&me, other, signed.name, &intent).is_err());
    (0..2).for_each(|_| writer.step(&controller).unwrap());
    assert!(controller.renew_put(&me, writer.session, writer.packs[0], &intent).is_err(), "it is live");

    let resolved = controller.resolve(&me, &build(), &name("x")).unwrap();
    clock.0.fetch_add(14 * 60, Ordering::Relaxed);
    assert_eq!(controller.renew_gets(&me, resolved.session).unwrap(), resolved.packs);
    clock.0.fetch_add(14 * 60, Ordering::Relaxed);
    assert_eq!(
        controller.renew_gets(&me, resolved.session).unwrap(),
        resolved.packs,
        "its lease was renewed"
    );
    assert!(controller.renew_gets(&me, other).is_err(), "not a reader's");
    clock.0.fetch_add(16 * 60, Ordering::Relaxed);
    let ended = controller.renew_gets(&me, resolved.session).unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::SessionEnded);
}

/// Proves that an older stash is a parent again once its chunks were sent anew, and that the broken pack can go.
#[test]
fn a_healed_stash_needs_its_broken_pack_no_more() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(TestClock::default()));
    let controller = controller_at(folder.path(), &clock);
    Writer::new("x", "abc").run(&controller).unwrap();
    let resolved = controller.resolve(&Caller::local(), &build(), &name("x")).unwrap();
    let path = file_path(&resolved.packs[0].get).unwrap();
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[20] ^= 1;
    fs_err::write(&path, bytes).unwrap();
    assert!(
        controller
            .report_damaged(&Caller::local(), resolved.session, resolved.packs[0].name, "flipped")
            .unwrap()
    );
    controller.release(&Caller::local(), resolved.session);
    let parent = Some(manifest("abc").0);
    let open = Open { build: build(), name: name("z"), parent, resume: None, digests: vec![] };
    let refused = controller.open_session(&Caller::local(), &open).unwrap();
    assert!(!refused.parent_accepted);
    controller.release(&Caller::local(), refused.session);
    Writer::new("y", "abc").run(&controller).unwrap();
    controller.remove(&Caller::local(), &build(), &name("y")).unwrap();
    let accepted = controller.open_session(&Caller::local(), &open).unwrap();
    assert!(accepted.parent_accepted, "x alone has that root now");
    controller.gc(&Caller::local(), &GcOptions::default()).unwrap();
    assert!(!path.exists());
    whole(&controller);
}
