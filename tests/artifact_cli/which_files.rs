//! Which files an upload takes, and what it says of the others.

use std::fs;

use serde_json::Value;

use crate::bed::Bed;

fn paths(answer: &Value) -> Vec<String> {
    let artifacts = answer["artifacts"].as_array().unwrap();
    artifacts.iter().map(|artifact| artifact["path"].as_str().unwrap().to_owned()).collect()
}

fn bed() -> Bed {
    let bed = Bed::embedded();
    for path in ["a.log", "b.txt", "log/c.log", "log/deep/d.log", "log/deep/e;f.log"] {
        bed.write(path, path);
    }
    bed
}

#[test]
fn patterns_delimiters_excludes_and_paths() {
    let bed = bed();
    let taken = |args: &[&str]| paths(&bed.upload(&[&["--dry-run"], args].concat()));
    assert_eq!(taken(&["**.log"]), ["a.log", "log/c.log", "log/deep/d.log", "log/deep/e;f.log"]);
    assert_eq!(taken(&["a.log; b.txt;"]), ["a.log", "b.txt"]);
    assert_eq!(taken(&["a.log", "b.txt"]), ["a.log", "b.txt"]);
    assert_eq!(taken(&["a.log,b.txt", "--delimiter", ","]), ["a.log", "b.txt"]);
    assert_eq!(taken(&["log/deep/e;f.log", "--delimiter", ""]), ["log/deep/e;f.log"]);
    assert_eq!(taken(&["{a,b}.*", "--exclude", "*.txt"]), ["a.log"]);
    assert_eq!(taken(&["**", "--exclude", "log;b*"]), ["a.log"]);
    bed.write("star*.log", "");
    bed.write("starred.log", "");
    assert_eq!(taken(&["star*.log", "--literal"]), ["star*.log"]);
    assert_eq!(taken(&["star*.log"]), ["star*.log", "starred.log"]);
    let absolute = bed.sandbox.work().join("log/c.*").to_str().unwrap().to_owned();
    let relative = bed.sandbox.work().join("log/c.log").to_str().unwrap()[1..].to_owned();
    assert_eq!(taken(&[&absolute]), [relative]);
    assert!(!bed.sandbox.store().exists(), "a dry run asks nobody");
}

#[test]
fn what_no_file_matches_is_as_the_policy_says() {
    let bed = bed();
    let with = |policy: &[&str]| bed.run(&[&["upload", "nothing*", "-C", "work"], policy].concat());
    with(&[]).exits(0).says("warning: No files match `nothing*`");
    with(&["--if-no-files", "error"]).exits(4).says("error: No files match `nothing*`").says("hint: ");
    assert_eq!(with(&["--if-no-files", "ignore"]).exits(0).stderr(), "");
    let json = with(&["--json", "--quiet"]).json();
    assert_eq!(json["artifacts"], serde_json::json!([]));
    bed.run(&["upload", "log", "-C", "work"])
        .exits(0)
        .says("folders are no artifacts: `log`")
        .says("hint: `log/**`")
        .says("No files match");
}

#[test]
fn what_cannot_be_named_or_read_is_said_and_the_others_go_on() {
    use std::os::unix::ffi::OsStrExt;
    let bed = bed();
    let odd = bed.sandbox.work().join(std::ffi::OsStr::from_bytes(b"log/\xff.log"));
    fs::write(odd, "x").unwrap();
    std::os::unix::fs::symlink("nowhere", bed.sandbox.work().join("log/dangling.log")).unwrap();
    let run = bed.run(&["upload", "log/*", "-C", "work"]).exits(3);
    let run = run
        .says("`log/\\xff.log`: its name is not UTF-8")
        .says("`log/dangling.log`: it is a symlink that leads nowhere");
    run.says("Uploaded 1 file");
    assert_eq!(bed.found("*", &[]), ["log/c.log"]);
}

#[test]
fn what_leads_out_or_cannot_be_read_as_a_pattern_is_refused() {
    let bed = bed();
    for (args, says) in [
        (&["../store/*"][..], "leads out of its folder by `..`"),
        (&["log/../../x", "--literal"], "leads out of its folder by `..`"),
        (&["a{b"], "its `{` has no `}`"),
        (&["*", "--exclude", "[a"], "its `[` has no `]`"),
        (&["*.log", "s3://bucket/path"], "the controller says where artifacts are stored"),
        (&[";"], "no pattern is specified"),
        (&["*", "--content-type", "text/plain\r\nx: y"], "content type"),
    ] {
        bed.run(&[&["upload", "-C", "work"], args].concat()).exits(1).says(says);
    }
    bed.run(&["upload", "*", "-C", "gone"]).exits(1).says("cannot use the folder");
    bed.run(&["upload"]).exits(2);
}

#[test]
fn the_media_type_is_the_extensions_or_what_is_said() {
    let bed = bed();
    bed.write("index.html", "<p>");
    bed.write("core", "x");
    bed.upload(&["{index.html,core}"]);
    bed.upload(&["b.txt", "--content-type", "text/x-odd"]);
    let found = bed.run(&["search", "*", "--json"]).json();
    let types: Vec<&str> =
        found["artifacts"].as_array().unwrap().iter().map(|a| a["content_type"].as_str().unwrap()).collect();
    assert_eq!(types, ["text/x-odd", "binary/octet-stream", "text/html; charset=utf-8"]);
}

/// Proves that the agent's own folders are no artifacts, wherever they stand.
#[test]
fn store_and_cache_are_left_out() {
    let bed = bed();
    let run = bed.run(&["upload", "**", "-C", ".", "--json"]).json();
    assert_eq!(run["artifacts"].as_array().unwrap().len(), 5);
    let again = bed.run(&["upload", "**", "-C", ".", "--json"]).json();
    assert!(paths(&again).iter().all(|path| path.starts_with("work/")), "{again}");
}
