//! Stores that refuse, reset and lie; files that change; content that was damaged. Each has its expected end, and the others go on.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use pannier::agent::artifact::{ArtifactError, UploadedArtifacts, download, upload};
use pannier::cli::embedded::Embedded;
use pannier::model::progress::Progress;
use pannier::model::{SignedUrl, Stop};
use pannier::protocol::artifact::{ArtifactQuery, ArtifactState};
use pannier::transfer::ArtifactRemote;
use pannier::transfer::put_blob::{Payload, put_blob};
use pannier::transfer::remote::{RemoteError, RemoteErrorKind};

use crate::bed::Bed;
use crate::meddling::{Answers, Meddling, SIGNATURE, download_to, upload_of};
use crate::support::noise;
use crate::support::served::files;

#[path = "../support/scripted.rs"]
mod scripted;

use scripted::{Act, Scripted, Seen, object};

/// A scripted store, a controller whose URLs lead there, and files to send.
struct Scene {
    folder: tempfile::TempDir,
    store: Scripted,
    answers: Answers,
}

impl Scene {
    fn new(script: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Scripted::start(&folder.path().join("store"), script);
        let base = store.url("");
        let answers = Answers::at(move |object| format!("{base}{object}"));
        for (name, len) in [("one", 10), ("two", 3_000_000), ("three", 20)] {
            fs::write(folder.path().join(name), noise(len as u64, len)).unwrap();
        }
        Self { folder, store, answers }
    }

    fn upload(&self) -> Result<UploadedArtifacts, ArtifactError> {
        let request = upload_of(self.folder.path(), &["one", "two", "three"]);
        upload(&self.answers, &request, &Progress::default())
    }

    fn arrived(&self, name: &str) -> Vec<u8> {
        let stored = object(&self.folder.path().join("store"), name);
        fs::read(stored).unwrap_or_default()
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }

    /// What is below a folder to download to.
    fn downloaded(&self) -> PathBuf {
        let out = self.folder.path().join("out");
        fs::create_dir_all(&out).unwrap();
        out
    }
}

fn is_for(seen: &Seen, object: &str) -> bool {
    seen.target.starts_with(&format!("/{object}?"))
}

#[test]
fn resets_are_tried_again_and_an_ended_url_is_replaced() {
    let scene = Scene::new(|seen, before| match before {
        0 => Act::Reset,
        1 => Act::StoreThenReset,
        _ if is_for(seen, "x1") && seen.target.ends_with('1') => Act::status(403),
        _ => Act::Store,
    });
    let uploaded = scene.upload().unwrap();
    assert_eq!((uploaded.artifacts.len(), uploaded.problems.len()), (3, 0), "{:?}", uploaded.problems);
    for (object, name) in [("x0", "one"), ("x1", "two"), ("x2", "three")] {
        assert!(scene.arrived(object) == scene.file(name), "{name}");
    }
    let puts = scene.store.seen();
    let second: Vec<&Seen> = puts.iter().filter(|seen| is_for(seen, "x1")).collect();
    assert_eq!(second.len(), 2, "the ended URL, and another");
    assert_ne!(second[0].target, second[1].target);
}

#[test]
fn one_that_is_refused_ends_in_error_and_the_others_go_on() {
    for status in [400, 403, 413] {
        let scene = Scene::new(move |seen, _| match is_for(seen, "x1") {
            true => Act::status(status),
            false => Act::Store,
        });
        let uploaded = scene.upload().unwrap();
        let paths: Vec<&str> = uploaded.artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
        assert_eq!(paths, ["one", "three"]);
        let [problem] = &uploaded.problems[..] else { panic!("{:?}", uploaded.problems) };
        assert!(problem.is_error && problem.path == "two", "{problem:?}");
        assert!(problem.what.contains(&status.to_string()), "{problem:?}");
        assert!(!problem.what.contains(SIGNATURE), "{problem:?}");
        let finished = scene.answers.finished.lock().unwrap();
        let failed: Vec<bool> = finished.iter().map(|upload| upload.failed).collect();
        assert_eq!((failed.len(), failed.iter().filter(|failed| **failed).count()), (3, 1));
    }
}

#[test]
fn a_store_that_is_away_ends_the_run_with_what_it_said() {
    let scene = Scene::new(|_, _| Act::status(503));
    let error = scene.upload().unwrap_err();
    let ArtifactError::Send { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("503"), "{source}");
    assert!(scene.answers.finished.lock().unwrap().is_empty(), "it can go on later");
}

