//! What artifacts share, and when it goes.

use pannier::controller::ledger::{BlobState, BlobSweep, Ledger, SweptBlobs, UploadEnd};
use pannier::protocol::Copied;
use pannier::protocol::artifact::{ArtifactState, NewArtifact};

use crate::artifacts::file;
use crate::scene::{NOW, Scene, build};

fn sweep_at(ledger: &dyn Ledger, now: i64) -> SweptBlobs {
    ledger.sweep_blobs(&BlobSweep { now, idle_since: now - 100, dry_run: false }).unwrap()
}

/// Proves that finished content is found again in the scopes that one reads, that unchecked content serves its own scope
/// alone, and that pending content serves nobody.
pub(crate) fn content_is_shared_within_what_one_may_read(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let first = scene.announce("1", &[file("a", 1)]).remove(0);
    let before = scene.announce("2", &[file("b", 1)]).remove(0).blob.unwrap();
    assert_eq!(before.state, BlobState::Pending);
    assert_ne!(Some(before.id), first.blob.as_ref().map(|blob| blob.id));
    scene.finish(&first.id);
    let known = scene.announce("3", &[file("c", 1)]).remove(0).blob.unwrap();
    assert_eq!((known.state, known.id), (BlobState::Live, first.blob.unwrap().id));
    let shorter = NewArtifact { len: 0, ..file("d", 1) };
    assert_eq!(scene.announce("3", &[shorter]).remove(0).blob.unwrap().state, BlobState::Pending);
    let (stranger, reader) =
        (Scene::reading(ledger, "other", &[]), Scene::reading(ledger, "fork", &[scene.access.write]));
    let seen =
        |scene: &Scene<'_>, letter| scene.announce("1", &[file("x", letter)]).remove(0).blob.unwrap().state;
    assert_eq!((seen(&stranger, 1), seen(&reader, 1)), (BlobState::Pending, BlobState::Live));
    let unchecked = scene.announce("1", &[file("u", 2)]).remove(0);
    scene.finish_with(&unchecked.id, UploadEnd::Finished { verified: false });
    assert_eq!((seen(&scene, 2), seen(&reader, 2)), (BlobState::Live, BlobState::Pending));
}

/// Proves that a blob stays while one artifact that is new or finished has it, goes with the last one, and is not found
/// again from then on; that a dry run changes nothing, and an interrupted sweep is finished by the next.
pub(crate) fn a_blob_goes_with_its_last_artifact(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let (first, second) = (scene.artifact("1", "a", 1), scene.announce("2", &[file("a", 1)]).remove(0));
    let blob = second.blob.clone().unwrap();
    ledger.delete_artifact(&scene.access, &first).unwrap();
    assert_eq!(sweep_at(ledger, NOW), SweptBlobs::default());
    assert_eq!(scene.finish(&second.id), ArtifactState::Finished);
    ledger.delete_artifact(&scene.access, &second.id).unwrap();
    let dry = ledger.sweep_blobs(&BlobSweep { now: NOW, idle_since: 0, dry_run: true }).unwrap();
    assert_eq!(dry.deleted.len(), 1);
    assert_eq!(ledger.blob(blob.name).unwrap().unwrap().state, BlobState::Live);
    for _ in 0..2 {
        let deleted = sweep_at(ledger, NOW).deleted;
        assert_eq!(deleted.iter().map(|row| row.id).collect::<Vec<_>>(), [blob.id]);
    }
    assert_eq!(scene.announce("3", &[file("a", 1)])[0].blob.as_ref().unwrap().state, BlobState::Pending);
    ledger
        .forget_blobs(&[blob.id, scene.announce("3", &[file("a", 1)])[0].blob.as_ref().unwrap().id])
        .unwrap();
    assert_eq!(ledger.blob(blob.name).unwrap(), None);
    let left = scene.announce("3", &[file("a", 1)]).remove(0).blob.unwrap();
    assert_eq!(left.state, BlobState::Pending, "only what is deleted is forgotten");
    assert!(scene.row(&first).unwrap().blob.is_none());
}

