//! A commit: all of it or nothing, once, and over packs that may be on their way out.

use pannier::controller::ledger::{Ledger, LedgerError, PackId, PackState};

use crate::scene::{NOW, Scene, build, digest, name, page, root};

/// Proves that a commit which fails at its end has changed nothing: states, index, pages, name, session; and that the
/// same session can commit then.
pub(crate) fn a_commit_is_all_or_nothing(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let before = scene.stash("x", "abc");
    let session = scene.open(None).id;
    let (first, second) = (scene.pending(session), scene.pending(session));
    let gone = PackId(1_000_000);
    for (new, old) in [
        // A pack that is nowhere, among the new ones or the old.
        (vec![(first, "de"), (gone, "f")], vec![]),
        (vec![(first, "de"), (second, "f")], vec![gone]),
    ] {
        let error = scene.commit(session, "x", "def", &new, &old).unwrap_err();
        assert!(matches!(error, LedgerError::PackGone(1_000_000)), "{error}");
        assert_eq!(scene.locate("abcdef"), [[Some(before.pack); 3], [None; 3]].concat());
        assert_eq!(
            (scene.state(first), scene.state(second)),
            (Some(PackState::Pending), Some(PackState::Pending))
        );
        assert_eq!(ledger.page_packs(&scene.access, &[page("def")]).unwrap(), [None]);
        let found = ledger.find(&scene.access, &build("1"), &name("x")).unwrap().unwrap();
        assert_eq!(found.info, before.committed.stash);
        assert!(scene.session(session).unwrap().committed.is_none());
    }
    let committed = scene.commit(session, "x", "def", &[(first, "de"), (second, "f")], &[]).unwrap();
    assert!(committed.replaced);
    assert_eq!(
        (committed.stash.id, committed.stash.packs, committed.stash.totals.entries),
        (root("def"), 2, 3)
    );
    assert_eq!(scene.locate("def"), [Some(first), Some(first), Some(second)]);
}

/// Proves that neither an ended session commits, nor one with another's packs, nor one after its lease.
pub(crate) fn a_commit_needs_an_open_session_and_its_own_packs(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let (session, other) = (scene.open(None).id, scene.open(None).id);
    let (pack, foreign) = (scene.pending(session), scene.pending(other));
    let error = scene.commit(session, "x", "a", &[(foreign, "a")], &[]).unwrap_err();
    assert!(matches!(error, LedgerError::PackGone(gone) if gone == foreign.0), "{error}");
    let error = scene.commit(session, "x", "a", &[], &[pack]).unwrap_err();
    assert!(matches!(error, LedgerError::PackGone(_)), "a pending pack is no pack yet: {error}");
    scene.sweep_at(NOW + 10_000);
    let error = scene.commit(session, "x", "a", &[(pack, "a")], &[]).unwrap_err();
    assert!(matches!(error, LedgerError::SessionEnded(ended) if ended == session), "{error}");
    assert_eq!(scene.locate("a"), [None]);
}

/// Proves that an unchanged stash needs no packs, under its own name or another, and says what it replaced.
pub(crate) fn a_known_root_is_committed_without_packs(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let stashed = scene.stash("x", "abc");
    let known = |at: &str| {
        let id = scene.open(None).id;
        let row = pannier::controller::ledger::SessionRow { name: name(at), ..scene.session(id).unwrap() };
        ledger.commit_known(&scene.access, &row, stashed.root, None, NOW + 5).unwrap()
    };
    let again = known("x").unwrap();
    assert_eq!((again.replaced, again.stash.committed_at, again.stash.packs), (false, NOW + 5, 1));
    scene.stash("y", "d");
    assert!(known("y").unwrap().replaced);
    assert!(!known("z").unwrap().replaced);
    scene.remove("x");
    assert!(scene.quarantine(stashed.pack));
    assert!(known("z").is_none(), "a root whose pack was set aside has to be looked at");
}

