//! The routes of a session: open, missing, packs, commit, release. One function a route; each says its request and answer.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::model::{Digest, PackName, SignedUrl};
use crate::protocol::wire::{bits_to_bytes, digests_from_bytes, open_from_bytes, opened_to_bytes};
use crate::protocol::{Commit, Committed, PackDownload, PackIntent, SessionId, SignedPack};

use super::answer::Failure;
use super::authenticated::Authenticated;
use super::stashes::checked;
use super::state::Server;

/// What heads with raw bytes behind them are called.
const BINARY: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/octet-stream")];

/// `POST /v1/sessions`: [`crate::protocol::Open`] to [`crate::protocol::Opened`], both with a head.
pub(super) async fn open(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    body: Bytes,
) -> Result<Response, Failure> {
    let request = open_from_bytes(&body)?;
    checked(&request.build)?;
    let opened = server.run(move |controller| controller.open_session(&caller, &request)).await?;
    server.metrics.asked(&opened.missing);
    Ok((BINARY, opened_to_bytes(&opened)).into_response())
}

/// `POST /v1/sessions/{session}/missing`: digests to a bitmap.
pub(super) async fn missing(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(session): Path<SessionId>,
    body: Bytes,
) -> Result<Response, Failure> {
    let digests = digests_from_bytes(&body)?;
    let missing = server.run(move |controller| controller.missing(&caller, session, &digests)).await?;
    server.metrics.asked(&missing);
    Ok((BINARY, bits_to_bytes(&missing)).into_response())
}

/// `POST /v1/sessions/{session}/packs`: a list of [`PackIntent`] to a list of [`SignedPack`].
pub(super) async fn sign(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(session): Path<SessionId>,
    Json(packs): Json<Vec<PackIntent>>,
) -> Result<Json<Vec<SignedPack>>, Failure> {
    server.metrics.signed(&packs);
    server.run(move |controller| controller.sign(&caller, session, &packs)).await.map(Json)
}

/// `POST /v1/sessions/{session}/packs/{pack}/put`: the [`PackIntent`] again, to another URL.
pub(super) async fn renew_put(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path((session, pack)): Path<(SessionId, PackName)>,
    Json(intent): Json<PackIntent>,
) -> Result<Json<SignedUrl>, Failure> {
    server.run(move |controller| controller.renew_put(&caller, session, pack, &intent)).await.map(Json)
}

/// `POST /v1/sessions/{session}/gets`: other URLs for a read session's packs.
pub(super) async fn renew_gets(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(session): Path<SessionId>,
) -> Result<Json<Vec<PackDownload>>, Failure> {
    server.run(move |controller| controller.renew_gets(&caller, session)).await.map(Json)
}

/// The body of a commit; its session stands in the path.
#[derive(serde::Deserialize)]
pub(super) struct CommitBody {
    root: Digest,
    #[serde(default)]
    patches: Option<Digest>,
    packs: Vec<PackName>,
}

/// `POST /v1/sessions/{session}/commit`: root, patches and packs to [`Committed`].
pub(super) async fn commit(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(session): Path<SessionId>,
    Json(body): Json<CommitBody>,
) -> Result<Json<Committed>, Failure> {
    let request = Commit { session, root: body.root, patches: body.patches, packs: body.packs };
    let committed = server.run(move |controller| controller.commit(&caller, &request)).await?;
    server.metrics.committed(&committed);
    Ok(Json(committed))
}

/// `DELETE /v1/sessions/{session}`: ends it early; 204 whether or not it was open.
pub(super) async fn release(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(session): Path<SessionId>,
) -> Result<StatusCode, Failure> {
    server
        .run(move |controller| {
            controller.release(&caller, session);
            Ok(())
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What an agent found wrong with a pack.
#[derive(serde::Deserialize)]
pub(super) struct DamageBody {
    why: String,
}

/// `POST /v1/sessions/{session}/packs/{pack}/damaged`: the controller looks for itself; whether it is.
pub(super) async fn damaged(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path((session, pack)): Path<(SessionId, PackName)>,
    Json(body): Json<DamageBody>,
) -> Result<Json<bool>, Failure> {
    let report = move |controller: &crate::controller::Controller| {
        controller.report_damaged(&caller, session, pack, &body.why)
    };
    server.run(report).await.map(Json)
}
