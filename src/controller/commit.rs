//! Ends a session: checks its packs, follows the root, and hands the ledger one transaction. No SQL.

use std::collections::BTreeSet;

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::{CommitRows, PackId, PackRow, PackState, SessionRow};
use crate::controller::open::Controller;
use crate::controller::pack_source::{ChunkSource, Tail, read_tail};
use crate::controller::references::Follower;
use crate::model::{Digest, PackName};
use crate::protocol::{Commit, Committed};

/// The ends of so few packs are kept for who follows their pages: of many, some are read again.
const FEW: usize = 4;

impl Controller {
    /// Makes the stash visible, or changes nothing. The same commit again gives the same answer.
    pub fn commit(&self, caller: &Caller, request: &Commit) -> Result<Committed, ControllerError> {
        let session = self.own_session(caller, request.session)?;
        if let Some(committed) = session.committed {
            // The session is the idempotency key: what was answered before is answered again.
            let same = committed.stash.id == request.root;
            return if same { Ok(committed) } else { Err(ControllerError::SessionEnded(session.id)) };
        }
        if request.packs.is_empty() {
            // An unchanged stash: no pack is read.
            let now = self.clock.now();
            let (root, patches) = (request.root, request.patches);
            if let Some(known) = self.ledger.commit_known(&caller.access, &session, root, patches, now)? {
                tracing::info!(session = session.id.0, stash = %session.name, "committed unchanged");
                return Ok(known);
            }
        }
        let committed = self.commit_new(caller, &session, request)?;
        if !request.packs.is_empty() {
            self.mend_broken_stashes(caller);
        }
        Ok(committed)
    }

    fn commit_new(
        &self,
        caller: &Caller,
        session: &SessionRow,
        request: &Commit,
    ) -> Result<Committed, ControllerError> {
        let mut rows = Vec::with_capacity(request.packs.len());
        let mut tails = Vec::with_capacity(request.packs.len());
        let mut chunks: Vec<(Digest, PackId)> = Vec::new();
        let mut source = ChunkSource::ahead(self.store.as_ref());
        for name in &request.packs.iter().collect::<BTreeSet<_>>() {
            let row = self.own_pack(session, **name)?;
            let tail = self.check_arrival(&row)?;
            chunks.extend(tail.footer.chunks.iter().map(|chunk| (chunk.digest, row.id)));
            tails.push((row.id, tail.len));
            if request.packs.len() <= FEW {
                source.keep(row.name, tail);
            }
            rows.push(row);
        }
        chunks.sort_unstable();
        chunks.dedup_by_key(|(digest, _)| *digest);
        let follower = Follower::new(self, &caller.access, session.id, &chunks, rows.into_iter(), source);
        let references = follower.follow(request.root, request.patches)?;
        let committed = self.ledger.commit(
            &caller.access,
            &CommitRows {
                session,
                root: request.root,
                patches: request.patches,
                totals: references.root.totals,
                new_packs: &tails,
                chunks: &chunks,
                pages: &references.pages,
                packs: &references.packs,
                manifest_packs: &references.manifest_packs,
                now: self.clock.now(),
            },
        )?;
        tracing::info!(
            session = session.id.0,
            stash = %session.name,
            new_packs = request.packs.len(),
            new_chunks = chunks.len(),
            "committed"
        );
        Ok(committed)
    }

    fn own_pack(&self, session: &SessionRow, name: PackName) -> Result<PackRow, ControllerError> {
        let row = self.ledger.pack(name)?;
        row.filter(|row| row.session == session.id && row.state == PackState::Pending)
            .ok_or(ControllerError::ForeignPack(name))
    }

    fn check_arrival(&self, row: &PackRow) -> Result<Tail, ControllerError> {
        self.store.settle(row.name.into())?;
        let found = self.store.head(row.name.into())?;
        if found != Some(row.len) {
            return Err(ControllerError::PackLength { pack: row.name, found, announced: row.len });
        }
        let tail = read_tail(self.store.as_ref(), row.name, row.len)?;
        if tail.digest == row.footer_digest { Ok(tail) } else { Err(ControllerError::FooterDigest(row.name)) }
    }
}