/// Proves that an upload that moves is not abandoned, that one that stands still expires with its content, and that it
/// cannot end well afterwards.
pub(crate) fn abandoned_uploads_expire(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let announced = scene.announce("1", &[file("a", 1), file("b", 2)]);
    let blob = announced[0].blob.clone().unwrap();
    scene.artifact("1", "c", 3);
    let known = scene.announce("1", &[file("d", 3)]).remove(0).id;
    assert!(ledger.touch_upload(blob.id, NOW + 50).unwrap());
    let swept = sweep_at(ledger, NOW + 100);
    assert_eq!((swept.expired, swept.deleted.len()), (2, 1), "b, and d which had its content");
    assert_eq!(scene.row(&known).unwrap().state, ArtifactState::Expired);
    assert_eq!(scene.row(&announced[0].id).unwrap().state, ArtifactState::New);
    assert_eq!(scene.finish(&announced[1].id), ArtifactState::Expired);
    assert_eq!(sweep_at(ledger, NOW + 150).expired, 1);
    assert_eq!(scene.finish(&announced[0].id), ArtifactState::Expired);
}

/// Proves that `keep_days` end an artifact and nothing else does.
pub(crate) fn days_end(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let short = NewArtifact { keep_days: Some(1), ..file("a", 1) };
    let id = scene.announce("1", &[short]).remove(0).id;
    scene.finish(&id);
    let long = scene.artifact("1", "b", 2);
    let day = 24 * 60 * 60;
    assert_eq!(sweep_at(ledger, NOW + day - 1).expired, 0);
    let swept = sweep_at(ledger, NOW + day);
    assert_eq!((swept.expired, swept.deleted.len()), (1, 1));
    assert_eq!(sweep_at(ledger, NOW + 1000 * day).expired, 0);
    assert_eq!(scene.row(&id).unwrap().state, ArtifactState::Expired);
    assert_eq!(scene.row(&long).unwrap().state, ArtifactState::Finished);
    assert_eq!(ledger.delete_artifact(&scene.access, &id).unwrap(), Some(false));
}

/// Proves that a copy has its own artifacts on the same blobs, is made once, and outlives the original.
pub(crate) fn a_build_is_copied_with_its_artifacts(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let copy =
        |from: &str, to: &str| ledger.copy_build(&scene.access, &build(from), &build(to), NOW).unwrap();
    assert_eq!(copy("1", "2"), Copied::default());
    scene.stash("x", "abc");
    let (first, _) = (scene.artifact("1", "a", 1), scene.artifact("1", "b", 2));
    scene.announce("1", &[file("unfinished", 3)]);
    let both = Copied { stashes: 1, artifacts: 2 };
    assert_eq!((copy("1", "2"), copy("1", "2"), copy("1", "1")), (both, both, both));
    let found = scene.all("2");
    assert_eq!(found.iter().map(|row| row.path.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(found[0].blob, scene.row(&first).unwrap().blob);
    assert!(found[0].id != first && found[0].job == scene.row(&first).unwrap().job);
    for row in scene.all("1") {
        ledger.delete_artifact(&scene.access, &row.id).unwrap();
    }
    let deleted = sweep_at(ledger, NOW).deleted;
    assert!(deleted.is_empty(), "{deleted:?}");
    assert_eq!(copy("2", "3").artifacts, 2);
}

/// Proves that clearing a build's stashes leaves its artifacts and other builds' stashes.
pub(crate) fn stashes_are_cleared_alone(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    scene.stash("x", "abc");
    scene.stash("y", "d");
    scene.artifact("1", "a", 1);
    ledger.copy_build(&scene.access, &build("1"), &build("2"), NOW).unwrap();
    let clear = || ledger.clear_stashes(&scene.access, &build("1")).unwrap();
    assert_eq!((clear(), clear()), (2, 0));
    assert!(ledger.list(&scene.access, &build("1")).unwrap().is_empty());
    assert_eq!(ledger.list(&scene.access, &build("2")).unwrap().len(), 2);
    assert_eq!(scene.all("1").len(), 1);
    let stranger = Scene::reading(ledger, "other", &[scene.access.write]);
    assert_eq!(ledger.clear_stashes(&stranger.access, &build("2")).unwrap(), 0);
}
