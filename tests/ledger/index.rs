//! Which digests are there, for whom, and in which pack.

use pannier::controller::ledger::{Ledger, PackState};
use pannier::model::Digest;

use crate::scene::{NOW, Scene, page};

/// Proves that neither digests nor pages nor stashes nor roots of one scope are seen from another, and that a scope of
/// a name is made once.
pub(crate) fn scopes_do_not_see_each_other(ledger: &dyn Ledger) {
    let (scene, other) = (Scene::new(ledger), Scene::reading(ledger, "other", &[]));
    assert_eq!(Scene::new(ledger).access, scene.access);
    assert_ne!(ledger.scope("tenant 2", "own").unwrap(), scene.access.write);
    let stashed = scene.stash("x", "abc");
    let session = other.open(Some(stashed.root));
    assert!(!session.parent_accepted);
    assert_eq!(other.present(session.id, "abc"), [false; 3]);
    assert_eq!(other.locate("abc"), [None; 3]);
    assert_eq!(ledger.page_packs(&other.access, &[page("abc")]).unwrap(), [None]);
    assert!(
        ledger.find(&other.access, &crate::scene::build("1"), &crate::scene::name("x")).unwrap().is_none()
    );
    assert!(ledger.list(&other.access, &crate::scene::build("1")).unwrap().is_empty());
    assert!(!other.remove("x"));
    let row = other.session(session.id).unwrap();
    assert!(ledger.commit_known(&other.access, &row, stashed.root, None, NOW).unwrap().is_none());
    // The same chunks written by both stand in each scope's own pack.
    let own = other.stash("x", "abc");
    assert_eq!(other.locate("abc"), [Some(own.pack); 3]);
    assert_eq!(scene.locate("abc"), [Some(stashed.pack); 3]);
}

/// Proves that scopes are looked through in the order that the access gives, past a scope whose pack is of no use.
pub(crate) fn the_first_scope_that_has_a_chunk_wins(ledger: &dyn Ledger) {
    let main = Scene::reading(ledger, "main", &[]);
    let fork = Scene::reading(ledger, "fork", &[main.access.write]);
    let above = main.stash("x", "abc");
    assert_eq!(fork.locate("ad"), [Some(above.pack), None]);
    let own = fork.stash("x", "a");
    assert_eq!(fork.locate("ab"), [Some(own.pack), Some(above.pack)]);
    assert!(fork.quarantine(own.pack));
    assert_eq!(fork.locate("ab"), [Some(above.pack); 2]);
    assert_eq!(main.locate("a"), [Some(above.pack)], "what the fork wrote never flows upward");
}

/// Proves that an answer "present" holds the pack, in the order of the question, with digests asked twice.
pub(crate) fn what_is_present_is_pinned(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let (first, second) = (scene.stash("x", "abc"), scene.stash("y", "de"));
    let session = scene.open(None).id;
    assert_eq!(scene.present(session, "zcaza"), [false, true, true, false, true]);
    assert_eq!(scene.pinned(session), [first.pack]);
    assert_eq!(scene.present(session, "ea"), [true, true]);
    assert_eq!(scene.pinned(session), [first.pack, second.pack]);
    scene.remove("x");
    scene.sweep();
    assert_eq!(scene.state(first.pack), Some(PackState::Live), "pinned packs are not condemned");
}

