//! What a query finds: every page of the answer, and whether that is what was wanted. Fetches nothing.

use crate::protocol::BuildId;
use crate::protocol::artifact::{ArtifactInfo, ArtifactQuery};
use crate::transfer::ArtifactRemote;

use super::error::ArtifactError;

/// What somebody looks for.
#[derive(Clone, Debug)]
pub struct Search {
    /// The query, as the controller takes it.
    pub query: ArtifactQuery,
    /// Only artifacts of that job.
    pub job: Option<String>,
}

/// What was found.
#[derive(Debug)]
pub struct Matches {
    /// The build that was searched; none if no build fits.
    pub build: Option<BuildId>,
    /// By path, the newest of a path first.
    pub artifacts: Vec<ArtifactInfo>,
}

impl Search {
    /// Everything that fits.
    pub fn run(&self, remote: &dyn ArtifactRemote) -> Result<Matches, ArtifactError> {
        let mut query = self.query.clone();
        let mut matches = Matches { build: None, artifacts: Vec::new() };
        loop {
            let found = remote.search_artifacts(&query)?;
            matches.build = found.build.or(matches.build);
            let of_job = |info: &ArtifactInfo| self.job.as_ref().is_none_or(|job| info.job.id == *job);
            matches.artifacts.extend(found.artifacts.into_iter().filter(of_job));
            // A place that does not move would be asked about for ever.
            match found.next {
                Some(next) if query.after.as_ref() != Some(&next) => query.after = Some(next),
                _ => return Ok(matches),
            }
        }
    }

    /// The newest of each path that fits; an error if there is none, or if the query names one path and several artifacts have it.
    pub fn newest(&self, remote: &dyn ArtifactRemote) -> Result<Matches, ArtifactError> {
        let path = &self.query.path;
        let exact = !path.is_empty() && !path.contains('*');
        // Of one path, all are asked for, to see whether it is one.
        let query = ArtifactQuery { include_duplicates: exact || self.job.is_some(), ..self.query.clone() };
        let mut matches = Self { query, job: self.job.clone() }.run(remote)?;
        if matches.artifacts.is_empty() {
            return Err(self.no_match(matches.build.as_ref()));
        }
        if exact && matches.artifacts.len() > 1 {
            let mut jobs: Vec<String> = matches.artifacts.iter().map(job_of).collect();
            jobs.dedup();
            return Err(ArtifactError::Ambiguous { query: path.clone(), jobs });
        }
        matches.artifacts.dedup_by(|later, first| later.path == first.path);
        Ok(matches)
    }

    /// The one artifact that fits.
    pub fn one(&self, remote: &dyn ArtifactRemote) -> Result<ArtifactInfo, ArtifactError> {
        let mut matches = self.newest(remote)?;
        let count = matches.artifacts.len();
        match (matches.artifacts.pop(), matches.build) {
            (Some(artifact), _) if count == 1 => Ok(artifact),
            (Some(artifact), _) => {
                Err(ArtifactError::NotOne { query: self.query.path.clone(), count, build: artifact.build })
            }
            (None, build) => Err(self.no_match(build.as_ref())),
        }
    }

    /// That nothing fits, and where was looked.
    pub fn no_match(&self, build: Option<&BuildId>) -> ArtifactError {
        let query = &self.query;
        let mut place = match (build, &query.build) {
            (Some(build), _) => build.to_string(),
            (None, Some(build)) => {
                BuildId { project: query.project.clone(), build: build.clone() }.to_string()
            }
            (None, None) => format!("any finished build of {}", query.project),
        };
        let narrowed =
            [("branch", &query.branch), ("commit", &query.commit), ("step", &query.step), ("job", &self.job)];
        for (what, value) in narrowed {
            if let Some(value) = value {
                place += &format!(", {what} {value}");
            }
        }
        ArtifactError::NoMatch { query: query.path.clone(), place }
    }
}

fn job_of(info: &ArtifactInfo) -> String {
    match &info.job.step {
        Some(step) if *step != info.job.id => format!("{} ({step})", info.job.id),
        _ => info.job.id.clone(),
    }
}
