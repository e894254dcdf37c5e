//! Whose artifacts are meant: builds, branches, projects, steps, jobs, attempts; and the errors where it is not clear.

use std::fs;

use crate::bed::Bed;

/// Uploads `content` as `a.log` by a job.
#[track_caller]
fn upload(bed: &Bed, content: &str, args: &[&str]) {
    bed.write("a.log", content);
    bed.upload(&[&["a.log"], args].concat());
}

#[track_caller]
fn downloaded(bed: &Bed, folder: &str, args: &[&str]) -> String {
    bed.download("a.log", folder, args);
    fs::read_to_string(bed.sandbox.path(folder).join("a.log")).unwrap()
}

#[test]
fn one_path_of_several_jobs_is_ambiguous_until_one_is_named() {
    for bed in [Bed::embedded(), Bed::served()] {
        upload(&bed, "one", &["--job", "j1", "--step", "build"]);
        upload(&bed, "two", &["--job", "j2", "--step", "test"]);
        bed.folder("out");
        for verb in [&["download", "a.log", "out"][..], &["shasum", "a.log"]] {
            let run = bed.run(verb).exits(1);
            let text = "Multiple artifacts were found for query: `a.log`. Try scoping by the job ID or name.";
            run.says(text).says("j1 (build)").says("j2 (test)");
        }
        assert_eq!(downloaded(&bed, "out", &["--step", "build"]), "one");
        assert_eq!(downloaded(&bed, "out", &["--step", "test"]), "two");
        assert_eq!(downloaded(&bed, "out", &["--job", "j1"]), "one");
        assert_eq!(bed.found("*", &[]), ["a.log", "a.log"], "a search lists both");
        assert_eq!(bed.found("*", &["--step", "test"]), ["a.log"]);
        assert_eq!(bed.found("*", &["--step", "none"]), Vec::<String>::new());
        bed.download("*", "newest", &[]);
        assert_eq!(fs::read(bed.sandbox.path("newest/a.log")).unwrap(), b"two", "of a wildcard the newest");
    }
}

#[test]
fn of_a_retried_job_the_latest_attempt_counts() {
    let bed = Bed::embedded();
    let job = ["--job", "j1", "--step", "build"];
    upload(&bed, "first", &[&job[..], &["--attempt", "0"]].concat());
    let retry = ["--job", "j2", "--step", "build", "--attempt", "1"];
    upload(&bed, "second", &retry);
    assert_eq!(downloaded(&bed, "out", &[]), "second");
    assert_eq!(bed.found("*", &["--include-retried-jobs"]).len(), 2);
    bed.run(&["download", "a.log", "out", "--include-retried-jobs"]).exits(1).says("Multiple artifacts");
    bed.run(&["upload", "a.log", "-C", "work", "--attempt", "x"]).exits(1).says("`x` is no number");
}

#[test]
fn a_parallel_steps_key_takes_every_shard() {
    let bed = Bed::embedded();
    for shard in ["0", "1"] {
        bed.write(&format!("shard-{shard}.log"), shard);
        let of = ["--job", &format!("j{shard}"), "--step", "test", "--shard", shard];
        bed.upload(&[&["shard-*.log"], &of[..]].concat());
        fs::remove_file(bed.sandbox.work().join(format!("shard-{shard}.log"))).unwrap();
    }
    assert_eq!(bed.found("*", &["--step", "test"]), ["shard-0.log", "shard-1.log"]);
}

