//! The controller in this process: the one place where the agent's side meets the controller's.

use std::path::Path;

use crate::controller::{
    Controller, ControllerError, ErrorKind, GcOptions, GcReport, VerifyOptions, VerifyReport,
};
use crate::model::progress::Progress;
use crate::model::{Digest, PackName};
use crate::protocol::{
    BuildId, Commit, Committed, Open, Opened, PackIntent, Resolved, SessionId, SignedPack, StashInfo,
    StashName,
};
use crate::transfer::remote::RemoteErrorKind;
use crate::transfer::{Remote, RemoteError};

/// A controller on a folder of this machine.
pub struct Embedded {
    controller: Controller,
    identity: String,
}

impl Embedded {
    /// Opens the folder, making it if it is not there.
    pub fn open(folder: &Path) -> Result<Self, RemoteError> {
        Self::of(Controller::open(folder).map_err(remote)?)
    }

    /// Opens the folder to rebuild what can be rebuilt of a lost ledger.
    pub fn open_to_rebuild(folder: &Path) -> Result<Self, RemoteError> {
        Self::of(Controller::open_to_rebuild(folder).map_err(remote)?)
    }

    fn of(controller: Controller) -> Result<Self, RemoteError> {
        let identity = controller.identity().map_err(remote)?;
        Ok(Self { controller, identity })
    }

    /// Sweeps once.
    pub fn gc(&self, options: &GcOptions) -> Result<GcReport, RemoteError> {
        self.controller.gc(options).map_err(remote)
    }

    /// Re-reads everything.
    pub fn verify(&self, options: &VerifyOptions, progress: &Progress) -> Result<VerifyReport, RemoteError> {
        self.controller.verify(options, progress).map_err(remote)
    }
}

impl Remote for Embedded {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn open(&self, request: &Open) -> Result<Opened, RemoteError> {
        self.controller.open_session(request).map_err(remote)
    }

    fn missing(&self, session: SessionId, digests: &[Digest]) -> Result<Vec<bool>, RemoteError> {
        self.controller.missing(session, digests).map_err(remote)
    }

    fn sign(&self, session: SessionId, packs: &[PackIntent]) -> Result<Vec<SignedPack>, RemoteError> {
        self.controller.sign(session, packs).map_err(remote)
    }

    fn commit(&self, request: &Commit) -> Result<Committed, RemoteError> {
        self.controller.commit(request).map_err(remote)
    }

    fn resolve(&self, build: &BuildId, name: &StashName) -> Result<Resolved, RemoteError> {
        self.controller.resolve(build, name).map_err(remote)
    }

    fn release(&self, session: SessionId) {
        self.controller.release(session);
    }

    fn report_damaged(&self, session: SessionId, pack: PackName, why: &str) -> Result<(), RemoteError> {
        self.controller.report_damaged(session, pack, why).map(drop).map_err(remote)
    }

    fn list(&self, build: &BuildId) -> Result<Vec<StashInfo>, RemoteError> {
        self.controller.list(build).map_err(remote)
    }

    fn remove(&self, build: &BuildId, name: &StashName) -> Result<bool, RemoteError> {
        self.controller.remove(build, name).map_err(remote)
    }

    fn copy(&self, from: &BuildId, to: &BuildId) -> Result<u64, RemoteError> {
        self.controller.copy(from, to).map_err(remote)
    }
}

/// In one's own folder the whole reason may be shown; a server would show `outside` alone.
fn remote(error: ControllerError) -> RemoteError {
    let kind = match error.kind() {
        ErrorKind::NotFound => RemoteErrorKind::NotFound,
        ErrorKind::Refused => RemoteErrorKind::Refused,
        ErrorKind::SessionEnded => RemoteErrorKind::SessionEnded,
        ErrorKind::Damaged => RemoteErrorKind::Damaged,
        ErrorKind::Unavailable => RemoteErrorKind::Unavailable,
    };
    RemoteError {
        kind,
        message: error.outside(),
        hint: error.hint().map(str::to_owned),
        source: Some(Box::new(error)),
    }
}
