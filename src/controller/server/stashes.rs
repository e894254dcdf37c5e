//! The routes of what is committed: resolve, list, remove, clear, copy. One function a route.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};

use crate::protocol::build::{NameError, check_label};
use crate::protocol::{BuildId, Copied, Resolved, StashInfo, StashName};

use super::answer::Failure;
use super::authenticated::Authenticated;
use super::state::Server;

/// A stash by build and name.
#[derive(serde::Deserialize)]
pub(super) struct StashKey {
    project: String,
    build: String,
    name: StashName,
}

/// `POST /v1/resolve`: a stash's key to [`Resolved`]. Opens a lease, hence no GET.
pub(super) async fn resolve(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Json(key): Json<StashKey>,
) -> Result<Json<Resolved>, Failure> {
    let (build, name) = (BuildId { project: key.project, build: key.build }, key.name);
    checked(&build)?;
    let resolved = server.run(move |controller| controller.resolve(&caller, &build, &name)).await?;
    server.metrics.resolved(&resolved);
    Ok(Json(resolved))
}

/// `GET /v1/stashes?project=…&build=…`: a list of [`StashInfo`], by name.
pub(super) async fn list(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Query(build): Query<BuildId>,
) -> Result<Json<Vec<StashInfo>>, Failure> {
    checked(&build)?;
    server.run(move |controller| controller.list(&caller, &build)).await.map(Json)
}

/// `DELETE /v1/stashes?project=…&build=…&name=…`: whether there was one.
pub(super) async fn remove(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Query(key): Query<StashKey>,
) -> Result<Json<bool>, Failure> {
    let (build, name) = (BuildId { project: key.project, build: key.build }, key.name);
    checked(&build)?;
    server.run(move |controller| controller.remove(&caller, &build, &name)).await.map(Json)
}

/// `POST /v1/stashes/clear`: a build to how many stashes it had; its artifacts stay.
pub(super) async fn clear(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Json(build): Json<BuildId>,
) -> Result<Json<u64>, Failure> {
    checked(&build)?;
    server.run(move |controller| controller.clear_stashes(&caller, &build)).await.map(Json)
}

/// From which build to which.
#[derive(serde::Deserialize)]
pub(super) struct CopyBody {
    from: BuildId,
    to: BuildId,
}

/// `POST /v1/copy`: how many stashes and artifacts the other build was given, by reference.
pub(super) async fn copy(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Json(body): Json<CopyBody>,
) -> Result<Json<Copied>, Failure> {
    checked(&body.from)?;
    checked(&body.to)?;
    server.run(move |controller| controller.copy(&caller, &body.from, &body.to)).await.map(Json)
}

/// Fails unless both names could be names.
pub(super) fn checked(build: &BuildId) -> Result<(), Failure> {
    let wrong = |error: NameError| Failure::Malformed(error.to_string());
    check_label(&build.project).map_err(wrong)?;
    check_label(&build.build).map_err(wrong)
}
