//! A stash under way: open a session, ask what is missing, sign packs, release. Its end is `commit`.

use crate::controller::error::ControllerError;
use crate::controller::ledger::{NewSession, PackId, PackRow, PackState};
use crate::controller::open::{Controller, LEASE_SECONDS};
use crate::model::{Digest, PackName, limits};
use crate::protocol::{Open, Opened, PackIntent, SessionId, SignedPack};

/// Packs that one `sign` may name: 32 GiB at the usual size.
const MAX_PACKS: usize = 1024;

impl Controller {
    /// Opens a session to write a stash.
    pub fn open_session(&self, request: &Open) -> Result<Opened, ControllerError> {
        at_most("digests in one request", request.digests.len() as u64, limits::MAX_MISSING_DIGESTS as u64)?;
        let owner = self.clock.process();
        let new = NewSession {
            build: &request.build,
            name: &request.name,
            parent: request.parent,
            expires_at: self.clock.now() + LEASE_SECONDS,
            owner: owner.as_deref(),
        };
        let opened = self.ledger.open_session(&self.access, &new)?;
        let present = self.ledger.pin_present(&self.access, opened.id, &request.digests)?;
        tracing::debug!(session = opened.id.0, parent_accepted = opened.parent_accepted, "session opened");
        let missing = present.into_iter().map(|present| !present).collect();
        Ok(Opened { session: opened.id, parent_accepted: opened.parent_accepted, missing })
    }

    /// For each digest, in order: whether it is missing. What is not is pinned to the session.
    pub fn missing(&self, session: SessionId, digests: &[Digest]) -> Result<Vec<bool>, ControllerError> {
        at_most("digests in one request", digests.len() as u64, limits::MAX_MISSING_DIGESTS as u64)?;
        self.require_open(session)?;
        let present = self.ledger.pin_present(&self.access, session, digests)?;
        Ok(present.into_iter().map(|present| !present).collect())
    }

    /// Names finished packs and says where to PUT them.
    pub fn sign(&self, session: SessionId, packs: &[PackIntent]) -> Result<Vec<SignedPack>, ControllerError> {
        at_most("packs in one request", packs.len() as u64, MAX_PACKS as u64)?;
        self.require_open(session)?;
        let mut rows = Vec::with_capacity(packs.len());
        for intent in packs {
            at_most("bytes of a pack", intent.len, limits::MAX_PACK_BYTES)?;
            rows.push(PackRow {
                id: PackId(0),
                name: random_name()?,
                scope: self.access.write,
                state: PackState::Pending,
                len: intent.len,
                tail_len: 0,
                footer_digest: intent.footer_digest,
                has_manifest: false,
                session,
            });
        }
        // The row comes first: an object without a row is garbage at any time.
        self.ledger.add_pending(&self.access, &rows)?;
        let sign =
            |row: &PackRow| Ok(SignedPack { name: row.name, put: self.store.sign_put(row.name, row.len)? });
        rows.iter().map(sign).collect()
    }

    /// Ends a session early. Best effort: a lease also ends by itself.
    pub fn release(&self, session: SessionId) {
        if let Err(error) = self.ledger.end_session(session) {
            tracing::warn!(session = session.0, error = %error, "a session could not be released");
        }
    }

    fn require_open(&self, session: SessionId) -> Result<(), ControllerError> {
        match self.ledger.session(session, self.clock.now(), LEASE_SECONDS)?.committed {
            Some(_) => Err(ControllerError::SessionEnded(session)),
            None => Ok(()),
        }
    }
}

fn at_most(what: &'static str, asked: u64, most: u64) -> Result<(), ControllerError> {
    if asked <= most { Ok(()) } else { Err(ControllerError::TooMuch { what, asked, most }) }
}

fn random_name() -> Result<PackName, ControllerError> {
    let mut name = [0; 16];
    getrandom::fill(&mut name).map_err(ControllerError::Random)?;
    Ok(PackName(name))
}
