//! What an unmodified `buildkite-agent` and Buildkite's REST clients ask of a server (`docs/buildkite.md`).
//!
//! Does: take uploads (`upload`: announced and ended), answer searches (`search`), take content from agents that cannot send it to the
//! store themselves (`relay`, by a `ticket`), list artifacts as Buildkite's REST API does (`rest`), say absolute addresses (`base`).
//! Does not: decide anything about artifacts; that is the controller's.
//! May import: what the controller may.

mod base;
mod relay;
mod rest;
mod search;
mod sink;
mod ticket;
mod upload;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};

use super::state::Server;

pub(super) use relay::Relays;
pub(super) use ticket::TicketKey;

/// The largest body that announces or ends artifacts; an agent sends thirty at a time, each with two paths.
const MAX_BODY_BYTES: usize = 8 << 20;

/// The agent's routes and those of the REST API.
pub(super) fn routes() -> Router<Arc<Server>> {
    let agent = Router::new()
        .route("/jobs/{job}/artifacts", post(upload::create).put(upload::update))
        .route("/builds/{build}/artifacts/search", get(search::search))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    let relayed = Router::new()
        .route("/relay", put(relay::whole))
        .route("/relay/form", post(relay::form))
        .layer(DefaultBodyLimit::disable());
    let build = "/organizations/{org}/pipelines/{pipeline}/builds/{build}";
    let rest = Router::new()
        .route(&format!("{build}/artifacts"), get(rest::of_build))
        .route(&format!("{build}/jobs/{{job}}/artifacts"), get(rest::of_job))
        .route(&format!("{build}/artifacts/{{id}}"), get(rest::one).delete(rest::remove))
        .route(&format!("{build}/artifacts/{{id}}/download"), get(rest::download))
        .route(&format!("{build}/jobs/{{job}}/artifacts/{{id}}"), get(rest::one).delete(rest::remove))
        .route(&format!("{build}/jobs/{{job}}/artifacts/{{id}}/download"), get(rest::download));
    Router::new().nest("/v3", agent.merge(relayed)).nest("/v2", rest)
}
