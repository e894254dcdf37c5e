//! The search for artifacts and for the newest build.

use pannier::controller::ledger::{
    ArtifactRow, ArtifactSearch, FoundRows, Ledger, SearchPlace, SearchedBuilds,
};
use pannier::protocol::BuildId;
use pannier::protocol::artifact::{ArtifactState, BuildFacts, Job};

use crate::artifacts::{file, job};
use crate::scene::{LEASE, NOW, Scene, build};

const ALL: fn(&str) -> bool = |_| true;

/// Every finished artifact, the newest of each path.
fn search<'a>(builds: SearchedBuilds<'a>, after: Option<SearchPlace>) -> ArtifactSearch<'a> {
    ArtifactSearch {
        builds,
        prefix: "",
        exact: false,
        fits: &ALL,
        step: None,
        include_retried: false,
        include_duplicates: false,
        states: &[ArtifactState::Finished],
        after,
        most: 1000,
    }
}

fn newest(project: &str) -> SearchedBuilds<'_> {
    SearchedBuilds::Newest { project, not_build: None, branch: None, commit: None, now: NOW }
}

fn paths(rows: &[ArtifactRow]) -> Vec<&str> {
    rows.iter().map(|row| row.path.as_str()).collect()
}

impl Scene<'_> {
    pub(crate) fn find(&self, search: &ArtifactSearch<'_>) -> Option<FoundRows> {
        self.ledger.search_artifacts(&self.access, search).unwrap()
    }

    /// The finished artifacts of a build, the newest of each path.
    pub(crate) fn all(&self, at: &str) -> Vec<ArtifactRow> {
        let build = build(at);
        self.find(&search(SearchedBuilds::Named(&build), None)).map_or_else(Vec::new, |found| found.artifacts)
    }
}

/// Proves that of two artifacts of one path the newer is found unless both are wanted, that prefixes and states bound
/// the search, and that a build nobody may read is not there.
pub(crate) fn the_newest_of_a_path_is_found(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let at = build("1");
    assert_eq!(scene.find(&search(SearchedBuilds::Named(&at), None)), None);
    let old = scene.artifact("1", "a/b", 1);
    let new = scene.artifact("1", "a/b", 2);
    let under_way = scene.announce("1", &[file("a/b", 3)]).remove(0).id;
    scene.artifact("1", "a", 4);
    scene.artifact("1", "a-", 5);
    let base = || search(SearchedBuilds::Named(&at), None);
    let found = scene.find(&base()).unwrap();
    assert_eq!((paths(&found.artifacts), &found.build, &found.next), (vec!["a", "a-", "a/b"], &at, &None));
    assert_eq!(found.artifacts[2].id, new);
    let both = scene.find(&ArtifactSearch { include_duplicates: true, ..base() }).unwrap();
    assert_eq!(both.artifacts[2..].iter().map(|row| &row.id).collect::<Vec<_>>(), [&new, &old]);
    let unfinished = ArtifactSearch { states: &[ArtifactState::New], ..base() };
    assert_eq!(scene.find(&unfinished).unwrap().artifacts[0].id, under_way);
    let below = scene.find(&ArtifactSearch { prefix: "a/", ..base() }).unwrap();
    assert_eq!(paths(&below.artifacts), ["a/b"]);
    let exact = scene.find(&ArtifactSearch { prefix: "a", exact: true, ..base() }).unwrap();
    assert_eq!(paths(&exact.artifacts), ["a"]);
    let chosen = scene.find(&ArtifactSearch { fits: &|path| path.ends_with('-'), ..base() }).unwrap();
    assert_eq!(paths(&chosen.artifacts), ["a-"]);
    assert_eq!(Scene::reading(ledger, "other", &[]).find(&base()), None);
    assert_eq!(
        Scene::reading(ledger, "fork", &[scene.access.write]).find(&base()).unwrap().artifacts.len(),
        3
    );
}

