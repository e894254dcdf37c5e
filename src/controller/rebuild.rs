//! Makes a lost ledger anew out of the packs: the chunk index, and a stash for every manifest root in them.
//! What the packs do not say (names, builds, which stash was removed) does not come back.

use std::collections::{BTreeMap, HashSet};

use crate::controller::caller::Caller;
use crate::controller::error::{ControllerError, ErrorKind, reasons};
use crate::controller::ledger::RebuiltPack;
use crate::controller::open::Controller;
use crate::controller::pack_source::{Tail, check_pack, read_tail};
use crate::controller::salvage::FoundRoot;
use crate::model::manifest::{Patches, Root};
use crate::model::{Digest, ObjectKind, PackName};
use crate::protocol::{BuildId, Commit, DamagedPack, DamagedStash, Open, StashName, VerifyReport};

/// What was found of manifests.
#[derive(Default)]
struct Roots {
    /// Roots, with what they say.
    roots: BTreeMap<Digest, Root>,
    /// Lists of patched pages, by the root that each is of. Where a root has several, any will do whose pages can be read.
    patches: BTreeMap<Digest, Vec<Digest>>,
}

impl Controller {
    /// Indexes every sound pack. For a ledger that was lost also gives names to the roots in them, and keeps what can
    /// be read of damaged packs for those; a sweep may run again when that is done, so a rebuild that was cut short is
    /// repeated whole.
    pub(super) fn rebuild(&self, caller: &Caller, report: &mut VerifyReport) -> Result<(), ControllerError> {
        let mut names = Vec::new();
        self.store.list(ObjectKind::Pack, &mut |object| {
            if object.unfinished.is_none() {
                names.push(PackName(object.object.name));
            }
        })?;
        let mut roots = Roots::default();
        for name in names {
            match self.reindex_sound(caller, name, &mut roots) {
                Ok(indexed) => report.rebuilt_packs += u64::from(indexed),
                // A sweep took it while it was read.
                Err(_) if self.store.head(name.into())?.is_none() => {}
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    report.damaged_packs.push(DamagedPack { name, why: reasons(&error) });
                }
                Err(error) => return Err(error),
            }
        }
        if self.ledger.needs_rebuild()? {
            // After all sound ones, so that the index names those where both have a chunk.
            let damaged = report.damaged_packs.iter();
            damaged.map(|pack| pack.name).try_for_each(|name| self.reindex_damaged(caller, name))?;
            self.recover(caller, &roots, report)?;
        }
        // Whatever refers to them is broken from now on, as if they had been found damaged beside their old ledger.
        for pack in &report.damaged_packs {
            self.ledger.quarantine(pack.name, &pack.why)?;
        }
        Ok(self.ledger.rebuilt()?)
    }

    fn reindex_sound(
        &self,
        caller: &Caller,
        name: PackName,
        roots: &mut Roots,
    ) -> Result<bool, ControllerError> {
        let Some(len) = self.store.head(name.into())? else { return Ok(false) };
        let tail = check_pack(self.store.as_ref(), name, len, &mut |digest, bytes| {
            if let Ok(root) = Root::decode(bytes) {
                roots.roots.insert(*digest, root);
            }
            if let Some(root) = Patches::root(bytes) {
                roots.patches.entry(root).or_default().push(*digest);
            }
        })?;
        self.reindex(caller, name, len, &tail)?;
        Ok(true)
    }

    /// A pack whose footer can be read holds more than what is damaged.
    fn reindex_damaged(&self, caller: &Caller, name: PackName) -> Result<(), ControllerError> {
        let Some(len) = self.store.head(name.into())? else { return Ok(()) };
        match read_tail(self.store.as_ref(), name, len) {
            Ok(tail) => self.reindex(caller, name, len, &tail),
            Err(error) if error.kind() == ErrorKind::Damaged => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn reindex(&self, caller: &Caller, name: PackName, len: u64, tail: &Tail) -> Result<(), ControllerError> {
        let (tail_len, footer_digest) = (tail.len, tail.digest);
        let pack = RebuiltPack { name, len, tail_len, footer_digest, chunks: &tail.footer.chunks };
        Ok(self.ledger.reindex(caller.access.write, &pack)?)
    }

    /// A stash for every root that nothing points at: an ordinary commit without packs, or what is left of it.
    fn recover(
        &self,
        caller: &Caller,
        roots: &Roots,
        report: &mut VerifyReport,
    ) -> Result<(), ControllerError> {
        let build = BuildId { project: "local".into(), build: "recovered".into() };
        let known: HashSet<Digest> =
            self.ledger.all_stashes()?.into_iter().map(|stash| stash.info.id).collect();
        for (&id, root) in roots.roots.iter().filter(|(id, _)| !known.contains(*id)) {
            let Ok(name) = StashName::try_from(format!("recovered-{}", id.short())) else { continue };
            let lists = roots.patches.get(&id).into_iter().flatten().copied();
            let forms: Vec<Option<Digest>> = [None].into_iter().chain(lists.map(Some)).collect();
            let Some(why) = self.commit_any(caller, (&build, &name), id, &forms)? else {
                report.recovered_stashes.push(name);
                continue;
            };
            let found = FoundRoot { id, root, patches: forms.last().copied().flatten() };
            match self.keep_what_is_left(caller, (&build, &name), found, &why)? {
                true => report.recovered_stashes.push(name),
                false => report.lost_stashes.push(DamagedStash { build: build.clone(), name, why }),
            }
        }
        Ok(())
    }

    /// Commits the first form of a root that is whole; why the last one is not, if none is.
    fn commit_any(
        &self,
        caller: &Caller,
        at: (&BuildId, &StashName),
        root: Digest,
        forms: &[Option<Digest>],
    ) -> Result<Option<String>, ControllerError> {
        let mut why = None;
        for patches in forms {
            match self.commit_recovered(caller, at, root, *patches) {
                Ok(()) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Damaged => why = Some(reasons(&error)),
                Err(error) => return Err(error),
            }
        }
        Ok(why)
    }

    fn commit_recovered(
        &self,
        caller: &Caller,
        (build, name): (&BuildId, &StashName),
        root: Digest,
        patches: Option<Digest>,
    ) -> Result<(), ControllerError> {
        let open = Open {
            build: build.clone(),
            name: name.clone(),
            parent: None,
            resume: None,
            digests: Vec::new(),
        };
        let session = self.open_session(caller, &open)?.session;
        let committed = self.commit(caller, &Commit { session, root, patches, packs: Vec::new() });
        if committed.is_err() {
            self.release(caller, session);
        }
        committed.map(drop)
    }
}
