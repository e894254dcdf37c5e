//! The controller in this process: the one place where the agent's side meets the controller's.

use std::path::{Path, PathBuf};

use crate::controller::server::{KEY_FILE, ServerKey, Tokens};
use crate::controller::{Caller, Clock, Controller, ControllerError, ErrorKind, SystemClock};
use crate::model::progress::Progress;
use crate::model::{Digest, PackName, SignedUrl};
use crate::protocol::artifact::{
    ArtifactId, ArtifactInfo, ArtifactQuery, CreatedArtifact, FinishArtifact, FinishedArtifact,
    FoundArtifacts, NewArtifacts, PartIntent,
};
use crate::protocol::{
    BuildId, Commit, Committed, Copied, GcOptions, GcReport, IssuedToken, Open, Opened, PackDownload,
    PackIntent, Resolved, SessionId, SignedPack, StashInfo, StashName, TokenRequest, VerifyOptions,
    VerifyReport,
};
use crate::transfer::remote::RemoteErrorKind;
use crate::transfer::{ArtifactRemote, Remote, RemoteError, Transport};

/// A controller on a folder of this machine.
pub struct Embedded {
    controller: Controller,
    caller: Caller,
    identity: String,
    transport: Transport,
    folder: PathBuf,
}

impl Embedded {
    /// Opens the folder, making it if it is not there.
    pub fn open(folder: &Path) -> Result<Self, RemoteError> {
        Self::of(Controller::open(folder).map_err(remote)?, folder)
    }

    /// Opens the folder to rebuild what can be rebuilt of a lost ledger.
    pub fn open_to_rebuild(folder: &Path) -> Result<Self, RemoteError> {
        Self::of(Controller::open_to_rebuild(folder).map_err(remote)?, folder)
    }

    fn of(controller: Controller, folder: &Path) -> Result<Self, RemoteError> {
        let identity = controller.identity().map_err(remote)?;
        let (transport, folder) = (Transport::files(), folder.to_owned());
        Ok(Self { controller, caller: Caller::local(), identity, transport, folder })
    }
}

impl Remote for Embedded {
    fn transport(&self) -> &Transport {
        &self.transport
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn open(&self, request: &Open) -> Result<Opened, RemoteError> {
        self.controller.open_session(&self.caller, request).map_err(remote)
    }

    fn missing(&self, session: SessionId, digests: &[Digest]) -> Result<Vec<bool>, RemoteError> {
        self.controller.missing(&self.caller, session, digests).map_err(remote)
    }

    fn sign(&self, session: SessionId, packs: &[PackIntent]) -> Result<Vec<SignedPack>, RemoteError> {
        self.controller.sign(&self.caller, session, packs).map_err(remote)
    }

    fn renew_put(
        &self,
        session: SessionId,
        pack: PackName,
        intent: &PackIntent,
    ) -> Result<SignedUrl, RemoteError> {
        self.controller.renew_put(&self.caller, session, pack, intent).map_err(remote)
    }

    fn renew_gets(&self, session: SessionId) -> Result<Vec<PackDownload>, RemoteError> {
        self.controller.renew_gets(&self.caller, session).map_err(remote)
    }

    fn commit(&self, request: &Commit) -> Result<Committed, RemoteError> {
        self.controller.commit(&self.caller, request).map_err(remote)
    }

    fn resolve(&self, build: &BuildId, name: &StashName) -> Result<Resolved, RemoteError> {
        self.controller.resolve(&self.caller, build, name).map_err(remote)
    }

    fn release(&self, session: SessionId) {
        self.controller.release(&self.caller, session);
    }

    fn report_damaged(&self, session: SessionId, pack: PackName, why: &str) -> Result<(), RemoteError> {
        self.controller.report_damaged(&self.caller, session, pack, why).map(drop).map_err(remote)
    }

    fn list(&self, build: &BuildId) -> Result<Vec<StashInfo>, RemoteError> {
        self.controller.list(&self.caller, build).map_err(remote)
    }

    fn remove(&self, build: &BuildId, name: &StashName) -> Result<bool, RemoteError> {
        self.controller.remove(&self.caller, build, name).map_err(remote)
    }

    fn copy(&self, from: &BuildId, to: &BuildId) -> Result<Copied, RemoteError> {
        self.controller.copy(&self.caller, from, to).map_err(remote)
    }

    fn issue_token(&self, request: &TokenRequest) -> Result<IssuedToken, RemoteError> {
        let file = self.folder.join(KEY_FILE);
        let (key, _) = ServerKey::open(&file).map_err(|source| {
            let message = format!("cannot use the controller's key {}", file.display());
            RemoteError {
                source: Some(Box::new(source)),
                ..RemoteError::new(RemoteErrorKind::Unavailable, message)
            }
        })?;
        Tokens::new(&key).issue(request, SystemClock.now()).map_err(remote)
    }

    fn gc(&self, options: &GcOptions) -> Result<GcReport, RemoteError> {
        self.controller.gc(&self.caller, options).map_err(remote)
    }

    fn verify(&self, options: &VerifyOptions, progress: &Progress) -> Result<VerifyReport, RemoteError> {
        self.controller.verify(&self.caller, options, progress).map_err(remote)
    }
}

impl ArtifactRemote for Embedded {
    fn transport(&self) -> &Transport {
        &self.transport
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn create_artifacts(&self, request: &NewArtifacts) -> Result<Vec<CreatedArtifact>, RemoteError> {
        self.controller.create_artifacts(&self.caller, request).map_err(remote)
    }

    fn sign_parts(&self, id: &ArtifactId, parts: &[PartIntent]) -> Result<Vec<SignedUrl>, RemoteError> {
        self.controller.sign_parts(&self.caller, id, parts).map_err(remote)
    }

    fn finish_artifacts(&self, uploads: &[FinishArtifact]) -> Result<Vec<FinishedArtifact>, RemoteError> {
        self.controller.finish_artifacts(&self.caller, uploads).map_err(remote)
    }

    fn search_artifacts(&self, query: &ArtifactQuery) -> Result<FoundArtifacts, RemoteError> {
        self.controller.search_artifacts(&self.caller, query).map_err(remote)
    }

    fn artifact(&self, id: &ArtifactId) -> Result<ArtifactInfo, RemoteError> {
        self.controller.artifact(&self.caller, id).map_err(remote)
    }

    fn delete_artifact(&self, id: &ArtifactId) -> Result<bool, RemoteError> {
        self.controller.delete_artifact(&self.caller, id).map_err(remote)
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
