//! Requests that read or arrange what is committed: resolve, list, remove, copy, report damage.

use crate::controller::error::ControllerError;
use crate::controller::ledger::{PackRow, PackState};
use crate::controller::open::{Controller, LEASE_SECONDS};
use crate::controller::pack_source::check_pack;
use crate::model::PackName;
use crate::protocol::{BuildId, PackDownload, Resolved, SessionId, StashInfo, StashName};

/// Names that "no such stash" lists.
const NAMED_OTHERS: usize = 5;

impl Controller {
    /// Finds a stash and opens a lease to read it.
    pub fn resolve(&self, build: &BuildId, name: &StashName) -> Result<Resolved, ControllerError> {
        let now = self.clock.now();
        let Some(stash) = self.ledger.find(&self.access, build, name)? else {
            return Err(self.no_stash(build, name)?);
        };
        let Some((session, rows)) =
            self.ledger.open_reader(&self.access, stash.id, now, now + LEASE_SECONDS)?
        else {
            return Err(self.no_stash(build, name)?);
        };
        let packs = rows.iter().map(|row| self.download(row)).collect::<Result<_, _>>()?;
        Ok(Resolved { session, stash: stash.info, packs })
    }

    /// Checks a pack that an agent says is damaged; sets it aside if that is so. Answers whether it was.
    pub fn report_damaged(
        &self,
        session: SessionId,
        pack: PackName,
        why: &str,
    ) -> Result<bool, ControllerError> {
        let row = self.ledger.pack(pack)?;
        let Some(row) = row.filter(|row| matches!(row.state, PackState::Live | PackState::Condemned)) else {
            return Err(ControllerError::ForeignPack(pack));
        };
        let damaged = self.set_aside_if_damaged(&row)?;
        tracing::warn!(session = session.0, %pack, reported = why, confirmed = damaged.is_some(), "damage reported");
        Ok(damaged.is_some())
    }

    /// The stashes of a build, by name.
    pub fn list(&self, build: &BuildId) -> Result<Vec<StashInfo>, ControllerError> {
        Ok(self.ledger.list(&self.access, build)?)
    }

    /// Forgets a stash; `false` if there was none.
    pub fn remove(&self, build: &BuildId, name: &StashName) -> Result<bool, ControllerError> {
        Ok(self.ledger.remove(&self.access, build, name)?)
    }

    /// Gives every stash of `from` to `to` by reference; answers how many.
    pub fn copy(&self, from: &BuildId, to: &BuildId) -> Result<u64, ControllerError> {
        Ok(self.ledger.copy(&self.access, from, to, self.clock.now())?)
    }

    /// Reads a whole pack; if it is broken, quarantines it and answers why. A store that is down is no damage.
    pub(super) fn set_aside_if_damaged(&self, row: &PackRow) -> Result<Option<String>, ControllerError> {
        let why = match self.store.head(row.name)? {
            None => "it is not in the store".to_owned(),
            Some(len) if len != row.len => format!("it is {len} bytes long, not {}", row.len),
            Some(_) => match check_pack(self.store.as_ref(), row.name, row.len) {
                Ok(tail) if tail.digest == row.footer_digest => return Ok(None),
                Ok(_) => "its footer is another one".to_owned(),
                Err(error) if error.kind() == crate::controller::ErrorKind::Damaged => error.to_string(),
                Err(error) => return Err(error),
            },
        };
        self.ledger.quarantine(row.name, &why)?;
        tracing::error!(pack = %row.name, why, "pack set aside");
        Ok(Some(why))
    }

    fn download(&self, row: &PackRow) -> Result<PackDownload, ControllerError> {
        Ok(PackDownload {
            name: row.name,
            len: row.len,
            tail_len: row.tail_len,
            has_manifest: row.has_manifest,
            get: self.store.sign_get(row.name)?,
        })
    }

    fn no_stash(&self, build: &BuildId, name: &StashName) -> Result<ControllerError, ControllerError> {
        let others = self.list(build)?.into_iter().map(|stash| stash.name).take(NAMED_OTHERS).collect();
        Ok(ControllerError::NoStash { name: name.clone(), others })
    }
}
