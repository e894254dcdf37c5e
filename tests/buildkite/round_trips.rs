//! Up, found, down and compared, by an unmodified agent.

use std::fs;
use std::path::Path;

use pannier::controller::store::{DiskStore, Store};
use pannier::model::ObjectKind;

use crate::agent::{Agent, VERSIONS};
use crate::api::Api;
use crate::support::{Run, noise, tree};

/// Asserts that two folders hold the same files; modes and times an agent does not keep.
#[track_caller]
fn assert_same_files(left: &Path, right: &Path) {
    let files = |root: &Path| {
        let nodes = tree(root)
            .into_iter()
            .filter(|(path, _)| !root.join(String::from_utf8_lossy(path).as_ref()).is_dir());
        nodes.map(|(path, node)| (path, node.content)).collect::<Vec<_>>()
    };
    let (left, right) = (files(left), files(right));
    assert!(left == right, "{} files, {} files", left.len(), right.len());
}

/// Proves that both modes work on every kind of store: names that need escaping, an empty file, one of several parts; that search,
/// shasum and download see what was uploaded, and that the agent verifies it.
#[test]
fn files_go_up_are_found_and_come_down() {
    let test = "buildkite-round-trips";
    for api in Api::all(test) {
        for version in VERSIONS {
            let Some(agent) = Agent::of(&api, version, version, test) else { return };
            let work = api.sandbox.path(version);
            fs::create_dir_all(work.join("sub dir")).unwrap();
            fs::write(work.join("sub dir/xxx#$&'\"<>čॐ.txt"), b"odd").unwrap();
            fs::write(work.join("empty.log"), b"").unwrap();
            fs::write(work.join("large.bin"), noise(3, (70 << 20) + 3)).unwrap();
            let said = agent.run(&work, &["upload", "**/*"]).exits(0);
            assert!(said.stderr().contains("Artifact uploads completed successfully"), "{}", said.stderr());
            let found = agent.run(&work, &["search", "*", "--format", "%p %j %S\n"]).exits(0).stdout();
            let mut lines: Vec<&str> = found.lines().collect();
            lines.sort_unstable();
            let sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
            assert_eq!((lines.len(), lines[0]), (3, &format!("empty.log job-1 {sha1}")[..]), "{found}");
            let sum = agent.run(&work, &["shasum", "empty.log", "--step", "tests"]).exits(0).stdout();
            assert_eq!(sum.trim(), sha1);
            let out = api.sandbox.path(&format!("{version}.out"));
            fs::create_dir(&out).unwrap();
            agent.run(&work, &["download", "*", out.to_str().unwrap(), "--step", "tests"]).exits(0);
            assert_same_files(&work, &out);
            agent.run(&work, &["search", "nothing/*"]).exits(1);
        }
    }
}

/// Proves that several thousand files go up and come down, in both modes.
#[test]
fn several_thousand_files() {
    let test = "buildkite-thousands";
    let api = Api::on_disk();
    for version in VERSIONS {
        let Some(agent) = Agent::of(&api, version, version, test) else { return };
        let work = api.sandbox.path(version);
        for number in 0..3000u32 {
            let folder = work.join(format!("{:02}", number % 50));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{number}.txt")), format!("{version} {number}\n")).unwrap();
        }
        agent.run(&work, &["upload", "**/*.txt"]).exits(0);
        let out = api.sandbox.path(&format!("{version}.out"));
        fs::create_dir(&out).unwrap();
        agent.run(&work, &["download", "*.txt", out.to_str().unwrap()]).exits(0);
        assert_same_files(&work, &out);
    }
}

/// Proves that what an agent sends again is stored once, whichever way it comes, and counts as an artifact of the new build.
#[test]
fn content_that_is_there_is_stored_once() {
    let test = "buildkite-known";
    let api = Api::on_disk();
    let blobs = || {
        let mut count = 0;
        let store = DiskStore::open(&api.sandbox.path("data/store"));
        store.list(ObjectKind::Blob, &mut |_| count += 1).unwrap();
        count
    };
    let work = api.sandbox.path("files");
    fs::create_dir(&work).unwrap();
    for number in 0..20 {
        fs::write(work.join(format!("{number}.txt")), format!("{number}")).unwrap();
    }
    for (at, version) in [VERSIONS[0], VERSIONS[0], VERSIONS[1]].into_iter().enumerate() {
        let Some(agent) = Agent::of(&api, version, &at.to_string(), test) else { return };
        agent.run(&work, &["upload", "*.txt"]).exits(0);
        assert_eq!(blobs(), 20);
        assert_eq!(agent.run(&work, &["search", "*"]).exits(0).stdout().lines().count(), 20);
    }
}

/// Proves that a file which an agent uploaded is downloaded by the other program, and the other way round.
#[test]
fn artifacts_of_one_program_are_the_others_too() {
    let test = "buildkite-both";
    let api = Api::on_disk();
    let Some(agent) = Agent::of(&api, VERSIONS[0], "b", test) else { return };
    let (work, out) = (api.sandbox.work(), api.sandbox.path("out"));
    fs::create_dir(&out).unwrap();
    fs::write(work.join("of-agent.txt"), b"agent").unwrap();
    agent.run(&work, &["upload", "of-agent.txt"]).exits(0);
    let build = ["--project", "org/pipe", "--build", "b"];
    let fetch = [&["artifact", "download", "of-agent.txt", "out"][..], &build].concat();
    // What a token for a project writes stands in that project's scope.
    let token = api.token(&["--for-project", "org/pipe"]);
    let pannier = |arguments: Vec<&str>| {
        Run(api.sandbox.at(&api.served, arguments).env("PANNIER_TOKEN", &token).output().unwrap()).exits(0)
    };
    pannier(fetch);
    assert_eq!(fs::read(out.join("of-agent.txt")).unwrap(), b"agent");
    fs::write(work.join("of-pannier.txt"), b"pannier").unwrap();
    let send = [&["artifact", "upload", "of-pannier.txt", "-C", "work"][..], &build].concat();
    pannier(send);
    agent.run(&work, &["download", "of-pannier.txt", out.to_str().unwrap()]).exits(0);
    assert_eq!(fs::read(out.join("of-pannier.txt")).unwrap(), b"pannier");
}
