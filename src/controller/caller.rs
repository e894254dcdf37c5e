//! Who asks: the scopes and builds that a request may touch. Not how that was proved; a token or the embedding process
//! says so.

use crate::controller::error::ControllerError;
use crate::controller::ledger::{Access, ScopeId};
use crate::protocol::BuildId;
use crate::protocol::artifact::Job;

/// The scope of everything outside a controller with tokens; made by the first migration.
const LOCAL: ScopeId = ScopeId(1);

/// What one request may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The scope it writes to, and those it reads from.
    pub access: Access,
    /// The only project it may name; any without.
    pub project: Option<String>,
    /// The only build it may write to; any of the project without. It may read every build of the project.
    pub build: Option<String>,
    /// The only job that its artifacts may come from; any without.
    pub job: Option<String>,
    /// The key of that job's step, where the token tells it.
    pub step: Option<String>,
    /// Whether it may sweep, verify and hand out tokens.
    pub operator: bool,
}

impl Caller {
    /// The owner of a data folder, in a process of their own.
    pub fn local() -> Self {
        let access = Access { write: LOCAL, read: vec![LOCAL] };
        Self { access, project: None, build: None, job: None, step: None, operator: true }
    }

    /// Fails where the caller may not look: as if the build did not exist.
    pub(super) fn require_read(&self, build: &BuildId) -> Result<(), ControllerError> {
        match &self.project {
            Some(project) if *project != build.project => Err(ControllerError::NoBuild(build.clone())),
            _ => Ok(()),
        }
    }

    /// Fails where the caller may not write.
    pub(super) fn require_write(&self, build: &BuildId) -> Result<(), ControllerError> {
        self.require_read(build)?;
        match &self.build {
            Some(own) if *own != build.build => Err(ControllerError::ForeignBuild(build.clone())),
            _ => Ok(()),
        }
    }

    /// The job that artifacts come from, with the step that the token tells. Fails for a job that is not the caller's.
    pub(super) fn require_job(&self, job: &Job) -> Result<Job, ControllerError> {
        match &self.job {
            Some(own) if *own != job.id => Err(ControllerError::ForeignJob(job.id.clone())),
            _ => Ok(Job { step: self.step.clone().or_else(|| job.step.clone()), ..job.clone() }),
        }
    }

    /// Fails unless the caller runs this controller.
    pub(super) fn require_operator(&self) -> Result<(), ControllerError> {
        if self.operator { Ok(()) } else { Err(ControllerError::NotOperator) }
    }
}
