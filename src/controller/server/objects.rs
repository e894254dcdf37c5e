//! The disk store's objects by signed URL: PUT once, GET with ranges. The one place where content passes a controller,
//! because there is no other server in front of that folder. Bytes stream; none is held whole.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;

use crate::controller::error::ControllerError;
use crate::controller::store::served::Grant;
use crate::controller::store::{Arrival, ServedStore};
use crate::model::PackName;

use super::answer::Failure;
use super::state::Server;
use super::streamed::Streamed;

/// Pieces in which a file is read.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that wait for a slow disk or a slow reader.
const PIECES: usize = 4;

/// The store behind the routes.
pub(super) type Objects = ServedStore;

/// `PUT /objects/{pack}?expires&len&crc32c&signature`: 201, durable. 412 if something stands there, 403 for a URL that
/// does not count, 400 for other bytes than were announced.
pub(super) async fn put(
    State(server): State<Arc<Server>>,
    Path(pack): Path<PackName>,
    Query(grant): Query<Grant>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Failure> {
    let objects = server.objects.as_ref().ok_or(Failure::NoObject)?;
    let grant = objects.grants_put(pack, &grant).ok_or(Failure::BadSignature)?;
    if content_length(&headers) != Some(grant.len) {
        return Err(Failure::Malformed(format!("this URL is signed for {} bytes", grant.len)));
    }
    let disk = Arc::clone(objects.disk());
    let (pieces, mut arriving) = mpsc::channel::<Bytes>(PIECES);
    let stored = tokio::task::spawn_blocking(move || {
        let mut arrival = disk.begin(pack, grant.len, grant.crc32c)?;
        while let Some(piece) = arriving.blocking_recv() {
            arrival.write(&piece)?;
        }
        arrival.finish()
    });
    let whole = forward(body, &pieces).await;
    drop(pieces);
    let arrival = stored.await.map_err(|_| Failure::Busy)?;
    whole?;
    match arrival.map_err(ControllerError::from)? {
        Arrival::Stored => Ok(StatusCode::CREATED),
        Arrival::Exists => Err(Failure::Exists),
        Arrival::Differs => Err(Failure::Malformed("these are not the bytes that were announced".to_owned())),
    }
}

/// `GET /objects/{pack}?expires&signature`, with or without `Range`.
pub(super) async fn get(
    State(server): State<Arc<Server>>,
    Path(pack): Path<PackName>,
    Query(grant): Query<Grant>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let objects = server.objects.as_ref().ok_or(Failure::NoObject)?;
    if !objects.grants_get(pack, &grant) {
        return Err(Failure::BadSignature);
    }
    let disk = Arc::clone(objects.disk());
    let opened = tokio::task::spawn_blocking(move || disk.open_object(pack)).await;
    let opened = opened.map_err(|_| Failure::Busy)?.map_err(ControllerError::from)?;
    let Some((file, len)) = opened else { return Err(Failure::NoObject) };
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let (status, range) = match asked.map(|asked| range_of(asked, len)) {
        None => (StatusCode::OK, 0..len),
        Some(Some(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(None) => return Err(Failure::Range),
    };
    let mut response = (status, stream(file, range.clone())).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    headers.insert(header::ACCEPT_RANGES, header::HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/octet-stream"));
    // Objects are served beside the pages for people: whatever a browser opens here is in an origin of its own.
    headers.insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static("sandbox"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = format!("bytes {}-{}/{len}", range.start, range.end.saturating_sub(1)).try_into()
    {
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

/// Hands the body on piece by piece. A body that breaks off is an error, and so never stored.
async fn forward(body: Body, pieces: &mpsc::Sender<Bytes>) -> Result<(), Failure> {
    let mut body = std::pin::pin!(body);
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let frame = frame.map_err(|_| Failure::Malformed("the body broke off".to_owned()))?;
        // The writer has stopped: its own error says why.
        if let Ok(piece) = frame.into_data()
            && pieces.send(piece).await.is_err()
        {
            break;
        }
    }
    Ok(())
}

fn stream(mut file: fs_err::File, range: Range<u64>) -> Body {
    let (pieces, arriving) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut read = || -> io::Result<()> {
            file.seek(SeekFrom::Start(range.start))?;
            let mut left = range.end - range.start;
            while left > 0 {
                let mut piece = vec![0; left.min(PIECE_BYTES as u64) as usize];
                file.read_exact(&mut piece)?;
                left -= piece.len() as u64;
                if pieces.blocking_send(Ok(piece.into())).is_err() {
                    break; // the reader went away
                }
            }
            Ok(())
        };
        if let Err(error) = read() {
            // The length is announced already: the connection breaks off, which the reader sees.
            let _ = pieces.blocking_send(Err(error));
        }
    });
    Body::from_stream(Streamed(arriving))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// One range of `bytes=…` as RFC 9110 spells it (§14.1.2); `None` if it is not one, or begins past the end.
pub(super) fn range_of(text: &str, len: u64) -> Option<Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first, last) {
        ("", suffix) => len.saturating_sub(suffix.parse().ok()?)..len,
        (first, "") => first.parse().ok()?..len,
        (first, last) => first.parse().ok()?..last.parse::<u64>().ok()?.saturating_add(1).min(len),
    };
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        for (text, range) in [
            ("bytes=0-4", Some(0..5)),
            ("bytes=5-", Some(5..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-30", Some(0..10)),
            ("bytes=8-99", Some(8..10)),
            ("bytes=10-", None),
            ("bytes=5-4", None),
            ("bytes=-0", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
            ("bytes=", None),
        ] {
            assert_eq!(range_of(text, 10), range, "{text}");
        }
    }
}
