//! Which artifacts are meant, by the flags that say whose they are. Only flags narrow a search: what CI's variables say of this job says nothing about
//! the one that made the artifact.

use anyhow::{Context, bail};

use crate::agent::artifact::Search;
use crate::cli::args::{Global, IdentityArgs};
use crate::cli::identity::{self, Found, Identity};
use crate::protocol::artifact::{ArtifactQuery, BuildFacts, Job};

use super::args::QueryArgs;

/// What a query means here.
pub(super) fn search(global: &Global, args: &QueryArgs) -> anyhow::Result<Search> {
    let own = Identity::find(&IdentityArgs::default(), &identity::of_process);
    search_as(&global.identity, &global.identity(), &own, args)
}

/// The same for flags, what they and the environment make of this process, and what the environment alone does.
fn search_as(
    flags: &IdentityArgs,
    identity: &Identity,
    own: &Identity,
    args: &QueryArgs,
) -> anyhow::Result<Search> {
    let project = identity.project_label()?;
    let is_own = own.project.as_ref().is_some_and(|found| found.text == project);
    let by_facts = flags.branch.is_some() || flags.commit.is_some() || !is_own;
    let (build, not_build) = match &flags.build {
        None if by_facts => (None, own.build.as_ref().filter(|_| is_own).map(|found| found.text.clone())),
        _ => (Some(identity.build_id()?.build), None),
    };
    let query = ArtifactQuery {
        project,
        build,
        not_build,
        branch: flags.branch.clone(),
        commit: flags.commit.clone(),
        path: args.query.clone(),
        // The controller takes a job's id for a step too.
        step: flags.step.clone().or_else(|| flags.job.clone()),
        include_retried: args.include_retried_jobs,
        ..ArtifactQuery::default()
    };
    Ok(Search { query, job: flags.job.clone() })
}

/// The job that this process runs for.
pub(super) fn job(identity: &Identity) -> anyhow::Result<Job> {
    let text = |found: &Option<Found>| found.as_ref().map(|found| found.text.clone());
    let attempt = match &identity.attempt {
        None => 0,
        Some(found) => match found.text.trim().parse() {
            Ok(attempt) => attempt,
            Err(_) => bail!("{} counts attempts: `{}` is no number", found.from, found.text),
        },
    };
    // Where a CI system names no jobs, the step is the best name that there is.
    let id = match identity.job.as_ref().or(identity.step.as_ref()) {
        Some(found) => {
            found.label().with_context(|| format!("{} cannot name the job", found.from))?.to_owned()
        }
        None => "local".to_owned(),
    };
    let (step, label, shard) = (text(&identity.step), text(&identity.label), text(&identity.shard));
    Ok(Job { id, step, label, attempt, shard })
}

/// What is known of the build beside its name.
pub(super) fn facts(identity: &Identity) -> BuildFacts {
    let text = |found: &Option<Found>| found.as_ref().map(|found| found.text.clone());
    BuildFacts {
        branch: text(&identity.branch),
        commit: text(&identity.commit),
        number: text(&identity.number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILDKITE: &[(&str, &str)] = &[
        ("BUILDKITE", "true"),
        ("BUILDKITE_ORGANIZATION_SLUG", "acme"),
        ("BUILDKITE_PIPELINE_SLUG", "web"),
        ("BUILDKITE_BUILD_ID", "b-7"),
        ("BUILDKITE_BUILD_NUMBER", "7"),
        ("BUILDKITE_JOB_ID", "j-1"),
        ("BUILDKITE_STEP_KEY", "test"),
        ("BUILDKITE_LABEL", ":hammer: Test"),
        ("BUILDKITE_RETRY_COUNT", "2"),
        ("BUILDKITE_BRANCH", "main"),
    ];

    fn variable(name: &str) -> Option<String> {
        BUILDKITE.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn found(flags: &IdentityArgs) -> Search {
        let own = Identity::find(&IdentityArgs::default(), &variable);
        let args = QueryArgs { query: "*.log".to_owned(), include_retried_jobs: false };
        search_as(flags, &Identity::find(flags, &variable), &own, &args).unwrap()
    }

    fn given(set: impl FnOnce(&mut IdentityArgs)) -> IdentityArgs {
        let mut flags = IdentityArgs::default();
        set(&mut flags);
        flags
    }

    #[test]
    fn a_search_is_about_this_build_and_not_about_this_step() {
        let search = found(&IdentityArgs::default());
        assert_eq!((search.query.project.as_str(), search.query.build.as_deref()), ("acme/web", Some("b-7")));
        assert_eq!((search.query.step, search.query.branch, search.job), (None, None, None));
    }

    #[test]
    fn a_branch_or_another_project_means_the_newest_build_but_this_one() {
        let branch = found(&given(|flags| flags.branch = Some("main".to_owned()))).query;
        assert_eq!((branch.build, branch.not_build.as_deref()), (None, Some("b-7")));
        assert_eq!(branch.branch.as_deref(), Some("main"));
        let other = found(&given(|flags| flags.project = Some("acme/api".to_owned()))).query;
        assert_eq!((other.build, other.not_build, other.project.as_str()), (None, None, "acme/api"));
        let named = found(&given(|flags| {
            flags.project = Some("acme/api".to_owned());
            flags.build = Some("b-9".to_owned());
        }));
        assert_eq!(named.query.build.as_deref(), Some("b-9"));
        let own = found(&given(|flags| flags.project = Some("acme/web".to_owned()))).query;
        assert_eq!(own.build.as_deref(), Some("b-7"));
    }

    #[test]
    fn steps_and_jobs_narrow_it_down_when_a_flag_says_so() {
        let step = found(&given(|flags| flags.step = Some("build".to_owned())));
        assert_eq!((step.query.step.as_deref(), step.job), (Some("build"), None));
        let job = found(&given(|flags| flags.job = Some("j-9".to_owned())));
        assert_eq!((job.query.step.as_deref(), job.job.as_deref()), (Some("j-9"), Some("j-9")));
    }

    #[test]
    fn the_own_job_is_what_ci_says() {
        let identity = Identity::find(&IdentityArgs::default(), &variable);
        let job = job(&identity).unwrap();
        assert_eq!((job.id.as_str(), job.step.as_deref(), job.attempt), ("j-1", Some("test"), 2));
        assert_eq!(job.label.as_deref(), Some(":hammer: Test"));
        assert_eq!(facts(&identity).number.as_deref(), Some("7"));
        let wrong = Identity::find(&given(|flags| flags.attempt = Some("two".to_owned())), &variable);
        assert!(super::job(&wrong).unwrap_err().to_string().contains("--attempt"));
        let local = Identity::find(&IdentityArgs::default(), &|_| None);
        assert_eq!(super::job(&local).unwrap().id, "local");
    }
}
