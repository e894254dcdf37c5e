//! Identities from environments as each CI system sets them, cut down to what matters and to what might mislead.

use super::{Identity, IdentityArgs};

const BUILDKITE: &[(&str, &str)] = &[
    ("BUILDKITE", "true"),
    ("CI", "true"),
    ("BUILDKITE_ORGANIZATION_SLUG", "acme-inc"),
    ("BUILDKITE_PIPELINE_SLUG", "web"),
    ("BUILDKITE_BUILD_ID", "0190046e-e199-453b-a302-a21a4d649d31"),
    ("BUILDKITE_BUILD_NUMBER", "1514"),
    ("BUILDKITE_STEP_ID", "080b7d73-986d-4a39-a510-b34f9faf4710"),
    ("BUILDKITE_STEP_KEY", "specs"),
    ("BUILDKITE_LABEL", ":hammer: Specs"),
    ("BUILDKITE_JOB_ID", "e44f9784-e20e-4b93-a21d-f41fd5869db9"),
    ("BUILDKITE_RETRY_COUNT", "0"),
    ("BUILDKITE_PARALLEL_JOB", "2"),
    ("BUILDKITE_PARALLEL_JOB_COUNT", "5"),
    ("BUILDKITE_BRANCH", "feature/čॐ"),
    ("BUILDKITE_COMMIT", "83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d"),
    ("BUILDKITE_PULL_REQUEST", "false"),
    ("BUILDKITE_REBUILT_FROM_BUILD_ID", ""),
    ("BUILDKITE_TRIGGERED_FROM_BUILD_ID", ""),
    ("BUILDKITE_TRIGGERED_FROM_BUILD_PIPELINE_SLUG", ""),
];

const GITHUB: &[(&str, &str)] = &[
    ("CI", "true"),
    ("GITHUB_ACTIONS", "true"),
    ("GITHUB_REPOSITORY", "octo-org/octo-repo"),
    ("GITHUB_WORKFLOW", "Build & test"),
    ("GITHUB_WORKFLOW_REF", "octo-org/octo-repo/.github/workflows/ci.yml@refs/pull/42/merge"),
    ("GITHUB_RUN_ID", "1658821493"),
    ("GITHUB_RUN_NUMBER", "3"),
    ("GITHUB_RUN_ATTEMPT", "2"),
    ("GITHUB_JOB", "unit"),
    ("GITHUB_REF", "refs/pull/42/merge"),
    ("GITHUB_REF_NAME", "42/merge"),
    ("GITHUB_HEAD_REF", "fix/typo"),
    ("GITHUB_BASE_REF", "main"),
    ("GITHUB_SHA", "ffac537e6cbbf934b08745a378932722df287a53"),
];

const GITLAB: &[(&str, &str)] = &[
    ("CI", "true"),
    ("GITLAB_CI", "true"),
    ("CI_PROJECT_PATH", "group/sub.group/app"),
    ("CI_PROJECT_ID", "278964"),
    ("CI_PIPELINE_ID", "1000000042"),
    ("CI_PIPELINE_IID", "17"),
    ("CI_JOB_ID", "50701337"),
    ("CI_JOB_NAME", "rspec: [ruby, 3.3] 2/4"),
    ("CI_JOB_STAGE", "test"),
    ("CI_NODE_INDEX", "2"),
    ("CI_NODE_TOTAL", "4"),
    ("CI_COMMIT_REF_NAME", "main"),
    ("CI_COMMIT_SHA", "1ecfd275763eff1d6b4844ea3168962458c9f27a"),
];

const JENKINS: &[(&str, &str)] = &[
    ("CI", "true"),
    ("JENKINS_URL", "https://jenkins.example/"),
    ("JENKINS_HOME", "/var/jenkins_home"),
    ("JOB_NAME", "team/app/dev%2Fmain"),
    ("JOB_BASE_NAME", "dev%2Fmain"),
    ("BUILD_NUMBER", "153"),
    ("BUILD_ID", "153"),
    ("BUILD_TAG", "jenkins-team-app-dev%2Fmain-153"),
    ("STAGE_NAME", "Unit tests"),
    ("BRANCH_NAME", "dev/main"),
    ("GIT_BRANCH", "origin/dev/main"),
    ("GIT_COMMIT", "b6ddb8cf1b3f9b8a17e2a57c3bd8dbdb1dd2bd6b"),
];

