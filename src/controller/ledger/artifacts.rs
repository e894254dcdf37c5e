//! Artifacts and the blobs that hold their content, as every ledger keeps them. Each method is one transaction.

use crate::protocol::artifact::{ArtifactId, ArtifactState, BuildFacts, Job, NewArtifact};
use crate::protocol::{BuildId, Copied};

use super::artifact_rows::{
    AnnouncedArtifact, ArtifactRow, ArtifactSearch, BlobRow, BlobSweep, EndedUpload, FoundRows, SweptBlobs,
};
use super::error::LedgerError;
use super::rows::Access;

/// Artifacts of one job that are to be made.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a> {
    /// The build that gets them; made if it is new.
    pub build: &'a BuildId,
    /// What is known of it; what is not told stays as it was.
    pub facts: &'a BuildFacts,
    /// The job that makes them.
    pub job: &'a Job,
    /// The artifacts.
    pub artifacts: &'a [NewArtifact],
    /// Names for the blobs that they may need, one each, that no object ever had.
    pub names: &'a [[u8; 16]],
    /// The controller's clock.
    pub now: i64,
}

/// What every back end does alike about artifacts; held by one conformance suite.
pub trait ArtifactLedger {
    /// Makes artifacts in state `new`, in order. One of the same job, key, path and content that is `new` or `finished`
    /// is answered again. Content that a finished blob of the read scopes has gets that blob.
    fn announce(
        &self,
        access: &Access,
        announced: &Announcement<'_>,
    ) -> Result<Vec<AnnouncedArtifact>, LedgerError>;
    /// An artifact of the read scopes.
    fn artifact(&self, access: &Access, id: &ArtifactId) -> Result<Option<ArtifactRow>, LedgerError>;
    /// Notes under which name the store takes a blob's parts. The first one stays and is answered.
    fn note_upload(&self, blob: i64, upload: &str) -> Result<Option<String>, LedgerError>;
    /// An upload moves: it is not abandoned at `now`. `false` unless the blob is pending.
    fn touch_upload(&self, blob: i64, now: i64) -> Result<bool, LedgerError>;
    /// Ends uploads: those in state `new` end as said, the others stay. How each stands then, and why if it failed.
    fn end_uploads(
        &self,
        access: &Access,
        ended: &[EndedUpload],
    ) -> Result<Vec<(ArtifactState, Option<String>)>, LedgerError>;
    /// Deletes an artifact of the write scope. `None` if there is none, `false` if it was deleted or over before.
    fn delete_artifact(&self, access: &Access, id: &ArtifactId) -> Result<Option<bool>, LedgerError>;
    /// Deletes what is `new` or `finished` at a path or below it, in a build of the write scope; everything for an empty
    /// path. How many there were.
    fn delete_below(&self, access: &Access, build: &BuildId, path: &str) -> Result<u64, LedgerError>;
    /// Finds artifacts of one build. `None` if no build fits.
    fn search_artifacts(
        &self,
        access: &Access,
        search: &ArtifactSearch<'_>,
    ) -> Result<Option<FoundRows>, LedgerError>;
    /// The newest build of a project that somebody calls by that number.
    fn build_numbered(
        &self,
        access: &Access,
        project: &str,
        number: &str,
    ) -> Result<Option<BuildId>, LedgerError>;
    /// Gives every stash and every finished artifact of one build to another, by reference. Repeated, it adds none.
    fn copy_build(
        &self,
        access: &Access,
        from: &BuildId,
        to: &BuildId,
        now: i64,
    ) -> Result<Copied, LedgerError>;
    /// Forgets every stash of a build of the write scope; how many.
    fn clear_stashes(&self, access: &Access, build: &BuildId) -> Result<u64, LedgerError>;
    /// A blob by its name in the store.
    fn blob(&self, name: [u8; 16]) -> Result<Option<BlobRow>, LedgerError>;
    /// Expires artifacts whose time is over or whose upload was abandoned, and marks blobs `deleted` that nothing needs.
    fn sweep_blobs(&self, sweep: &BlobSweep) -> Result<SweptBlobs, LedgerError>;
    /// Drops the rows of deleted blobs whose objects are gone.
    fn forget_blobs(&self, blobs: &[i64]) -> Result<(), LedgerError>;
}
