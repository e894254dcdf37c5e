//! A controller behind HTTP, as `Remote`: one request a method (`docs/protocol.md`). Retrying is `http`'s work.

use std::time::Duration;

use reqwest::Url;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::{Bytes, Client, HttpError, Method, Request};
use crate::model::progress::Progress;
use crate::model::{Digest, PackName, Secret, SignedUrl};
use crate::protocol::contents::OBJECTS;
use crate::protocol::wire::{bits_from_bytes, digests_to_bytes, open_to_bytes, opened_from_bytes};
use crate::protocol::{
    BuildId, Commit, Committed, Copied, GcOptions, GcReport, IssuedToken, Open, Opened, PackDownload,
    PackIntent, Refusal, RefusalKind, Resolved, SessionId, SignedPack, StashInfo, StashName, TokenRequest,
    VerifyOptions, VerifyReport,
};

use super::remote::{Remote, RemoteError, RemoteErrorKind};
use super::transport::Transport;

/// What a commit may take longer than other requests: the controller reads the footers of all new packs.
pub(super) const COMMIT_PATIENCE: Duration = Duration::from_secs(120);
/// The same for a sweep, which lists the store, and for a verify, which reads it whole.
const GC_PATIENCE: Duration = Duration::from_secs(60 * 60);
const VERIFY_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// The controller at a URL.
pub struct HttpRemote {
    client: Client,
    transport: Transport,
    base: Url,
    token: Option<Secret>,
}

impl HttpRemote {
    /// The controller at `url` (`https://host[:port][/prefix]`), asked with `token`. Nothing is sent yet.
    pub fn new(client: Client, url: &str, token: Option<Secret>) -> Result<Self, RemoteError> {
        let wrong = |why: &str| {
            let error = format!("PANNIER_URL is not the URL of a controller: {why}");
            RemoteError::new(RemoteErrorKind::Refused, error)
        };
        let mut base = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(wrong("it begins with neither http:// nor https://"));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(wrong(
                "name and password or a query have no place in it; the token goes to PANNIER_TOKEN",
            ));
        }
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        let transport = Transport::over(client.clone());
        Ok(Self { client, transport, base, token })
    }

    /// Where it is.
    pub(super) fn base(&self) -> &str {
        self.base.as_str()
    }

    /// The URL of one of its routes.
    pub(super) fn route(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Where several of its objects are asked for at once.
    pub(super) fn objects(&self) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(OBJECTS.trim_matches('/'));
        }
        url
    }

    pub(super) fn send(
        &self,
        method: Method,
        url: &Url,
        body: Vec<u8>,
        kind: &str,
    ) -> Result<Vec<u8>, RemoteError> {
        self.send_patiently(method, url, body, kind, Duration::ZERO)
    }

    fn send_patiently(
        &self,
        method: Method,
        url: &Url,
        body: Vec<u8>,
        kind: &str,
        patience: Duration,
    ) -> Result<Vec<u8>, RemoteError> {
        let body = [Bytes::from(body)];
        let request = Request {
            headers: vec![("content-type", kind)],
            bearer: self.token.as_ref(),
            body: &body,
            patience,
            ..Request::new(method, url.as_str())
        };
        self.client.send(&request).map(|answer| answer.body).map_err(refused)
    }

    fn absolute(&self, pack: PackDownload) -> PackDownload {
        PackDownload { get: pack.get.on(self.base.as_str()), ..pack }
    }

    /// Posts JSON and reads JSON.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl Serialize,
        patience: Duration,
    ) -> Result<T, RemoteError> {
        let body = serde_json::to_vec(body).map_err(|error| unreadable(&error.to_string()))?;
        let url = self.route(segments, &[]);
        parse(&self.send_patiently(Method::POST, &url, body, "application/json", patience)?)
    }
}

impl Remote for HttpRemote {
    fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Another ledger behind the same URL accepts no parent of this one, and then everything is asked about.
    fn identity(&self) -> String {
        self.base.to_string()
    }

    fn open(&self, request: &Open) -> Result<Opened, RemoteError> {
        let url = self.route(&["sessions"], &[]);
        let answer = self.send(Method::POST, &url, open_to_bytes(request), "application/octet-stream")?;
        let opened = opened_from_bytes(&answer).map_err(|error| unreadable(&error.to_string()))?;
        match opened.missing.len() == request.digests.len() {
            true => Ok(opened),
            false => Err(unreadable("it answered about other chunks than were asked for")),
        }
    }

    fn missing(&self, session: SessionId, digests: &[Digest]) -> Result<Vec<bool>, RemoteError> {
        let url = self.route(&["sessions", &session.0.to_string(), "missing"], &[]);
        let answer = self.send(Method::POST, &url, digests_to_bytes(digests), "application/octet-stream")?;
        bits_from_bytes(&answer, digests.len()).map_err(|error| unreadable(&error.to_string()))
    }

    fn sign(&self, session: SessionId, packs: &[PackIntent]) -> Result<Vec<SignedPack>, RemoteError> {
        let session = session.0.to_string();
        let signed: Vec<SignedPack> = self.post(&["sessions", &session, "packs"], &packs, Duration::ZERO)?;
        if signed.len() != packs.len() {
            return Err(unreadable("it signed other packs than were announced"));
        }
        let whole = |pack: SignedPack| SignedPack { put: pack.put.on(self.base.as_str()), ..pack };
        Ok(signed.into_iter().map(whole).collect())
    }