/// The identity in an environment of `base` with `more` laid over it.
fn identity(base: &[(&str, &str)], more: &[(&str, &str)], flags: &IdentityArgs) -> Identity {
    let lookup = |name: &str| {
        more.iter().chain(base).find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    Identity::find(flags, &lookup)
}

fn plain(base: &[(&str, &str)], more: &[(&str, &str)]) -> Identity {
    identity(base, more, &IdentityArgs::default())
}

fn texts(identity: &Identity) -> [&str; 8] {
    let Identity { project, build, step, job, attempt, shard, branch, commit, .. } = identity;
    [project, build, step, job, attempt, shard, branch, commit]
        .map(|found| found.as_ref().map_or("", |found| &found.text))
}

fn refused(identity: &Identity) -> String {
    format!("{:#}", identity.build_id().unwrap_err())
}

/// Proves that each system's variables give each field, and that a neighbour with a similar name gives none.
#[test]
fn each_system_says_where_it_is() {
    type Case = (&'static str, &'static [(&'static str, &'static str)], [&'static str; 8]);
    let cases: [Case; 4] = [
        (
            "Buildkite",
            BUILDKITE,
            [
                "acme-inc/web",
                "0190046e-e199-453b-a302-a21a4d649d31",
                "specs",
                "e44f9784-e20e-4b93-a21d-f41fd5869db9",
                "0",
                "2",
                "feature/čॐ",
                "83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d",
            ],
        ),
        (
            "GitHub Actions",
            GITHUB,
            [
                "octo-org/octo-repo",
                "1658821493",
                "unit",
                "unit",
                "2",
                "",
                "fix/typo",
                "ffac537e6cbbf934b08745a378932722df287a53",
            ],
        ),
        (
            "GitLab CI",
            GITLAB,
            [
                "group/sub.group/app",
                "1000000042",
                "rspec: [ruby, 3.3] 2/4",
                "50701337",
                "",
                "2",
                "main",
                "1ecfd275763eff1d6b4844ea3168962458c9f27a",
            ],
        ),
        (
            "Jenkins",
            JENKINS,
            [
                "team/app/dev%2Fmain",
                "153",
                "Unit tests",
                "",
                "",
                "",
                "dev/main",
                "b6ddb8cf1b3f9b8a17e2a57c3bd8dbdb1dd2bd6b",
            ],
        ),
    ];
    for (name, environment, expected) in cases {
        let found = plain(environment, &[]);
        assert_eq!((found.system.map(|system| system.name), texts(&found)), (Some(name), expected));
        assert_eq!(found.restarted_from, None, "{name}");
        let build = found.build_id().unwrap();
        assert_eq!([build.project.as_str(), &build.build], expected[..2]);
    }
}

/// Proves that `local` is what is left, also beside variables that only look like a CI system's.
#[test]
fn outside_ci_everything_is_local() {
    let lookalikes: &[&[(&str, &str)]] = &[
        &[],
        &[("CI", "true"), ("BUILD_NUMBER", "7"), ("JOB_NAME", "x")],
        &[("JENKINS_URL", "https://jenkins.example/")],
        &[("BUILDKITE", "false"), ("BUILDKITE_BUILD_ID", "1")],
        &[("GITHUB_ACTIONS", ""), ("GITHUB_REPOSITORY", "a/b")],
    ];
    for environment in lookalikes {
        let found = plain(environment, &[]);
        assert_eq!(found.system, None, "{environment:?}");
        assert_eq!(found.build_id().unwrap().to_string(), "build local of local", "{environment:?}");
        assert_eq!(texts(&found)[2..], [""; 6], "{environment:?}");
    }
}

/// Proves flag over `PANNIER_*` over CI for each field alone, and that each says where it came from.
#[test]
fn flags_win_over_own_variables_and_those_over_ci() {
    let own = [
        ("PANNIER_PROJECT", "own0"),
        ("PANNIER_BUILD", "own1"),
        ("PANNIER_STEP", "own2"),
        ("PANNIER_JOB", "own3"),
        ("PANNIER_ATTEMPT", "own4"),
        ("PANNIER_SHARD", "own5"),
        ("PANNIER_BRANCH", "own6"),
        ("PANNIER_COMMIT", "own7"),
    ];
    for (index, (name, value)) in own.into_iter().enumerate() {
        let mut expected = texts(&plain(BUILDKITE, &[])).map(str::to_owned);
        value.clone_into(&mut expected[index]);
        assert_eq!(texts(&plain(BUILDKITE, &[(name, value)])), expected.each_ref().map(String::as_str));
    }
    let flag = |index: usize| Some(format!("flag{index}"));
    let flags = IdentityArgs {
        project: flag(0),
        build: flag(1),
        step: flag(2),
        job: flag(3),
        attempt: flag(4),
        shard: flag(5),
        branch: flag(6),
        commit: flag(7),
    };
    let all = ["flag0", "flag1", "flag2", "flag3", "flag4", "flag5", "flag6", "flag7"];
    assert_eq!(texts(&identity(GITHUB, &own, &flags)), all);
    assert_eq!(texts(&identity(&[], &[], &flags)), all);

    let told = identity(GITLAB, &own[1..2], &IdentityArgs { shard: flag(5), ..IdentityArgs::default() });
    let told = told.to_string();
    for part in [
        "GitLab CI, project \"group/sub.group/app\" (CI_PROJECT_PATH)",
        "build \"own1\" (PANNIER_BUILD)",
        "shard \"flag5\" (--shard)",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

/// Proves that a variable which is set to nothing is no variable: the next way is taken.
#[test]
fn empty_variables_are_none() {
    assert_eq!(plain(GITHUB, &[("GITHUB_HEAD_REF", "")]).branch.unwrap().text, "42/merge");
    assert_eq!(plain(GITHUB, &[("PANNIER_BUILD", " ")]).build.unwrap().from, "GITHUB_RUN_ID");
    let keyless = [("BUILDKITE_STEP_KEY", "")];
    assert_eq!(plain(BUILDKITE, &keyless).step.unwrap().text, ":hammer: Specs");
    assert_eq!(plain(BUILDKITE, &[("BUILDKITE_COMMIT", "HEAD")]).commit, None);
    let without_url = plain(JENKINS, &[("JENKINS_URL", "")]);
    assert_eq!(without_url.build.unwrap().from, "BUILD_NUMBER", "an administrator need not have set the URL");
    // An empty flag is a mistake of a script, and said to be one.
    let flags = IdentityArgs { build: Some(String::new()), ..IdentityArgs::default() };
    assert!(refused(&identity(GITHUB, &[], &flags)).starts_with("--build cannot name the build: No name"));
}

/// Proves that an unusable or lacking value is an error that names its variable, and never the build `local`.
#[test]
fn what_cannot_be_used_is_named() {
    let long = "x".repeat(256);
    type Case<'a> = (&'static [(&'static str, &'static str)], (&'a str, &'a str), &'a str);
    let cases: [Case<'_>; 5] = [
        (JENKINS, ("JOB_NAME", &long), "JOB_NAME cannot name the project: "),
        (GITLAB, ("CI_PIPELINE_ID", "1\n2"), "CI_PIPELINE_ID cannot name the build: "),
        (GITLAB, ("PANNIER_PROJECT", "a\tb"), "PANNIER_PROJECT cannot name the project: "),
        (
            JENKINS,
            ("JOB_NAME", "fa\u{fffd}ade"),
            "JOB_NAME cannot name the project: `fa\u{fffd}ade` was not UTF-8",
        ),
        (BUILDKITE, ("BUILDKITE_BUILD_ID", ""), "this is Buildkite, and BUILDKITE_BUILD_ID is not set: "),
    ];
    for (environment, more, expected) in cases {
        let said = refused(&plain(environment, &[more]));
        assert!(said.starts_with(expected), "{said}");
    }
    let half = plain(&[("BUILDKITE", "true"), ("PANNIER_BUILD", "7")], &[]);
    assert!(refused(&half).contains("set PANNIER_PROJECT"), "{}", refused(&half));
}

/// Proves that an earlier build is named in a line that a shell takes, and only where it is one of ours.
#[test]
fn a_build_that_goes_back_to_another_says_so() {
    let rebuilt =
        [("BUILDKITE_REBUILT_FROM_BUILD_ID", "0181"), ("BUILDKITE_TRIGGERED_FROM_BUILD_ID", "0177")];
    let origin = plain(BUILDKITE, &rebuilt).restarted_from.unwrap();
    assert_eq!(
        origin.hint("it's me"),
        r"this build was rebuilt from 0181: pannier unstash 'it'\''s me' --from-build 0181"
    );
    let triggered = [rebuilt[1], ("BUILDKITE_TRIGGERED_FROM_BUILD_PIPELINE_SLUG", "app")];
    let hint = plain(BUILDKITE, &triggered).restarted_from.unwrap().hint("ws");
    assert_eq!(
        hint,
        "this build was triggered by 0177 of acme-inc/app: pannier unstash ws --project acme-inc/app --build 0177"
    );
    let itself = [rebuilt[1], ("BUILDKITE_TRIGGERED_FROM_BUILD_PIPELINE_SLUG", "web")];
    let hint = plain(BUILDKITE, &itself).restarted_from.unwrap().hint("ws");
    assert_eq!(hint, "this build was triggered by 0177: pannier unstash ws --from-build 0177");

    let renamed = |own| plain(BUILDKITE, &[own, rebuilt[0]]).restarted_from;
    assert_eq!(renamed(("PANNIER_BUILD", "7")), None, "its builds have other names");
    assert!(renamed(("PANNIER_PROJECT", "mine")).is_some(), "its builds have these names in that project");
    let foreign = [("PANNIER_PROJECT", "mine"), triggered[0], triggered[1]];
    assert_eq!(
        plain(BUILDKITE, &foreign).restarted_from,
        None,
        "what the other's project is called is not known"
    );
}
