//! The routes of a build's files, for managers that browse what a build left: one answer lists a whole folder.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};

use crate::protocol::BuildId;
use crate::protocol::listing::{FileInfo, ListFiles, Listing};

use super::answer::Failure;
use super::authenticated::Authenticated;
use super::stashes::checked;
use super::state::Server;

/// A file or folder by build and path.
#[derive(serde::Deserialize)]
pub(super) struct FileKey {
    project: String,
    build: String,
    #[serde(default)]
    path: String,
}

/// `POST /v1/files/list`: [`ListFiles`] to a [`Listing`]. Patterns may be longer than an address, hence no GET.
pub(super) async fn list(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<ListFiles>,
) -> Result<Json<Listing>, Failure> {
    checked(&request.build)?;
    server.run(move |controller| controller.list_files(&caller, &request)).await.map(Json)
}

/// `GET /v1/files?project=…&build=…&path=…`: a [`FileInfo`] with a URL to read the file; 404 if there is neither file nor folder.
pub(super) async fn one(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Query(key): Query<FileKey>,
) -> Result<Json<FileInfo>, Failure> {
    let (build, path) = (BuildId { project: key.project, build: key.build }, key.path);
    checked(&build)?;
    server.run(move |controller| controller.file(&caller, &build, &path)).await.map(Json)
}

/// `DELETE /v1/files?project=…&build=…&path=…`: how many files were deleted at that path and below it.
pub(super) async fn remove(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Query(key): Query<FileKey>,
) -> Result<Json<u64>, Failure> {
    let (build, path) = (BuildId { project: key.project, build: key.build }, key.path);
    checked(&build)?;
    server.run(move |controller| controller.delete_files(&caller, &build, &path)).await.map(Json)
}