    fn renew_put(
        &self,
        session: SessionId,
        pack: PackName,
        intent: &PackIntent,
    ) -> Result<SignedUrl, RemoteError> {
        let segments = ["sessions", &session.0.to_string(), "packs", &pack.to_string(), "put"];
        let url: SignedUrl = self.post(&segments, intent, Duration::ZERO)?;
        Ok(url.on(self.base.as_str()))
    }

    fn renew_gets(&self, session: SessionId) -> Result<Vec<PackDownload>, RemoteError> {
        let segments = ["sessions", &session.0.to_string(), "gets"];
        let packs: Vec<PackDownload> = self.post(&segments, &serde_json::json!({}), Duration::ZERO)?;
        Ok(packs.into_iter().map(|pack| self.absolute(pack)).collect())
    }

    fn commit(&self, request: &Commit) -> Result<Committed, RemoteError> {
        let Commit { root, patches, packs, .. } = request;
        let body = match patches {
            Some(patches) => serde_json::json!({ "root": root, "patches": patches, "packs": packs }),
            None => serde_json::json!({ "root": root, "packs": packs }),
        };
        self.post(&["sessions", &request.session.0.to_string(), "commit"], &body, COMMIT_PATIENCE)
    }

    fn resolve(&self, build: &BuildId, name: &StashName) -> Result<Resolved, RemoteError> {
        let body = serde_json::json!({ "project": build.project, "build": build.build, "name": name });
        let resolved: Resolved = self.post(&["resolve"], &body, Duration::ZERO)?;
        let packs = resolved.packs.into_iter().map(|pack| self.absolute(pack)).collect();
        Ok(Resolved { packs, ..resolved })
    }

    fn release(&self, session: SessionId) {
        let url = self.route(&["sessions", &session.0.to_string()], &[]);
        let request = Request {
            bearer: self.token.as_ref(),
            last_words: true,
            ..Request::new(Method::DELETE, url.as_str())
        };
        if let Err(error) = self.client.send(&request) {
            tracing::debug!(session = session.0, %error, "a session could not be released; its lease ends by itself");
        }
    }

    /// A read lease ends by itself, and costs nothing but space until then: not worth a request.
    fn release_reader(&self, _session: SessionId) {}

    fn report_damaged(&self, session: SessionId, pack: PackName, why: &str) -> Result<(), RemoteError> {
        let segments = ["sessions", &session.0.to_string(), "packs", &pack.to_string(), "damaged"];
        // The controller reads the whole pack to see for itself.
        self.post::<bool>(&segments, &serde_json::json!({ "why": why }), COMMIT_PATIENCE).map(drop)
    }

    fn list(&self, build: &BuildId) -> Result<Vec<StashInfo>, RemoteError> {
        let url = self.route(&["stashes"], &[("project", &build.project), ("build", &build.build)]);
        parse(&self.send(Method::GET, &url, Vec::new(), "application/json")?)
    }

    fn remove(&self, build: &BuildId, name: &StashName) -> Result<bool, RemoteError> {
        let query = [("project", build.project.as_str()), ("build", &build.build), ("name", name.as_str())];
        let url = self.route(&["stashes"], &query);
        parse(&self.send(Method::DELETE, &url, Vec::new(), "application/json")?)
    }

    fn copy(&self, from: &BuildId, to: &BuildId) -> Result<Copied, RemoteError> {
        self.post(&["copy"], &serde_json::json!({ "from": from, "to": to }), Duration::ZERO)
    }

    fn gc(&self, options: &GcOptions) -> Result<GcReport, RemoteError> {
        self.post(&["gc"], options, GC_PATIENCE)
    }

    fn verify(&self, options: &VerifyOptions, _progress: &Progress) -> Result<VerifyReport, RemoteError> {
        self.post(&["verify"], options, VERIFY_PATIENCE)
    }

    fn issue_token(&self, request: &TokenRequest) -> Result<IssuedToken, RemoteError> {
        self.post(&["tokens"], request, Duration::ZERO)
    }
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, RemoteError> {
    serde_json::from_slice(body).map_err(|error| unreadable(&error.to_string()))
}

pub(super) fn unreadable(why: &str) -> RemoteError {
    let message = format!("the controller's answer cannot be read: {why}");
    let hint = "check that PANNIER_URL is a pannier controller of this version";
    RemoteError { hint: Some(hint.to_owned()), ..RemoteError::new(RemoteErrorKind::Refused, message) }
}

/// The controller's own words where it had some, otherwise what happened on the way.
fn refused(error: HttpError) -> RemoteError {
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(error.body()) {
        let kind = match refusal.kind {
            RefusalKind::NotFound => RemoteErrorKind::NotFound,
            RefusalKind::Refused => RemoteErrorKind::Refused,
            RefusalKind::SessionEnded => RemoteErrorKind::SessionEnded,
            RefusalKind::Damaged => RemoteErrorKind::Damaged,
            RefusalKind::Unavailable => RemoteErrorKind::Unavailable,
        };
        let source: Option<Box<dyn std::error::Error + Send + Sync>> =
            (kind == RemoteErrorKind::Unavailable).then(|| error.into());
        return RemoteError { kind, message: refusal.message, hint: refusal.hint, source };
    }
    let kind = match error.is_retryable() {
        true => RemoteErrorKind::Unavailable,
        false => RemoteErrorKind::Refused,
    };
    let message = "the controller did not answer as a controller does".to_owned();
    let hint = "check PANNIER_URL, and that the controller runs (`pannier serve`)".to_owned();
    RemoteError { kind, message, hint: Some(hint), source: Some(Box::new(error)) }
}
