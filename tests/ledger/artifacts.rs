//! Artifacts by themselves: announced, ended, deleted.

use std::sync::atomic::{AtomicU64, Ordering};

use pannier::controller::ledger::{
    AnnouncedArtifact, Announcement, ArtifactRow, BlobState, EndedUpload, Ledger, UploadEnd,
};
use pannier::model::{Sha1, Sha256};
use pannier::protocol::artifact::{ArtifactId, ArtifactState, BuildFacts, Job, NewArtifact};

use crate::scene::{NOW, Scene, build};

/// A file of a build: its content is known by its letter.
pub(crate) fn file(path: &str, letter: u8) -> NewArtifact {
    NewArtifact {
        key: format!("key of {path}"),
        path: path.into(),
        absolute_path: None,
        len: u64::from(letter),
        mode: Some(0o644),
        modified: Some(7),
        link: None,
        content_type: "text/plain".into(),
        sha1: Sha1([letter; 20]),
        sha256: Sha256([letter; 32]),
        blake3: None,
        crc32c: None,
        keep_days: None,
    }
}

pub(crate) fn job(id: &str) -> Job {
    Job { id: id.into(), ..Job::default() }
}

/// A name that no blob ever had.
pub(crate) fn blob_name() -> [u8; 16] {
    static NAMES: AtomicU64 = AtomicU64::new(1);
    u128::from(NAMES.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
}

impl Scene<'_> {
    pub(crate) fn announce_as(
        &self,
        at: &str,
        job: &Job,
        facts: &BuildFacts,
        artifacts: &[NewArtifact],
    ) -> Vec<AnnouncedArtifact> {
        let names: Vec<[u8; 16]> = artifacts.iter().map(|_| blob_name()).collect();
        let build = build(at);
        let announced = Announcement { build: &build, facts, job, artifacts, names: &names, now: NOW };
        self.ledger.announce(&self.access, &announced).unwrap()
    }

    pub(crate) fn announce(&self, at: &str, artifacts: &[NewArtifact]) -> Vec<AnnouncedArtifact> {
        self.announce_as(at, &job("j"), &BuildFacts::default(), artifacts)
    }

    pub(crate) fn finish(&self, id: &ArtifactId) -> ArtifactState {
        self.finish_with(id, UploadEnd::Finished { verified: true })
    }

    pub(crate) fn finish_with(&self, id: &ArtifactId, end: UploadEnd) -> ArtifactState {
        let ended = [EndedUpload { id: id.clone(), end }];
        self.ledger.end_uploads(&self.access, &ended).unwrap().remove(0).0
    }

    /// A finished artifact.
    pub(crate) fn artifact(&self, at: &str, path: &str, letter: u8) -> ArtifactId {
        let announced = self.announce(at, &[file(path, letter)]).remove(0);
        self.finish(&announced.id);
        announced.id
    }

    pub(crate) fn row(&self, id: &ArtifactId) -> Option<ArtifactRow> {
        self.ledger.artifact(&self.access, id).unwrap()
    }
}

/// Proves that an artifact is as it was announced, that it ends once, and that it is deleted once.
pub(crate) fn an_artifact_goes_from_new_to_deleted(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let link = NewArtifact { link: Some("b".into()), ..file("a/l", 0) };
    let announced = scene.announce("1", &[file("a/xxx#?:$&'\"<>čॐ", 9), link]);
    let row = scene.row(&announced[0].id).unwrap();
    assert_eq!((row.path.as_str(), row.len, row.mode), ("a/xxx#?:$&'\"<>čॐ", 9, Some(0o644)));
    assert_eq!((row.state, row.created_at, row.own), (ArtifactState::New, NOW, true));
    assert_eq!((row.sha256, row.job.id.as_str(), &row.build), (Sha256([9; 32]), "j", &build("1")));
    let blob = row.blob.unwrap();
    assert_eq!((blob.state, blob.len, Some(&blob)), (BlobState::Pending, 9, announced[0].blob.as_ref()));
    assert_eq!(ledger.blob(blob.name).unwrap(), Some(blob.clone()));
    assert!(scene.row(&announced[1].id).unwrap().blob.is_none(), "a symlink has no content");
    assert_eq!(scene.finish(&announced[0].id), ArtifactState::Finished);
    let failed = scene.finish_with(&announced[0].id, UploadEnd::Failed("late".into()));
    assert_eq!(failed, ArtifactState::Finished, "what is finished stays");
    assert_eq!(ledger.blob(blob.name).unwrap().unwrap().state, BlobState::Live);
    let delete = || ledger.delete_artifact(&scene.access, &announced[0].id).unwrap();
    assert_eq!((delete(), delete()), (Some(true), Some(false)));
    assert_eq!(scene.row(&announced[0].id).unwrap().state, ArtifactState::Deleted);
    let nobody = ArtifactId("0".into());
    assert_eq!(ledger.delete_artifact(&scene.access, &nobody).unwrap(), None);
    assert_eq!((scene.row(&nobody), scene.finish(&nobody)), (None, ArtifactState::Error));
}

