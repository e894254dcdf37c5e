//! Mends stashes that refer to a pack which was set aside, once all that they need stands elsewhere: they can be read
//! and be parents again, and the broken pack can go. Sends nothing anew; that is the next stash's work.

use crate::controller::caller::Caller;
use crate::controller::error::{ControllerError, ErrorKind};
use crate::controller::ledger::{Access, MendedStash, StashRow};
use crate::controller::open::Controller;
use crate::controller::pack_source::ChunkSource;
use crate::controller::references::Follower;
use crate::protocol::SessionId;

impl Controller {
    /// Mends what can be mended. Best effort: whoever calls has done his own work already.
    pub(super) fn mend_broken_stashes(&self, caller: &Caller) {
        match self.mend_all(caller) {
            Ok(0) => {}
            Ok(mended) => tracing::info!(mended, "stashes need no broken pack any more"),
            Err(error) => tracing::warn!(%error, "broken stashes could not be looked at"),
        }
    }

    fn mend_all(&self, caller: &Caller) -> Result<u64, ControllerError> {
        let mut mended = 0;
        for stash in self.ledger.broken_stashes()? {
            mended += u64::from(self.mend(caller, &stash)?);
        }
        Ok(mended)
    }

    fn mend(&self, caller: &Caller, stash: &StashRow) -> Result<bool, ControllerError> {
        // What others wrote is mended out of their own scope alone.
        let own = Access { write: stash.scope, read: vec![stash.scope] };
        let access = if stash.scope == caller.access.write { &caller.access } else { &own };
        // No session's packs or pins: the chunk index alone says where things stand.
        let source = ChunkSource::ahead(self.store.as_ref());
        let follower = Follower::new(self, access, SessionId(0), &[], std::iter::empty(), source);
        let found = match follower.follow(stash.info.id, stash.info.patches) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::Damaged => return Ok(false),
            Err(error) => return Err(error),
        };
        let (pages, packs, manifest_packs) = (&found.pages, &found.packs, &found.manifest_packs);
        Ok(self.ledger.mend(access, &MendedStash { stash, pages, packs, manifest_packs })?)
    }
}
