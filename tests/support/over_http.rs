//! A controller in this process whose agents are elsewhere: its packs are behind a scripted HTTP server: what an agent meets elsewhere, in a test's
//! own hands.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(unreachable_pub, reason = "each test program is a crate of its own")]

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use pannier::controller::ledger::{Creation, SqliteLedger};
use pannier::controller::store::DiskStore;
use pannier::controller::{Caller, Controller, ControllerError, ErrorKind, SystemClock};
use pannier::http::{Client, ClientOptions};
use pannier::model::progress::Progress;
use pannier::model::{Digest, PackName, SignedUrl};
use pannier::protocol::{
    BuildId, Commit, Committed, Copied, GcOptions, GcReport, IssuedToken, Open, Opened, PackDownload,
    PackIntent, Resolved, SessionId, SignedPack, StashInfo, StashName, TokenRequest, VerifyOptions,
    VerifyReport,
};
use pannier::transfer::remote::RemoteErrorKind;
use pannier::transfer::{Remote, RemoteError, Transport};

/// What every signed URL of [`OverHttp`] carries, followed by its number.
pub const SIGNATURE: &str = "5ecret51gnature";

pub struct OverHttp {
    controller: Controller,
    transport: Transport,
    base: String,
    signed: AtomicU32,
    calls: Mutex<Vec<&'static str>>,
}

/// The folder of an embedded controller, with sessions that end by their leases alone.
fn controller(folder: &Path) -> Controller {
    std::fs::create_dir_all(folder).unwrap();
    let ledger = SqliteLedger::open(&folder.join("ledger.sqlite"), || Creation::New).unwrap();
    Controller::with_parts(
        Box::new(ledger),
        Box::new(DiskStore::open(&folder.join("store"))),
        Arc::new(SystemClock),
    )
}

fn remote(error: ControllerError) -> RemoteError {
    let kind = match error.kind() {
        ErrorKind::NotFound => RemoteErrorKind::NotFound,
        ErrorKind::Refused => RemoteErrorKind::Refused,
        ErrorKind::SessionEnded => RemoteErrorKind::SessionEnded,
        ErrorKind::Damaged => RemoteErrorKind::Damaged,
        ErrorKind::Unavailable => RemoteErrorKind::Unavailable,
    };
    RemoteError { source: Some(Box::new(error)), ..RemoteError::new(kind, "the controller said no") }
}

impl OverHttp {
    /// The controller on `store`, with packs at `base`.
    pub fn open(store: &Path, base: String, options: &ClientOptions) -> Self {
        Self {
            controller: controller(store),
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

    fn note(&self, call: &'static str) -> &Controller {
        self.calls.lock().unwrap().push(call);
        &self.controller
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
        self.controller.identity().unwrap()
    }

    fn open(&self, request: &Open) -> Result<Opened, RemoteError> {
        self.note("open").open_session(&Caller::local(), request).map_err(remote)
    }

    fn missing(&self, session: SessionId, digests: &[Digest]) -> Result<Vec<bool>, RemoteError> {
        self.note("missing").missing(&Caller::local(), session, digests).map_err(remote)
    }

    fn sign(&self, session: SessionId, packs: &[PackIntent]) -> Result<Vec<SignedPack>, RemoteError> {
        let signed = self.note("sign").sign(&Caller::local(), session, packs).map_err(remote)?;
        Ok(signed.into_iter().map(|pack| SignedPack { put: self.sign_put(pack.name), ..pack }).collect())
    }

    fn renew_put(
        &self,
        session: SessionId,
        pack: PackName,
        intent: &PackIntent,
    ) -> Result<SignedUrl, RemoteError> {
        self.note("renew_put").renew_put(&Caller::local(), session, pack, intent).map_err(remote)?;
        Ok(self.sign_put(pack))
    }

    fn renew_gets(&self, session: SessionId) -> Result<Vec<PackDownload>, RemoteError> {
        let packs = self.note("renew_gets").renew_gets(&Caller::local(), session).map_err(remote)?;
        Ok(packs.into_iter().map(|pack| self.sign_get(pack)).collect())
    }

    fn commit(&self, request: &Commit) -> Result<Committed, RemoteError> {
        self.note("commit").commit(&Caller::local(), request).map_err(remote)
    }

    fn resolve(&self, build: &BuildId, name: &StashName) -> Result<Resolved, RemoteError> {
        let resolved = self.note("resolve").resolve(&Caller::local(), build, name).map_err(remote)?;
        let packs = resolved.packs.into_iter().map(|pack| self.sign_get(pack)).collect();
        Ok(Resolved { packs, ..resolved })
    }

    fn release(&self, session: SessionId) {
        self.note("release").release(&Caller::local(), session);
    }

    fn report_damaged(&self, session: SessionId, pack: PackName, why: &str) -> Result<(), RemoteError> {
        self.note("report_damaged")
            .report_damaged(&Caller::local(), session, pack, why)
            .map(drop)
            .map_err(remote)
    }

    fn list(&self, build: &BuildId) -> Result<Vec<StashInfo>, RemoteError> {
        self.note("list").list(&Caller::local(), build).map_err(remote)
    }

    fn remove(&self, build: &BuildId, name: &StashName) -> Result<bool, RemoteError> {
        self.note("remove").remove(&Caller::local(), build, name).map_err(remote)
    }

    fn copy(&self, from: &BuildId, to: &BuildId) -> Result<Copied, RemoteError> {
        self.note("copy").copy(&Caller::local(), from, to).map_err(remote)
    }

    fn issue_token(&self, _: &TokenRequest) -> Result<IssuedToken, RemoteError> {
        Err(RemoteError::new(RemoteErrorKind::Refused, "it has no tokens"))
    }

    fn gc(&self, options: &GcOptions) -> Result<GcReport, RemoteError> {
        self.note("gc").gc(&Caller::local(), options).map_err(remote)
    }

    fn verify(&self, options: &VerifyOptions, progress: &Progress) -> Result<VerifyReport, RemoteError> {
        self.note("verify").verify(&Caller::local(), options, progress).map_err(remote)
    }
}
