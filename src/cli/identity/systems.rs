//! The variables of each CI system: one table. Nothing of pannier's own variables and flags, which win over it.

use super::{Found, Origin, Variables};

/// Ways to say something, the first that is there counts. `A/B` is the values of `A` and `B` joined by `/`, if both are there.
pub(super) type Ways = &'static [&'static str];

/// What the variables of one CI system mean.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct System {
    pub(super) name: &'static str,
    /// It is there if one of these is, and is not `false`.
    found_by: Ways,
    pub(super) project: Ways,
    pub(super) build: Ways,
    pub(super) step: Ways,
    pub(super) job: Ways,
    pub(super) attempt: Ways,
    pub(super) shard: Ways,
    pub(super) branch: Ways,
    pub(super) commit: Ways,
    /// What people call the step, and the build, beside their names above.
    pub(super) label: Ways,
    pub(super) number: Ways,
    /// Earlier builds: how this one came from it, its project if it may be another, its build.
    origins: &'static [(&'static str, Ways, &'static str)],
}

/// In the order in which they are looked for: Jenkins comes last, since its names are the ones that others use too.
pub(super) const SYSTEMS: [System; 4] = [
    System {
        name: "Buildkite",
        found_by: &["BUILDKITE"],
        project: &["BUILDKITE_ORGANIZATION_SLUG/BUILDKITE_PIPELINE_SLUG"],
        // Not the number: variables that name other builds, and buildkite-agent's `--build`, take ids.
        build: &["BUILDKITE_BUILD_ID"],
        step: &["BUILDKITE_STEP_KEY", "BUILDKITE_LABEL", "BUILDKITE_STEP_ID"],
        job: &["BUILDKITE_JOB_ID"],
        attempt: &["BUILDKITE_RETRY_COUNT"],
        shard: &["BUILDKITE_PARALLEL_JOB"],
        branch: &["BUILDKITE_BRANCH"],
        commit: &["BUILDKITE_COMMIT"],
        label: &["BUILDKITE_LABEL"],
        number: &["BUILDKITE_BUILD_NUMBER"],
        origins: &[
            ("rebuilt from", &[], "BUILDKITE_REBUILT_FROM_BUILD_ID"),
            (
                "triggered by",
                &["BUILDKITE_ORGANIZATION_SLUG/BUILDKITE_TRIGGERED_FROM_BUILD_PIPELINE_SLUG"],
                "BUILDKITE_TRIGGERED_FROM_BUILD_ID",
            ),
        ],
    },
    System {
        name: "GitHub Actions",
        found_by: &["GITHUB_ACTIONS"],
        // Without the workflow: a run's id is its own in the whole repository.
        project: &["GITHUB_REPOSITORY"],
        build: &["GITHUB_RUN_ID"],
        // The key of a job in the workflow's file is both; the run of a job has no variable.
        step: &["GITHUB_JOB"],
        job: &["GITHUB_JOB"],
        attempt: &["GITHUB_RUN_ATTEMPT"],
        // A matrix sets no variable.
        shard: &[],
        // In a pull request REF_NAME is `42/merge`.
        branch: &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
        commit: &["GITHUB_SHA"],
        label: &[],
        number: &["GITHUB_RUN_NUMBER"],
        origins: &[],
    },
    System {
        name: "GitLab CI",
        found_by: &["GITLAB_CI"],
        project: &["CI_PROJECT_PATH"],
        build: &["CI_PIPELINE_ID"],
        step: &["CI_JOB_NAME"],
        job: &["CI_JOB_ID"],
        // A job that is tried again has another id and no count.
        attempt: &[],
        shard: &["CI_NODE_INDEX"],
        branch: &["CI_COMMIT_REF_NAME"],
        commit: &["CI_COMMIT_SHA"],
        label: &[],
        number: &["CI_PIPELINE_IID"],
        origins: &[],
    },
    System {
        name: "Jenkins",
        // JENKINS_URL is there only if an administrator has set it.
        found_by: &["JENKINS_URL/BUILD_NUMBER", "JENKINS_HOME/BUILD_NUMBER"],
        project: &["JOB_NAME"],
        build: &["BUILD_NUMBER"],
        step: &["STAGE_NAME"],
        job: &[],
        attempt: &[],
        shard: &[],
        branch: &["BRANCH_NAME"],
        commit: &["GIT_COMMIT"],
        label: &[],
        number: &[],
        origins: &[],
    },
];

impl System {
    /// Whether the variables are this system's.
    pub(super) fn is_here(&self, variables: &Variables<'_>) -> bool {
        first(self.found_by, variables).is_some_and(|found| found.text != "false")
    }

    /// Where this build came from, unless somebody called it or the other's project by another name.
    pub(super) fn origin(&self, project: &Found, build: &Found, variables: &Variables<'_>) -> Option<Origin> {
        if !self.build.contains(&build.from) {
            return None;
        }
        let own_project = self.project.contains(&project.from);
        let mut origins = self.origins.iter().filter(|(_, other, _)| own_project || other.is_empty());
        origins.find_map(|&(how, other, name)| {
            let other = first(other, variables).map(|found| found.text).filter(|text| *text != project.text);
            Some(Origin { how, project: other, build: variables(name)? })
        })
    }
}

/// The first of `ways` whose variables are all there.
pub(super) fn first(ways: Ways, variables: &Variables<'_>) -> Option<Found> {
    ways.iter().find_map(|way| {
        let parts: Option<Vec<String>> = way.split('/').map(variables).collect();
        Some(Found { text: parts?.join("/"), from: way })
    })
}
