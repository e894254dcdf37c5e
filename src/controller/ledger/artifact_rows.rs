//! What a ledger takes and gives about artifacts and blobs: plain values, the same for every back end.

use crate::model::{Digest, Sha1, Sha256};
use crate::protocol::BuildId;
use crate::protocol::artifact::{ArtifactId, ArtifactState, Job};

/// The life of a blob: pending → live → deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobState {
    /// Named, perhaps being sent; the content of one artifact alone.
    Pending,
    /// All there.
    Live,
    /// Its object is gone or about to go; written before the object is deleted.
    Deleted,
}

/// An object that holds the content of artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRow {
    /// Its number; never used again.
    pub id: i64,
    /// Its name in the store.
    pub name: [u8; 16],
    /// Where it stands in its life.
    pub state: BlobState,
    /// Bytes.
    pub len: u64,
    /// What the store calls the upload of its parts.
    pub upload: Option<String>,
}

/// An artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRow {
    /// Its number, above that of every earlier artifact.
    pub number: i64,
    /// Its public name.
    pub id: ArtifactId,
    /// Whether it is of the write scope.
    pub own: bool,
    /// Its build.
    pub build: BuildId,
    /// Its job.
    pub job: Job,
    /// Its path among the build's artifacts.
    pub path: String,
    /// Where it lay.
    pub absolute_path: Option<String>,
    /// Bytes.
    pub len: u64,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Seconds since 1970.
    pub modified: Option<i64>,
    /// The target of a symlink that was kept as one.
    pub link: Option<String>,
    /// Its media type.
    pub content_type: String,
    /// As announced.
    pub sha1: Sha1,
    /// As announced.
    pub sha256: Sha256,
    /// As announced.
    pub blake3: Option<Digest>,
    /// Where it stands in its life.
    pub state: ArtifactState,
    /// Why it is in state `error`.
    pub why: Option<String>,
    /// When it was announced.
    pub created_at: i64,
    /// Its content; a symlink has none.
    pub blob: Option<BlobRow>,
}

/// One of an [`super::Announcement`], as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncedArtifact {
    /// Its public name.
    pub id: ArtifactId,
    /// `new` or `finished`.
    pub state: ArtifactState,
    /// Its content; a symlink has none.
    pub blob: Option<BlobRow>,
}

/// How one upload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedUpload {
    /// The artifact.
    pub id: ArtifactId,
    /// What became of it.
    pub end: UploadEnd,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadEnd {
    /// All there. Only a blob whose SHA-256 was checked serves other scopes than its own.
    Finished {
        /// Whether the controller or the store itself checked the SHA-256.
        verified: bool,
    },
    /// It failed, and why.
    Failed(String),
}

/// Which artifacts to look for, in one build.
pub struct ArtifactSearch<'a> {
    /// Which build.
    pub builds: SearchedBuilds<'a>,
    /// What every path that fits begins with; all of it if `exact`.
    pub prefix: &'a str,
    /// Whether `prefix` is the whole path.
    pub exact: bool,
    /// Whether a path that begins like that fits.
    pub fits: &'a (dyn Fn(&str) -> bool + 'a),
    /// Key, label or job id.
    pub step: Option<&'a str>,
    /// Whether earlier attempts of a job count too.
    pub include_retried: bool,
    /// Whether to find all of a path rather than the newest.
    pub include_duplicates: bool,
    /// States that count.
    pub states: &'a [ArtifactState],
    /// Goes on behind this one.
    pub after: Option<SearchPlace>,
    /// Artifacts to find at most.
    pub most: usize,
}

/// Which build is searched.
#[derive(Clone, Copy, Debug)]
pub enum SearchedBuilds<'a> {
    /// That one, in any of the read scopes.
    Named(&'a BuildId),
    /// The newest of a project that has no upload and no stash under way, and an artifact that fits.
    Newest {
        /// The project.
        project: &'a str,
        /// Not this one.
        not_build: Option<&'a str>,
        /// Only builds of that branch.
        branch: Option<&'a str>,
        /// Only builds of that commit.
        commit: Option<&'a str>,
        /// The controller's clock: a stash whose lease is over is not under way.
        now: i64,
    },
}

/// Where a search was left: by path, and among those of one path the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPlace {
    /// The build's number.
    pub build: i64,
    /// The artifact's number.
    pub number: i64,
    /// Its path.
    pub path: String,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRows {
    /// The build.
    pub build: BuildId,
    /// By path, the newest of a path first.
    pub artifacts: Vec<ArtifactRow>,
    /// Where there is more.
    pub next: Option<SearchPlace>,
}

/// How to sweep artifacts.
#[derive(Clone, Copy, Debug)]
pub struct BlobSweep {
    /// The controller's clock.
    pub now: i64,
    /// Uploads that did not move since then are abandoned.
    pub idle_since: i64,
    /// Compute everything, then change nothing.
    pub dry_run: bool,
}

/// What a sweep of artifacts found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweptBlobs {
    /// Artifacts that are expired now.
    pub expired: u64,
    /// All blobs in state `deleted`, of this sweep or of one that was interrupted.
    pub deleted: Vec<BlobRow>,
}
