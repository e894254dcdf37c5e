//! What people look through: projects and builds, counted, within the scopes of whoever looks.

use pannier::controller::ledger::{BuildRow, Ledger, Part, ProjectRow};

use crate::artifacts::file;
use crate::scene::{NOW, Scene, build};

const ALL: Part = Part { skip: 0, most: 100 };

fn project(name: &str, builds: u64, stashes: u64, last_at: Option<i64>) -> ProjectRow {
    ProjectRow { project: name.into(), builds, stashes, artifacts: 0, last_at }
}

/// Proves that stashes and packs are counted once each, that the latest build stands first, and that a build whose
/// stashes are gone is still one.
pub(crate) fn projects_and_builds_are_counted(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    assert!(ledger.projects(&scene.access, None, ALL).unwrap().is_empty());
    assert!(ledger.build(&scene.access, &build("1")).unwrap().is_none());
    scene.stash("x", "abc");
    scene.stash("y", "d");
    ledger.copy_build(&scene.access, &build("1"), &build("2"), NOW + 9).unwrap();
    assert_eq!(ledger.projects(&scene.access, None, ALL).unwrap(), [project("p", 2, 4, Some(NOW + 9))]);
    let row = |name: &str, last_at| BuildRow {
        build: build(name),
        stashes: 2,
        bytes: 0,
        pack_bytes: 200,
        artifacts: 0,
        artifact_bytes: 0,
        last_at: Some(last_at),
    };
    assert_eq!(ledger.builds(&scene.access, "p", ALL).unwrap(), [row("2", NOW + 9), row("1", NOW)]);
    assert_eq!(ledger.build(&scene.access, &build("1")).unwrap(), Some(row("1", NOW)));
    scene.remove("x");
    scene.remove("y");
    let emptied = ledger.build(&scene.access, &build("1")).unwrap().unwrap();
    assert_eq!((emptied.stashes, emptied.pack_bytes, emptied.last_at), (0, 0, None));
    assert_eq!(ledger.builds(&scene.access, "p", ALL).unwrap()[1], emptied, "what is empty comes last");
}

/// Proves that neither a list nor a count tells of another scope or another project.
pub(crate) fn what_nobody_may_read_is_not_listed(ledger: &dyn Ledger) {
    let (scene, other) = (Scene::new(ledger), Scene::reading(ledger, "other", &[]));
    scene.stash("x", "abc");
    assert!(ledger.projects(&other.access, None, ALL).unwrap().is_empty());
    assert!(ledger.builds(&other.access, "p", ALL).unwrap().is_empty());
    assert!(ledger.build(&other.access, &build("1")).unwrap().is_none());
    assert!(ledger.projects(&scene.access, Some("q"), ALL).unwrap().is_empty());
    assert_eq!(ledger.projects(&scene.access, Some("p"), ALL).unwrap().len(), 1);
    other.stash("y", "d");
    let both = Scene::reading(ledger, "own", &[other.access.write]);
    assert_eq!(ledger.projects(&both.access, None, ALL).unwrap(), [project("p", 1, 2, Some(NOW))]);
    let row = ledger.build(&both.access, &build("1")).unwrap().unwrap();
    assert_eq!((row.stashes, row.pack_bytes), (2, 200), "one build in two scopes");
}

/// Proves that the parts of a list are the list.
pub(crate) fn long_lists_come_in_parts(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    scene.stash("x", "abc");
    for to in 2..=5 {
        ledger.copy_build(&scene.access, &build("1"), &build(&to.to_string()), NOW + to).unwrap();
    }
    let named = |part| -> Vec<String> {
        ledger.builds(&scene.access, "p", part).unwrap().into_iter().map(|row| row.build.build).collect()
    };
    assert_eq!(named(ALL), ["5", "4", "3", "2", "1"]);
    assert_eq!(named(Part { skip: 0, most: 2 }), ["5", "4"]);
    assert_eq!(named(Part { skip: 2, most: 2 }), ["3", "2"]);
    assert_eq!(named(Part { skip: 4, most: 2 }), ["1"]);
    assert!(named(Part { skip: 5, most: 2 }).is_empty());
    assert!(ledger.projects(&scene.access, None, Part { skip: 1, most: 1 }).unwrap().is_empty());
}

/// Proves that finished artifacts count, by themselves and beside stashes, and that a build stands where its latest one puts it.
pub(crate) fn artifacts_count_too(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let stashed = scene.stash("x", "abc");
    let told = |at: &str, names: &[&str]| {
        let files: Vec<_> = names.iter().map(|name| file(name, 10)).collect();
        let made = scene.announce(at, &files);
        for artifact in made.iter().skip(1) {
            scene.finish(&artifact.id);
        }
    };
    told("2", &["a", "b", "c"]);
    let rows = ledger.builds(&scene.access, "p", ALL).unwrap();
    let alone = rows.iter().find(|row| row.build == build("2")).unwrap();
    assert_eq!(
        (alone.stashes, alone.artifacts, alone.last_at),
        (0, 2, Some(NOW)),
        "one of three is not finished"
    );
    assert_eq!(alone.artifact_bytes, 20);
    told("1", &["a", "b"]);
    let beside = ledger.build(&scene.access, &build("1")).unwrap().unwrap();
    assert_eq!((beside.stashes, beside.artifacts, beside.artifact_bytes), (1, 1, 10));
    assert_eq!(beside.last_at, Some(stashed.committed.stash.committed_at.max(NOW)));
    let [project] = &ledger.projects(&scene.access, None, ALL).unwrap()[..] else { panic!() };
    assert_eq!((project.builds, project.stashes, project.artifacts), (2, 1, 3));
    let other = Scene::reading(ledger, "other", &[]);
    assert!(ledger.projects(&other.access, None, ALL).unwrap().is_empty());
}
