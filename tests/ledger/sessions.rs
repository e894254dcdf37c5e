//! Sessions, leases, parents, the marks of processes.

use pannier::controller::ledger::{Ledger, LedgerError, PackState, Sweep};

use crate::scene::{LEASE, NOW, Scene, root};

/// Proves that a lease ends by the controller's clock alone, and that use in its last two thirds renews it.
pub(crate) fn a_session_lives_as_long_as_its_lease(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let id = scene.open(None).id;
    let at = |now| ledger.session(&scene.access, id, now, LEASE);
    assert_eq!(at(NOW).unwrap().name.as_str(), "x");
    assert!(at(NOW + LEASE - 1).is_ok(), "the last second, which renews");
    assert!(at(NOW + LEASE + 1).is_ok(), "renewed");
    assert!(matches!(at(NOW + 3 * LEASE), Err(LedgerError::SessionEnded(ended)) if ended == id));
    assert_eq!(scene.sweep_at(NOW + 3 * LEASE).reaped_sessions, 1);
    assert!(at(NOW).is_err(), "a reaped session stays ended");
}

/// Proves what sweeping rests on: a later session has a higher number, though earlier ones are gone.
pub(crate) fn numbers_of_sessions_ascend(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let mut last = scene.open(None).id;
    for _ in 0..3 {
        scene.end(last);
        scene.sweep();
        let next = scene.open(None).id;
        assert!(next > last, "{next:?} after {last:?}");
        last = next;
    }
}

/// Proves that an ended session keeps no pin, that its packs go, and that ending twice is no error.
pub(crate) fn an_ended_session_leaves_nothing(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let stashed = scene.stash("x", "abc");
    let id = scene.open(None).id;
    let sent = scene.pending(id);
    assert_eq!(scene.present(id, "ab"), [true, true]);
    assert_eq!(scene.pinned(id), [stashed.pack]);
    scene.end(id);
    scene.end(id);
    assert!(scene.pinned(id).is_empty());
    assert_eq!(scene.state(sent), Some(PackState::Deleted));
    assert!(ledger.add_pending(&scene.access, &[scene.pack_row(id)]).is_err(), "it may send nothing more");
    assert!(matches!(
        ledger.pin_present(&scene.access, id, &[crate::scene::digest('a')]),
        Err(LedgerError::SessionEnded(_))
    ));
}

/// Proves that a parent is accepted, and its packs pinned, only if every pack of it is live.
pub(crate) fn a_parent_is_accepted_only_whole(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let stashed = scene.stash("x", "abc");
    let session = scene.open(Some(stashed.root));
    assert!(session.parent_accepted);
    assert_eq!(scene.pinned(session.id), [stashed.pack]);
    assert!(!scene.open(Some(root("other"))).parent_accepted);
    scene.remove("x");
    assert!(
        !scene.open(Some(stashed.root)).parent_accepted,
        "its packs are live, but nothing refers to them"
    );
    let again = scene.stash("x", "abc");
    assert!(scene.quarantine(again.pack));
    assert!(!scene.open(Some(again.root)).parent_accepted, "a pack of it was set aside");
}

/// Proves that a session's number is no key to it from another scope.
pub(crate) fn sessions_of_other_scopes_are_not_there(ledger: &dyn Ledger) {
    let (scene, other) = (Scene::new(ledger), Scene::reading(ledger, "other", &[]));
    let id = scene.open(None).id;
    assert!(matches!(other.session(id), Err(LedgerError::SessionEnded(_))));
    other.end(id);
    assert!(scene.session(id).is_ok(), "nor can it be ended from there");
}

/// Proves that sessions which live in a process are listed with its mark while they are open, and that a sweep ends
/// those whose process is gone.
pub(crate) fn processes_are_remembered(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let (owned, free) = (scene.open_for(None, Some("mark")).id, scene.open(None).id);
    assert_eq!(ledger.owners().unwrap(), [(owned, "mark".to_owned())]);
    let swept = ledger.sweep(&Sweep { now: NOW, dry_run: false, ended: &[owned] }).unwrap();
    assert_eq!(swept.reaped_sessions, 1);
    assert!(ledger.owners().unwrap().is_empty());
    assert!(scene.session(owned).is_err() && scene.session(free).is_ok());
}
