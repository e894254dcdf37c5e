//! Artifacts as Buildkite's REST API lists them. An organization and a pipeline are the project `organization/pipeline`, a build is
//! named by its id or its number.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::controller::Controller;
use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::server::answer::Failure;
use crate::controller::server::authenticated::Authenticated;
use crate::controller::server::state::Server;
use crate::protocol::BuildId;
use crate::protocol::artifact::{ArtifactId, ArtifactInfo, ArtifactQuery, ArtifactState};

use super::base::{absolute, base};
use super::search::{all, state};

/// Artifacts of a page, as Buildkite answers them.
const PAGE: usize = 30;
/// The most that a page may be asked to have.
const MOST_OF_A_PAGE: usize = 100;

/// The path of a request; what a route has not is not there.
#[derive(serde::Deserialize)]
pub(super) struct Place {
    org: String,
    pipeline: String,
    build: String,
    #[serde(default)]
    job: Option<String>,
    #[serde(default)]
    id: Option<String>,
}

/// The query of a list.
#[derive(serde::Deserialize)]
pub(super) struct Filter {
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    page: Option<usize>,
    #[serde(default)]
    per_page: Option<usize>,
}

/// `GET …/builds/{build}/artifacts`: a list of artifacts, and a `Link` to further pages.
pub(super) async fn of_build(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(place): Path<Place>,
    Query(filter): Query<Filter>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let states = match &filter.state {
        Some(word) => vec![state(word)?],
        None => {
            vec![ArtifactState::New, ArtifactState::Error, ArtifactState::Finished, ArtifactState::Expired]
        }
    };
    let at = place.address(&base(&server, &headers));
    let list = place.job.as_ref().map_or_else(|| at.clone(), |job| format!("{at}/jobs/{}", escaped(job)));
    let (page, most) =
        (filter.page.unwrap_or(1).max(1), filter.per_page.unwrap_or(PAGE).clamp(1, MOST_OF_A_PAGE));
    let job = place.job.clone();
    let path = filter.path.clone().unwrap_or_default();
    let found = server
        .run(move |controller| {
            let build = place.build(controller, &caller)?;
            let query = ArtifactQuery {
                project: build.project,
                build: Some(build.build),
                path,
                step: job.clone(),
                include_retried: true,
                include_duplicates: true,
                states,
                ..ArtifactQuery::default()
            };
            let mut found = all(controller, &caller, query)?;
            found.retain(|artifact| job.as_ref().is_none_or(|job| artifact.job.id == *job));
            Ok(found)
        })
        .await
        .map_err(unseen)?;
    let links = links(&filter, &list, page, found.len().div_ceil(most));
    let listed = found.into_iter().skip((page - 1).saturating_mul(most)).take(most);
    let listed: Vec<serde_json::Value> = listed.map(|artifact| described(&artifact, &at)).collect();
    let mut response = Json(listed).into_response();
    if let Some(Ok(value)) = links.map(HeaderValue::try_from) {
        response.headers_mut().insert(header::LINK, value);
    }
    Ok(response)
}

/// `GET …/builds/{build}/jobs/{job}/artifacts`: the same of one job.
pub(super) async fn of_job(
    server: State<Arc<Server>>,
    caller: Authenticated,
    place: Path<Place>,
    filter: Query<Filter>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    of_build(server, caller, place, filter, headers).await
}

/// `GET …/artifacts/{id}`: one artifact.
pub(super) async fn one(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(place): Path<Place>,
    headers: HeaderMap,
) -> Result<Json<serde_json::Value>, Failure> {
    let at = place.address(&base(&server, &headers));
    let artifact = server.run(move |controller| place.artifact(controller, &caller)).await.map_err(unseen)?;
    Ok(Json(described(&artifact, &at)))
}

/// `DELETE …/artifacts/{id}`: 204; 404 if it is gone.
pub(super) async fn remove(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(place): Path<Place>,
) -> Result<StatusCode, Failure> {
    let deleted = server
        .run(move |controller| {
            let artifact = place.artifact(controller, &caller)?;
            controller.delete_artifact(&caller, &artifact.id)
        })
        .await
        .map_err(unseen)?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(Failure::NoObject) }
}

