//! What an agent asks of a controller about artifacts, whether it runs in this process or behind HTTP.

use crate::model::SignedUrl;
use crate::protocol::artifact::{
    ArtifactId, ArtifactInfo, ArtifactQuery, CreatedArtifact, FinishArtifact, FinishedArtifact,
    FoundArtifacts, NewArtifacts, PartIntent,
};

use super::remote::RemoteError;
use super::transport::Transport;

/// A controller's artifacts, as an agent sees them. Every method that answers a `Result` is one request.
pub trait ArtifactRemote: Send + Sync {
    /// How content moves to and from the store that this controller signs URLs for.
    fn transport(&self) -> &Transport;

    /// A name under which an agent may remember what it sent to this controller's store; differs between ledgers.
    fn identity(&self) -> String;

    /// Makes artifacts, or finds those that an earlier request with the same keys made.
    fn create_artifacts(&self, request: &NewArtifacts) -> Result<Vec<CreatedArtifact>, RemoteError>;

    /// Create-only PUTs for parts of an upload that is under way, in the order of `parts`.
    fn sign_parts(&self, id: &ArtifactId, parts: &[PartIntent]) -> Result<Vec<SignedUrl>, RemoteError>;

    /// Ends uploads; each answer says how its own ended.
    fn finish_artifacts(&self, uploads: &[FinishArtifact]) -> Result<Vec<FinishedArtifact>, RemoteError>;

    /// Finds artifacts; one page of the answer.
    fn search_artifacts(&self, query: &ArtifactQuery) -> Result<FoundArtifacts, RemoteError>;

    /// One artifact, with a URL to read it if it is finished.
    fn artifact(&self, id: &ArtifactId) -> Result<ArtifactInfo, RemoteError>;

    /// Deletes an artifact: `false` if it was deleted before.
    fn delete_artifact(&self, id: &ArtifactId) -> Result<bool, RemoteError>;

    /// Whether the controller itself hands that artifact's content out together with others'.
    fn hands_out(&self, _artifact: &ArtifactInfo) -> bool {
        false
    }

    /// The contents of at most [`crate::protocol::contents::MAX_OBJECTS`] artifacts that it hands out, in their order and not verified; `None`
    /// for one that is not given so, which is then to be read by its URL.
    fn contents(&self, artifacts: &[&ArtifactInfo]) -> Result<Vec<Option<Vec<u8>>>, RemoteError> {
        Ok(vec![None; artifacts.len()])
    }
}
