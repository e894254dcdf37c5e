//! Gives back the space of what nothing refers to. A kill at any point loses nothing: a pack's row says `deleted`
//! before its object goes, and the next sweep finishes what this one began.

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::{GonePack, PackRow, PackState, Sweep};
use crate::controller::open::Controller;
use crate::controller::pack_source::read_tail;
use crate::controller::store::StoredObject;
use crate::model::{Digest, ObjectKind, PackName};
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
        self.sweep_artifacts(options, &mut report)?;
        if options.dry_run {
            report.deleted_packs = swept.deleted.len() as u64;
            report.deleted_bytes += swept.deleted.iter().map(|row| row.len).sum::<u64>();
            return Ok(report);
        }
        self.delete_packs(&swept.deleted, &mut report)?;
        self.delete_orphans(&mut report)?;
        tracing::info!(
            deleted_packs = report.deleted_packs,
            deleted_blobs = report.deleted_blobs,
            deleted_bytes = report.deleted_bytes,
            "swept"
        );
        Ok(report)
    }

    /// Sessions that nobody will come back to: a process that was killed releases nothing.
    fn ended_with_their_process(&self) -> Result<Vec<SessionId>, ControllerError> {
        let mut owners = self.ledger.owners()?;
        owners.retain(|(_, process)| self.clock.is_gone(process));
        Ok(owners.into_iter().map(|(session, _)| session).collect())
    }

    fn delete_packs(&self, packs: &[PackRow], report: &mut GcReport) -> Result<(), ControllerError> {
        let mut unknown = Vec::new();
        for row in packs {
            // Its footer comes before its object goes: afterwards only the whole index says what it held.
            let gone = GonePack { id: row.id, scope: row.scope, chunks: self.indexed_chunks(row) };
            report.deleted_bytes += self.store.delete(&StoredObject::pack(row.name))?;
            report.deleted_packs += 1;
            match gone.chunks {
                Some(_) => self.ledger.forget(&[gone])?,
                None => unknown.push(gone),
            }
        }
        if unknown.is_empty() { Ok(()) } else { Ok(self.ledger.forget(&unknown)?) }
    }

    /// The chunks that the index may name a pack for, sorted; `None` if its footer cannot be read any more.
    fn indexed_chunks(&self, row: &PackRow) -> Option<Vec<Digest>> {
        if row.tail_len == 0 {
            return Some(Vec::new()); // never committed
        }
        let tail = read_tail(self.store.as_ref(), row.name, row.len).ok()?;
        let mut chunks: Vec<Digest> = tail.footer.chunks.into_iter().map(|chunk| chunk.digest).collect();
        chunks.sort_unstable();
        (tail.digest == row.footer_digest).then_some(chunks)
    }

    /// Objects without a row. The listing comes before the look at the ledger, and a row before its object, so an
    /// object that was listed and has no row now will never be wanted.
    fn delete_orphans(&self, report: &mut GcReport) -> Result<(), ControllerError> {
        let mut objects = Vec::new();
        self.store.list(ObjectKind::Pack, &mut |object| objects.push(object))?;
        for object in objects {
            let state = self.ledger.pack(PackName(object.object.name))?.map(|row| row.state);
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
