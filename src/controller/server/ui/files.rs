//! A file of a stash, to look at or to keep, and a stash as a tarball. Only the frames that hold it are read, and every
//! chunk is verified before it goes out.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::controller::artifacts::disposition;
use crate::controller::browse::{OpenedStash, TarballError};
use crate::controller::server::objects::range_of;
use crate::controller::server::state::Server;
use crate::model::EntryPath;

use super::address::Parameters;
use super::failure::PageFailure;
use super::layout::guard;
use super::media;
use super::session::Visitor;
use super::streaming::{Outgoing, stream};

/// A single file is shown without scripts, without a form, without anything but itself, in an origin of its own.
const FILE_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'; sandbox";

/// What a file's head is made of.
pub(super) struct FileHead {
    pub(super) size: u64,
    /// The bytes that follow, if a range was asked for.
    pub(super) range: Option<Range<u64>>,
}

/// `GET /ui/file?project&build&stash&path[&download]`, with or without `Range`.
pub(super) async fn file(
    State(server): State<Arc<Server>>,
    Visitor(caller): Visitor,
    query: Parameters,
    headers: HeaderMap,
) -> Result<Response, PageFailure> {
    let (build, name) = query.stash()?;
    let path = query.path("path")?.ok_or(PageFailure::NotFound)?;
    let file_name = path.file_name().to_vec();
    let asked = asked_range(&headers);
    let (head, body) = stream(&server, move |controller, out| {
        let mut stash = controller.open_stash(&caller, &build, &name)?;
        send_file(&mut stash, &path, asked.as_deref(), |head| head, out)
    })
    .await?;
    let shown = media::to_show(&file_name).filter(|_| !query.has("download"));
    let kind = if shown.is_some() { "inline" } else { "attachment" };
    let mut response = file_response(&head, body, shown.unwrap_or(media::UNKNOWN));
    guard(&mut response, FILE_POLICY);
    insert(&mut response, header::CONTENT_DISPOSITION, &disposition(kind, &file_name));
    Ok(response)
}

/// `GET /ui/tar?project&build&stash`: the same bytes as `pannier export`.
pub(super) async fn tarball(
    State(server): State<Arc<Server>>,
    Visitor(caller): Visitor,
    query: Parameters,
) -> Result<Response, PageFailure> {
    let (build, name) = query.stash()?;
    let file_name = format!("{name}.tar");
    let ((), body) = stream(&server, move |controller, out| {
        let mut stash = controller.open_stash(&caller, &build, &name)?;
        out.begin(());
        Ok(stash.tarball(out)?)
    })
    .await?;
    let mut response = body.into_response();
    guard(&mut response, FILE_POLICY);
    insert(&mut response, header::CONTENT_TYPE, "application/x-tar");
    insert(&mut response, header::CONTENT_DISPOSITION, &disposition("attachment", file_name.as_bytes()));
    Ok(response)
}

/// Sends what `asked` (a `Range`) wants of the file at `path`; one that is no file is not found.
pub(super) fn send_file<H>(
    stash: &mut OpenedStash<'_>,
    path: &EntryPath,
    asked: Option<&str>,
    head: impl FnOnce(FileHead) -> H,
    out: &mut Outgoing<H>,
) -> Result<(), PageFailure> {
    let entry = stash.owner(path)?;
    let content = entry.as_ref().and_then(|entry| entry.content()).ok_or(PageFailure::NotFound)?;
    let size = content.size;
    let range = asked.map(|asked| range_of(asked, size).ok_or(PageFailure::Range)).transpose()?;
    out.begin(head(FileHead { size, range: range.clone() }));
    let mut failed = None;
    stash.content(content, range.unwrap_or(0..size), &mut |bytes| {
        failed = out.write_all(bytes).err();
        failed.is_none()
    })?;
    failed.map_or(Ok(()), |_| Err(PageFailure::Busy))
}

/// A file's answer, but for who may do what with it.
pub(super) fn file_response(head: &FileHead, body: Body, media: &'static str) -> Response {
    let (status, len) = match &head.range {
        None => (StatusCode::OK, head.size),
        Some(range) => (StatusCode::PARTIAL_CONTENT, range.end - range.start),
    };
    let mut response = (status, body).into_response();
    insert(&mut response, header::CONTENT_TYPE, media);
    insert(&mut response, header::ACCEPT_RANGES, "bytes");
    insert(&mut response, header::CONTENT_LENGTH, &len.to_string());
    if let Some(range) = &head.range {
        let (last, size) = (range.end.saturating_sub(1), head.size);
        insert(&mut response, header::CONTENT_RANGE, &format!("bytes {}-{last}/{size}", range.start));
    }
    response
}

/// The `Range` that a request asks for.
pub(super) fn asked_range(headers: &HeaderMap) -> Option<String> {
    headers.get(header::RANGE).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn insert(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

impl From<TarballError> for PageFailure {
    fn from(error: TarballError) -> Self {
        match error {
            TarballError::Stash(error) => Self::Controller(error),
            // A manifest that is no tar, or a reader that went away; the log says which.
            TarballError::Tar(error) => {
                tracing::debug!(why = %error, "a tarball ended early");
                Self::Busy
            }
        }
    }
}
