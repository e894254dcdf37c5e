//! What people look through: which projects and builds there are, and how much they hold. Changes nothing.

use crate::protocol::BuildId;

use super::error::LedgerError;
use super::rows::Access;

/// A project that somebody may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRow {
    /// Its name.
    pub project: String,
    /// Builds of it.
    pub builds: u64,
    /// Stashes in them.
    pub stashes: u64,
    /// Finished artifacts in them.
    pub artifacts: u64,
    /// When the last of all that was made: seconds since 1970; `None` if none is left.
    pub last_at: Option<i64>,
}

/// A build that somebody may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildRow {
    /// The build.
    pub build: BuildId,
    /// Stashes in it.
    pub stashes: u64,
    /// Bytes of the regular files in them.
    pub bytes: u64,
    /// Bytes of the packs that they need, each counted once; other builds may need the same.
    pub pack_bytes: u64,
    /// Finished artifacts in it.
    pub artifacts: u64,
    /// Bytes of them.
    pub artifact_bytes: u64,
    /// When the last of all that was made: seconds since 1970; `None` if none is left.
    pub last_at: Option<i64>,
}

/// A part of a long list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Rows to pass over.
    pub skip: u64,
    /// Rows to answer at most.
    pub most: u64,
}

/// Lists for people, over the read scopes of whoever looks. Each method is one transaction.
pub trait BrowseLedger {
    /// Projects by name; `only` that one, if it is given.
    fn projects(
        &self,
        access: &Access,
        only: Option<&str>,
        part: Part,
    ) -> Result<Vec<ProjectRow>, LedgerError>;
    /// The builds of a project: those with the latest stash or artifact first.
    fn builds(&self, access: &Access, project: &str, part: Part) -> Result<Vec<BuildRow>, LedgerError>;
    /// One build; `None` if the read scopes do not have it.
    fn build(&self, access: &Access, build: &BuildId) -> Result<Option<BuildRow>, LedgerError>;
}
