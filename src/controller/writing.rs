//! A stash under way: open a session, ask what is missing, sign packs, release. Its end is `commit`.

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::{LedgerError, NewSession, PackId, PackRow, PackState, SessionRow};
use crate::controller::open::{Controller, LEASE_SECONDS};
use crate::model::{Digest, PackName, SignedUrl, limits};
use crate::protocol::{Open, Opened, PackIntent, SessionId, SignedPack};

/// Packs that one `sign` may name: 32 GiB at the usual size.
const MAX_PACKS: usize = 1024;

impl Controller {
    /// Opens a session to write a stash.
    pub fn open_session(&self, caller: &Caller, request: &Open) -> Result<Opened, ControllerError> {
        at_most("digests in one request", request.digests.len() as u64, limits::MAX_MISSING_DIGESTS as u64)?;
        caller.require_write(&request.build)?;
        if let Some(session) = request.resume
            && self.is_resumable(caller, session, request)?
        {
            return self.resumed(caller, session, &request.digests);
        }
        let owner = self.clock.process();
        let new = NewSession {
            build: &request.build,
            name: &request.name,
            parent: request.parent,
            expires_at: self.clock.now() + LEASE_SECONDS,
            owner: owner.as_deref(),
        };
        let opened = self.ledger.open_session(&caller.access, &new)?;
        let present = self.ledger.pin_present(&caller.access, opened.id, &request.digests)?;
        tracing::debug!(session = opened.id.0, parent_accepted = opened.parent_accepted, "session opened");
        let missing = present.into_iter().map(|present| !present).collect();
        Ok(Opened { session: opened.id, parent_accepted: opened.parent_accepted, missing })
    }

    /// For each digest, in order: whether it is missing. What is not is pinned to the session.
    pub fn missing(
        &self,
        caller: &Caller,
        session: SessionId,
        digests: &[Digest],
    ) -> Result<Vec<bool>, ControllerError> {
        at_most("digests in one request", digests.len() as u64, limits::MAX_MISSING_DIGESTS as u64)?;
        self.require_open(caller, session)?;
        let present = self.ledger.pin_present(&caller.access, session, digests)?;
        Ok(present.into_iter().map(|present| !present).collect())
    }

    /// Names finished packs and says where to PUT them.
    pub fn sign(
        &self,
        caller: &Caller,
        session: SessionId,
        packs: &[PackIntent],
    ) -> Result<Vec<SignedPack>, ControllerError> {
        at_most("packs in one request", packs.len() as u64, MAX_PACKS as u64)?;
        self.require_open(caller, session)?;
        let mut rows = Vec::with_capacity(packs.len());
        for intent in packs {
            at_most("bytes of a pack", intent.len, limits::MAX_PACK_BYTES)?;
            rows.push(PackRow {
                id: PackId(0),
                name: random_name()?,
                scope: caller.access.write,
                state: PackState::Pending,
                len: intent.len,
                tail_len: 0,
                footer_digest: intent.footer_digest,
                has_manifest: false,
                session,
            });
        }
        // The row comes first: an object without a row is garbage at any time.
        self.ledger.add_pending(&caller.access, &rows)?;
        let sign = |(row, intent): (&PackRow, &PackIntent)| {
            Ok(SignedPack { name: row.name, put: self.store.sign_put(row.name.into(), &intent.into())? })
        };
        rows.iter().zip(packs).map(sign).collect()
    }

    /// Another URL for a pack of the session that has not arrived.
    pub fn renew_put(
        &self,
        caller: &Caller,
        session: SessionId,
        pack: PackName,
        intent: &PackIntent,
    ) -> Result<SignedUrl, ControllerError> {
        self.require_open(caller, session)?;
        let announced = self.ledger.pack(pack)?.filter(|row| {
            let same = (row.len, row.footer_digest) == (intent.len, intent.footer_digest);
            same && row.session == session && row.state == PackState::Pending
        });
        match announced {
            Some(row) => Ok(self.store.sign_put(row.name.into(), &intent.into())?),
            None => Err(ControllerError::ForeignPack(pack)),
        }
    }

    /// Ends a session early. Best effort: a lease also ends by itself.
    pub fn release(&self, caller: &Caller, session: SessionId) {
        // A scope may hold many builds. What is no write session is left to the ledger: readers' sessions name no build.
        if let Err(error @ (ControllerError::ForeignBuild(_) | ControllerError::NoBuild(_))) =
            self.own_session(caller, session)
        {
            tracing::warn!(session = session.0, %error, "a session was not released for another build");
            return;
        }
        if let Err(error) = self.ledger.end_session(&caller.access, session) {
            tracing::warn!(session = session.0, error = %error, "a session could not be released");
        }
    }

    /// The write session of this caller, its lease renewed.
    pub(super) fn own_session(
        &self,
        caller: &Caller,
        session: SessionId,
    ) -> Result<SessionRow, ControllerError> {
        let row = self.ledger.session(&caller.access, session, self.clock.now(), LEASE_SECONDS)?;
        caller.require_write(&row.build)?;
        Ok(row)
    }

    /// Whether the session is open, the caller's, of that build and name, and of no process that may be swept with it.
    fn is_resumable(
        &self,
        caller: &Caller,
        session: SessionId,
        request: &Open,
    ) -> Result<bool, ControllerError> {
        let row = match self.ledger.session(&caller.access, session, self.clock.now(), LEASE_SECONDS) {
            Err(LedgerError::SessionEnded(_)) => return Ok(false),
            other => other?,
        };
        let same = (&row.build, &row.name) == (&request.build, &request.name) && row.committed.is_none();
        Ok(same && self.ledger.owners()?.iter().all(|(owned, _)| *owned != session))
    }

    /// What it pinned stays pinned, but whether that was its parent is not written down.
    fn resumed(
        &self,
        caller: &Caller,
        session: SessionId,
        digests: &[Digest],
    ) -> Result<Opened, ControllerError> {
        let present = self.ledger.pin_present(&caller.access, session, digests)?;
        tracing::debug!(session = session.0, "session resumed");
        let missing = present.into_iter().map(|present| !present).collect();
        Ok(Opened { session, parent_accepted: false, missing })
    }

    fn require_open(&self, caller: &Caller, session: SessionId) -> Result<(), ControllerError> {
        match self.own_session(caller, session)?.committed {
            Some(_) => Err(ControllerError::SessionEnded(session)),
            None => Ok(()),
        }
    }
}

pub(super) fn at_most(what: &'static str, asked: u64, most: u64) -> Result<(), ControllerError> {
    if asked <= most { Ok(()) } else { Err(ControllerError::TooMuch { what, asked, most }) }
}

/// A name that no pack ever had.
pub(super) fn random_name() -> Result<PackName, ControllerError> {
    let mut name = [0; 16];
    getrandom::fill(&mut name).map_err(ControllerError::Random)?;
    Ok(PackName(name))
}
