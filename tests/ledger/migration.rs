//! A ledger that an earlier version wrote, and two that write one ledger at once. SQLite's alone.

use pannier::controller::ledger::{ArtifactLedger, BlobState, BlobSweep, Creation, Ledger, SqliteLedger};
use pannier::protocol::artifact::ArtifactState;

use crate::artifacts::file;
use crate::scene::{Scene, build};

/// Undoes the later migrations, so that the file is as version 1 left it.
fn back_to_version_1(path: &std::path::Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let undo = "
        DROP TABLE artifacts; DROP TABLE blobs; DROP TABLE jobs; DROP INDEX builds_by_project;
        DROP INDEX sessions_of_builds;
        ALTER TABLE builds DROP COLUMN branch; ALTER TABLE builds DROP COLUMN revision;
        ALTER TABLE builds DROP COLUMN number; ALTER TABLE builds DROP COLUMN created_at;
        DROP INDEX stashes_by_patches; ALTER TABLE stashes DROP COLUMN patches;
        PRAGMA user_version = 1;";
    connection.execute_batch(undo).unwrap();
}

/// Proves that stashes of version 1 are there after the migration, and that their builds take artifacts.
#[test]
fn a_ledger_of_version_1_keeps_all_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let before = {
        let ledger = crate::on_disk(folder.path());
        let scene = Scene::new(&ledger);
        scene.stash("x", "abc");
        (ledger.identity().unwrap(), ledger.all_stashes().unwrap())
    };
    back_to_version_1(&path);
    // Two processes may open it at once.
    let open = || SqliteLedger::open(&path, || Creation::Refuse).unwrap();
    let ledgers = std::thread::scope(|scope| {
        let other = scope.spawn(open);
        [open(), other.join().unwrap()]
    });
    for ledger in &ledgers {
        ledger.check().unwrap();
        assert_eq!((ledger.identity().unwrap(), ledger.all_stashes().unwrap()), before);
    }
    let scene = Scene::new(&ledgers[0]);
    let id = scene.artifact("1", "a", 1);
    assert_eq!(Scene::new(&ledgers[1]).row(&id).unwrap().state, ArtifactState::Finished);
    assert_eq!(ledgers[1].copy_build(&scene.access, &build("1"), &build("2"), 1).unwrap().stashes, 1);
}

/// Proves that two connections that announce, end and sweep the same artifacts at once make each of them once, and that
/// none that is finished loses its content.
#[test]
fn two_connections_agree_on_artifacts() {
    let folder = tempfile::tempdir().unwrap();
    let ledgers = [crate::on_disk(folder.path()), crate::on_disk(folder.path())];
    let files: Vec<_> = (1..=20).map(|letter| file(&format!("f{letter}"), letter)).collect();
    let work = |ledger: &SqliteLedger| {
        let scene = Scene::new(ledger);
        files
            .iter()
            .map(|new| {
                let announced = scene.announce("1", std::slice::from_ref(new)).remove(0);
                let sweep = BlobSweep { now: 0, idle_since: 0, dry_run: false };
                ledger.sweep_blobs(&sweep).unwrap();
                assert_eq!(scene.finish(&announced.id), ArtifactState::Finished);
                announced.id
            })
            .collect::<Vec<_>>()
    };
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(|| work(&ledgers[1]));
        (work(&ledgers[0]), other.join().unwrap())
    });
    assert_eq!(first, second);
    let scene = Scene::new(&ledgers[0]);
    assert_eq!(scene.all("1").len(), 20);
    for row in scene.all("1") {
        assert_eq!(row.blob.unwrap().state, BlobState::Live);
    }
}
