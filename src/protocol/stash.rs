//! The reading half of the protocol: resolve a stash, list what a build has.

use crate::model::manifest::Totals;
use crate::model::{Digest, PackName, SignedUrl};

use super::build::{BuildId, StashName};
use super::session::SessionId;

/// The answer to a commit.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Committed {
    /// The stash as it now stands.
    pub stash: StashInfo,
    /// Whether the name pointed at another stash before.
    pub replaced: bool,
}

/// One stash of a build.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StashInfo {
    /// Its build.
    #[serde(flatten)]
    pub build: BuildId,
    /// Its name.
    pub name: StashName,
    /// Its id: the digest of its manifest's root.
    pub id: Digest,
    /// The list of its pages that are stored as patches, if any are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patches: Option<Digest>,
    /// What it holds.
    pub totals: Totals,
    /// Packs it refers to.
    pub packs: u64,
    /// Bytes of those packs; shared with other stashes.
    pub pack_bytes: u64,
    /// When it was committed, by the controller's clock: seconds since 1970-01-01 UTC.
    pub committed_at: i64,
}

/// What one build was given of another, by reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Copied {
    /// Stashes.
    pub stashes: u64,
    /// Artifacts.
    pub artifacts: u64,
}

/// Everything it takes to read a stash: one controller request, then O(packs) GETs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Resolved {
    /// A lease under which the packs stay readable.
    pub session: SessionId,
    /// The stash.
    pub stash: StashInfo,
    /// The packs that hold its chunks, its pages and its root.
    pub packs: Vec<PackDownload>,
}

/// A pack to read from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PackDownload {
    /// Its name, for errors and reports.
    pub name: PackName,
    /// Bytes of the whole pack.
    pub len: u64,
    /// Bytes of footer and trailer together, at its end.
    pub tail_len: u64,
    /// Whether manifest pages or roots stand in it.
    pub has_manifest: bool,
    /// A GET that honours `Range`.
    pub get: SignedUrl,
}