/// Proves that a repeated request makes nothing, and that another job, path or content does.
pub(crate) fn the_same_key_names_the_same_artifact(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let first = scene.announce("1", &[file("a", 1), file("b", 2)]);
    assert_ne!(first[0].id, first[1].id);
    assert_eq!(scene.announce("1", &[file("a", 1), file("b", 2)]), first);
    scene.finish(&first[0].id);
    let again = scene.announce("1", &[file("a", 1)]).remove(0);
    assert_eq!((&again.id, again.state), (&first[0].id, ArtifactState::Finished));
    let other_job = scene.announce_as("1", &job("k"), &BuildFacts::default(), &[file("a", 1)]).remove(0);
    let other_build = scene.announce("2", &[file("a", 1)]).remove(0);
    let other_content = scene.announce("1", &[file("a", 3)]).remove(0);
    let mut ids = vec![&first[0].id, &other_job.id, &other_build.id, &other_content.id];
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    ledger.delete_artifact(&scene.access, &first[0].id).unwrap();
    assert_ne!(scene.announce("1", &[file("a", 1)])[0].id, first[0].id, "what was deleted is made anew");
}

/// Proves that an upload that ended in `error` says why, keeps no content, and does not stand in the way of another.
pub(crate) fn a_failed_upload_may_be_tried_again(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let first = scene.announce("1", &[file("a", 1)]).remove(0);
    assert_eq!(scene.finish_with(&first.id, UploadEnd::Failed("other bytes".into())), ArtifactState::Error);
    assert_eq!(scene.row(&first.id).unwrap().why.as_deref(), Some("other bytes"));
    assert_eq!(scene.row(&first.id).unwrap().blob.unwrap().state, BlobState::Deleted);
    assert_eq!(scene.finish(&first.id), ArtifactState::Error, "it cannot come back");
    let second = scene.announce("1", &[file("a", 1)]).remove(0);
    assert!(second.id != first.id && second.state == ArtifactState::New);
    assert_eq!(second.blob.unwrap().state, BlobState::Pending, "failed content is no content");
}

/// Proves that another scope neither sees nor ends nor deletes an artifact, and that one that reads it only sees it.
pub(crate) fn scopes_do_not_share_artifacts(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let (stranger, reader) =
        (Scene::reading(ledger, "other", &[]), Scene::reading(ledger, "fork", &[scene.access.write]));
    let id = scene.announce("1", &[file("a", 1)]).remove(0).id;
    assert!(stranger.row(&id).is_none() && !reader.row(&id).unwrap().own);
    for other in [&stranger, &reader] {
        assert_eq!(other.finish(&id), ArtifactState::Error);
        assert_eq!(ledger.delete_artifact(&other.access, &id).unwrap(), None);
    }
    assert_eq!(scene.row(&id).unwrap().state, ArtifactState::New);
    assert_eq!(scene.finish(&id), ArtifactState::Finished);
}

/// Proves that two who begin the parts of one upload agree on a name, and that only what is under way moves.
pub(crate) fn an_upload_is_known_by_its_first_name(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let announced = scene.announce("1", &[file("a", 1)]).remove(0);
    let blob = announced.blob.unwrap().id;
    let note = |upload: &str| ledger.note_upload(blob, upload).unwrap();
    assert_eq!((note("x"), note("y")), (Some("x".into()), Some("x".into())));
    assert_eq!(scene.row(&announced.id).unwrap().blob.unwrap().upload.as_deref(), Some("x"));
    assert!(ledger.touch_upload(blob, NOW).unwrap());
    scene.finish(&announced.id);
    assert!(!ledger.touch_upload(blob, NOW).unwrap() && note("z").is_none());
}

/// Proves that what one request tells of a build and a job is not undone by one that does not know it, and that
/// attempts and shards are jobs of their own.
pub(crate) fn jobs_and_builds_learn_and_do_not_forget(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let told = Job { step: Some("s".into()), label: Some("L".into()), ..job("j") };
    let facts = BuildFacts { branch: Some("main".into()), ..BuildFacts::default() };
    let first = scene.announce_as("1", &told, &facts, &[file("a", 1)]).remove(0);
    let second = scene.announce("1", &[file("b", 2)]).remove(0);
    assert_eq!((scene.row(&first.id).unwrap().job, scene.row(&second.id).unwrap().job), (told.clone(), told));
    let shard = Job { shard: Some("2".into()), attempt: 3, ..job("j") };
    let third = scene.announce_as("1", &shard, &facts, &[file("a", 1)]).remove(0);
    assert_eq!(scene.row(&third.id).unwrap().job, shard);
}

/// Proves that a path is deleted with all below it and nothing beside it, in the own scope alone, and everything at last.
pub(crate) fn folders_are_deleted_whole(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    for (path, letter) in [("a", 1), ("a/b", 2), ("a/c/d", 3), ("a-", 4), ("a0", 5), ("b", 6)] {
        scene.artifact("1", path, letter);
    }
    let delete =
        |scene: &Scene<'_>, path: &str| ledger.delete_below(&scene.access, &build("1"), path).unwrap();
    assert_eq!(delete(&Scene::reading(ledger, "other", &[scene.access.write]), ""), 0);
    assert_eq!((delete(&scene, "a/c"), delete(&scene, "a/c"), delete(&scene, "a")), (1, 0, 2));
    let left: Vec<String> = scene.all("1").into_iter().map(|row| row.path).collect();
    assert_eq!(left, ["a-", "a0", "b"]);
    assert_eq!((delete(&scene, ""), delete(&scene, "")), (3, 0));
}
