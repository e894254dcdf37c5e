//! The life of packs, and sweeps.

use pannier::controller::ledger::{Ledger, MendedStash, PackState, RebuiltPack, Sweep};
use pannier::model::ChunkRef;

use crate::scene::{LEASE, NOW, Scene, build, digests, name, page};

/// Proves pending → live → condemned → deleted → forgotten, each by what causes it and by nothing before.
pub(crate) fn a_pack_goes_from_pending_to_deleted(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let session = scene.open(None).id;
    let row = scene.pack_row(session);
    ledger.add_pending(&scene.access, std::slice::from_ref(&row)).unwrap();
    let pack = ledger.pack(row.name).unwrap().unwrap();
    assert_eq!((pack.state, pack.tail_len, pack.session), (PackState::Pending, 0, session));
    scene.sweep();
    assert_eq!(scene.locate("abc"), [None; 3]);
    assert_eq!(ledger.packs_in(PackState::Pending).unwrap(), std::slice::from_ref(&pack));
    scene.commit(session, "x", "abc", &[(pack.id, "abc")], &[]).unwrap();
    let live = ledger.pack_by_id(pack.id).unwrap().unwrap();
    assert_eq!((live.state, live.tail_len, live.has_manifest), (PackState::Live, 80, true));
    assert_eq!(scene.sweep().condemned, 0, "a stash refers to it");
    let blocker = scene.open(None).id;
    scene.remove("x");
    assert_eq!(scene.sweep().condemned, 1);
    assert_eq!(scene.state(pack.id), Some(PackState::Condemned));
    scene.end(blocker);
    let deleted = scene.sweep().deleted;
    assert_eq!(deleted.iter().map(|row| row.id).collect::<Vec<_>>(), [pack.id]);
    assert_eq!(scene.sweep().deleted.len(), 1, "until it is forgotten, for the object may still be there");
    scene.forget(pack.id, Some("abc"));
    assert_eq!((scene.state(pack.id), scene.sweep().deleted.len()), (None, 0));
}

/// Proves that pins keep a pack from being condemned, and sessions older than its condemnation from being deleted;
/// that newer ones do not; and that a sweep says what keeps packs, and until when.
pub(crate) fn a_sweep_waits_for_pins_and_older_sessions(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let stashed = scene.stash("x", "abc");
    let (pinning, older) = (scene.open(None).id, scene.open(None).id);
    assert_eq!(scene.present(pinning, "a"), [true]);
    scene.remove("x");
    let swept = scene.sweep();
    assert_eq!((swept.condemned, swept.kept_for_sessions, swept.until), (0, 1, Some(NOW + LEASE)));
    scene.end(pinning);
    let swept = scene.sweep();
    assert_eq!((swept.condemned, swept.deleted.len(), swept.kept_for_sessions), (1, 0, 1));
    let newer = scene.open(None).id;
    assert_eq!(scene.sweep().deleted.len(), 0, "the older session may still commit a reference");
    scene.end(older);
    let swept = scene.sweep();
    assert_eq!((swept.deleted.len(), swept.kept_for_sessions), (1, 0), "the newer one cannot");
    assert_eq!(swept.deleted[0].id, stashed.pack);
    assert!(scene.session(newer).is_ok());
}

/// Proves that a dry run finds what a sweep would do, and does none of it.
pub(crate) fn a_dry_run_changes_nothing(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let stashed = scene.stash("x", "abc");
    let session = scene.open(None).id;
    scene.remove("x");
    let later = NOW + 2 * LEASE;
    let dry = ledger.sweep(&Sweep { now: later, dry_run: true, ended: &[] }).unwrap();
    assert_eq!((dry.reaped_sessions, dry.condemned, dry.deleted.len()), (1, 1, 1));
    assert_eq!(scene.state(stashed.pack), Some(PackState::Live));
    assert!(scene.session(session).is_ok());
    let wet = scene.sweep_at(later);
    assert_eq!((wet.reaped_sessions, wet.condemned, wet.deleted.len()), (1, 1, 1));
}