/// Proves that a chunk is never taken for another one whose digest begins with the same bytes, whichever is written,
/// removed or asked for first: an index may compare a part of the digest only to find a place.
pub(crate) fn digests_that_begin_alike_are_told_apart(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let alike = |last: u8| {
        let mut bytes = *Digest::of(b"alike").as_bytes();
        bytes[31] = last;
        Digest::from_bytes(bytes)
    };
    let commit = |at: &str, last: u8| {
        let session = scene.open(None).id;
        let pack = scene.pending(session);
        scene.commit_chunks(session, at, (at, None), &[(alike(last), pack)], &[(pack, "")], &[]).unwrap();
        pack
    };
    let locate = |last| ledger.locate(&scene.access, &[alike(last)]).unwrap()[0];
    let one = commit("one", 1);
    assert_eq!((locate(1), locate(2)), (Some(one), None));
    let two = commit("two", 2);
    let three = commit("three", 3);
    assert_eq!((locate(1), locate(2), locate(3), locate(4)), (Some(one), Some(two), Some(three), None));
    let go = |at: &str, pack, chunks: Option<Vec<Digest>>| {
        assert!(scene.remove(at));
        scene.sweep();
        assert_eq!(scene.state(pack), Some(PackState::Deleted));
        let scope = scene.access.write;
        ledger.forget(&[pannier::controller::ledger::GonePack { id: pack, scope, chunks }]).unwrap();
    };
    go("one", one, Some(vec![alike(1)]));
    assert_eq!((locate(1), locate(2), locate(3)), (None, Some(two), Some(three)));
    go("three", three, None);
    assert_eq!((locate(2), locate(3)), (Some(two), None));
    let again = commit("again", 2);
    assert!([Some(two), Some(again)].contains(&locate(2)), "either holds it");
    go("two", two, Some(vec![alike(2)]));
    assert!([None, Some(again)].contains(&locate(2)), "an index may name one pack a chunk");
    let last = commit("last", 2);
    assert!([Some(last), Some(again)].contains(&locate(2)));
}

/// Proves that a pack's chunks are missing once it was forgotten, whether they were named or had to be searched for, or
/// whether some were left behind; and that they can be written again.
pub(crate) fn what_the_index_says_of_forgotten_packs_counts_as_missing(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let other = scene.stash("other", "d");
    for chunks in [Some("abc"), None, Some("a"), Some("")] {
        let stashed = scene.stash("x", "abc");
        assert_eq!(scene.locate("abcd"), [[Some(stashed.pack); 3].as_slice(), &[Some(other.pack)]].concat());
        assert_eq!(ledger.page_packs(&scene.access, &[page("abc")]).unwrap(), [Some(vec![stashed.pack])]);
        scene.remove("x");
        scene.sweep();
        scene.forget(stashed.pack, chunks);
        assert_eq!(scene.state(stashed.pack), None);
        assert_eq!(scene.locate("abcd"), [None, None, None, Some(other.pack)], "{chunks:?}");
        assert_eq!(ledger.page_packs(&scene.access, &[page("abc")]).unwrap(), [None]);
    }
    scene.forget(other.pack, Some("d"));
    scene.forget(other.pack, None);
    assert_eq!(scene.locate("d"), [Some(other.pack)], "only a deleted pack can be forgotten");
}

/// Proves that a page that was followed is not followed again while all its packs are there.
pub(crate) fn pages_lead_to_packs_while_those_are_there(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let first = scene.stash("x", "abc");
    let session = scene.open(None).id;
    let pack = scene.pending(session);
    scene.commit(session, "y", "abcd", &[(pack, "d")], &[first.pack]).unwrap();
    let pages = || ledger.page_packs(&scene.access, &[page("abcd"), page("none")]).unwrap();
    assert_eq!(pages(), [Some(vec![first.pack, pack]), None]);
    assert!(scene.quarantine(pack));
    assert_eq!(pages(), [None, None]);
}

/// Proves that a page that needs a pack which is gone has to be followed again, though other packs that it needs are still there: whoever
/// brings what was lost brings it in a pack that the old answer does not name, and that a sweep would take.
pub(crate) fn a_page_is_not_known_by_some_of_its_packs(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let session = scene.open(None).id;
    let (gone, kept) = (scene.pending(session), scene.pending(session));
    scene.commit(session, "x", "ab", &[(gone, "a"), (kept, "b")], &[]).unwrap();
    let session = scene.open(None).id;
    scene.commit(session, "y", "b", &[], &[kept]).unwrap();
    scene.remove("x");
    scene.sweep();
    scene.forget(gone, Some("a"));
    assert_eq!((scene.state(gone), scene.state(kept)), (None, Some(PackState::Live)));
    let pages = ledger.page_packs(&scene.access, &[page("ab"), page("b")]).unwrap();
    assert_eq!(pages, [None, Some(vec![kept])]);
}
