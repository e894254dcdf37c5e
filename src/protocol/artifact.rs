//! Artifacts: single whole files of a build, each one object in the store, so that a browser gets it with one redirect.

use crate::model::checksum::{Sha1, Sha256};
use crate::model::{Digest, SignedUrl};

use super::build::BuildId;

/// Artifacts that one request may make, and that one answer holds.
pub const MAX_ARTIFACTS: usize = 1000;
/// A file of at most this many bytes goes up in one PUT; a larger one in parts of this size, or in ten thousand larger ones.
pub const PART_BYTES: u64 = 64 << 20;
/// Parts of an upload, on every store that has them.
pub const MAX_PARTS: u64 = 10_000;
/// Longest path of an artifact, in bytes.
pub const MAX_ARTIFACT_PATH_BYTES: usize = 4095;

/// An artifact by its name in the ledger: a random UUID in the usual spelling, never used again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ArtifactId(pub String);

/// One run of a step of a build. What nothing tells is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Job {
    /// The job, unique in its build but for attempts and shards where a CI system has no better name (`local` outside CI).
    pub id: String,
    /// The key of its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The step's label, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Which attempt it is; a higher one replaces a lower one of the same step and shard.
    #[serde(default)]
    pub attempt: u32,
    /// Which part of a parallel step it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
}

/// What is known of a build beside its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BuildFacts {
    /// The branch that it builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit that it builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What people call it, where the CI system has a number beside an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

/// Makes artifacts in state `new` and says where to send their content.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewArtifacts {
    /// The build that gets them.
    #[serde(flatten)]
    pub build: BuildId,
    /// More about that build.
    #[serde(default)]
    pub facts: BuildFacts,
    /// The job that makes them.
    pub job: Job,
    /// At most [`MAX_ARTIFACTS`].
    pub artifacts: Vec<NewArtifact>,
}

/// One file that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewArtifact {
    /// Idempotency key: of the same job and with the same content it names the same artifact again.
    pub key: String,
    /// Its path among the build's artifacts: relative, `/` between components, no `.` or `..`.
    pub path: String,
    /// Where it lay, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_path: Option<String>,
    /// Bytes.
    pub len: u64,
    /// Permission bits, 0 to 0o7777; none where they are not known (a Buildkite agent does not tell).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// When it was last modified, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// The target of a symlink that is kept as one; it has no content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Its media type.
    pub content_type: String,
    /// SHA-1 of its content.
    pub sha1: Sha1,
    /// SHA-256 of its content.
    pub sha256: Sha256,
    /// BLAKE3-256 of its content, if the agent computes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<Digest>,
    /// CRC-32C of its content, if it goes up in one PUT that is to be bound to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<u32>,
    /// Days that it is kept; the build's life without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
}

/// The answer for one of [`NewArtifacts`], in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CreatedArtifact {
    /// The artifact.
    pub id: ArtifactId,
    /// Where its content goes.
    pub upload: Upload,
}

/// Where an artifact's content goes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum Upload {
    /// Nowhere: it is finished already, by an earlier request with the same key.
    Finished,
    /// Nowhere: a scope that the caller reads has this content. It is finished like the others.
    Known,
    /// One create-only PUT of the whole content.
    Whole {
        /// The PUT.
        put: SignedUrl,
    },
    /// Parts of `part_bytes`, the last of which may be shorter; each is signed when it is about to be sent.
    Parts {
        /// Bytes of a part.
        part_bytes: u64,
    },
}

/// A part that is about to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PartIntent {
    /// Its number, from 1. Part 1 of an upload that is [`Upload::Whole`] is the whole, signed anew.
    pub number: u32,
    /// Its bytes.
    pub len: u64,
    /// Their CRC-32C.
    pub crc32c: u32,
}

/// A part that was sent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SentPart {
    /// Its number, from 1.
    pub number: u32,
    /// What the store answered as its `ETag`; empty where it answers none.
    pub etag: String,
}

/// Ends an upload.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FinishArtifact {
    /// The artifact.
    pub id: ArtifactId,
    /// Whether the agent failed to send it; it then ends in state `error`.
    #[serde(default)]
    pub failed: bool,
    /// Its parts, in order, if it went up in parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<SentPart>,
}

/// How the end of one upload went.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FinishedArtifact {
    /// The artifact.
    pub id: ArtifactId,
    /// `finished` or `error`; `new` while its content is read, which is to be asked about again.
    pub state: ArtifactState,
    /// Why it is not `finished`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The life of an artifact, in Buildkite's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactState {
    /// Announced, perhaps being sent.
    New,
    /// The upload failed, or brought other bytes than were announced.
    Error,
    /// All there.
    Finished,
    /// Deleted by somebody.
    Deleted,
    /// Its time was over, or its upload was abandoned.
    Expired,
}

impl ArtifactState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 5] = [Self::New, Self::Error, Self::Finished, Self::Deleted, Self::Expired];

    /// As Buildkite spells it, and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Error => "error",
            Self::Finished => "finished",
            Self::Deleted => "deleted",
            Self::Expired => "expired",
        }
    }
}

/// Which artifacts somebody looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ArtifactQuery {
    /// The project.
    pub project: String,
    /// The build; without, the newest of the project that has no upload under way and an artifact that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// A build that the newest must not be: the one that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_build: Option<String>,
    /// Only builds of that branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Only builds of that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// A path in which `*` stands for any characters, `/` among them. Empty for all.
    #[serde(default)]
    pub path: String,
    /// Key, label or job id; a parallel step's key takes every shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Whether earlier attempts of a job that was retried count too.
    #[serde(default)]
    pub include_retried: bool,
    /// Whether to answer every artifact rather than the newest of each path.
    #[serde(default)]
    pub include_duplicates: bool,
    /// States that count; none is `finished` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<ArtifactState>,
    /// Whether a URL to read each is wanted.
    #[serde(default)]
    pub signed: bool,
    /// Goes on behind an answer's `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// The answer to an [`ArtifactQuery`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FoundArtifacts {
    /// The build that was searched; none if no build fits.
    pub build: Option<BuildId>,
    /// By path, the newest of a path first; at most [`MAX_ARTIFACTS`].
    pub artifacts: Vec<ArtifactInfo>,
    /// Where the next answer goes on, if there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An artifact.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ArtifactInfo {
    /// Its name in the ledger.
    pub id: ArtifactId,
    /// Its build.
    #[serde(flatten)]
    pub build: BuildId,
    /// Its job.
    pub job: Job,
    /// As in [`NewArtifact`].
    pub path: String,
    /// As in [`NewArtifact`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_path: Option<String>,
    /// Bytes.
    pub len: u64,
    /// As in [`NewArtifact`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// As in [`NewArtifact`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// As in [`NewArtifact`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Its media type.
    pub content_type: String,
    /// SHA-1 of its content.
    pub sha1: Sha1,
    /// SHA-256 of its content.
    pub sha256: Sha256,
    /// BLAKE3-256 of its content, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<Digest>,
    /// Where it stands in its life.
    pub state: ArtifactState,
    /// When it was announced, in seconds since 1970 by the controller's clock.
    pub created_at: i64,
    /// A GET of its content, if one was wanted and it is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub get: Option<SignedUrl>,
}
