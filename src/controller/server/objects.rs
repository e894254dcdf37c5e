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
use crate::controller::store::served::{Grant, PutGrant};
use crate::controller::store::{Arrival, DiskStore, PutIntent, ServedStore, StoreError};
use crate::model::ObjectName;

use super::answer::Failure;
use super::state::Server;
use super::streamed::Streamed;

/// Pieces in which a file is read.
const PIECE_BYTES: usize = 256 << 10;
/// A body of so many bytes is held whole.
const SMALL_BYTES: u64 = PIECE_BYTES as u64;
/// Pieces that wait for a slow disk or a slow reader.
const PIECES: usize = 4;

/// The store behind the routes.
pub(super) type Objects = ServedStore;

/// `PUT /objects/{object}?…`: 201, durable, but a small blob only once its upload ends; of a part of an upload 200 with its `ETag`, durable once the whole is. 412 if something
/// stands there, 403 for a URL that does not count, 400 for other bytes than were announced, 404 for an upload that has ended.
pub(super) async fn put(
    State(server): State<Arc<Server>>,
    Path(object): Path<ObjectName>,
    Query(grant): Query<Grant>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let objects = server.objects.as_ref().ok_or(Failure::NoObject)?;
    let grant = objects.grants_put(object, &grant).ok_or(Failure::BadSignature)?;
    let (PutGrant::Whole(PutIntent { len, .. }) | PutGrant::Part { len, .. }) = grant;
    if content_length(&headers) != Some(len) {
        return Err(Failure::Malformed(format!("this URL is signed for {len} bytes")));
    }
    let disk = Arc::clone(objects.disk());
    let taken = if len <= SMALL_BYTES {
        store_small(disk, object, grant, body).await
    } else {
        store_large(disk, object, grant, body).await
    };
    match taken?.map_err(ControllerError::from)? {
        Taken::Whole(Arrival::Stored) => Ok(StatusCode::CREATED.into_response()),
        Taken::Whole(Arrival::Exists) => Err(Failure::Exists),
        Taken::Part(sum) => Ok([(header::ETAG, format!("\"{sum:08x}\""))].into_response()),
        Taken::NoUpload => Err(Failure::NoObject),
        Taken::Whole(Arrival::Differs) | Taken::Differs => {
            Err(Failure::Malformed("these are not the bytes that were announced".to_owned()))
        }
    }
}

/// A small body is collected first: it needs a thread for one moment, and no channel to it.
async fn store_small(
    disk: Arc<DiskStore>,
    object: ObjectName,
    grant: PutGrant,
    body: Body,
) -> Result<Result<Taken, StoreError>, Failure> {
    // One that is longer than was announced is cut off before this: its length is announced too.
    let broken = |_| Failure::Malformed("the body broke off".to_owned());
    let bytes = axum::body::to_bytes(body, SMALL_BYTES as usize).await.map_err(broken)?;
    let mut pieces = Some(bytes).into_iter();
    let stored = tokio::task::spawn_blocking(move || store(&disk, object, grant, &mut || pieces.next()));
    stored.await.map_err(|_| Failure::Busy)
}

async fn store_large(
    disk: Arc<DiskStore>,
    object: ObjectName,
    grant: PutGrant,
    body: Body,
) -> Result<Result<Taken, StoreError>, Failure> {
    let (pieces, mut arriving) = mpsc::channel::<Bytes>(PIECES);
    let stored =
        tokio::task::spawn_blocking(move || store(&disk, object, grant, &mut || arriving.blocking_recv()));
    let whole = forward(body, &pieces).await;
    drop(pieces);
    let taken = stored.await.map_err(|_| Failure::Busy)?;
    whole.map(|()| taken)
}

/// What became of a PUT's bytes.
enum Taken {
    Whole(Arrival),
    /// A part, and its CRC-32C.
    Part(u32),
    Differs,
    NoUpload,
}

fn store(
    disk: &DiskStore,
    object: ObjectName,
    grant: PutGrant,
    next: &mut dyn FnMut() -> Option<Bytes>,
) -> Result<Taken, StoreError> {
    match grant {
        PutGrant::Whole(intent) => {
            let mut arrival = disk.begin(object, &intent)?;
            while let Some(piece) = next() {
                arrival.write(&piece)?;
            }
            arrival.finish().map(Taken::Whole)
        }
        PutGrant::Part { upload, offset, len, crc32c } => {
            let Some(mut part) = disk.begin_part(object, &upload, offset, len)? else {
                return Ok(Taken::NoUpload);
            };
            while let Some(piece) = next() {
                part.write(&piece)?;
            }
            let (arrival, sum) = part.finish(crc32c);
            Ok(if arrival == Arrival::Stored { Taken::Part(sum) } else { Taken::Differs })
        }
    }
}