#[test]
fn parts_are_cut_signed_and_named_in_order() {
    let mut scene =
        Scene::new(|seen, _| match is_for(seen, "x1-2") && seen.target.ends_with(&format!("{SIGNATURE}2")) {
            true => Act::status(403),
            false => Act::Answer(
                200,
                vec![("etag", format!("\"{}\"", seen.header("content-length").unwrap()))],
                Vec::new(),
            ),
        });
    scene.answers.part_bytes = Some(1_000_000);
    let request = upload_of(scene.folder.path(), &["one", "two"]);
    let uploaded = upload(&scene.answers, &request, &Progress::default()).unwrap();
    assert_eq!((uploaded.artifacts.len(), uploaded.sent_bytes), (2, 3_000_010), "{:?}", uploaded.problems);
    let finished = scene.answers.finished.lock().unwrap();
    let two = finished.iter().find(|upload| upload.id.0 == "1").unwrap();
    let parts: Vec<(u32, &str)> = two.parts.iter().map(|part| (part.number, part.etag.as_str())).collect();
    assert_eq!(parts, [(1, "\"1000000\""), (2, "\"1000000\""), (3, "\"1000000\"")]);
    let whole = scene.file("two");
    for (number, expected) in (1..=3).zip(whole.chunks(1_000_000)) {
        let name = format!("x1-{number}");
        let seen = scene.store.seen().into_iter().rfind(|seen| is_for(seen, &name)).unwrap();
        assert!(seen.body == expected, "part {number}");
    }
    assert!(
        files(&scene.folder.path().join("journals")).is_empty(),
        "an upload that has ended leaves no journal"
    );
}

#[test]
fn a_download_goes_on_after_breaks_and_ended_urls() {
    let scene = Scene::new(|seen, _| match seen.method.as_str() {
        "PUT" => Act::Store,
        _ if is_for(seen, "x1") && seen.target.ends_with('4') => Act::status(403),
        _ if is_for(seen, "x1") && seen.header("range") == Some("bytes=0-2999999") => {
            Act::ResetAfter(1_000_000)
        }
        _ => Act::Store,
    });
    scene.upload().unwrap();
    let out = scene.downloaded();
    let done = download(&scene.answers, &download_to(&out), &Progress::default()).unwrap();
    assert_eq!((done.artifacts.len(), done.problems.len()), (3, 0), "{:?}", done.problems);
    ["one", "two", "three"]
        .iter()
        .for_each(|name| assert!(fs::read(out.join(name)).unwrap() == scene.file(name)));
}

/// Proves that what comes together is verified one by one, that what is not given so is read by its URL, and that a controller that does not
/// answer ends the run as a store that is away does.
#[test]
fn what_comes_together_is_verified_and_what_does_not_comes_alone() {
    let mut scene = Scene::new(|_, _| Act::Store);
    scene.upload().unwrap();
    let puts = scene.store.seen().len();
    let one = scene.file("one");
    scene.answers.together = Some(Box::new(move |paths| {
        assert_eq!(paths, ["one", "three"], "a large one comes alone");
        Ok(vec![Some(one.clone()), None])
    }));
    let fetch = |scene: &Scene, out: &Path| download(&scene.answers, &download_to(out), &Progress::default());
    let out = scene.downloaded();
    let done = fetch(&scene, &out).unwrap();
    assert_eq!((done.artifacts.len(), done.problems.len()), (3, 0), "{:?}", done.problems);
    ["one", "two", "three"]
        .iter()
        .for_each(|name| assert!(fs::read(out.join(name)).unwrap() == scene.file(name)));
    let gets: Vec<String> = scene.store.seen()[puts..].iter().map(|seen| seen.target.clone()).collect();
    assert!(gets.len() == 2 && !gets.iter().any(|target| target.starts_with("/x0?")), "{gets:?}");

    let three = scene.file("three");
    scene.answers.together = Some(Box::new(move |_| Ok(vec![Some(vec![7; 10]), Some(three.clone())])));
    let out = scene.folder.path().join("again");
    fs::create_dir(&out).unwrap();
    let done = fetch(&scene, &out).unwrap();
    let [problem] = &done.problems[..] else { panic!("{:?}", done.problems) };
    assert!(problem.path == "one" && problem.what.contains("its BLAKE3 is not"), "{problem:?}");
    assert_eq!(files(&out).len(), 2);

    let away = || RemoteError::new(RemoteErrorKind::Unavailable, "it is away");
    scene.answers.together = Some(Box::new(move |_| Err(away())));
    let out = scene.folder.path().join("away");
    fs::create_dir(&out).unwrap();
    let ArtifactError::Fetch { path, source } = fetch(&scene, &out).unwrap_err() else {
        panic!("no failure")
    };
    assert_eq!((path.as_str(), source.to_string().as_str()), ("one", "it is away"));
}

