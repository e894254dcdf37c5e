//! The routes of those who run the controller (sweep, verify, tokens) and of what watches it (health, metrics).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::model::PackName;
use crate::model::progress::Progress;
use crate::protocol::{GcOptions, GcReport, IssuedToken, TokenRequest, VerifyOptions, VerifyReport};

use super::answer::Failure;
use super::authenticated::Authenticated;
use super::state::Server;

/// A name that no pack has; looking it up shows that the store answers.
const NO_PACK: PackName = PackName([0; 16]);

/// `POST /v1/gc`: sweeps once.
pub(super) async fn gc(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Json(options): Json<GcOptions>,
) -> Result<Json<GcReport>, Failure> {
    server.run(move |controller| controller.gc(&caller, &options)).await.map(Json)
}

/// `POST /v1/verify`: reads everything again. An index is not rebuilt beside agents at work.
pub(super) async fn verify(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Json(options): Json<VerifyOptions>,
) -> Result<Json<VerifyReport>, Failure> {
    if options.rebuild_index {
        return Err(Failure::Malformed(
            "an index is rebuilt while the controller is stopped: run `pannier verify --rebuild-index` on its data folder"
                .to_owned(),
        ));
    }
    server.run(move |controller| controller.verify(&caller, &options, &Progress::default())).await.map(Json)
}

/// `POST /v1/tokens`: a new token.
pub(super) async fn token(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<TokenRequest>,
) -> Result<Json<IssuedToken>, Failure> {
    caller.require_operator()?;
    let state = Arc::clone(&server);
    server.run(move |controller| state.tokens.issue(&request, controller.clock.now())).await.map(Json)
}

/// `GET /v1/openapi.json`: every route under `/v1`, for machines that write clients.
pub(super) async fn openapi() -> Response {
    const DOCUMENT: &str = include_str!("../../../docs/openapi.json");
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

/// `GET /healthz`: the process answers.
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: ledger and store answer too.
pub(super) async fn ready(State(server): State<Arc<Server>>) -> Response {
    let look = |controller: &crate::controller::Controller| {
        controller.identity()?;
        Ok(controller.store.head(NO_PACK.into()).map(drop)?)
    };
    match server.run(look).await {
        Ok(()) => "ready\n".into_response(),
        Err(failure) => {
            let mut response = failure.into_response();
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    }
}

/// `GET /metrics`: counters in Prometheus's text format.
pub(super) async fn metrics(State(server): State<Arc<Server>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let read_bytes = server.controller.read_artifact_bytes();
    ([(header::CONTENT_TYPE, kind)], server.metrics.text(read_bytes)).into_response()
}
