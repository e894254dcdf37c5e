//! A controller's artifacts behind HTTP, as `ArtifactRemote`: one request a method (`docs/protocol.md`).

use std::time::Duration;

use serde::Serialize;

use crate::http::Method;
use crate::model::SignedUrl;
use crate::protocol::artifact::{
    ArtifactId, ArtifactInfo, ArtifactQuery, CreatedArtifact, FinishArtifact, FinishedArtifact,
    FoundArtifacts, NewArtifacts, PartIntent, Upload,
};
use crate::protocol::contents::{MAX_OBJECT_BYTES, from_bytes, own_path};

use super::artifact_remote::ArtifactRemote;
use super::http_remote::{COMMIT_PATIENCE, HttpRemote, parse, unreadable};
use super::remote::RemoteError;
use super::transport::Transport;

impl HttpRemote {
    /// Posts a list and reads one that has an answer for each.
    fn post_all<T: serde::de::DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl Serialize,
        count: usize,
        patience: Duration,
    ) -> Result<Vec<T>, RemoteError> {
        let answers: Vec<T> = self.post(segments, body, patience)?;
        match answers.len() == count {
            true => Ok(answers),
            false => Err(unreadable("it answered about other artifacts than were asked for")),
        }
    }

    fn whole_info(&self, info: ArtifactInfo) -> ArtifactInfo {
        ArtifactInfo { get: info.get.map(|url| url.on(self.base())), ..info }
    }
}

impl ArtifactRemote for HttpRemote {
    fn transport(&self) -> &Transport {
        super::remote::Remote::transport(self)
    }

    fn identity(&self) -> String {
        super::remote::Remote::identity(self)
    }

    fn create_artifacts(&self, request: &NewArtifacts) -> Result<Vec<CreatedArtifact>, RemoteError> {
        let count = request.artifacts.len();
        let created: Vec<CreatedArtifact> = self.post_all(&["artifacts"], request, count, Duration::ZERO)?;
        let whole = |upload| match upload {
            Upload::Whole { put } => Upload::Whole { put: put.on(self.base()) },
            other => other,
        };
        Ok(created
            .into_iter()
            .map(|created| CreatedArtifact { upload: whole(created.upload), ..created })
            .collect())
    }

    fn sign_parts(&self, id: &ArtifactId, parts: &[PartIntent]) -> Result<Vec<SignedUrl>, RemoteError> {
        let segments = ["artifacts", &id.0, "parts"];
        let urls: Vec<SignedUrl> = self.post_all(&segments, &parts, parts.len(), Duration::ZERO)?;
        Ok(urls.into_iter().map(|url| url.on(self.base())).collect())
    }

    /// The controller looks at what arrived, and reads some of it again.
    fn finish_artifacts(&self, uploads: &[FinishArtifact]) -> Result<Vec<FinishedArtifact>, RemoteError> {
        self.post_all(&["artifacts", "finish"], &uploads, uploads.len(), COMMIT_PATIENCE)
    }

    fn search_artifacts(&self, query: &ArtifactQuery) -> Result<FoundArtifacts, RemoteError> {
        let found: FoundArtifacts = self.post(&["artifacts", "search"], query, Duration::ZERO)?;
        let artifacts = found.artifacts.into_iter().map(|info| self.whole_info(info)).collect();
        Ok(FoundArtifacts { artifacts, ..found })
    }

    fn artifact(&self, id: &ArtifactId) -> Result<ArtifactInfo, RemoteError> {
        let url = self.route(&["artifacts", &id.0], &[]);
        parse(&self.send(Method::GET, &url, Vec::new(), "application/json")?)
            .map(|info| self.whole_info(info))
    }

    fn delete_artifact(&self, id: &ArtifactId) -> Result<bool, RemoteError> {
        let url = self.route(&["artifacts", &id.0], &[]);
        parse(&self.send(Method::DELETE, &url, Vec::new(), "application/json")?)
    }

    fn hands_out(&self, artifact: &ArtifactInfo) -> bool {
        let url = artifact.get.as_ref().filter(|_| artifact.len <= MAX_OBJECT_BYTES);
        url.is_some_and(|url| own_path(url, self.base()).is_some())
    }

    fn contents(&self, artifacts: &[&ArtifactInfo]) -> Result<Vec<Option<Vec<u8>>>, RemoteError> {
        let url_of =
            |artifact: &&ArtifactInfo| own_path(artifact.get.as_ref()?, self.base()).map(str::to_owned);
        let paths: Option<Vec<String>> = artifacts.iter().map(url_of).collect();
        let paths = paths.ok_or_else(|| unreadable("an artifact lies elsewhere"))?;
        match self.send(Method::POST, &self.objects(), paths.join("\n").into_bytes(), "text/plain") {
            Ok(answer) => from_bytes(&answer, artifacts.len())
                .ok_or_else(|| unreadable("it answered about other objects than were asked for")),
            Err(error) if error.is_retryable() => Err(error),
            // An older controller.
            Err(_) => Ok(vec![None; artifacts.len()]),
        }
    }
}
