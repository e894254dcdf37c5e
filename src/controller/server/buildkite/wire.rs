//! The agent's messages, as its sources and its requests show them. Plain values.

use std::collections::BTreeMap;

use crate::model::{Sha1, Sha256};
use crate::protocol::artifact::ArtifactId;

/// `POST jobs/{job}/artifacts`.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Batch {
    /// The same when the agent sends the batch again.
    pub(super) id: String,
    pub(super) artifacts: Vec<BatchArtifact>,
    /// Where else the agent was told to upload; nothing comes here then.
    #[serde(default)]
    pub(super) upload_destination: String,
    /// Agents from 3.83 on send parts.
    #[serde(default)]
    pub(super) multipart_supported: bool,
}

/// A file that an agent is about to send.
#[derive(Debug, serde::Deserialize)]
pub(super) struct BatchArtifact {
    pub(super) path: String,
    #[serde(default)]
    pub(super) absolute_path: String,
    pub(super) file_size: u64,
    pub(super) sha1sum: Sha1,
    /// Older agents tell no SHA-256; ours do from 3.32 on.
    pub(super) sha256sum: Sha256,
    #[serde(default)]
    pub(super) content_type: String,
}

/// The answer to a [`Batch`].
#[derive(Debug, serde::Serialize)]
pub(super) struct Created {
    pub(super) id: String,
    /// In the order of the batch.
    pub(super) artifact_ids: Vec<ArtifactId>,
    /// For agents that send forms.
    pub(super) upload_instructions: Instructions,
    /// For agents that send parts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) per_artifact_instructions: BTreeMap<String, Instructions>,
}

/// How an artifact is sent: as a form by `action`, or its parts by `actions`.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(super) struct Instructions {
    pub(super) data: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<Action>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) actions: Vec<Action>,
}

/// One request of an upload.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(super) struct Action {
    pub(super) url: String,
    pub(super) method: &'static str,
    /// Takes the place of the URL's path, for forms.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) path: &'static str,
    /// The form's field that holds the file.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) file_input: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part_number: Option<u32>,
}

/// `PUT jobs/{job}/artifacts`.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Update {
    pub(super) artifacts: Vec<UpdatedArtifact>,
}

/// How an upload ended, for the agent.
#[derive(Debug, serde::Deserialize)]
pub(super) struct UpdatedArtifact {
    pub(super) id: ArtifactId,
    pub(super) state: String,
    #[serde(default)]
    pub(super) multipart_etags: Vec<PartEtag>,
}

/// A part that was sent.
#[derive(Debug, serde::Deserialize)]
pub(super) struct PartEtag {
    pub(super) part_number: u32,
    pub(super) etag: String,
}

/// The query of a search.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    pub(super) query: String,
    /// Key, label or id.
    #[serde(default)]
    pub(super) scope: String,
    #[serde(default)]
    pub(super) state: String,
    #[serde(default)]
    pub(super) include_retried_jobs: bool,
    #[serde(default)]
    pub(super) include_duplicates: bool,
}

/// What a search finds.
#[derive(Debug, serde::Serialize)]
pub(super) struct FoundArtifact {
    pub(super) id: ArtifactId,
    pub(super) path: String,
    pub(super) absolute_path: String,
    pub(super) file_size: u64,
    pub(super) sha1sum: Sha1,
    pub(super) sha256sum: Sha256,
    pub(super) job_id: String,
    /// RFC 3339.
    pub(super) created_at: String,
    pub(super) content_type: String,
    pub(super) url: String,
    /// Always empty: the agent asks the store that it names for credentials.
    pub(super) upload_destination: &'static str,
}
