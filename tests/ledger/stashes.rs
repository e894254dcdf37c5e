//! Names and builds, and sessions that read.

use pannier::controller::ledger::{Ledger, NewReader, OpenedReader, PackState};

use crate::scene::{LEASE, NOW, Scene, build, name, root};

/// Proves that a name points at one root at a time, that a list is sorted and of one build, and that what was
/// forgotten is not found.
pub(crate) fn names_are_found_listed_and_forgotten(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let find = |at: &str| ledger.find(&scene.access, &build("1"), &name(at)).unwrap();
    assert!(find("x").is_none());
    let second = scene.stash("y", "d");
    let first = scene.stash("x", "abc");
    assert!(!first.committed.replaced);
    let row = find("x").unwrap();
    assert_eq!((row.info.id, row.info.pack_bytes, row.info.committed_at), (first.root, 100, NOW));
    assert_eq!(ledger.stash(row.id).unwrap(), Some(row.clone()));
    let listed: Vec<String> = ledger
        .list(&scene.access, &build("1"))
        .unwrap()
        .into_iter()
        .map(|info| info.name.to_string())
        .collect();
    assert_eq!(listed, ["x", "y"]);
    assert!(ledger.list(&scene.access, &build("2")).unwrap().is_empty());
    assert!(scene.stash("x", "e").committed.replaced);
    assert_eq!((find("x").unwrap().id, find("x").unwrap().info.id), (row.id, root("e")));
    assert_eq!(ledger.all_stashes().unwrap().len(), 2);
    assert!(scene.remove("x") && !scene.remove("x"));
    assert!(find("x").is_none() && ledger.stash(row.id).unwrap().is_none());
    assert_eq!(find("y").unwrap().info.id, second.root);
}

/// Proves that a copy refers to the same packs, replaces what the other build had under the same names, and outlives
/// the original.
pub(crate) fn a_build_is_copied_by_reference(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let copy = |from: &str, to: &str| {
        ledger.copy_build(&scene.access, &build(from), &build(to), NOW + 9).unwrap().stashes
    };
    assert_eq!(copy("1", "2"), 0);
    let (first, _) = (scene.stash("x", "abc"), scene.stash("y", "d"));
    assert_eq!((copy("1", "1"), copy("1", "2"), copy("1", "2")), (2, 2, 2));
    let copied = ledger.find(&scene.access, &build("2"), &name("x")).unwrap().unwrap();
    assert_eq!((copied.info.id, copied.info.packs, copied.info.committed_at), (first.root, 1, NOW + 9));
    scene.stash("x", "e");
    assert_eq!(copy("1", "2"), 2);
    assert_eq!(ledger.stash(copied.id).unwrap().unwrap().info.id, root("e"));
    scene.remove("x");
    scene.remove("y");
    let swept = scene.sweep();
    assert_eq!((swept.condemned, scene.state(first.pack)), (1, Some(PackState::Deleted)));
    assert_eq!(ledger.list(&scene.access, &build("2")).unwrap().len(), 2);
}

/// Proves that a reader keeps a stash's packs after the stash is gone, until its session or its lease ends.
pub(crate) fn a_reader_holds_its_packs(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let stashed = scene.stash("x", "abc");
    let id = ledger.find(&scene.access, &build("1"), &name("x")).unwrap().unwrap().id;
    let (session, packs) = scene.read(id).unwrap();
    assert_eq!((packs, scene.pinned(session)), (vec![stashed.pack], vec![stashed.pack]));
    assert!(scene.session(session).is_err(), "it is no session to write in");
    scene.remove("x");
    assert!(scene.read(id).is_none());
    assert_eq!((scene.sweep().condemned, scene.state(stashed.pack)), (0, Some(PackState::Live)));
    let swept = scene.sweep_at(NOW + 100_000);
    assert_eq!((swept.reaped_sessions, swept.condemned), (1, 1));
}

/// Proves that a reader of a stash that was replaced gets its root and its packs of one moment.
pub(crate) fn a_reader_of_what_was_replaced_gets_what_is(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    scene.stash("x", "abc");
    let found = ledger.find(&scene.access, &build("1"), &name("x")).unwrap().unwrap();
    let replaced = scene.stash("x", "de");
    let new = NewReader { stash: found.id, expires_at: NOW + LEASE, owner: None };
    let OpenedReader { session, stash, packs } = ledger.open_reader(&scene.access, &new).unwrap().unwrap();
    assert_eq!((stash.id, stash.info.id), (found.id, replaced.root));
    assert_eq!(packs.iter().map(|row| row.id).collect::<Vec<_>>(), [replaced.pack]);
    assert_eq!(scene.pinned(session), [replaced.pack]);
}
