//! Every route in one table, and what is done around each: a request id, a line in the log, counters, limits.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use tracing::Instrument;

use super::answer::Failure;
use super::state::Server;
use super::{artifacts, buildkite, contents, files, objects, operate, sessions, stashes, ui};

/// The largest body that is taken but for objects: 16,384 digests are 512 KiB, a commit of 1,024 packs is 36 KiB.
pub(super) const MAX_BODY_BYTES: usize = 1 << 20;
/// The largest body that announces or ends artifacts: a thousand of them with paths of 4 KiB, or one of ten thousand parts.
const MAX_ARTIFACTS_BODY_BYTES: usize = 16 << 20;
/// Names a request in the log, in its answer, and in what the agent prints of a failure.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// An agent's own id is kept if it is no longer than this.
const MAX_REQUEST_ID_BYTES: usize = 64;

/// The server's routes.
pub(super) fn router(server: Arc<Server>) -> Router {
    let v1 = Router::new()
        .route("/sessions", post(sessions::open))
        .route("/sessions/{session}", delete(sessions::release))
        .route("/sessions/{session}/missing", post(sessions::missing))
        .route("/sessions/{session}/packs", post(sessions::sign))
        .route("/sessions/{session}/packs/{pack}/put", post(sessions::renew_put))
        .route("/sessions/{session}/gets", post(sessions::renew_gets))
        .route("/sessions/{session}/packs/{pack}/damaged", post(sessions::damaged))
        .route("/sessions/{session}/commit", post(sessions::commit))
        .route("/resolve", post(stashes::resolve))
        .route("/stashes", get(stashes::list).delete(stashes::remove))
        .route("/stashes/clear", post(stashes::clear))
        .route("/copy", post(stashes::copy))
        .merge(artifacts_routes())
        .route("/files", get(files::one).delete(files::remove))
        .route("/files/list", post(files::list))
        .route("/gc", post(operate::gc))
        .route("/verify", post(operate::verify))
        .route("/tokens", post(operate::token))
        .route("/openapi.json", get(operate::openapi));
    Router::new()
        .nest("/v1", v1)
        .merge(buildkite::routes())
        .merge(ui::routes())
        .route("/objects", post(contents::several))
        .route("/objects/{object}", put(objects::put).get(objects::get))
        .route("/healthz", get(operate::healthy))
        .route("/readyz", get(operate::ready))
        .route("/metrics", get(operate::metrics))
        .fallback(|| async { Failure::NoObject })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&server), observe))
        .with_state(server)
}

/// The routes of artifacts, whose bodies may be larger than others.
fn artifacts_routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/artifacts", post(artifacts::create))
        .route("/artifacts/finish", post(artifacts::finish))
        .route("/artifacts/search", post(artifacts::search))
        .route("/artifacts/{id}", get(artifacts::one).delete(artifacts::remove))
        .route("/artifacts/{id}/parts", post(artifacts::parts))
        .layer(DefaultBodyLimit::max(MAX_ARTIFACTS_BODY_BYTES))
}

/// Logs and counts a request. Of its address only the route's pattern is told: queries carry signatures.
async fn observe(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().as_str().to_owned();
    let id = request_id(&request);
    let span = tracing::info_span!("request", id, method, route);
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let (status, time) = (response.status().as_u16(), started.elapsed());
    span.in_scope(|| tracing::info!(status, seconds = time.as_secs_f64(), "answered"));
    server.metrics.answered(&method, &route, status, time);
    response
}

fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    given.filter(plain).map_or_else(new_id, str::to_owned)
}

fn new_id() -> String {
    let mut random = [0u8; 8];
    // An id that is not random still tells its request from most others.
    let _ = getrandom::fill(&mut random);
    format!("{:016x}", u64::from_le_bytes(random))
}
