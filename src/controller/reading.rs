//! Requests that read or arrange what is committed: resolve, list, remove, copy, report damage.

use crate::controller::caller::Caller;
use crate::controller::error::{ControllerError, ErrorKind, reasons};
use crate::controller::ledger::{NewReader, OpenedReader, PackRow, PackState};
use crate::controller::open::{Controller, LEASE_SECONDS};
use crate::controller::pack_source::{check_pack, read_tail};
use crate::controller::store::AnswerHeaders;
use crate::model::PackName;
use crate::protocol::{BuildId, Copied, PackDownload, Resolved, SessionId, StashInfo, StashName};

/// Names that "no such stash" lists.
const NAMED_OTHERS: usize = 5;

impl Controller {
    /// Finds a stash and opens a lease to read it.
    pub fn resolve(
        &self,
        caller: &Caller,
        build: &BuildId,
        name: &StashName,
    ) -> Result<Resolved, ControllerError> {
        caller.require_read(build)?;
        let Some(stash) = self.ledger.find(&caller.access, build, name)? else {
            return Err(self.no_stash(caller, build, name)?);
        };
        let owner = self.clock.process();
        let owner = owner.as_deref();
        let new = NewReader { stash: stash.id, expires_at: self.reader_expires_at(owner), owner };
        // As it is now, if it was replaced meanwhile.
        let Some(OpenedReader { session, stash, packs }) = self.ledger.open_reader(&caller.access, &new)?
        else {
            return Err(self.no_stash(caller, build, name)?);
        };
        let readable = packs.iter().filter(|row| self.has_footer(row));
        let packs = readable.map(|row| self.download(row)).collect::<Result<_, _>>()?;
        Ok(Resolved { session, stash: stash.info, packs })
    }

    /// Other URLs for the packs of a read session, whose lease is renewed.
    pub fn renew_gets(
        &self,
        caller: &Caller,
        session: SessionId,
    ) -> Result<Vec<PackDownload>, ControllerError> {
        let rows = self.ledger.reader(&caller.access, session, self.clock.now(), LEASE_SECONDS)?;
        rows.iter().map(|row| self.download(row)).collect()
    }

    /// Checks a pack that an agent says is damaged; sets it aside if that is so. Answers whether it was.
    pub fn report_damaged(
        &self,
        caller: &Caller,
        session: SessionId,
        pack: PackName,
        why: &str,
    ) -> Result<bool, ControllerError> {
        // A pack outside the scopes that the caller reads is none of its business.
        let row = self.ledger.pack(pack)?.filter(|row| caller.access.read.contains(&row.scope));
        if row.as_ref().is_some_and(|row| row.state == PackState::Quarantined) {
            return Ok(true);
        }
        let Some(row) = row.filter(|row| matches!(row.state, PackState::Live | PackState::Condemned)) else {
            return Err(ControllerError::ForeignPack(pack));
        };
        let damaged = self.set_aside_if_damaged(&row)?;
        tracing::warn!(session = session.0, %pack, reported = why, confirmed = damaged.is_some(), "damage reported");
        Ok(damaged.is_some())
    }

    /// The stashes of a build, by name.
    pub fn list(&self, caller: &Caller, build: &BuildId) -> Result<Vec<StashInfo>, ControllerError> {
        caller.require_read(build)?;
        Ok(self.ledger.list(&caller.access, build)?)
    }

    /// Forgets a stash; `false` if there was none.
    pub fn remove(
        &self,
        caller: &Caller,
        build: &BuildId,
        name: &StashName,
    ) -> Result<bool, ControllerError> {
        caller.require_write(build)?;
        Ok(self.ledger.remove(&caller.access, build, name)?)
    }

    /// Gives every stash and every finished artifact of `from` to `to` by reference; answers how many.
    pub fn copy(&self, caller: &Caller, from: &BuildId, to: &BuildId) -> Result<Copied, ControllerError> {
        caller.require_read(from)?;
        caller.require_write(to)?;
        Ok(self.ledger.copy_build(&caller.access, from, to, self.clock.now())?)
    }

    /// Forgets every stash of a build; its artifacts stay. Answers how many there were.
    pub fn clear_stashes(&self, caller: &Caller, build: &BuildId) -> Result<u64, ControllerError> {
        caller.require_write(build)?;
        Ok(self.ledger.clear_stashes(&caller.access, build)?)
    }

    /// Reads a whole pack; if it is broken, quarantines it and answers why. A store that is down is no damage, nor is a
    /// pack that a sweep took away meanwhile: its row goes before its object does.
    pub(super) fn set_aside_if_damaged(&self, row: &PackRow) -> Result<Option<String>, ControllerError> {
        let why = match self.damage(row) {
            Ok(None) => return Ok(None),
            Ok(Some(why)) => why,
            Err(_) if self.is_swept(row)? => return Ok(None),
            Err(error) => return Err(error),
        };
        if !self.ledger.quarantine(row.name, &why)? && self.is_swept(row)? {
            return Ok(None);
        }
        tracing::error!(pack = %row.name, why, "pack set aside");
        Ok(Some(why))
    }

    fn is_swept(&self, row: &PackRow) -> Result<bool, ControllerError> {
        Ok(self.ledger.pack(row.name)?.is_none_or(|row| row.state == PackState::Deleted))
    }

    fn damage(&self, row: &PackRow) -> Result<Option<String>, ControllerError> {
        let why = match self.store.head(row.name.into())? {
            None => "it is not in the store".to_owned(),
            Some(len) if len != row.len => format!("it is {len} bytes long, not {}", row.len),
            Some(_) => match check_pack(self.store.as_ref(), row.name, row.len, &mut |_, _| {}) {
                Ok(tail) if tail.digest == row.footer_digest => return Ok(None),
                Ok(_) => "its footer is another one".to_owned(),
                Err(error) if error.kind() == ErrorKind::Damaged => reasons(&error),
                Err(error) => return Err(error),
            },
        };
        Ok(Some(why))
    }

    /// Of a pack that was set aside, what is whole can still be read, if its footer says where that stands.
    fn has_footer(&self, row: &PackRow) -> bool {
        row.state != PackState::Quarantined
            || read_tail(self.store.as_ref(), row.name, row.len)
                .is_ok_and(|tail| tail.digest == row.footer_digest && tail.len == row.tail_len)
    }

    fn download(&self, row: &PackRow) -> Result<PackDownload, ControllerError> {
        Ok(PackDownload {
            name: row.name,
            len: row.len,
            tail_len: row.tail_len,
            has_manifest: row.has_manifest,
            get: self.store.sign_get(row.name.into(), &AnswerHeaders::default())?,
        })
    }

    fn no_stash(
        &self,
        caller: &Caller,
        build: &BuildId,
        name: &StashName,
    ) -> Result<ControllerError, ControllerError> {
        let others =
            self.list(caller, build)?.into_iter().map(|stash| stash.name).take(NAMED_OTHERS).collect();
        Ok(ControllerError::NoStash { name: name.clone(), others })
    }
}
