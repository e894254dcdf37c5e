//! An agent's uploads: announced in batches of thirty, sent part by part or as forms, ended. One function a route.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;

use crate::controller::Controller;
use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::server::answer::Failure;
use crate::controller::server::artifacts::end_uploads;
use crate::controller::server::authenticated::Authenticated;
use crate::controller::server::state::Server;
use crate::protocol::BuildId;
use crate::protocol::artifact::{
    ArtifactState, BuildFacts, CreatedArtifact, FinishArtifact, FinishedArtifact, Job, MAX_ARTIFACTS,
    NewArtifact, NewArtifacts, PART_BYTES, SentPart, Upload,
};

use super::base::{absolute, base};
use super::wire::{Action, Batch, BatchArtifact, Created, Instructions, Update, UpdatedArtifact};

/// Agents say this of what they do not know either.
const UNKNOWN_TYPE: &str = "binary/octet-stream";
/// Where forms go.
const FORM: &str = "/v3/relay/form";
/// Where an agent says how many milliseconds it waits for this answer (`api/client.go` of buildkite-agent 3.104).
const AGENT_PATIENCE: &str = "buildkite-timeout-milliseconds";
/// What it waits where it does not say: a minute, less what the answer needs on its way.
const UNTOLD_PATIENCE: Duration = Duration::from_secs(50);
/// For an answer's way.
const WAY: Duration = Duration::from_secs(1);

/// `POST /v3/jobs/{job}/artifacts`: a [`Batch`] to [`Created`].
pub(super) async fn create(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(job): Path<String>,
    headers: HeaderMap,
    Json(batch): Json<Batch>,
) -> Result<Json<Created>, Failure> {
    if !batch.upload_destination.is_empty() {
        return Err(Failure::Malformed(
            "this controller keeps artifacts itself: leave out the upload destination".to_owned(),
        ));
    }
    let base = base(&server, &headers);
    let state = Arc::clone(&server);
    let created = server
        .run(move |controller| {
            let request = announcement(&caller, &job, &batch)?;
            let created = controller.create_artifacts(&caller, &request)?;
            let ids: Vec<_> = created.iter().map(|created| created.id.clone()).collect();
            let now = controller.clock.now();
            let form = form(&base, state.tokens.tickets.ticket(&caller, &ids, now));
            let mut each = BTreeMap::new();
            for (created, artifact) in
                created.iter().zip(&batch.artifacts).filter(|_| batch.multipart_supported)
            {
                let actions = match parts(controller, &caller, created, artifact, &base)? {
                    Some(actions) => actions,
                    // What no plain PUT can bring, or what is here already, comes by this server.
                    None => {
                        let ticket =
                            state.tokens.tickets.ticket(&caller, std::slice::from_ref(&created.id), now);
                        vec![Action {
                            url: format!("{base}/v3/relay?ticket={ticket}"),
                            method: "PUT",
                            part_number: Some(1),
                            ..Action::default()
                        }]
                    }
                };
                each.insert(created.id.0.clone(), Instructions { actions, ..form.clone() });
            }
            Ok(Created {
                id: batch.id,
                artifact_ids: ids,
                upload_instructions: form,
                per_artifact_instructions: each,
            })
        })
        .await?;
    Ok(Json(created))
}

/// `PUT /v3/jobs/{job}/artifacts`: an [`Update`]. 422 if the agent calls finished what did not arrive as announced, 503 while it is still read: an agent
/// asks ten times.
pub(super) async fn update(
    State(server): State<Arc<Server>>,
    Authenticated(caller): Authenticated,
    Path(job): Path<String>,
    headers: HeaderMap,
    Json(update): Json<Update>,
) -> Result<Json<serde_json::Value>, Failure> {
    let uploads: Vec<FinishArtifact> = update.artifacts.iter().map(end).collect();
    let finish = move |controller: &Controller| {
        own_build(&caller)?;
        caller.require_job(&Job { id: job.clone(), ..Job::default() })?;
        // After an outage an agent tells of everything at once.
        let groups = uploads.chunks(MAX_ARTIFACTS).map(|group| controller.finish_artifacts(&caller, group));
        Ok(groups.collect::<Result<Vec<_>, _>>()?.concat())
    };
    let all_read = |ended: &[FinishedArtifact]| !ended.iter().any(is_unread);
    let ended = end_uploads(&server, patience(&headers), all_read, finish).await?;
    let wrong = ended.iter().zip(&update.artifacts).find(|(ended, said)| {
        !matches!(ended.state, ArtifactState::Finished | ArtifactState::New)
            && said.state == ArtifactState::Finished.word()
    });
    if let Some((ended, _)) = wrong {
        return Err(Failure::Unprocessable(format!(
            "artifact {} is in state {}: {}",
            ended.id.0,
            ended.state.word(),
            ended.why.as_deref().unwrap_or("its upload is over")
        )));
    }
    match ended.iter().find(|ended| is_unread(ended)) {
        Some(unread) => Err(Failure::Later(format!(
            "artifact {}: {}",
            unread.id.0,
            unread.why.as_deref().unwrap_or("its upload has not ended")
        ))),
        None => Ok(Json(serde_json::json!({}))),
    }
}

