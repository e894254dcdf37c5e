//! The embedded controller, but its packs are behind a scripted HTTP server: what an agent meets elsewhere, in a test's
//! own hands.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(unreachable_pub, reason = "each test program is a crate of its own")]

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use pannier::cli::embedded::Embedded;
use pannier::http::{Client, ClientOptions};
use pannier::model::progress::Progress;
use pannier::model::{Digest, PackName, SignedUrl};
use pannier::protocol::{
    BuildId, Commit, Committed, GcOptions, GcReport, IssuedToken, Open, Opened, PackDownload, PackIntent,
    Resolved, SessionId, SignedPack, StashInfo, StashName, TokenRequest, VerifyOptions, VerifyReport,
};
use pannier::transfer::{Remote, RemoteError, Transport};

/// What every signed URL of [`OverHttp`] carries, followed by its number.
pub const SIGNATURE: &str = "5ecret51gnature";

pub struct OverHttp {
    pub inner: Embedded,
    transport: Transport,
    base: String,
    signed: AtomicU32,
    calls: Mutex<Vec<&'static str>>,
}

impl OverHttp {
    /// The controller on `store`, with packs at `base`.
    pub fn open(store: &Path, base: String, options: &ClientOptions) -> Self {
        Self {
            inner: Embedded::open(store).unwrap(),
            transport: Transport::over(Client::new(options).unwrap()),
            base,
            signed: AtomicU32::new(0),
            calls: Mutex::default(),
        }
    }

    /// What was asked of the controller, in order.
    pub fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().clone()
    }

    /// How often that was asked.
    pub fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|made| **made == call).count()
    }

    fn note(&self, call: &'static str) -> &Embedded {
        self.calls.lock().unwrap().push(call);
        &self.inner
    }

    fn sign_url(&self, pack: PackName) -> SignedUrl {
        let number = self.signed.fetch_add(1, Ordering::Relaxed);
        SignedUrl::new(format!("{}{pack}?X-Amz-Signature={SIGNATURE}{number}", self.base))
    }

    fn sign_put(&self, pack: PackName) -> SignedUrl {
        let mut url = self.sign_url(pack);
        url.headers.insert("if-none-match".into(), "*".into());
        url
    }

    fn sign_get(&self, mut download: PackDownload) -> PackDownload {
        download.get = self.sign_url(download.name);
        download.get.headers.insert("x-signed".into(), "for the store alone".into());
        download
    }
}

impl Remote for OverHttp {
    fn transport(&self) -> &Transport {
        &self.transport
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }

    fn open(&self, request: &Open) -> Result<Opened, RemoteError> {
        self.note("open").open(request)
    }

    fn missing(&self, session: SessionId, digests: &[Digest]) -> Result<Vec<bool>, RemoteError> {
        self.note("missing").missing(session, digests)
    }

    fn sign(&self, session: SessionId, packs: &[PackIntent]) -> Result<Vec<SignedPack>, RemoteError> {
        let signed = self.note("sign").sign(session, packs)?;
        Ok(signed.into_iter().map(|pack| SignedPack { put: self.sign_put(pack.name), ..pack }).collect())
    }

    fn renew_put(
        &self,
        session: SessionId,
        pack: PackName,
        intent: &PackIntent,
    ) -> Result<SignedUrl, RemoteError> {
        self.note("renew_put").renew_put(session, pack, intent)?;
        Ok(self.sign_put(pack))
    }

    fn renew_gets(&self, session: SessionId) -> Result<Vec<PackDownload>, RemoteError> {
        let packs = self.note("renew_gets").renew_gets(session)?;
        Ok(packs.into_iter().map(|pack| self.sign_get(pack)).collect())
    }

    fn commit(&self, request: &Commit) -> Result<Committed, RemoteError> {
        self.note("commit").commit(request)
    }

    fn resolve(&self, build: &BuildId, name: &StashName) -> Result<Resolved, RemoteError> {
        let resolved = self.note("resolve").resolve(build, name)?;
        let packs = resolved.packs.into_iter().map(|pack| self.sign_get(pack)).collect();
        Ok(Resolved { packs, ..resolved })
    }

    fn release(&self, session: SessionId) {
        self.note("release").release(session);
    }

    fn report_damaged(&self, session: SessionId, pack: PackName, why: &str) -> Result<(), RemoteError> {
        self.note("report_damaged").report_damaged(session, pack, why)
    }

    fn list(&self, build: &BuildId) -> Result<Vec<StashInfo>, RemoteError> {
        self.note("list").list(build)
    }

    fn remove(&self, build: &BuildId, name: &StashName) -> Result<bool, RemoteError> {
        self.note("remove").remove(build, name)
    }

    fn copy(&self, from: &BuildId, to: &BuildId) -> Result<u64, RemoteError> {
        self.note("copy").copy(from, to)
    }

    fn issue_token(&self, request: &TokenRequest) -> Result<IssuedToken, RemoteError> {
        self.inner.issue_token(request)
    }

    fn gc(&self, options: &GcOptions) -> Result<GcReport, RemoteError> {
        self.note("gc").gc(options)
    }

    fn verify(&self, options: &VerifyOptions, progress: &Progress) -> Result<VerifyReport, RemoteError> {
        self.note("verify").verify(options, progress)
    }
}