/// Proves that a file that ends while it is sent is at fault itself: nobody tries for minutes.
#[test]
fn a_file_that_ends_while_it_is_sent_is_not_tried_again() {
    let scene = Scene::new(|_, _| Act::Store);
    let file = Arc::new(fs::File::open(scene.folder.path().join("two")).unwrap());
    let payload = Payload::File { file, start: 0, len: 3_000_001, crc32c: 0 };
    let url = SignedUrl::new(scene.store.url("x9?sig=1"));
    let transport = scene.answers.transport();
    let sent =
        put_blob(transport, &transport.blobs(None), &Stop::default(), &url, &payload, || unreachable!());
    let error = sent.unwrap_err().to_string();
    assert!(error.contains("could not be read while it was sent"), "{error}");
    // The store notes a request when it sees that it breaks off, which may be a moment later.
    for _ in 0..100 {
        if !scene.store.seen().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let seen = scene.store.seen().len();
    assert!(scene.arrived("x9").is_empty() && seen == 1, "{seen} requests");
}

/// Proves that what is not what was announced never gets its name, whoever altered it.
#[test]
fn wrong_bytes_are_refused_and_what_was_there_stays() {
    // What other agents upload has no BLAKE3.
    for (sum, has_blake3) in [("BLAKE3", true), ("SHA-256", false)] {
        let scene = Scene::new(|seen, _| match is_for(seen, "x1") && !seen.is_put() {
            true => Act::Flip(1234),
            false => Act::Store,
        });
        scene.upload().unwrap();
        if !has_blake3 {
            scene.answers.announced.lock().unwrap().iter_mut().for_each(|new| new.blake3 = None);
        }
        let out = scene.downloaded();
        fs::write(out.join("two"), "before").unwrap();
        let done = download(&scene.answers, &download_to(&out), &Progress::default()).unwrap();
        assert_eq!(done.artifacts.len(), 2);
        let [problem] = &done.problems[..] else { panic!("{:?}", done.problems) };
        assert!(problem.path == "two" && problem.what.contains(&format!("its {sum} is not ")), "{problem:?}");
        assert_eq!(fs::read(out.join("two")).unwrap(), b"before");
        assert_eq!(files(&out).len(), 3, "nothing unfinished is left: {:?}", files(&out));
    }
}

/// Proves that a file that changes between hashing and sending ends in state `error`, is named, and costs the others nothing.
#[test]
fn a_file_that_changes_before_it_is_sent_is_never_finished() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("steady"), noise(1, 2_000_000)).unwrap();
    for (name, change) in [("grows", 2_000_001), ("shrinks", 1_999_999), ("turns", 2_000_000)] {
        fs::write(at(name), noise(2, 2_000_000)).unwrap();
        let target = at(name);
        let inner = Embedded::open(&at(&format!("store-{name}"))).unwrap();
        let meddling =
            Meddling { inner, after_create: Box::new(move || fs::write(&target, noise(3, change)).unwrap()) };
        let request = upload_of(folder.path(), &["steady", name]);
        let uploaded = upload(&meddling, &request, &Progress::default()).unwrap();
        assert_eq!(uploaded.artifacts.len(), 1, "{name}");
        let [problem] = &uploaded.problems[..] else { panic!("{:?}", uploaded.problems) };
        assert!(problem.path == name && problem.what.contains("changed"), "{problem:?}");
        let query = ArtifactQuery {
            project: "p".to_owned(),
            build: Some("b".to_owned()),
            states: vec![ArtifactState::Error, ArtifactState::New],
            ..ArtifactQuery::default()
        };
        let found = meddling.search_artifacts(&query).unwrap().artifacts;
        let states: Vec<(&str, ArtifactState)> = found.iter().map(|a| (a.path.as_str(), a.state)).collect();
        assert_eq!(states, [(name, ArtifactState::Error)]);
    }
}

