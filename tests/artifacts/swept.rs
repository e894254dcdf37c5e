//! What a sweep leaves of artifacts, on a clock of the test's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use pannier::controller::ledger::{Creation, SqliteLedger};
use pannier::controller::store::{DiskStore, Store};
use pannier::controller::{Caller, Clock, Controller};
use pannier::model::signed_url::file_path;
use pannier::model::{ObjectKind, ObjectName, Sha1, Sha256};
use pannier::protocol::artifact::{
    ArtifactQuery, ArtifactState, BuildFacts, CreatedArtifact, FinishArtifact, Job, NewArtifact,
    NewArtifacts, Upload,
};
use pannier::protocol::{BuildId, GcOptions};

#[derive(Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Scene {
    controller: Controller,
    clock: Arc<TestClock>,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(&folder.path().join("ledger.sqlite"), || Creation::New).unwrap();
        let clock = Arc::new(TestClock::default());
        let store = Box::new(DiskStore::open(&folder.path().join("store")));
        Self { controller: Controller::with_parts(Box::new(ledger), store, clock.clone()), clock, folder }
    }

    fn later(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn create(&self, path: &str, content: &[u8], keep_days: Option<u32>) -> CreatedArtifact {
        let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
        let new = NewArtifact {
            key: path.to_owned(),
            path: path.to_owned(),
            absolute_path: None,
            len: content.len() as u64,
            mode: None,
            modified: None,
            link: None,
            content_type: "text/plain".to_owned(),
            sha1: Sha1([0; 20]),
            sha256: Sha256(sum.as_ref().try_into().unwrap()),
            blake3: None,
            crc32c: None,
            keep_days,
        };
        let request = NewArtifacts {
            build: BuildId { project: "p".into(), build: "1".into() },
            facts: BuildFacts::default(),
            job: Job { id: "j".into(), ..Job::default() },
            artifacts: vec![new],
        };
        self.controller.create_artifacts(&Caller::local(), &request).unwrap().remove(0)
    }

    fn upload(&self, path: &str, content: &[u8], keep_days: Option<u32>) -> CreatedArtifact {
        let created = self.create(path, content, keep_days);
        if let Upload::Whole { put } = &created.upload {
            std::fs::write(file_path(put).unwrap(), content).unwrap();
        }
        assert_eq!(self.finish(&created), ArtifactState::Finished);
        created
    }

    fn finish(&self, created: &CreatedArtifact) -> ArtifactState {
        let end = FinishArtifact { id: created.id.clone(), failed: false, parts: Vec::new() };
        self.controller.finish_artifacts(&Caller::local(), &[end]).unwrap()[0].state
    }

    fn state(&self, created: &CreatedArtifact) -> ArtifactState {
        self.controller.artifact(&Caller::local(), &created.id).unwrap().state
    }

    /// Expired artifacts and deleted blobs.
    fn gc(&self, dry_run: bool) -> (u64, u64) {
        let report = self.controller.gc(&Caller::local(), &GcOptions { dry_run }).unwrap();
        (report.expired_artifacts, report.deleted_blobs)
    }

    fn blobs(&self) -> usize {
        let mut count = 0;
        DiskStore::open(&self.folder.path().join("store"))
            .list(ObjectKind::Blob, &mut |_| count += 1)
            .unwrap();
        count
    }
}

/// Proves that an artifact is kept for its days and no longer, and shared content as long as any needs it.
#[test]
fn artifacts_expire_and_shared_content_stays() {
    let scene = Scene::new();
    let (short, long) = (scene.upload("short", b"same", Some(1)), scene.upload("long", b"same", Some(2)));
    let other = scene.upload("other", b"more", None);
    assert_eq!((scene.gc(false), scene.blobs()), ((0, 0), 2));
    scene.later(24 * 60 * 60);
    assert_eq!(scene.gc(true), (1, 0));
    assert_eq!((scene.gc(false), scene.blobs()), ((1, 0), 2));
    assert_eq!((scene.state(&short), scene.state(&long)), (ArtifactState::Expired, ArtifactState::Finished));
    scene.later(24 * 60 * 60);
    assert_eq!(scene.gc(true), (1, 1), "a dry run says what would go");
    assert_eq!(scene.blobs(), 2);
    assert_eq!((scene.gc(false), scene.blobs()), ((1, 1), 1));
    assert_eq!(scene.state(&other), ArtifactState::Finished);
    assert!(scene.controller.delete_artifact(&Caller::local(), &other.id).unwrap());
    assert!(!scene.controller.delete_artifact(&Caller::local(), &other.id).unwrap());
    assert_eq!((scene.gc(false), scene.blobs()), ((0, 1), 0));
}

/// Proves that an upload which nobody goes on with expires, that one which moves does not, and that content which was on its way
/// again is no loss to whoever has finished it.
#[test]
fn abandoned_uploads_expire() {
    let scene = Scene::new();
    let abandoned = scene.create("abandoned", b"never sent", None);
    let moving = scene.create("moving", b"sent slowly", None);
    scene.later(5 * 60 * 60);
    assert_eq!(scene.create("moving", b"sent slowly", None).id, moving.id, "the same upload");
    scene.later(60 * 60);
    assert_eq!(scene.gc(false), (1, 1));
    assert_eq!((scene.state(&abandoned), scene.state(&moving)), (ArtifactState::Expired, ArtifactState::New));
    assert_eq!(scene.finish(&abandoned), ArtifactState::Expired, "too late");
    scene.upload("moving", b"sent slowly", None);
    let query = ArtifactQuery { project: "p".into(), ..ArtifactQuery::default() };
    let found = scene.controller.search_artifacts(&Caller::local(), &query).unwrap();
    assert_eq!(found.artifacts.len(), 1, "the newest build without an upload under way");
}

/// Proves that objects which no row names go, and that those of an upload under way stay.
#[test]
fn objects_without_a_row_go() {
    let scene = Scene::new();
    let store = DiskStore::open(&scene.folder.path().join("store"));
    let created = scene.create("new", b"on its way", None);
    let Upload::Whole { put } = &created.upload else { panic!("{created:?}") };
    std::fs::write(file_path(put).unwrap(), b"on its way").unwrap();
    let intent = pannier::controller::store::PutIntent { len: 1, crc32c: None, sha256: None };
    let orphan = store.sign_put(ObjectName::blob([9; 16]), &intent).unwrap();
    std::fs::write(file_path(&orphan).unwrap(), b"x").unwrap();
    assert_eq!(scene.blobs(), 2);
    assert_eq!((scene.gc(false), scene.blobs()), ((0, 1), 1));
    assert_eq!(scene.finish(&created), ArtifactState::Finished);
}
