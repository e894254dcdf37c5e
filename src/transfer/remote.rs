//! What an agent asks of a controller, whether it runs in this process or behind HTTP.

use std::fmt;

use crate::model::progress::Progress;
use crate::model::{Digest, PackName, SignedUrl};
use crate::protocol::{
    BuildId, Commit, Committed, Copied, GcOptions, GcReport, IssuedToken, Open, Opened, PackDownload,
    PackIntent, Resolved, SessionId, SignedPack, StashInfo, StashName, TokenRequest, VerifyOptions,
    VerifyReport,
};

use super::transport::Transport;

/// A controller, as an agent sees it. Every method that answers a `Result` is one request.
pub trait Remote: Send + Sync {
    /// How packs move to and from the store that this controller signs URLs for.
    fn transport(&self) -> &Transport;

    /// A name under which an agent may remember what this controller's store holds; differs between ledgers.
    fn identity(&self) -> String;

    /// Opens a session to write a stash.
    fn open(&self, request: &Open) -> Result<Opened, RemoteError>;

    /// For each digest, in order: whether it is missing. What is not missing is pinned to the session.
    /// At most [`crate::model::limits::MAX_MISSING_DIGESTS`] digests.
    fn missing(&self, session: SessionId, digests: &[Digest]) -> Result<Vec<bool>, RemoteError>;

    /// Names finished packs and says where to PUT them; signed late, for the length that is now known.
    fn sign(&self, session: SessionId, packs: &[PackIntent]) -> Result<Vec<SignedPack>, RemoteError>;

    /// Another URL for a pack that was signed in this session and has not arrived: the first one ended.
    fn renew_put(
        &self,
        session: SessionId,
        pack: PackName,
        intent: &PackIntent,
    ) -> Result<SignedUrl, RemoteError>;

    /// Other URLs for the packs of a read session, whose lease is renewed.
    fn renew_gets(&self, session: SessionId) -> Result<Vec<PackDownload>, RemoteError>;

    /// Makes the stash visible, or changes nothing.
    fn commit(&self, request: &Commit) -> Result<Committed, RemoteError>;

    /// Finds a stash and opens a lease to read it.
    fn resolve(&self, build: &BuildId, name: &StashName) -> Result<Resolved, RemoteError>;

    /// Ends a session early. Best effort: a lease also ends by itself.
    fn release(&self, session: SessionId);

    /// Ends a lease to read early, where that costs next to nothing.
    fn release_reader(&self, session: SessionId) {
        self.release(session);
    }

    /// Says that a pack's bytes are not what its footer or the ledger claims. It is set aside, and what it holds
    /// counts as missing from then on, so that the next stash sends it anew.
    fn report_damaged(&self, session: SessionId, pack: PackName, why: &str) -> Result<(), RemoteError>;

    /// The stashes of a build, by name.
    fn list(&self, build: &BuildId) -> Result<Vec<StashInfo>, RemoteError>;

    /// Forgets a stash; its chunks stay until a sweep. `false` if there was none.
    fn remove(&self, build: &BuildId, name: &StashName) -> Result<bool, RemoteError>;

    /// Gives every stash and every finished artifact of `from` to `to` by reference; answers how many.
    fn copy(&self, from: &BuildId, to: &BuildId) -> Result<Copied, RemoteError>;

    /// Sweeps once.
    fn gc(&self, options: &GcOptions) -> Result<GcReport, RemoteError>;

    /// Re-reads everything that was committed; `progress` counts packs' bytes where the controller is in this process.
    fn verify(&self, options: &VerifyOptions, progress: &Progress) -> Result<VerifyReport, RemoteError>;

    /// Makes a token.
    fn issue_token(&self, request: &TokenRequest) -> Result<IssuedToken, RemoteError>;
}

/// What went wrong at the controller, and whether asking again can help.
#[derive(Debug)]
pub struct RemoteError {
    /// What kind of failure it is.
    pub kind: RemoteErrorKind,
    /// What failed, in words for people; no URL, no token.
    pub message: String,
    /// What to do next, where the controller knows it.
    pub hint: Option<String>,
    /// Why, if there is more to say.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Kinds of failure that an agent treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteErrorKind {
    /// The stash, build or session does not exist, or may not be seen.
    NotFound,
    /// The request itself is wrong; repeating it cannot help.
    Refused,
    /// The session's lease ended; a new session can succeed.
    SessionEnded,
    /// Something that was committed is damaged.
    Damaged,
    /// A passing fault; the same request may succeed later.
    Unavailable,
}

impl RemoteError {
    /// A failure with nothing more to say.
    pub fn new(kind: RemoteErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None }
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.kind == RemoteErrorKind::Unavailable
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RemoteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
