//! Makes a lost ledger anew out of the packs: the chunk index, and a stash for every manifest root that is whole.
//! What the packs do not say (names, builds, which stash was removed) does not come back.

use std::collections::HashSet;

use crate::controller::caller::Caller;
use crate::controller::error::{ControllerError, ErrorKind};
use crate::controller::ledger::RebuiltPack;
use crate::controller::open::Controller;
use crate::controller::pack_source::check_pack;
use crate::model::manifest::Root;
use crate::model::{Digest, PackName};
use crate::protocol::{BuildId, Commit, DamagedPack, DamagedStash, Open, StashName, VerifyReport};

impl Controller {
    /// Indexes every sound pack. For a ledger that was lost also gives names to the roots in them; a sweep may run
    /// again when that is done, so a rebuild that was cut short is repeated whole.
    pub(super) fn rebuild(&self, caller: &Caller, report: &mut VerifyReport) -> Result<(), ControllerError> {
        let mut names = Vec::new();
        self.store.list(&mut |object| {
            if object.unfinished.is_none() {
                names.push(object.pack);
            }
        })?;
        let mut roots = Vec::new();
        for name in names {
            match self.reindex(caller, name, &mut roots) {
                Ok(indexed) => report.rebuilt_packs += u64::from(indexed),
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    let why = crate::controller::error::reasons(&error);
                    report.damaged_packs.push(DamagedPack { name, why });
                }
                Err(error) => return Err(error),
            }
        }
        if self.ledger.needs_rebuild()? {
            self.recover(caller, &roots, report)?;
            self.ledger.rebuilt()?;
        }
        Ok(())
    }

    fn reindex(
        &self,
        caller: &Caller,
        name: PackName,
        roots: &mut Vec<Digest>,
    ) -> Result<bool, ControllerError> {
        let Some(len) = self.store.head(name)? else { return Ok(false) };
        let tail = check_pack(self.store.as_ref(), name, len, &mut |digest, bytes| {
            if Root::decode(bytes).is_ok() {
                roots.push(*digest);
            }
        })?;
        let (tail_len, footer_digest) = (tail.len, tail.digest);
        let pack = RebuiltPack { name, len, tail_len, footer_digest, chunks: &tail.footer.chunks };
        self.ledger.reindex(caller.access.write, &pack)?;
        Ok(true)
    }

    /// A stash for every root that nothing points at: an ordinary commit without packs.
    fn recover(
        &self,
        caller: &Caller,
        roots: &[Digest],
        report: &mut VerifyReport,
    ) -> Result<(), ControllerError> {
        let build = BuildId { project: "local".into(), build: "recovered".into() };
        let mut known: HashSet<Digest> =
            self.ledger.all_stashes()?.into_iter().map(|stash| stash.info.id).collect();
        for &root in roots {
            if !known.insert(root) {
                continue;
            }
            let Ok(name) = StashName::try_from(format!("recovered-{}", root.short())) else { continue };
            match self.commit_recovered(caller, &build, &name, root) {
                Ok(()) => report.recovered_stashes.push(name),
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    let why = crate::controller::error::reasons(&error);
                    report.lost_stashes.push(DamagedStash { build: build.clone(), name, why });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn commit_recovered(
        &self,
        caller: &Caller,
        build: &BuildId,
        name: &StashName,
        root: Digest,
    ) -> Result<(), ControllerError> {
        let open = Open { build: build.clone(), name: name.clone(), parent: None, digests: Vec::new() };
        let session = self.open_session(caller, &open)?.session;
        let committed = self.commit(caller, &Commit { session, root, packs: Vec::new() });
        if committed.is_err() {
            self.release(caller, session);
        }
        committed.map(drop)
    }
}
