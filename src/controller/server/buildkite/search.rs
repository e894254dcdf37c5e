//! An agent's searches, from its `artifact search`, `download` and `shasum`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;

use crate::controller::Controller;
use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::server::answer::Failure;
use crate::controller::server::authenticated::Authenticated;
use crate::controller::server::state::Server;
use crate::protocol::artifact::{ArtifactInfo, ArtifactQuery, ArtifactState};

use super::base::{absolute, base};
use super::upload::own_build;
use super::wire::{FoundArtifact, Search};

/// `GET /v3/builds/{build}/artifacts/search`: a list of [`FoundArtifact`], of any build of the token's project.
pub(super) async fn search(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(build): Path<String>,
    headers: HeaderMap,
    Query(search): Query<Search>,
) -> Result<Json<Vec<FoundArtifact>>, Failure> {
    let states = match &search.state[..] {
        "" => Vec::new(),
        word => vec![state(word)?],
    };
    let base = base(&server, &headers);
    let found = server
        .run(move |controller| {
            let query = ArtifactQuery {
                project: own_build(&caller)?.project,
                build: Some(build),
                path: search.query,
                step: Some(search.scope).filter(|scope| !scope.is_empty()),
                include_retried: search.include_retried_jobs,
                include_duplicates: search.include_duplicates,
                states,
                signed: true,
                ..ArtifactQuery::default()
            };
            all(controller, &caller, query)
        })
        .await?;
    Ok(Json(found.into_iter().map(|artifact| of_agent(artifact, &base)).collect()))
}

/// A state by its word; 422 for a word that is none.
pub(super) fn state(word: &str) -> Result<ArtifactState, Failure> {
    let known = ArtifactState::ALL.into_iter().find(|state| state.word() == word);
    let words = ArtifactState::ALL.map(ArtifactState::word).join(", ");
    known.ok_or_else(|| Failure::Unprocessable(format!("{word:?} is no state: there are {words}")))
}

/// Everything that a query finds: Buildkite's clients know no further pages here.
pub(super) fn all(
    controller: &Controller,
    caller: &Caller,
    mut query: ArtifactQuery,
) -> Result<Vec<ArtifactInfo>, ControllerError> {
    let mut artifacts = Vec::new();
    loop {
        let found = controller.search_artifacts(caller, &query)?;
        artifacts.extend(found.artifacts);
        query.after = found.next;
        if query.after.is_none() {
            return Ok(artifacts);
        }
    }
}

/// A second since 1970 as RFC 3339 spells it.
pub(super) fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

fn of_agent(artifact: ArtifactInfo, base: &str) -> FoundArtifact {
    FoundArtifact {
        id: artifact.id,
        path: artifact.path,
        absolute_path: artifact.absolute_path.unwrap_or_default(),
        file_size: artifact.len,
        sha1sum: artifact.sha1,
        sha256sum: artifact.sha256,
        job_id: artifact.job.id,
        created_at: rfc3339(artifact.created_at),
        content_type: artifact.content_type,
        url: artifact.get.map(|get| absolute(get, base)).unwrap_or_default(),
        upload_destination: "",
    }
}