/// The same where the store takes whatever comes: the agent itself notices, before and behind the bytes.
#[test]
fn a_file_that_changes_is_noticed_where_the_store_does_not() {
    for (part_bytes, len) in [(None, 2_000_000), (None, 2_000_001), (Some(1_000_000), 2_000_000)] {
        let Scene { folder, store: _store, mut answers } = Scene::new(|_, _| Act::Store);
        answers.part_bytes = part_bytes;
        let target = folder.path().join("turns");
        fs::write(&target, noise(2, 2_000_000)).unwrap();
        let meddling = Meddling {
            inner: answers,
            after_create: Box::new(move || fs::write(&target, noise(3, len)).unwrap()),
        };
        let uploaded =
            upload(&meddling, &upload_of(folder.path(), &["turns"]), &Progress::default()).unwrap();
        let [problem] = &uploaded.problems[..] else { panic!("{:?}", uploaded.artifacts) };
        assert!(problem.what.contains("changed"), "{problem:?}");
        assert!(meddling.inner.finished.lock().unwrap()[0].failed);
    }
}

fn flip(path: &Path) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 3).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 3).unwrap();
}

#[test]
fn a_damaged_or_lost_blob_is_named_and_the_others_come() {
    let (own, served) = (Bed::embedded(), Bed::served());
    damaged_and_lost(&own, &own.sandbox.store().join("store"));
    damaged_and_lost(&served, &served.sandbox.path("data/store"));
}

fn damaged_and_lost(bed: &Bed, store: &Path) {
    for name in ["flipped", "lost", "cut", "whole"] {
        bed.write(name, name.repeat(100));
        bed.upload(&[name]);
    }
    for blob in files(&store.join("blobs")) {
        match fs::read(&blob).unwrap() {
            content if content.starts_with(b"flipped") => flip(&blob),
            content if content.starts_with(b"lost") => fs::remove_file(&blob).unwrap(),
            content if content.starts_with(b"cut") => fs::write(&blob, "cutcut").unwrap(),
            _ => {}
        }
    }
    bed.folder("out");
    let run = bed.run(&["download", "*", "out"]).exits(3);
    run.says("`flipped`: it is damaged: its BLAKE3 is not")
        .says("`lost`: ")
        .says("`cut`: ")
        .says("Downloaded 1 artifact");
    let left = files(&bed.sandbox.path("out"));
    assert!(left.len() == 1 && left[0].ends_with("whole"), "{left:?}");
}

/// Proves that a store that comes back is waited for, and that one that does not is given up when a signal says so.
#[test]
fn a_store_that_is_away_is_waited_for_until_a_signal_comes() {
    let Some(bed) = Bed::on_seaweedfs("artifact-away") else { return };
    let proxy = bed.proxy.as_ref().unwrap();
    bed.write("a", noise(1, 300_000));
    let start = || {
        let mut command = bed.command(&["upload", "a", "-C", "work"]);
        command.env("PANNIER_HTTP_HASTE", "10").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    };
    proxy.go_down();
    let waiting = start();
    std::thread::sleep(Duration::from_millis(700));
    proxy.come_back();
    let done = waiting.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    bed.write("a", noise(2, 300_000));
    proxy.go_down();
    let waiting = start();
    std::thread::sleep(Duration::from_millis(700));
    let sent = std::process::Command::new("kill").args(["-INT", &waiting.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let done = waiting.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130), "{}", String::from_utf8_lossy(&done.stderr));
    proxy.come_back();
    bed.upload(&["a"]);
    assert_eq!(bed.found("*", &[]), ["a", "a"]);
}

/// Proves that a download that is cut short leaves nothing half-written, and that the same command then goes on.
#[test]
fn a_download_that_is_stopped_leaves_nothing_half_written() {
    let Some(bed) = Bed::on_seaweedfs("artifact-stopped") else { return };
    let proxy = bed.proxy.as_ref().unwrap();
    bed.write("small", "small");
    bed.write("large", noise(1, 20_000_000));
    bed.upload(&["*"]);
    let out = bed.folder("out");
    proxy.go_down();
    for (signal, code) in [("-INT", Some(130)), ("-TERM", Some(143)), ("-KILL", None)] {
        let mut command = bed.command(&["download", "*", "out"]);
        let waiting = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(700));
        let pid = waiting.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let done = waiting.wait_with_output().unwrap();
        assert_eq!(done.status.code(), code, "{}", String::from_utf8_lossy(&done.stderr));
        let named = files(&out).into_iter().filter(|path| !path.to_string_lossy().ends_with(".part"));
        assert_eq!(named.count(), 0, "nothing has a name before it is whole");
        let left = files(&out).len();
        assert!(left == 0 || code.is_none(), "{signal} leaves {left} unfinished files");
    }
    proxy.come_back();
    bed.run(&["download", "*", "out"]).exits(0);
    assert_eq!(fs::read(out.join("large")).unwrap(), noise(1, 20_000_000));
}
