//! Takes an artifact's content that comes through this process, and puts it where it belongs: bytes in, an ended upload out.
//! Holds one piece of at most a part's size.

use std::mem::take;

use aws_lc_rs::digest::{Context, SHA256};
use axum::body::Bytes;
use tokio::sync::mpsc::Receiver;

use crate::controller::Controller;
use crate::controller::artifacts::RelayTo;
use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::store::{Arrival, PutIntent, ServedStore, Store as _};
use crate::http::{Client, Method, Request};
use crate::model::{ObjectName, Sha256};
use crate::protocol::artifact::{
    ArtifactId, ArtifactState, FinishArtifact, FinishedArtifact, PartIntent, SentPart,
};

/// What is needed to put content somewhere.
pub(super) struct Sink<'a> {
    pub(super) controller: &'a Controller,
    /// The disk store, where this server keeps the objects itself.
    pub(super) objects: Option<&'a ServedStore>,
    /// To a store elsewhere.
    pub(super) client: Option<&'a Client>,
    pub(super) caller: &'a Caller,
    pub(super) id: &'a ArtifactId,
}

/// How taking content ended.
pub(super) enum Taken {
    /// The artifact's upload has ended so.
    Ended(FinishedArtifact),
    /// The sender went away, or sent another length: the upload can be tried again.
    Broken,
}

/// Content that was put where it belongs.
#[derive(Default)]
struct Came {
    /// Its parts, if it went in parts.
    parts: Vec<SentPart>,
    /// The SHA-256 of what lies there, where it was made on the way.
    sha256: Option<Sha256>,
}

impl Sink<'_> {
    /// Takes what arrives until the sender is done; `whole` says whether it came to its end.
    pub(super) fn take(
        &self,
        to: RelayTo,
        arriving: &mut Receiver<Bytes>,
        whole: impl FnOnce() -> bool,
    ) -> Result<Taken, ControllerError> {
        let came = match (to, self.objects) {
            (RelayTo::Nowhere, _) => {
                while arriving.blocking_recv().is_some() {}
                Some(Came::default())
            }
            (RelayTo::Object { object, intent }, Some(objects)) => {
                self.to_disk(objects, object, &intent, arriving, whole)?.then(Came::default)
            }
            (RelayTo::Object { object, intent }, None) => self.to_store(object, intent.len, arriving)?,
        };
        let Some(Came { parts, sha256 }) = came else { return Ok(Taken::Broken) };
        let upload = FinishArtifact { id: self.id.clone(), failed: false, parts };
        let mut ended = self.controller.finish_relayed(self.caller, &upload, sha256)?;
        ended.pop().map(Taken::Ended).ok_or_else(|| ControllerError::NoArtifact(self.id.clone()))
    }

    fn to_disk(
        &self,
        objects: &ServedStore,
        object: ObjectName,
        intent: &PutIntent,
        arriving: &mut Receiver<Bytes>,
        whole: impl FnOnce() -> bool,
    ) -> Result<bool, ControllerError> {
        // Makes the folder that the object goes to.
        objects.sign_put(object, intent)?;
        let mut arrival = objects.disk().begin(object, intent)?;
        while let Some(piece) = arriving.blocking_recv() {
            arrival.write(&piece)?;
        }
        if !whole() {
            return Ok(false);
        }
        // Other bytes than were announced are not stored, and the upload ends so.
        Ok(matches!(arrival.finish()?, Arrival::Stored | Arrival::Exists | Arrival::Differs))
    }

    /// Sends pieces as an agent would send parts; `None` if it is not as long as announced.
    fn to_store(
        &self,
        object: ObjectName,
        len: u64,
        arriving: &mut Receiver<Bytes>,
    ) -> Result<Option<Came>, ControllerError> {
        let mut sum = Context::new(&SHA256);
        let piece_bytes = self.controller.relay_piece_bytes(len);
        let (mut sent, mut piece, mut held, mut left) =
            (Vec::<Option<SentPart>>::new(), Vec::new(), 0u64, len);
        while let Some(mut bytes) = arriving.blocking_recv() {
            sum.update(&bytes);
            while held + bytes.len() as u64 >= piece_bytes && piece_bytes > 0 {
                let fits = usize::try_from(piece_bytes - held).unwrap_or(usize::MAX).min(bytes.len());
                piece.push(bytes.split_to(fits));
                let Some(rest) = left.checked_sub(piece_bytes) else { return Ok(None) };
                sent.push(self.send(object, sent.len() as u32 + 1, piece_bytes, &take(&mut piece))?);
                (held, left) = (0, rest);
            }
            held += bytes.len() as u64;
            piece.push(bytes);
        }
        if held != left {
            return Ok(None);
        }
        if left > 0 || len == 0 {
            sent.push(self.send(object, sent.len() as u32 + 1, left, &piece)?);
        }
        let mut sha256 = Sha256([0; 32]);
        sha256.0.copy_from_slice(sum.finish().as_ref());
        // What an earlier attempt had put there is not what came now.
        let sha256 = sent.iter().all(Option::is_some).then_some(sha256);
        Ok(Some(Came { parts: sent.into_iter().flatten().collect(), sha256 }))
    }

    /// `None` if a whole of that length is there already, from an attempt whose answer was lost.
    fn send(
        &self,
        object: ObjectName,
        number: u32,
        len: u64,
        piece: &[Bytes],
    ) -> Result<Option<SentPart>, ControllerError> {
        let crc32c = crc32c(piece);
        let part = PartIntent { number, len, crc32c };
        let urls = self.controller.sign_parts(self.caller, self.id, &[part])?;
        let unreachable = || ControllerError::Unfit("this store cannot be relayed to".to_owned());
        let (url, client) = urls.first().zip(self.client).ok_or_else(unreachable)?;
        let body: Vec<Bytes> = piece.to_vec();
        let request =
            Request { headers: url.header_pairs(), body: &body, ..Request::new(Method::PUT, url.expose()) };
        match client.send(&request) {
            Ok(answer) => {
                let etag = answer.headers.get("etag").and_then(|etag| etag.to_str().ok());
                Ok(Some(SentPart { number, etag: etag.unwrap_or_default().to_owned() }))
            }
            Err(_) if self.controller.store.head(object)? == Some(len) => Ok(None),
            Err(error) => Err(ControllerError::Relay(error)),
        }
    }
}

fn crc32c(piece: &[Bytes]) -> u32 {
    let mut sum = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    piece.iter().for_each(|bytes| sum.update(bytes));
    // A 32-bit algorithm: the upper half is zero.
    sum.finalize() as u32
}

/// Why an upload that should have ended well did not.
pub(super) fn failure(ended: &FinishedArtifact) -> Option<String> {
    (ended.state != ArtifactState::Finished).then(|| {
        format!(
            "artifact {} is in state {}: {}",
            ended.id.0,
            ended.state.word(),
            ended.why.as_deref().unwrap_or("its upload is over")
        )
    })
}
