//! Requests of those who run a controller: sweep, verify, hand out tokens. Not of an agent in a build.

use std::fmt;

use crate::model::PackName;

use super::build::{BuildId, StashName};

/// How to sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GcOptions {
    /// Say what would go, and change nothing.
    pub dry_run: bool,
}

/// What a sweep did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GcReport {
    /// Sessions whose lease or process had ended.
    pub reaped_sessions: u64,
    /// Packs that nothing refers to any more.
    pub condemned: u64,
    /// Objects deleted: packs, and what dead uploads left.
    pub deleted_packs: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Packs that nothing but open sessions keeps.
    pub kept_for_sessions: u64,
    /// When those sessions end by themselves, in seconds since 1970.
    pub until: Option<i64>,
    /// Artifacts whose time was over or whose upload was abandoned.
    #[serde(default)]
    pub expired_artifacts: u64,
    /// Objects of artifacts deleted; not among `deleted_packs`, but their bytes are among `deleted_bytes`.
    #[serde(default)]
    pub deleted_blobs: u64,
}

/// How to verify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VerifyOptions {
    /// Index every sound pack of the store anew first; for a ledger that was lost, also make a stash of every root of
    /// which something can be read.
    pub rebuild_index: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VerifyReport {
    /// Packs that were read.
    pub packs: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Packs that the rebuild found and indexed.
    pub rebuilt_packs: u64,
    /// Stashes that the rebuild made, in build `recovered` of project `local`: their own names were lost. Those that are
    /// not whole are among [`VerifyReport::damaged_stashes`] too.
    pub recovered_stashes: Vec<StashName>,
    /// Roots that the rebuild found and of which no page can be read; they got no stash.
    pub lost_stashes: Vec<DamagedStash>,
    /// Packs that are broken and were set aside.
    pub damaged_packs: Vec<DamagedPack>,
    /// Stashes that were followed.
    pub stashes: u64,
    /// Stashes that are not whole.
    pub damaged_stashes: Vec<DamagedStash>,
}

/// A broken pack.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DamagedPack {
    /// Its name.
    pub name: PackName,
    /// What is wrong with it.
    pub why: String,
}

/// A stash that cannot be read whole.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DamagedStash {
    /// Its build.
    #[serde(flatten)]
    pub build: BuildId,
    /// Its name.
    pub name: StashName,
    /// What is wrong with it.
    pub why: String,
}

/// What a new token is to allow.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TokenRequest {
    /// The only project it may name; any without.
    pub project: Option<String>,
    /// The only build it may write to; any of the project without.
    pub build: Option<String>,
    /// The only job that its artifacts may come from; any without. Needs `build`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The key of that job's step, for agents that do not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The scope it writes to; without, the project's own, or the controller's default for a token of any project.
    pub scope: Option<String>,
    /// Scopes that it reads from beside that one, first wins.
    pub read: Vec<String>,
    /// Whether it may sweep, verify and hand out tokens.
    pub operator: bool,
    /// Seconds until it expires, from now by the controller's clock.
    pub lives_seconds: u64,
}

/// A new token. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IssuedToken {
    /// The token, for `PANNIER_TOKEN`: told once, to whoever asked for it.
    pub token: String,
    /// When it expires, in seconds since 1970.
    pub expires_at: i64,
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
