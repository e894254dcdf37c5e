//! Which project, build, step and job this process runs for, as flags, `PANNIER_*` or a CI system's variables say.
//! Asks nobody, and trusts nothing: what may be read and written is the token's to say.

mod systems;
#[cfg(test)]
mod tests;

use std::fmt;

use anyhow::{Context, bail};

use crate::protocol::BuildId;
use crate::protocol::build::check_label;

use super::args::IdentityArgs;
use systems::{SYSTEMS, System, Ways};

/// Looks a variable up; [`of_process`] outside tests.
pub(super) type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The variables of this process. Bytes that are not UTF-8 become U+FFFD, which no name may hold.
pub(super) fn of_process(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// What is known of the process's place in a CI system. `None` is what nothing tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The CI system that was found.
    system: Option<&'static System>,
    /// The project; `local` outside CI.
    pub(super) project: Option<Found>,
    /// The build; `local` outside CI.
    pub(super) build: Option<Found>,
    /// What the pipeline's definition calls this part of it.
    pub(super) step: Option<Found>,
    /// This run of the step.
    pub(super) job: Option<Found>,
    /// Which attempt at the job it is, counted as the CI system counts.
    pub(super) attempt: Option<Found>,
    /// Which part of a parallel step it is, counted as the CI system counts.
    pub(super) shard: Option<Found>,
    /// The branch that is built.
    pub(super) branch: Option<Found>,
    /// The commit that is built.
    pub(super) commit: Option<Found>,
    /// What people call the step.
    pub(super) label: Option<Found>,
    /// What people call the build.
    pub(super) number: Option<Found>,
    /// The build that this one was made from, if `build` is the CI system's own.
    pub(super) restarted_from: Option<Origin>,
}

/// A value, and who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The value, as it stands there.
    pub(super) text: String,
    /// A flag (`--build`), a variable (`PANNIER_BUILD`), several joined by `/`, or `default`.
    pub(super) from: &'static str,
}

/// An earlier build that may have what this one lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// `rebuilt from` or `triggered by`.
    pub(super) how: &'static str,
    /// Its project, where it is another one.
    pub(super) project: Option<String>,
    /// Its name in the project.
    pub(super) build: String,
}

impl Identity {
    /// A flag wins over `PANNIER_*`, and that over the CI system. Empty variables count as absent.
    pub(super) fn find(flags: &IdentityArgs, variables: &Variables<'_>) -> Self {
        let variables = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
        let system = SYSTEMS.iter().find(|system| system.is_here(&variables));
        let found = |given: &Option<String>, [flag, own]: [&'static str; 2], theirs: fn(&System) -> _| {
            let flagged = given.clone().map(|text| Found { text, from: flag });
            let own = || variables(own).map(|text| Found { text, from: own });
            flagged.or_else(own).or_else(|| systems::first(system.map(theirs)?, &variables))
        };
        let theirs = |theirs: fn(&System) -> Ways| systems::first(system.map(theirs)?, &variables);
        let local = || system.is_none().then(|| Found { text: "local".to_owned(), from: "default" });
        let project = found(&flags.project, ["--project", "PANNIER_PROJECT"], |s| s.project).or_else(local);
        let build = found(&flags.build, ["--build", "PANNIER_BUILD"], |s| s.build).or_else(local);
        Self {
            system,
            restarted_from: system.and_then(|s| s.origin(project.as_ref()?, build.as_ref()?, &variables)),
            project,
            build,
            step: found(&flags.step, ["--step", "PANNIER_STEP"], |s| s.step),
            job: found(&flags.job, ["--job", "PANNIER_JOB"], |s| s.job),
            attempt: found(&flags.attempt, ["--attempt", "PANNIER_ATTEMPT"], |s| s.attempt),
            shard: found(&flags.shard, ["--shard", "PANNIER_SHARD"], |s| s.shard),
            branch: found(&flags.branch, ["--branch", "PANNIER_BRANCH"], |s| s.branch),
            // A Buildkite build that was asked for by branch says HEAD until somebody resolves it: no commit's name.
            commit: found(&flags.commit, ["--commit", "PANNIER_COMMIT"], |s| s.commit)
                .filter(|found| found.text != "HEAD"),
            label: theirs(|s| s.label),
            number: theirs(|s| s.number),
        }
    }

    /// The build; an error if a CI system is there and does not say, for then stashes of all its builds would be one's.
    pub(super) fn build_id(&self) -> anyhow::Result<BuildId> {
        let build = self.needed(self.build.as_ref(), "build", |system| system.build)?;
        Ok(BuildId { project: self.project_label()?, build })
    }

    /// The project alone, for another build of it.
    pub(super) fn project_label(&self) -> anyhow::Result<String> {
        self.needed(self.project.as_ref(), "project", |system| system.project)
    }

    fn needed(
        &self,
        found: Option<&Found>,
        what: &str,
        theirs: fn(&System) -> Ways,
    ) -> anyhow::Result<String> {
        let Some(found) = found else {
            let name = self.system.map_or("CI", |system| system.name);
            let variables = self.system.map_or(&[][..], theirs).join(" or ");
            let own = what.to_uppercase();
            bail!(
                "this is {name}, and {variables} is not set: let it through (a container has only the variables it is \
                 given), or set PANNIER_{own}"
            );
        };
        found.label().with_context(|| format!("{} cannot name the {what}", found.from)).map(str::to_owned)
    }
}

impl Found {
    /// The value, if it can name something in the ledger.
    pub(super) fn label(&self) -> anyhow::Result<&str> {
        check_label(&self.text)?;
        if self.text.contains(char::REPLACEMENT_CHARACTER) {
            bail!("`{}` was not UTF-8", self.text);
        }
        Ok(&self.text)
    }
}

impl Origin {
    /// The next step of somebody who looks for `stash`, ready for a shell.
    pub(super) fn hint(&self, stash: &str) -> String {
        let (how, build, stash) = (self.how, shell_word(&self.build), shell_word(stash));
        match self.project.as_deref().map(shell_word) {
            None => format!("this build was {how} {build}: pannier unstash {stash} --from-build {build}"),
            Some(project) => format!(
                "this build was {how} {build} of {project}: pannier unstash {stash} --project {project} --build {build}"
            ),
        }
    }
}

/// `text` as one word for a shell; as it is where that needs no quotes.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./+,=@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// `Buildkite, project "acme/web" (BUILDKITE_…), build "0190…" (BUILDKITE_BUILD_ID), …`
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.system.map_or("no CI system", |system| system.name))?;
        let fields = [
            ("project", &self.project),
            ("build", &self.build),
            ("step", &self.step),
            ("job", &self.job),
            ("attempt", &self.attempt),
            ("shard", &self.shard),
            ("branch", &self.branch),
            ("commit", &self.commit),
        ];
        for (what, found) in fields {
            if let Some(found) = found {
                write!(f, ", {what} {:?} ({})", found.text, found.from)?;
            }
        }
        match &self.restarted_from {
            Some(origin) => write!(f, ", {} {:?}", origin.how, origin.build),
            None => Ok(()),
        }
    }
}