/// Proves that a stash whose pages are patches is a parent, and known, by its list of patches alone; that copies are stored as it is, and
/// that the last commit says how.
pub(crate) fn how_a_stash_is_stored_belongs_to_it(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let list = digest('l');
    let session = scene.open(None).id;
    let pack = scene.pending(session);
    let stashed = scene.commit_stored(session, "x", "ab", Some(list), &[(pack, "abl")]).unwrap();
    assert_eq!(stashed.stash.patches, Some(list));
    let root = stashed.stash.id;
    let accepted = |parent| scene.open(Some(parent)).parent_accepted;
    assert_eq!((accepted(list), accepted(root)), (true, false));
    let known = |root, patches| {
        let row = scene.session(scene.open(None).id).unwrap();
        let row = pannier::controller::ledger::SessionRow { name: name("y"), ..row };
        ledger.commit_known(&scene.access, &row, root, patches, NOW).unwrap().map(|known| known.stash.patches)
    };
    assert_eq!(known(root, None), None, "stored as patches, not as it is");
    assert_eq!(known(digest('r'), Some(list)), None, "the list of another root");
    assert_eq!(known(root, Some(list)), Some(Some(list)));
    ledger.copy_build(&scene.access, &build("1"), &build("2"), NOW).unwrap();
    let copied = ledger.find(&scene.access, &build("2"), &name("x")).unwrap().unwrap();
    assert_eq!(copied.info.patches, Some(list));
    // The same stash, brought as it is.
    let session = scene.open(None).id;
    let pack = scene.pending(session);
    let whole = scene.commit_stored(session, "x", "ab", None, &[(pack, "ab")]).unwrap();
    assert_eq!((whole.stash.patches, whole.stash.id, whole.replaced), (None, root, false));
    assert_eq!((accepted(list), accepted(root)), (true, true));
}

/// Proves that the answer of a commit is kept for a day, even when its stash is gone.
pub(crate) fn a_repeated_commit_has_its_answer(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    scene.stash("x", "abc");
    let session = scene.open(None).id;
    let pack = scene.pending(session);
    let answer = scene.commit(session, "x", "d", &[(pack, "d")], &[]).unwrap();
    scene.remove("x");
    scene.sweep();
    assert_eq!(scene.session(session).unwrap().committed, Some(answer));
    let error = scene.commit(session, "x", "d", &[], &[]).unwrap_err();
    assert!(matches!(error, LedgerError::SessionEnded(_)), "the session itself is over: {error}");
    scene.sweep_at(NOW + 25 * 60 * 60);
    assert!(scene.session(session).is_err());
}

/// Proves the way back: a condemned pack is missing to new sessions, found by those who follow references, and live
/// again with the commit that refers to it, of a known root or of new rows.
pub(crate) fn a_commit_brings_condemned_packs_back(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let stashed = scene.stash("x", "abc");
    let (holder, older) = (scene.open(None).id, scene.open(None).id);
    scene.remove("x");
    assert_eq!(scene.sweep().condemned, 1);
    assert_eq!(scene.state(stashed.pack), Some(PackState::Condemned));
    let newer = scene.open(None).id;
    assert_eq!(scene.present(newer, "abc"), [false; 3]);
    assert_eq!(scene.locate("abc"), [Some(stashed.pack); 3]);
    scene.commit(older, "x", "abc", &[], &[stashed.pack]).unwrap();
    assert_eq!(scene.state(stashed.pack), Some(PackState::Live));
    assert_eq!(scene.present(newer, "abc"), [true; 3]);
    scene.end(newer);
    // And by a root that another name still points at, which no sweep can condemn; then by one that none does.
    let row = scene.session(holder).unwrap();
    assert!(ledger.commit_known(&scene.access, &row, stashed.root, None, NOW).unwrap().is_some());
    assert_eq!(scene.state(stashed.pack), Some(PackState::Live));
    scene.remove("x");
    scene.sweep();
    scene.sweep();
    let late = scene.open(None).id;
    let error = scene.commit(late, "x", "abc", &[], &[stashed.pack]).unwrap_err();
    assert!(matches!(error, LedgerError::PackGone(_)), "what was deleted does not come back: {error}");
}

/// Proves that chunks of a pack that was set aside are indexed anew where they are sent again, that stashes on it
/// refer to the new pack as well, and that what was in a live pack stays there.
pub(crate) fn a_commit_heals_what_was_set_aside(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let (broken, sound) = (scene.stash("x", "abc"), scene.stash("y", "d"));
    assert!(scene.quarantine(broken.pack));
    assert!(!scene.quarantine(broken.pack), "once is enough");
    assert_eq!(scene.locate("abcd"), [None, None, None, Some(sound.pack)]);
    let healing = scene.stash("z", "abcd");
    assert_eq!(scene.locate("abcd"), [[Some(healing.pack); 3].as_slice(), &[Some(sound.pack)]].concat());
    let stash = ledger.find(&scene.access, &build("1"), &name("x")).unwrap().unwrap();
    let packs = ledger.stash_packs(stash.id).unwrap();
    assert_eq!(packs.iter().map(|row| row.id).collect::<Vec<_>>(), [broken.pack, healing.pack]);
    assert!(packs[1].has_manifest, "for the broken one had the manifest");
}
