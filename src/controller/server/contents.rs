//! Many small objects of the disk store in one answer, each by its own signed path: ten thousand artifacts of a kilobyte are otherwise ten
//! thousand requests.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::controller::store::{DiskStore, ServedStore};
use crate::model::ObjectName;
use crate::protocol::contents::{MAX_ANSWER_BYTES, MAX_OBJECT_BYTES, MAX_OBJECTS, OBJECTS, to_bytes};

use super::answer::Failure;
use super::state::Server;

/// `POST /objects`: signed paths, one a line; 200 with the objects in that order. One whose signature does not count, that is not there, or
/// is too long is not given: asked for by itself, it is answered for itself.
pub(super) async fn several(State(server): State<Arc<Server>>, paths: String) -> Result<Response, Failure> {
    let objects = server.objects.as_ref().ok_or(Failure::NoObject)?;
    if paths.lines().count() > MAX_OBJECTS {
        return Err(Failure::Malformed(format!("one request may ask for {MAX_OBJECTS} objects")));
    }
    let granted: Vec<Option<ObjectName>> = paths.lines().map(|path| granted(objects, path)).collect();
    let disk = Arc::clone(objects.disk());
    let read = tokio::task::spawn_blocking(move || read(&disk, &granted)).await;
    let bytes = read.map_err(|_| Failure::Busy)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

fn granted(objects: &ServedStore, path: &str) -> Option<ObjectName> {
    let (name, query) = path.strip_prefix(OBJECTS)?.split_once('?')?;
    let (object, grant) = (name.parse().ok()?, serde_urlencoded::from_str(query).ok()?);
    objects.grants_get(object, &grant).map(|_| object)
}

fn read(disk: &DiskStore, granted: &[Option<ObjectName>]) -> Vec<u8> {
    let mut left = MAX_ANSWER_BYTES;
    to_bytes(granted.iter().map(|object| {
        let bytes = disk.read_small(object.as_ref().copied()?, MAX_OBJECT_BYTES.min(left))?;
        left -= bytes.len() as u64;
        Some(bytes)
    }))
}