/// `GET …/artifacts/{id}/download`: 302 to the content, and the same URL in the body; 404 unless it is finished.
pub(super) async fn download(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(place): Path<Place>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let base = base(&server, &headers);
    let artifact = server.run(move |controller| place.artifact(controller, &caller)).await.map_err(unseen)?;
    let url = absolute(artifact.get.ok_or(Failure::NoObject)?, &base);
    let headers = [(header::LOCATION, url.clone()), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::FOUND, headers, Json(serde_json::json!({ "url": url }))).into_response())
}

impl Place {
    /// Where the build's artifacts stand.
    fn address(&self, base: &str) -> String {
        let [org, pipeline, build] = [&self.org, &self.pipeline, &self.build].map(|text| escaped(text));
        format!("{base}/v2/organizations/{org}/pipelines/{pipeline}/builds/{build}")
    }

    /// The build by its id, or else by its number.
    fn build(&self, controller: &Controller, caller: &Caller) -> Result<BuildId, ControllerError> {
        let project = format!("{}/{}", self.org, self.pipeline);
        controller.build_called(caller, &project, &self.build)
    }

    /// The artifact, if it is one of that build, and of that job if one is named.
    fn artifact(&self, controller: &Controller, caller: &Caller) -> Result<ArtifactInfo, ControllerError> {
        let build = self.build(controller, caller)?;
        let id = ArtifactId(self.id.clone().unwrap_or_default());
        let artifact = controller.artifact(caller, &id)?;
        let here = artifact.build == build
            && artifact.state != ArtifactState::Deleted
            && self.job.as_ref().is_none_or(|job| artifact.job.id == *job);
        if here { Ok(artifact) } else { Err(ControllerError::NoArtifact(id)) }
    }
}

/// What a token may not touch is not there for it.
fn unseen(failure: Failure) -> Failure {
    use ControllerError::{ForeignBuild, ForeignJob, NoArtifact, NoBuild};
    match failure {
        Failure::Controller(ForeignBuild(_) | ForeignJob(_) | NoArtifact(_) | NoBuild(_)) => {
            Failure::NoObject
        }
        other => other,
    }
}

fn described(artifact: &ArtifactInfo, at: &str) -> serde_json::Value {
    let url = format!("{at}/jobs/{}/artifacts/{}", escaped(&artifact.job.id), artifact.id.0);
    let (dirname, filename) = artifact.path.rsplit_once('/').unwrap_or((".", &artifact.path));
    serde_json::json!({
        "id": artifact.id,
        "job_id": artifact.job.id,
        "url": url,
        "download_url": format!("{url}/download"),
        "state": artifact.state,
        "path": artifact.path,
        "dirname": dirname,
        "filename": filename,
        "mime_type": artifact.content_type,
        "file_size": artifact.len,
        "sha1sum": artifact.sha1,
        "sha256sum": artifact.sha256,
    })
}

/// Links to other pages (RFC 8288), if there are any.
fn links(filter: &Filter, at: &str, page: usize, pages: usize) -> Option<String> {
    let link = |page: usize, name: &str| {
        let mut query = format!("page={page}");
        if let Some(most) = filter.per_page {
            query.push_str(&format!("&per_page={most}"));
        }
        for (name, value) in [("state", &filter.state), ("path", &filter.path)] {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", escaped(value)));
            }
        }
        format!("<{at}/artifacts?{query}>; rel=\"{name}\"")
    };
    let mut links = Vec::new();
    if page > 1 {
        links.extend([link(1, "first"), link(page - 1, "prev")]);
    }
    if page < pages {
        links.extend([link(page + 1, "next"), link(pages, "last")]);
    }
    (!links.is_empty()).then(|| links.join(", "))
}

/// A name as one segment of an address.
fn escaped(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}
