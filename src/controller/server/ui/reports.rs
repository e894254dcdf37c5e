//! HTML reports of a stash, opened with their relative links working. They are foreign code: each answer is a sandbox with
//! an origin of its own, which carries no cookie; what it may load is signed into its address.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::controller::browse::OpenedStash;
use crate::controller::server::state::Server;
use crate::model::{EntryKind, EntryPath};

use super::address::{Parameters, decoded, encoded};
use super::failure::PageFailure;
use super::files::{FileHead, asked_range, file_response, send_file};
use super::layout::guard;
use super::media;
use super::session::Visitor;
use super::streaming::{Outgoing, stream};

const PREFIX: &str = "/ui/report/";
/// The page of a folder.
const INDEX: &[u8] = b"index.html";

/// Scripts run, in an origin that is nobody's: no cookie, no storage, nothing of this site can be read. What they load
/// and send stays here; pages that they open elsewhere are free.
const REPORT_POLICY: &str = "sandbox allow-scripts allow-forms allow-downloads allow-popups \
     allow-popups-to-escape-sandbox; default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; \
     form-action 'none'; base-uri 'self'";

/// What stands at a report's address.
enum Found {
    File(FileHead),
    /// A folder without its last slash, without which relative links lead astray.
    Folder,
}

/// `GET /ui/open?project&build&stash&path`: to the report's own address, which holds for an hour.
pub(super) async fn open(
    State(server): State<Arc<Server>>,
    Visitor(caller): Visitor,
    query: Parameters,
) -> Result<Response, PageFailure> {
    let (build, name) = query.stash()?;
    let path = query.path("path")?.ok_or(PageFailure::NotFound)?;
    let wanted = path.clone();
    let find = move |controller: &crate::controller::Controller| {
        let mut stash = controller.open_stash(&caller, &build, &name)?;
        let found = stash.owner(&wanted)?.is_some_and(|entry| entry.content().is_some());
        Ok((found.then(|| stash.key().clone()), controller.clock.now()))
    };
    let (key, now) = server.run(find).await?;
    let capability = server.tokens.reports.capability(&key.ok_or(PageFailure::NotFound)?, now);
    let address = format!("{PREFIX}{capability}/{}", encoded(path.as_bytes()));
    let mut response = Redirect::to(&address).into_response();
    guard(&mut response, "default-src 'none'");
    Ok(response)
}

/// `GET /ui/report/{capability}/{path}`: a file of the stash that the capability opens, or a folder's `index.html`.
pub(super) async fn report(
    State(server): State<Arc<Server>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, PageFailure> {
    // Read by hand: a name may be no text.
    let (capability, path) =
        uri.path().strip_prefix(PREFIX).and_then(|rest| rest.split_once('/')).ok_or(PageFailure::NotFound)?;
    let key = server.tokens.reports.stash(capability, server.controller.clock.now());
    let key = key.ok_or(PageFailure::ReportEnded)?;
    let mut path = decoded(path);
    if path.last().is_none_or(|&last| last == b'/') {
        path.extend_from_slice(INDEX);
    }
    let path = EntryPath::new(path).map_err(|_| PageFailure::NotFound)?;
    let (media, asked) = (media::of_report(path.file_name()), asked_range(&headers));
    let (found, body) = stream(&server, move |controller, out| {
        let mut stash = controller.open_key(&key)?.ok_or(PageFailure::ReportEnded)?;
        send(&mut stash, &path, asked.as_deref(), out)
    })
    .await?;
    let mut response = match found {
        Found::File(head) => file_response(&head, body, media),
        Found::Folder => Redirect::to(&format!("{}/", uri.path())).into_response(),
    };
    guard(&mut response, REPORT_POLICY);
    let headers = response.headers_mut();
    // Fonts and modules are asked for by their own origin, which is nobody's. Whoever has the address may read.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=300"));
    Ok(response)
}

fn send(
    stash: &mut OpenedStash<'_>,
    path: &EntryPath,
    asked: Option<&str>,
    out: &mut Outgoing<Found>,
) -> Result<(), PageFailure> {
    if stash.entry(path)?.is_none_or(|entry| entry.kind == EntryKind::Directory)
        && stash.holds_folder(path)?
    {
        out.begin(Found::Folder);
        return Ok(());
    }
    send_file(stash, path, asked, Found::File, out)
}
