//! An accident at every single call that a commit or a sweep makes to its ledger or store: the call fails, or the
//! process dies before or after it. Then a new process opens the same ledger and store.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pannier::controller::ledger::{Creation, Ledger, PackState, SqliteLedger};
use pannier::controller::{Caller, Controller, ControllerError};
use pannier::protocol::{Commit, GcOptions, Open};

use crate::guarded::{Accident, Guard, GuardedLedger, GuardedStore, Shelf};
use crate::scene::{TestClock, build, manifest, name, pack, whole};

/// More calls than any of these commands makes.
const MOST_CALLS: u64 = 300;

fn controller(
    folder: &Path,
    shelf: &Shelf,
    clock: &Arc<TestClock>,
    accident: Accident,
) -> (Controller, Arc<Guard>) {
    let guard = Guard::new(accident);
    let ledger = SqliteLedger::open(&folder.join("ledger.sqlite"), || Creation::New).unwrap();
    let ledger = GuardedLedger::new(Arc::new(ledger), guard.clone());
    let store = GuardedStore { inner: shelf.clone(), guard: guard.clone() };
    (Controller::with_parts(Box::new(ledger), Box::new(store), clock.clone()), guard)
}

/// A whole stash, all its requests.
fn stash(controller: &Controller, shelf: &Shelf, at: &str, letters: &str) -> Result<(), ControllerError> {
    let caller = Caller::local();
    let (root, chunks) = manifest(letters);
    let digests = chunks.iter().map(|chunk| pannier::model::Digest::of(chunk)).collect();
    let open = Open { build: build(), name: name(at), parent: None, resume: None, digests };
    let opened = controller.open_session(&caller, &open)?;
    let missing = chunks.into_iter().zip(opened.missing).filter(|(_, missing)| *missing);
    let new: Vec<Vec<u8>> = missing.map(|(chunk, _)| chunk).collect();
    let mut packs = Vec::new();
    if !new.is_empty() {
        let (bytes, intent) = pack(&new);
        let signed = controller.sign(&caller, opened.session, &[intent])?.remove(0);
        shelf.put(signed.name, bytes);
        packs.push(signed.name);
    }
    controller.commit(&caller, &Commit { session: opened.session, root, patches: None, packs }).map(drop)
}

fn letters_of(controller: &Controller, at: &str) -> Option<u64> {
    let listed = controller.list(&Caller::local(), &build()).unwrap();
    listed.into_iter().find(|stash| stash.name == name(at)).map(|stash| stash.totals.files)
}

/// Runs `command` with every accident at every call of it, each time on a store that holds the stash `old` and garbage; says
/// how many accidents there were.
fn with_every_accident(command: impl Fn(&Controller, &Shelf) -> Result<(), ControllerError>) -> u64 {
    let mut accidents = 0;
    for kind in [Accident::Fails, Accident::DiesBefore, Accident::DiesAfter] {
        for call in 0..MOST_CALLS {
            let folder = tempfile::tempdir().unwrap();
            let (shelf, clock) = (Shelf::default(), Arc::new(TestClock::of_agents_elsewhere()));
            let (before, _) = controller(folder.path(), &shelf, &clock, Accident::None);
            stash(&before, &shelf, "old", "abc").unwrap();
            stash(&before, &shelf, "garbage", "xyz").unwrap();
            assert!(before.remove(&Caller::local(), &build(), &name("garbage")).unwrap());
            drop(before);
            let (during, guard) = controller(folder.path(), &shelf, &clock, kind(call));
            let result = command(&during, &shelf);
            let happened = guard.calls() > call;
            drop(during);
            let (after, _) = controller(folder.path(), &shelf, &clock, Accident::None);
            let what = format!("{:?}, which ended in {result:?}", kind(call));
            everything_is_whole(&after, &shelf, &clock, &command, &what);
            if !happened {
                assert!(result.is_ok(), "{what}");
                break;
            }
            assert!(call + 1 < MOST_CALLS, "the command has too many calls");
            accidents += 1;
        }
    }
    accidents
}

fn everything_is_whole(
    after: &Controller,
    shelf: &Shelf,
    clock: &TestClock,
    command: &impl Fn(&Controller, &Shelf) -> Result<(), ControllerError>,
    what: &str,
) {
    whole(after);
    assert_eq!(letters_of(after, "old"), Some(3), "{what}");
    assert!(matches!(letters_of(after, "new"), None | Some(4)), "{what}: half a stash is visible");
    command(after, shelf).unwrap_or_else(|error| panic!("{what}: the repeated command was told: {error}"));
    whole(after);
    // Once every lease is over, two sweeps leave what is referred to and nothing else.
    clock.0.fetch_add(100_000, Ordering::Relaxed);
    for _ in 0..2 {
        after.gc(&Caller::local(), &GcOptions::default()).unwrap();
    }
    whole(after);
    let stashes = after.list(&Caller::local(), &build()).unwrap();
    let referred: u64 = if stashes.len() == 2 { 2 } else { 1 };
    assert_eq!(shelf.names().len() as u64, referred, "{what}: objects were left behind, or lost");
}

/// Proves that a stash which an accident cut short shows nothing or all of itself, harms no other, and can be repeated.
#[test]
fn an_accident_at_any_call_of_a_stash() {
    let accidents = with_every_accident(|controller, shelf| stash(controller, shelf, "new", "bcde"));
    assert!(accidents > 30, "{accidents} calls are too few to be all");
}

/// Proves that a sweep which an accident cut short takes nothing that is needed, and that the next one finishes it.
#[test]
fn an_accident_at_any_call_of_a_sweep() {
    let accidents =
        with_every_accident(|controller, _| controller.gc(&Caller::local(), &GcOptions::default()).map(drop));
    assert!(accidents > 20, "{accidents} calls are too few to be all");
}

/// Proves that a sweep which dies leaves no row of the index that could be taken for a chunk: what it deleted is
/// missing afterwards, though the pack's footer went with its object.
#[test]
fn a_sweep_that_dies_behind_a_deleted_object_leaves_no_chunk() {
    for call in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let (shelf, clock) = (Shelf::default(), Arc::new(TestClock::of_agents_elsewhere()));
        let (before, _) = controller(folder.path(), &shelf, &clock, Accident::None);
        stash(&before, &shelf, "garbage", "xyz").unwrap();
        assert!(before.remove(&Caller::local(), &build(), &name("garbage")).unwrap());
        let (dying, _) = controller(folder.path(), &shelf, &clock, Accident::DiesAfter(call));
        let _ = dying.gc(&Caller::local(), &GcOptions::default());
        let ledger = SqliteLedger::open(&folder.path().join("ledger.sqlite"), || Creation::New).unwrap();
        let digests = [pannier::model::Digest::of(&[b'x'; 100])];
        if shelf.names().is_empty() {
            assert_eq!(ledger.locate(&Caller::local().access, &digests).unwrap(), [None], "call {call}");
        }
        before.gc(&Caller::local(), &GcOptions::default()).unwrap();
        assert!(shelf.names().is_empty() && ledger.packs_in(PackState::Deleted).unwrap().is_empty());
    }
}