#[test]
fn other_builds_are_found_by_branch_commit_and_project() {
    for bed in [Bed::embedded(), Bed::served()] {
        upload(&bed, "41", &["--build", "41", "--branch", "main", "--commit", "abc"]);
        upload(&bed, "42", &["--build", "42", "--branch", "main", "--commit", "def"]);
        upload(&bed, "43", &["--build", "43", "--branch", "fork"]);
        upload(&bed, "other", &["--build", "7", "--project", "org/other"]);
        upload(&bed, "own", &["--branch", "main"]);
        assert_eq!(downloaded(&bed, "out", &["--branch", "main"]), "42", "the newest, but not this build");
        assert_eq!(downloaded(&bed, "out", &["--commit", "abc"]), "41");
        assert_eq!(downloaded(&bed, "out", &["--branch", "fork"]), "43");
        assert_eq!(downloaded(&bed, "out", &["--project", "org/other"]), "other");
        assert_eq!(downloaded(&bed, "out", &["--build", "41"]), "41");
        assert_eq!(downloaded(&bed, "out", &[]), "own");
        let run = bed.run(&["download", "a.log", "out", "--branch", "none"]).exits(4);
        run.says("No artifacts match `a.log` in any finished build of local, branch none");
    }
}

/// Proves that what CI says of this job does not narrow a search, as its own step is not the one that made the artifact.
#[test]
fn the_own_step_does_not_narrow_a_search() {
    let bed = Bed::embedded();
    let as_step = |step: &str, args: &[&str]| {
        let mut command = bed.command(args);
        command
            .env("BUILDKITE", "true")
            .env("BUILDKITE_ORGANIZATION_SLUG", "o")
            .env("BUILDKITE_PIPELINE_SLUG", "p");
        command.env("BUILDKITE_BUILD_ID", "b").env("BUILDKITE_BRANCH", "main");
        command.env("BUILDKITE_JOB_ID", format!("job-{step}")).env("BUILDKITE_STEP_KEY", step);
        crate::support::Run(command.output().unwrap())
    };
    bed.write("a.log", "built");
    bed.folder("out");
    as_step("build", &["upload", "a.log", "-C", "work"]).exits(0);
    as_step("deploy", &["download", "a.log", "out"]).exits(0);
    let printed = as_step("deploy", &["search", "*", "--step", "build"]).exits(0).stdout();
    assert!(printed.starts_with("job-build a.log 20") && printed.ends_with("Z\n"), "{printed}");
    as_step("deploy", &["search", "*", "--step", "deploy"]).exits(4).says("No artifacts match `*`");
}

#[test]
fn what_is_not_there_is_said_with_where_was_looked() {
    let bed = Bed::embedded();
    upload(&bed, "x", &[]);
    bed.folder("out");
    for args in [&["download", "nope*", "out"][..], &["search", "nope*"], &["shasum", "nope*"]] {
        let run = bed.run(args).exits(4);
        run.says("No artifacts match `nope*` in build local of local").says("hint: ");
    }
    assert_eq!(bed.run(&["search", "nope*", "--allow-empty-results"]).exits(0).stdout(), "");
    bed.run(&["search", "*", "--format", "%q"]).exits(1).says("`%q` in the format is no field");
    bed.run(&["download", "*", "gone"]).exits(1).says("cannot open folder gone").says("hint: make it first");
    bed.write("b.log", "y");
    bed.upload(&["b.log"]);
    bed.run(&["shasum", "*"]).exits(1).says("matches 2 artifacts");
}

#[test]
fn every_field_of_a_format_is_what_it_says() {
    let bed = Bed::served();
    upload(&bed, "hello", &["--job", "j1"]);
    let printed =
        bed.run(&["search", "a.log", "--format", "%i|%p|%j|%s|%S|%T|%u|%%\\t\\n"]).exits(0).stdout();
    let fields: Vec<&str> = printed.split('|').collect();
    assert_eq!(fields[0].len(), 36, "{printed}");
    assert_eq!(&fields[1..4], ["a.log", "j1", "5"]);
    // sha1sum and sha256sum of `hello`.
    assert_eq!(fields[4], "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
    assert_eq!(fields[5], "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert!(fields[6].starts_with(&bed.served.as_ref().unwrap().url), "{printed}");
    assert_eq!(fields[7], "%\t\n");
    let json = bed.run(&["search", "a.log", "--json"]).exits(0).stdout();
    assert!(!json.contains("signature"), "a URL is shown only to who asks for it: {json}");
}
