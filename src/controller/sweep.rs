//! Gives back the space of what nothing refers to. A kill at any point loses nothing: a pack's row says `deleted`
//! before its object goes, and the next sweep finishes what this one began.

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::{PackId, PackState, Sweep};
use crate::controller::open::Controller;
use crate::controller::store::StoredObject;
use crate::protocol::{GcOptions, GcReport, SessionId};

impl Controller {
    /// Sweeps once. Refuses beside packs that the ledger has lost: none of them would be known to be needed.
    pub fn gc(&self, caller: &Caller, options: &GcOptions) -> Result<GcReport, ControllerError> {
        caller.require_operator()?;
        if self.ledger.needs_rebuild()? {
            return Err(ControllerError::NeedsRebuild);
        }
        let ended = self.ended_with_their_process()?;
        let sweep = Sweep { now: self.clock.now(), dry_run: options.dry_run, ended: &ended };
        let swept = self.ledger.sweep(&sweep)?;
        let mut report = GcReport {
            reaped_sessions: swept.reaped_sessions,
            condemned: swept.condemned,
            kept_for_sessions: swept.kept_for_sessions,
            until: swept.until,
            ..GcReport::default()
        };
        if options.dry_run {
            report.deleted_packs = swept.deleted.len() as u64;
            report.deleted_bytes = swept.deleted.iter().map(|row| row.len).sum();
            return Ok(report);
        }
        for row in &swept.deleted {
            report.deleted_bytes += self.store.delete(&StoredObject::pack(row.name))?;
            report.deleted_packs += 1;
        }
        let gone: Vec<PackId> = swept.deleted.iter().map(|row| row.id).collect();
        if !gone.is_empty() {
            self.ledger.forget(&gone)?;
        }
        self.delete_orphans(&mut report)?;
        tracing::info!(deleted_packs = report.deleted_packs, deleted_bytes = report.deleted_bytes, "swept");
        Ok(report)
    }

    /// Sessions that nobody will come back to: a process that was killed releases nothing.
    fn ended_with_their_process(&self) -> Result<Vec<SessionId>, ControllerError> {
        let mut owners = self.ledger.owners()?;
        owners.retain(|(_, process)| self.clock.is_gone(process));
        Ok(owners.into_iter().map(|(session, _)| session).collect())
    }

    /// Objects without a row. The listing comes before the look at the ledger, and a row before its object, so an
    /// object that was listed and has no row now will never be wanted.
    fn delete_orphans(&self, report: &mut GcReport) -> Result<(), ControllerError> {
        let mut objects = Vec::new();
        self.store.list(&mut |object| objects.push(object))?;
        for object in objects {
            let state = self.ledger.pack(object.pack)?.map(|row| row.state);
            let wanted = match object.unfinished {
                Some(_) => state == Some(PackState::Pending),
                None => state.is_some_and(|state| state != PackState::Deleted),
            };
            if !wanted {
                report.deleted_bytes += self.store.delete(&object)?;
                report.deleted_packs += 1;
            }
        }
        Ok(())
    }
}
