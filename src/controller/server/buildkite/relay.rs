//! Content that comes through this process: the forms of older agents, and single PUTs where a plain one cannot reach the
//! store (Azure), would bring nothing (empty files) or what is there already (read and dropped).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Multipart, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::controller::caller::Caller;
use crate::controller::server::answer::Failure;
use crate::controller::server::state::Server;
use crate::http::{Client, ClientOptions};
use crate::protocol::artifact::ArtifactId;

use super::sink::{Sink, Taken, failure};

/// Relays at once; each may hold a part of 64 MiB on its way to a store elsewhere.
const RELAYS: usize = 4;
/// A sender from whom nothing comes for so long has gone, and gives its place back.
const SILENCE: Duration = Duration::from_secs(60);
/// Pieces that wait for a slow store.
const PIECES: usize = 4;
/// Longest text of a form's field: a ticket for thirty artifacts, a path.
const MAX_FIELD_BYTES: usize = 64 << 10;

/// What relays share.
pub(in crate::controller::server) struct Relays {
    places: Arc<Semaphore>,
    /// Made with the first relay to a store elsewhere; `None` if there can be none.
    client: OnceLock<Option<Client>>,
}

impl Default for Relays {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(RELAYS)), client: OnceLock::new() }
    }
}

impl Relays {
    fn client(&self) -> Option<&Client> {
        let made = || {
            Client::new(&ClientOptions::default())
                .inspect_err(|error| tracing::error!(%error, "nothing can be relayed"))
                .ok()
        };
        self.client.get_or_init(made).as_ref()
    }
}

/// The query of a single PUT.
#[derive(serde::Deserialize)]
pub(super) struct WholeQuery {
    ticket: String,
}

/// `PUT /v3/relay?ticket=…`: the whole content of the one artifact of the ticket; 200 with an `ETag`.
pub(super) async fn whole(
    State(server): State<Arc<Server>>,
    Query(query): Query<WholeQuery>,
    body: Body,
) -> Result<Response, Failure> {
    let (caller, artifacts) = ticket(&server, &query.ticket)?;
    let [id] = &artifacts[..] else { return Err(Failure::BadSignature) };
    relay(&server, caller, id.clone(), async |pieces| forward(body, pieces).await).await?;
    Ok([(header::ETAG, format!("\"{}\"", id.0))].into_response())
}

/// `POST /v3/relay/form`: fields `ticket`, `path`, and last `file`; 204.
pub(super) async fn form(
    State(server): State<Arc<Server>>,
    mut form: Multipart,
) -> Result<StatusCode, Failure> {
    let (mut given, mut path) = (None, None);
    let broken = |_| Failure::Malformed("this is no form that can be read".to_owned());
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            let said = given.zip(path).ok_or_else(|| {
                Failure::Malformed("the fields `ticket` and `path` come before the file".to_owned())
            });
            let (given, path): (String, String) = said?;
            let (caller, artifacts) = ticket(&server, &given)?;
            let id = artifact_at(&server, &caller, artifacts, path).await?;
            relay(&server, caller, id, async move |pieces| {
                loop {
                    let Ok(Ok(piece)) = timeout(SILENCE, field.chunk()).await else { return false };
                    let Some(piece) = piece else { return true };
                    if pieces.send(piece).await.is_err() {
                        return false;
                    }
                }
            })
            .await?;
            return Ok(StatusCode::NO_CONTENT);
        }
        let mut text = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(broken)? {
            text.extend_from_slice(&piece);
            if text.len() > MAX_FIELD_BYTES {
                return Err(Failure::Malformed(format!("the field {name:?} is longer than 64 KiB")));
            }
        }
        let text = String::from_utf8(text)
            .map_err(|_| Failure::Malformed(format!("the field {name:?} is no text")))?;
        match &name[..] {
            "ticket" => given = Some(text),
            "path" => path = Some(text),
            _ => {}
        }
    }
    Err(Failure::Malformed("the form has no `file`".to_owned()))
}

fn ticket(server: &Server, text: &str) -> Result<(Caller, Vec<ArtifactId>), Failure> {
    let now = server.controller.clock.now();
    server.tokens.tickets.read(text, now).ok_or(Failure::BadSignature)
}

/// Which artifact of the ticket has that path.
async fn artifact_at(
    server: &Server,
    caller: &Caller,
    artifacts: Vec<ArtifactId>,
    path: String,
) -> Result<ArtifactId, Failure> {
    let caller = caller.clone();
    let found = server
        .run(move |controller| {
            for id in artifacts {
                if controller.artifact(&caller, &id)?.path == path {
                    return Ok(Some(id));
                }
            }
            Ok(None)
        })
        .await?;
    found.ok_or(Failure::NoObject)
}

/// Moves an artifact's content to where it belongs and ends its upload. `send` hands over pieces and says whether all came.
async fn relay(
    server: &Arc<Server>,
    caller: Caller,
    id: ArtifactId,
    send: impl AsyncFnOnce(mpsc::Sender<Bytes>) -> bool,
) -> Result<(), Failure> {
    let place = Arc::clone(&server.relays.places).acquire_owned().await.map_err(|_| Failure::Busy)?;
    let (pieces, mut arriving) = mpsc::channel::<Bytes>(PIECES);
    let whole = Arc::new(AtomicBool::new(false));
    let (state, came) = (Arc::clone(server), Arc::clone(&whole));
    let taken = tokio::task::spawn_blocking(move || {
        let _place = place;
        let to = state.controller.relay_target(&caller, &id)?;
        let objects = state.objects.as_ref();
        let client = if objects.is_none() { state.relays.client() } else { None };
        let sink = Sink { controller: &state.controller, objects, client, caller: &caller, id: &id };
        sink.take(to, &mut arriving, || came.load(Ordering::Acquire))
    });
    // The sender goes only after it was said whether all came.
    let last = pieces.clone();
    let all = send(pieces).await;
    whole.store(all, Ordering::Release);
    drop(last);
    let taken = taken.await.map_err(|_| Failure::Busy)?.map_err(Failure::Controller)?;
    match taken {
        Taken::Ended(ended) => {
            server.metrics.ended(std::slice::from_ref(&ended));
            failure(&ended).map_or(Ok(()), |why| Err(Failure::Unprocessable(why)))
        }
        Taken::Broken => {
            Err(Failure::Malformed("these are not all the bytes that were announced".to_owned()))
        }
    }
}

/// Hands the body on piece by piece; whether it came to its end.
async fn forward(body: Body, pieces: mpsc::Sender<Bytes>) -> bool {
    let mut body = std::pin::pin!(body);
    loop {
        let next = std::future::poll_fn(|context| body.as_mut().poll_frame(context));
        let Ok(frame) = timeout(SILENCE, next).await else { return false };
        let Some(frame) = frame else { return true };
        let Ok(frame) = frame else { return false };
        if let Ok(piece) = frame.into_data()
            && pieces.send(piece).await.is_err()
        {
            return false;
        }
    }
}
