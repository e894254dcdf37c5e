//! Controllers and other jobs that mean harm: nothing is written outside of the folder, nothing is sent for another job.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use pannier::agent::artifact::download;
use pannier::model::progress::Progress;
use pannier::model::{Digest, Sha256};
use pannier::protocol::artifact::NewArtifact;

use crate::bed::Bed;
use crate::meddling::{Answers, download_to};
use crate::support::Run;

/// An artifact that lies in a file of this machine, with whatever path its controller tells.
fn artifact(path: &str, link: Option<&str>) -> NewArtifact {
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"evil");
    let (mut sha256, content) = (Sha256([0; 32]), if link.is_some() { &b""[..] } else { b"evil" });
    sha256.0.copy_from_slice(sum.as_ref());
    NewArtifact {
        key: "k".to_owned(),
        path: path.to_owned(),
        absolute_path: None,
        len: content.len() as u64,
        mode: Some(0o6777),
        modified: None,
        link: link.map(str::to_owned),
        content_type: "text/plain".to_owned(),
        sha1: "0".repeat(40).parse().unwrap(),
        sha256,
        blake3: Some(Digest::of(content)),
        crc32c: None,
        keep_days: None,
    }
}

/// Downloads artifacts of those paths into `inside`; what was refused.
fn refused(top: &std::path::Path, artifacts: Vec<NewArtifact>) -> Vec<String> {
    let content = top.join("content");
    fs::write(&content, "evil").unwrap();
    let url = pannier::model::signed_url::file_url(&content).unwrap().expose().to_owned();
    // A file's URL has no query: what signs it is left out.
    let answers = Answers::without_signature(move |_| url.clone());
    *answers.announced.lock().unwrap() = artifacts;
    let done = download(&answers, &download_to(&top.join("inside")), &Progress::default()).unwrap();
    done.problems.into_iter().map(|problem| problem.path).collect()
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let top = tempfile::tempdir().unwrap();
    let inside = top.path().join("inside");
    let outside = top.path().join("outside");
    fs::create_dir(&inside).unwrap();
    fs::create_dir(&outside).unwrap();
    symlink(&outside, inside.join("door")).unwrap();
    symlink(outside.join("file"), inside.join("file-door")).unwrap();
    let absolute = outside.join("absolute").to_str().unwrap().to_owned();
    let paths = [
        "a/../../outside/x",
        &absolute,
        "door/x",
        "..",
        "",
        "a//b",
        "a/./b",
        "../stripped",
        "file-door",
        "plain",
        "a/../\u{1b}[31m",
    ];
    let bad = refused(top.path(), paths.iter().map(|path| artifact(path, None)).collect());
    // Names that would speak to a terminal are shown without.
    assert_eq!(bad.iter().filter(|path| path.contains('\u{1b}')).count(), 0);
    assert_eq!(
        bad,
        ["", "..", absolute.as_str(), "a/../../outside/x", "a/../\\u{1b}[31m", "a/./b", "a//b", "door/x"]
    );
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing was written outside");
    for written in ["stripped", "plain", "file-door"] {
        let file = inside.join(written);
        assert_eq!(fs::read(&file).unwrap(), b"evil");
        let mode = fs::symlink_metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o777, "no set-id bits come with an artifact");
    }
}

#[test]
fn links_are_made_last_and_lead_nobody_astray() {
    let top = tempfile::tempdir().unwrap();
    let inside = top.path().join("inside");
    fs::create_dir_all(&inside).unwrap();
    let outside = top.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let target = outside.to_str().unwrap();
    let artifacts =
        vec![artifact("a", Some(target)), artifact("a/x", None), artifact("b", Some("../outside"))];
    // The file needs the folder `a`, so that the link of that name cannot be.
    assert_eq!(refused(top.path(), artifacts), ["a"]);
    assert_eq!(fs::read(inside.join("a/x")).unwrap(), b"evil");
    assert_eq!(fs::read_link(inside.join("b")).unwrap().to_str(), Some("../outside"));
    // What is there now is not gone through by the next download.
    assert_eq!(refused(top.path(), vec![artifact("b/y", None)]), ["b/y"]);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn two_artifacts_never_share_a_place() {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir(top.path().join("inside")).unwrap();
    let bad = refused(
        top.path(),
        vec![artifact("../same", None), artifact("same", None), artifact("same/x", None)],
    );
    assert_eq!(bad.len(), 2, "{bad:?}");
    assert_eq!(fs::read(top.path().join("inside/same")).unwrap(), b"evil");
}

/// Proves that a job's token uploads for that job alone, and that whoever may not see a build is told nothing of it.
#[test]
fn a_token_of_one_job_is_of_no_use_for_another() {
    let bed = Bed::served();
    let served = bed.served.as_ref().unwrap();
    bed.write("a", "a");
    let token = |args: &[&str]| {
        let made = bed.sandbox.run_at(served, [&["token"], args].concat()).exits(0);
        made.stdout().trim().to_owned()
    };
    let job = token(&["--for-project", "p", "--for-build", "1", "--for-job", "j1"]);
    let run =
        |token: &str, args: &[&str]| Run(bed.command(args).env("PANNIER_TOKEN", token).output().unwrap());
    let upload = |build: &'static str, name: &'static str| {
        ["upload", "a", "-C", "work", "--project", "p", "--build", build, "--job", name]
    };
    run(&job, &upload("1", "j1")).exits(0);
    for (build, name) in [("1", "j2"), ("2", "j1")] {
        let refused = run(&job, &upload(build, name));
        assert!(
            matches!(refused.code(), 1 | 4) && refused.stderr().contains("error: "),
            "{}",
            refused.stderr()
        );
    }
    let other = token(&["--for-project", "q"]);
    run(&other, &["search", "*", "--project", "p", "--build", "1"]).exits(4);
}