/// Proves that answers of any length together give all, each once, also where one path has several artifacts.
pub(crate) fn pages_follow_each_other(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    for letter in 1..=3 {
        for path in ["a", "b", "c"] {
            scene.artifact("1", path, letter);
        }
    }
    let at = build("1");
    for builds in [SearchedBuilds::Named(&at), newest("p")] {
        for (include_duplicates, whole) in [(false, "abc"), (true, "aaabbbccc")] {
            for most in 1..=10 {
                let (mut seen, mut after, mut letters) = (Vec::new(), None, String::new());
                loop {
                    let page = ArtifactSearch { include_duplicates, most, ..search(builds, after) };
                    let found = scene.find(&page).unwrap();
                    assert!(found.artifacts.len() <= most && found.build == at);
                    letters.extend(found.artifacts.iter().map(|row| row.path.as_str()));
                    seen.extend(found.artifacts.into_iter().map(|row| row.id));
                    after = found.next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(letters, whole, "by {most}");
                seen.sort();
                seen.dedup();
                assert_eq!(seen.len(), whole.len());
            }
        }
    }
}

/// Proves that a step is found by key, label and job id with all its shards, and that only the latest attempt counts
/// unless earlier ones are wanted.
pub(crate) fn steps_and_attempts_are_told_apart(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let run = |id: &str, attempt, shard: &str, path: &str, letter| {
        let job = Job {
            step: Some("test".into()),
            label: Some(":rust: test".into()),
            attempt,
            shard: Some(shard.into()),
            ..job(id)
        };
        let made = scene.announce_as("1", &job, &BuildFacts::default(), &[file(path, letter)]).remove(0);
        scene.finish(&made.id);
    };
    run("j1", 0, "0", "old", 1);
    run("j2", 1, "0", "new", 2);
    run("j3", 0, "1", "shard", 3);
    scene.artifact("1", "other", 4);
    let at = build("1");
    let by = |step: Option<&str>, include_retried| {
        let search = ArtifactSearch { step, include_retried, ..search(SearchedBuilds::Named(&at), None) };
        paths(&scene.find(&search).unwrap().artifacts).join(" ")
    };
    assert_eq!(by(None, false), "new other shard");
    assert_eq!(by(None, true), "new old other shard");
    assert_eq!(
        (by(Some("test"), false), by(Some(":rust: test"), true)),
        ("new shard".into(), "new old shard".into())
    );
    assert_eq!(
        (by(Some("j3"), false), by(Some("j1"), false), by(Some("x"), true)),
        ("shard".into(), "".into(), "".into())
    );
}

/// Proves that the newest build by first sight is found, but not one with an upload or a stash under way, the one that
/// asks, one of another branch, commit or project, or one without an artifact that fits.
pub(crate) fn the_newest_build_that_fits_is_found(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let facts = |branch: &str| BuildFacts {
        branch: Some(branch.into()),
        commit: Some(format!("c-{branch}")),
        number: None,
    };
    for (at, branch) in [("9", "main"), ("5", "main"), ("7", "topic")] {
        let made = scene.announce_as(at, &job("j"), &facts(branch), &[file("a", 1)]).remove(0);
        scene.finish(&made.id);
    }
    let found = |builds: SearchedBuilds<'_>| scene.find(&search(builds, None)).map(|found| found.build.build);
    let all = |not_build, branch, commit| SearchedBuilds::Newest {
        project: "p",
        not_build,
        branch,
        commit,
        now: NOW,
    };
    assert_eq!(found(all(None, None, None)).as_deref(), Some("7"));
    assert_eq!(found(all(Some("7"), None, None)).as_deref(), Some("5"));
    assert_eq!(found(all(None, Some("main"), None)).as_deref(), Some("5"));
    assert_eq!(found(all(Some("5"), None, Some("c-main"))).as_deref(), Some("9"));
    assert_eq!(found(all(None, Some("main"), Some("c-topic"))), None);
    assert_eq!(found(newest("q")), None);
    let b = ArtifactSearch { prefix: "b", exact: true, ..search(newest("p"), None) };
    assert_eq!(scene.find(&b), None);
    scene.artifact("9", "b", 2);
    assert_eq!(scene.find(&b).unwrap().build, build("9"));
    let under_way = scene.announce("7", &[file("c", 3)]).remove(0).id;
    assert_eq!(found(newest("p")).as_deref(), Some("5"), "an upload is under way in 7");
    scene.finish(&under_way);
    assert_eq!(found(newest("p")).as_deref(), Some("7"));
    let (at, name) = (BuildId { project: "p".into(), build: "7".into() }, crate::scene::name("x"));
    let new = pannier::controller::ledger::NewSession {
        build: &at,
        name: &name,
        parent: None,
        expires_at: NOW + LEASE,
        owner: None,
    };
    let session = ledger.open_session(&scene.access, &new).unwrap().id;
    assert_eq!(found(newest("p")).as_deref(), Some("5"), "a stash is under way in 7");
    scene.end(session);
    assert_eq!(found(newest("p")).as_deref(), Some("7"));
}

/// Proves that a build is found by the number that its agents told, the newest of several, and in the read scopes alone.
pub(crate) fn a_build_is_found_by_its_number(ledger: &dyn Ledger) {
    let scene = Scene::new(ledger);
    let numbered = |at: &str| {
        let facts = BuildFacts { number: Some("7".into()), ..BuildFacts::default() };
        scene.announce_as(at, &job("j"), &facts, &[file("a", 1)]);
    };
    let found = |scene: &Scene<'_>, number: &str| {
        scene.ledger.build_numbered(&scene.access, &build("x").project, number).unwrap()
    };
    numbered("first");
    assert_eq!(found(&scene, "7"), Some(build("first")));
    numbered("second");
    assert_eq!(found(&scene, "7"), Some(build("second")));
    assert_eq!(found(&scene, "8"), None);
    let elsewhere = Scene::reading(ledger, "elsewhere", &[]);
    assert_eq!(found(&elsewhere, "7"), None);
}
