//! The routes of artifacts: announced, sent, ended, found. One function a route; each says its request and answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use crate::model::SignedUrl;
use crate::protocol::artifact::{
    ArtifactId, ArtifactInfo, ArtifactQuery, CreatedArtifact, FinishArtifact, FinishedArtifact,
    FoundArtifacts, NewArtifacts, PartIntent,
};

use super::answer::Failure;
use super::authenticated::Authenticated;
use super::stashes::checked;
use super::state::Server;

/// `POST /v1/artifacts`: [`NewArtifacts`] to a [`CreatedArtifact`] each, in order.
pub(super) async fn create(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<NewArtifacts>,
) -> Result<Json<Vec<CreatedArtifact>>, Failure> {
    checked(&request.build)?;
    let bytes = request.artifacts.iter().fold(0u64, |sum, artifact| sum.saturating_add(artifact.len));
    let created = server.run(move |controller| controller.create_artifacts(&caller, &request)).await?;
    server.metrics.announced(bytes);
    Ok(Json(created))
}

/// `POST /v1/artifacts/{id}/parts`: a list of [`PartIntent`] to a PUT each.
pub(super) async fn parts(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ArtifactId>,
    Json(parts): Json<Vec<PartIntent>>,
) -> Result<Json<Vec<SignedUrl>>, Failure> {
    server.run(move |controller| controller.sign_parts(&caller, &id, &parts)).await.map(Json)
}

/// `POST /v1/artifacts/finish`: a list of [`FinishArtifact`] to how each ended.
pub(super) async fn finish(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Json(uploads): Json<Vec<FinishArtifact>>,
) -> Result<Json<Vec<FinishedArtifact>>, Failure> {
    let ended = server.run(move |controller| controller.finish_artifacts(&caller, &uploads)).await?;
    server.metrics.ended(&ended);
    Ok(Json(ended))
}

/// `POST /v1/artifacts/search`: an [`ArtifactQuery`] to [`FoundArtifacts`].
pub(super) async fn search(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Json(query): Json<ArtifactQuery>,
) -> Result<Json<FoundArtifacts>, Failure> {
    server.run(move |controller| controller.search_artifacts(&caller, &query)).await.map(Json)
}

/// `GET /v1/artifacts/{id}`: an [`ArtifactInfo`] with a URL to read it, if it is finished.
pub(super) async fn one(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ArtifactId>,
) -> Result<Json<ArtifactInfo>, Failure> {
    server.run(move |controller| controller.artifact(&caller, &id)).await.map(Json)
}

/// `DELETE /v1/artifacts/{id}`: `true`, or `false` if it was deleted or over before.
pub(super) async fn remove(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ArtifactId>,
) -> Result<Json<bool>, Failure> {
    server.run(move |controller| controller.delete_artifact(&caller, &id)).await.map(Json)
}