/// `GET /objects/{object}?…`, with or without `Range`.
pub(super) async fn get(
    State(server): State<Arc<Server>>,
    Path(object): Path<ObjectName>,
    Query(grant): Query<Grant>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let objects = server.objects.as_ref().ok_or(Failure::NoObject)?;
    let answer = objects.grants_get(object, &grant).ok_or(Failure::BadSignature)?;
    let disk = Arc::clone(objects.disk());
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let found = match disk.read_cached(object, SMALL_BYTES) {
        // It waited for nothing: no other thread has to be woken for it.
        Some(bytes) => cut(bytes, asked.as_deref())?,
        None => {
            let opened = tokio::task::spawn_blocking(move || open(&disk, object, asked.as_deref())).await;
            opened.map_err(|_| Failure::Busy)??
        }
    };
    let Found { len, status, range, content } = found;
    let body = match content {
        Content::Whole(bytes) => bytes.into(),
        Content::Open(file) => stream(file, range.clone()),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    headers.insert(header::ACCEPT_RANGES, header::HeaderValue::from_static("bytes"));
    let plain = || header::HeaderValue::from_static("application/octet-stream");
    let content_type = answer.content_type.and_then(|value| value.try_into().ok());
    headers.insert(header::CONTENT_TYPE, content_type.unwrap_or_else(plain));
    if let Some(Ok(value)) = answer.disposition.map(TryInto::try_into) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
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

/// What a GET finds.
struct Found {
    len: u64,
    status: StatusCode,
    range: Range<u64>,
    content: Content,
}

/// What of it goes out.
enum Content {
    /// All of it, since it is small.
    Whole(Vec<u8>),
    Open(fs_err::File),
}

fn open(disk: &DiskStore, object: ObjectName, asked: Option<&str>) -> Result<Found, Failure> {
    let opened = disk.open_object(object).map_err(ControllerError::from)?;
    let (mut file, len) = opened.ok_or(Failure::NoObject)?;
    let (status, range) = wanted(asked, len)?;
    let wanted = range.end - range.start;
    if wanted > SMALL_BYTES {
        return Ok(Found { len, status, range, content: Content::Open(file) });
    }
    let read = file.seek(SeekFrom::Start(range.start)).and_then(|_| read_piece(&mut file, wanted));
    let bytes =
        read.map_err(|source| ControllerError::from(StoreError::Object { doing: "read", object, source }))?;
    Ok(Found { len, status, range, content: Content::Whole(bytes) })
}

/// The wanted range of an object that was read whole.
fn cut(mut bytes: Vec<u8>, asked: Option<&str>) -> Result<Found, Failure> {
    let len = bytes.len() as u64;
    let (status, range) = wanted(asked, len)?;
    bytes.truncate(range.end as usize);
    bytes.drain(..range.start as usize);
    Ok(Found { len, status, range, content: Content::Whole(bytes) })
}

fn wanted(asked: Option<&str>, len: u64) -> Result<(StatusCode, Range<u64>), Failure> {
    match asked.map(|asked| range_of(asked, len)) {
        None => Ok((StatusCode::OK, 0..len)),
        Some(Some(range)) => Ok((StatusCode::PARTIAL_CONTENT, range)),
        Some(None) => Err(Failure::Range),
    }
}

/// The next `len` bytes, exactly, into memory that was not filled with zeros first.
fn read_piece(file: &mut fs_err::File, len: u64) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(len as usize);
    file.take(len).read_to_end(&mut piece)?;
    if piece.len() as u64 == len { Ok(piece) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
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
                let piece = read_piece(&mut file, left.min(PIECE_BYTES as u64))?;
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
    match headers.get(header::CONTENT_LENGTH) {
        Some(len) => len.to_str().ok()?.parse().ok(),
        // RFC 9112, §6.3: a request that tells neither has no body.
        None => (!headers.contains_key(header::TRANSFER_ENCODING)).then_some(0),
    }
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