fn is_unread(ended: &FinishedArtifact) -> bool {
    ended.state == ArtifactState::New
}

/// How long an agent waits for an answer, with a moment for its way.
fn patience(headers: &HeaderMap) -> Duration {
    let told = headers.get(AGENT_PATIENCE).and_then(|millis| millis.to_str().ok()?.parse().ok());
    told.map_or(UNTOLD_PATIENCE, |millis| Duration::from_millis(millis).saturating_sub(WAY))
        .min(UNTOLD_PATIENCE)
}

/// The build that a token is for: an agent does not say which it is.
pub(super) fn own_build(caller: &Caller) -> Result<BuildId, ControllerError> {
    match (&caller.project, &caller.build) {
        (Some(project), Some(build)) => Ok(BuildId { project: project.clone(), build: build.clone() }),
        _ => Err(ControllerError::Unfit(
            "a Buildkite agent needs a token for one build: pannier token --for-project PROJECT --for-build BUILD \
             --for-job JOB --for-step STEP"
                .to_owned(),
        )),
    }
}

fn announcement(caller: &Caller, job: &str, batch: &Batch) -> Result<NewArtifacts, ControllerError> {
    Ok(NewArtifacts {
        build: own_build(caller)?,
        facts: BuildFacts::default(),
        job: Job { id: job.to_owned(), step: caller.step.clone(), ..Job::default() },
        artifacts: batch.artifacts.iter().map(|artifact| new_artifact(&batch.id, artifact)).collect(),
    })
}

fn new_artifact(key: &str, artifact: &BatchArtifact) -> NewArtifact {
    let content_type = if artifact.content_type.is_empty() { UNKNOWN_TYPE } else { &artifact.content_type };
    NewArtifact {
        key: key.to_owned(),
        path: artifact.path.clone(),
        absolute_path: (!artifact.absolute_path.is_empty()).then(|| artifact.absolute_path.clone()),
        len: artifact.file_size,
        mode: None,
        modified: None,
        link: None,
        content_type: content_type.to_owned(),
        sha1: artifact.sha1sum,
        sha256: artifact.sha256sum,
        blake3: None,
        crc32c: None,
        keep_days: None,
    }
}

/// The form that an agent fills in: its file field comes last, and the path says which of the batch it is.
fn form(base: &str, ticket: String) -> Instructions {
    Instructions {
        data: BTreeMap::from([("ticket", ticket), ("path", "${artifact:path}".to_owned())]),
        action: Some(Action {
            url: base.to_owned(),
            method: "POST",
            path: FORM,
            file_input: "file",
            ..Action::default()
        }),
        actions: Vec::new(),
    }
}

/// PUTs to the store for each part; `None` if there can be none, or nothing is to be sent.
fn parts(
    controller: &Controller,
    caller: &Caller,
    created: &CreatedArtifact,
    artifact: &BatchArtifact,
    base: &str,
) -> Result<Option<Vec<Action>>, ControllerError> {
    if artifact.file_size == 0 || matches!(created.upload, Upload::Finished | Upload::Known) {
        return Ok(None);
    }
    let lens = even_parts(artifact.file_size, artifact.file_size.div_ceil(PART_BYTES));
    let Some(urls) = controller.sign_foreign_parts(caller, &created.id, &lens)? else { return Ok(None) };
    let action = |(number, url)| Action {
        url: absolute(url, base),
        method: "PUT",
        part_number: Some(number),
        ..Action::default()
    };
    Ok(Some((1..).zip(urls).map(action).collect()))
}

/// How an agent splits `len` bytes over `count` parts: evenly, the first ones a byte longer (`internal/artifact/bk_uploader.go`
/// of buildkite-agent 3.104).
fn even_parts(len: u64, count: u64) -> Vec<u64> {
    let count = count.max(1);
    (0..count).map(|at| len / count + u64::from(at < len % count)).collect()
}

fn end(artifact: &UpdatedArtifact) -> FinishArtifact {
    let mut parts: Vec<SentPart> = artifact
        .multipart_etags
        .iter()
        .map(|part| SentPart { number: part.part_number, etag: part.etag.clone() })
        .collect();
    parts.sort_by_key(|part| part.number);
    FinishArtifact {
        id: artifact.id.clone(),
        failed: artifact.state != ArtifactState::Finished.word(),
        parts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves that an answer comes before its agent goes: newer ones tell when that is.
    #[test]
    fn an_answer_comes_before_its_agent_has_gone() {
        let told = |millis: &str| {
            patience(
                &[(AGENT_PATIENCE, millis)]
                    .into_iter()
                    .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                    .collect(),
            )
        };
        assert_eq!(told("5000"), Duration::from_secs(4));
        assert_eq!(told("60000"), UNTOLD_PATIENCE);
        assert_eq!((told("300"), told("soon")), (Duration::ZERO, UNTOLD_PATIENCE));
    }

    #[test]
    fn parts_are_even_and_the_first_ones_longer() {
        assert_eq!(even_parts(11, 3), [4, 4, 3]);
        assert_eq!(even_parts(12, 3), [4, 4, 4]);
        assert_eq!(even_parts(5, 1), [5]);
        assert_eq!(even_parts((4 << 30) + 1, 65).iter().sum::<u64>(), (4 << 30) + 1);
    }
}
