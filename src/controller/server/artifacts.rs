//! The routes of artifacts: announced, sent, ended, found. One function a route; each says its request and answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use tokio::time::Instant;

use crate::controller::Controller;
use crate::controller::error::ControllerError;
use crate::model::SignedUrl;
use crate::protocol::artifact::{
    ArtifactId, ArtifactInfo, ArtifactQuery, ArtifactState, CreatedArtifact, FinishArtifact,
    FinishedArtifact, FoundArtifacts, NewArtifacts, PartIntent,
};

use super::answer::Failure;
use super::authenticated::Authenticated;
use super::stashes::checked;
use super::state::Server;

/// How long the answer to the end of uploads waits while all of them are read.
const UNREAD_WAIT: Duration = Duration::from_secs(10);
/// How often it looks whether one was read.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

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

/// `POST /v1/artifacts/finish`: a list of [`FinishArtifact`] to how each ended; one whose content is still read is `new`.
pub(super) async fn finish(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Json(uploads): Json<Vec<FinishArtifact>>,
) -> Result<Json<Vec<FinishedArtifact>>, Failure> {
    let is_news = |ended: &[FinishedArtifact]| {
        ended.is_empty() || ended.iter().any(|upload| upload.state != ArtifactState::New)
    };
    let finish = move |controller: &Controller| controller.finish_artifacts(&caller, &uploads);
    let ended = end_uploads(&server, UNREAD_WAIT, is_news, finish).await?;
    Ok(Json(ended))
}

/// Ends uploads with `finish`, again and again for at most `patience` until the answer will do. Holds no thread between.
pub(super) async fn end_uploads(
    server: &Server,
    patience: Duration,
    will_do: fn(&[FinishedArtifact]) -> bool,
    finish: impl Fn(&Controller) -> Result<Vec<FinishedArtifact>, ControllerError> + Send + Sync + 'static,
) -> Result<Vec<FinishedArtifact>, Failure> {
    let (until, finish) = (Instant::now() + patience, Arc::new(finish));
    let mut wait = FIRST_WAIT;
    loop {
        let again = Arc::clone(&finish);
        let ended = server.run(move |controller| again(controller)).await?;
        let next = Instant::now() + wait;
        if will_do(&ended) || next >= until {
            server.metrics.ended(&ended);
            return Ok(ended);
        }
        tokio::time::sleep_until(next).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
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
