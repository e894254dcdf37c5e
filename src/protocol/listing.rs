//! A build's artifacts as files and folders, for managers and browsers: one answer lists a whole folder.

use crate::model::SignedUrl;

use super::artifact::ArtifactId;
use super::build::BuildId;

/// Which files of a build are wanted. Lists of patterns are Ant's, split on commas.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ListFiles {
    /// The build.
    #[serde(flatten)]
    pub build: BuildId,
    /// The folder; empty for all.
    #[serde(default)]
    pub path: String,
    /// Whether what is in folders of that folder is listed too, each with its whole path, and no folder.
    #[serde(default)]
    pub recursive: bool,
    /// Files to list, relative to the folder; all without. Recursive lists alone.
    #[serde(default)]
    pub includes: String,
    /// Files to leave out; they win.
    #[serde(default)]
    pub excludes: String,
    /// Whether to leave out what Ant leaves by default.
    #[serde(default)]
    pub default_excludes: bool,
    /// Whether a URL to read each is wanted.
    #[serde(default)]
    pub signed: bool,
    /// Goes on behind an answer's `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// The answer to [`ListFiles`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Listing {
    /// By path; at most [`super::artifact::MAX_ARTIFACTS`].
    pub files: Vec<FileInfo>,
    /// Where the next answer goes on, if there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// An artifact's content.
    File,
    /// A symlink that was kept as one.
    Link,
    /// What paths of artifacts have in common.
    Folder,
}

/// A file or folder of a build.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileInfo {
    /// Its whole path in the build.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// The artifact behind it; a folder has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ArtifactId>,
    /// Bytes; 0 for a folder.
    pub len: u64,
    /// When it was last modified, in seconds since 1970, where its agent said so; when it was announced, where not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// Permission bits, where its agent said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// The target of a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// A GET of its content, if one was wanted: for this file alone, for a quarter of an hour at most, for anybody who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub get: Option<SignedUrl>,
}