/// Proves that a pack found damaged counts as missing at once, is listed with the stashes that need it, stays while one
/// does, and goes without waiting for older sessions, since none can bring it back.
pub(crate) fn a_pack_that_was_set_aside_is_missing_until_it_goes(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let stashed = scene.stash("x", "abc");
    let session = scene.open(None).id;
    let pending = scene.pending(session);
    assert!(!scene.quarantine(pending), "nobody reads a pending pack");
    assert!(scene.quarantine(stashed.pack));
    assert_eq!(scene.present(session, "abc"), [false; 3]);
    let broken = ledger.broken_stashes().unwrap();
    assert_eq!(broken.iter().map(|row| row.info.id).collect::<Vec<_>>(), [stashed.root]);
    assert_eq!(ledger.packs_in(PackState::Quarantined).unwrap().len(), 1);
    scene.sweep();
    assert_eq!(scene.state(stashed.pack), Some(PackState::Quarantined), "the stash may be healed");
    let (reader, packs) = scene.read(broken[0].id).unwrap();
    assert_eq!(packs, [stashed.pack], "what is whole in it can be read");
    scene.remove("x");
    scene.sweep();
    assert_eq!(scene.state(stashed.pack), Some(PackState::Quarantined), "a reader has it");
    scene.end(reader);
    scene.sweep();
    assert_eq!(scene.state(stashed.pack), Some(PackState::Deleted));
    assert!(!scene.quarantine(stashed.pack), "too late");
}

/// Proves that mending gives a stash other packs at once, and refuses where the stash or one of the packs changed.
pub(crate) fn a_mended_stash_needs_its_broken_pack_no_more(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let (broken, other) = (scene.stash("x", "abc"), scene.stash("y", "abc"));
    // y's chunks are the same, its pack another; the index names x's.
    assert!(scene.quarantine(broken.pack));
    let stash = ledger.broken_stashes().unwrap().remove(0);
    let packs = [other.pack];
    let pages = [(page("abc"), packs.to_vec())];
    let mended = MendedStash { stash: &stash, pages: &pages, packs: &packs, manifest_packs: &packs };
    let missing = MendedStash { packs: &[broken.pack], ..mended };
    assert!(!ledger.mend(&scene.access, &missing).unwrap(), "a pack that was set aside mends nothing");
    assert!(ledger.mend(&scene.access, &mended).unwrap());
    assert!(ledger.broken_stashes().unwrap().is_empty());
    let rows = ledger.stash_packs(stash.id).unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), packs);
    scene.stash("x", "d");
    let mended = MendedStash { stash: &stash, pages: &pages, packs: &packs, manifest_packs: &packs };
    assert!(!ledger.mend(&scene.access, &mended).unwrap(), "the name points elsewhere now");
    assert_eq!(ledger.find(&scene.access, &build("1"), &name("x")).unwrap().unwrap().info.packs, 1);
}

/// Proves that a footer's chunks are indexed again for a live pack, without taking them from another live one; that a
/// pack without a row gets none while the ledger was never lost.
pub(crate) fn a_lost_index_is_made_again(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let (first, second) = (scene.stash("x", "ab"), scene.stash("y", "c"));
    let row = ledger.pack_by_id(second.pack).unwrap().unwrap();
    let chunks: Vec<ChunkRef> =
        digests("bcd").into_iter().map(|digest| ChunkRef { digest, len: 1 }).collect();
    let mut found = RebuiltPack {
        name: row.name,
        len: row.len,
        tail_len: row.tail_len,
        footer_digest: row.footer_digest,
        chunks: &chunks,
    };
    ledger.reindex(scene.access.write, &found).unwrap();
    ledger.reindex(scene.access.write, &found).unwrap();
    assert_eq!(scene.locate("abcd"), [first.pack, first.pack, second.pack, second.pack].map(Some));
    assert!(!ledger.needs_rebuild().unwrap());
    let unknown = scene.pack_row(scene.open(None).id);
    found.name = unknown.name;
    ledger.reindex(scene.access.write, &found).unwrap();
    assert!(ledger.pack(unknown.name).unwrap().is_none(), "it is on its way out");
}
