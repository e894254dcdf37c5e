//! What is left of a root that a rebuild found and that is not whole: it gets a name all the same, so that no sweep
//! takes the packs of what its user may still read in part, heal by stashing again, or bring back from elsewhere.
//! `pannier rm` says that it is not wanted any more.

use std::collections::{BTreeSet, HashMap};

use crate::controller::caller::Caller;
use crate::controller::error::{ControllerError, ErrorKind};
use crate::controller::ledger::{CommitRows, PackId, PackRow, PackState};
use crate::controller::open::Controller;
use crate::controller::pack_source::ChunkSource;
use crate::controller::writing::random_name;
use crate::model::manifest::{Patches, Root, chunk_list, page, patch};
use crate::model::{Digest, Entry};
use crate::protocol::{BuildId, Open, SessionId, StashName};

/// A root that a rebuild found, perhaps with the list of its pages that are stored as patches.
#[derive(Clone, Copy)]
pub(super) struct FoundRoot<'a> {
    pub(super) id: Digest,
    pub(super) root: &'a Root,
    pub(super) patches: Option<Digest>,
}

impl Controller {
    /// Names the root with every pack that still holds some of it; `false` if none holds a page.
    ///
    /// A pack that never was, set aside at once, stands for what is missing: so the stash counts as broken, is nobody's
    /// parent, and is mended like any other once all of it stands in the store.
    pub(super) fn keep_what_is_left(
        &self,
        caller: &Caller,
        at: (&BuildId, &StashName),
        found: FoundRoot<'_>,
        why: &str,
    ) -> Result<bool, ControllerError> {
        let remains = Remains::find(self, caller, found)?;
        if remains.pages == 0 {
            return Ok(false);
        }
        let (build, name) = (at.0.clone(), at.1.clone());
        let open = Open { build, name, parent: None, resume: None, digests: Vec::new() };
        let session = self.open_session(caller, &open)?.session;
        let named = self.name_remains(caller, session, found, remains, why);
        if named.is_err() {
            self.release(caller, session);
        }
        named.map(|()| true)
    }

    fn name_remains(
        &self,
        caller: &Caller,
        session: SessionId,
        FoundRoot { id, root, patches }: FoundRoot<'_>,
        remains: Remains<'_>,
        why: &str,
    ) -> Result<(), ControllerError> {
        let missing = PackRow {
            id: PackId(0),
            name: random_name()?,
            scope: caller.access.write,
            state: PackState::Pending,
            len: 0,
            tail_len: 0,
            footer_digest: id,
            has_manifest: false,
            session,
        };
        self.ledger.add_pending(&caller.access, std::slice::from_ref(&missing))?;
        let row = self.ledger.pack(missing.name)?.ok_or(ControllerError::ForeignPack(missing.name))?;
        let mut packs = remains.packs;
        packs.insert(row.id);
        let rows = CommitRows {
            session: &self.own_session(caller, session)?,
            root: id,
            patches,
            totals: root.totals,
            new_packs: &[(row.id, 0)],
            chunks: &[],
            // Nothing that was followed here may be taken for whole by a later commit.
            pages: &[],
            packs: &packs.into_iter().collect::<Vec<_>>(),
            manifest_packs: &remains.manifest_packs.into_iter().collect::<Vec<_>>(),
            now: self.clock.now(),
        };
        self.ledger.commit(&caller.access, &rows)?;
        self.ledger.quarantine(missing.name, why)?;
        Ok(())
    }
}

/// The packs that hold something of a root.
struct Remains<'a> {
    controller: &'a Controller,
    caller: &'a Caller,
    source: ChunkSource<'a>,
    rows: HashMap<PackId, PackRow>,
    packs: BTreeSet<PackId>,
    manifest_packs: BTreeSet<PackId>,
    /// Pages that can be read.
    pages: usize,
}

impl<'a> Remains<'a> {
    fn find(
        controller: &'a Controller,
        caller: &'a Caller,
        FoundRoot { id, root, patches }: FoundRoot<'_>,
    ) -> Result<Self, ControllerError> {
        let source = ChunkSource::new(controller.store.as_ref());
        let (packs, manifest_packs) = (BTreeSet::new(), BTreeSet::new());
        let mut remains =
            Self { controller, caller, source, rows: HashMap::new(), packs, manifest_packs, pages: 0 };
        remains.part(id)?;
        let list = patches.map_or(Ok(None), |list| remains.part(list))?;
        let patches = list.and_then(|list| Patches::decode(&list, &id, root).ok()).unwrap_or_default();
        for page in &root.pages {
            let digest = page.chunk.digest;
            let bytes = match (remains.part(digest)?, patches.of(&digest)) {
                (None, Some(patch)) => remains.patched(digest, patch)?,
                (whole, _) => whole,
            };
            let Some(bytes) = bytes else { continue };
            let Ok(entries) = page::decode(&bytes) else { continue };
            remains.pages += 1;
            remains.contents(&entries)?;
        }
        Ok(remains)
    }

    fn patched(&mut self, digest: Digest, patch: Digest) -> Result<Option<Vec<u8>>, ControllerError> {
        let Some(bytes) = self.part(patch)? else { return Ok(None) };
        let base = patch::base(&bytes).ok().map_or(Ok(None), |base| self.part(base))?;
        Ok(base.and_then(|base| patch::apply(&digest, &bytes, &base).ok()))
    }

    fn contents(&mut self, entries: &[Entry]) -> Result<(), ControllerError> {
        let mut chunks = Vec::new();
        for content in entries.iter().filter_map(Entry::content) {
            let own = content.runs().map(|chunk| chunk.digest);
            if !content.listed {
                chunks.extend(own);
                continue;
            }
            for list in own {
                let Some(bytes) = self.part(list)? else { continue };
                let Ok(list) = chunk_list::decode(&bytes) else { continue };
                chunks.extend(list.iter().map(|chunk| chunk.digest));
            }
        }
        let found = self.controller.ledger.locate(&self.caller.access, &chunks)?;
        self.packs.extend(found.into_iter().flatten());
        Ok(())
    }

    /// A root, page or chunk list, if it can be read.
    fn part(&mut self, digest: Digest) -> Result<Option<Vec<u8>>, ControllerError> {
        let ledger = &self.controller.ledger;
        let Some(id) = ledger.locate(&self.caller.access, &[digest])?.pop().flatten() else {
            return Ok(None);
        };
        let row = match self.rows.get(&id) {
            Some(row) => row.clone(),
            None => match ledger.pack_by_id(id)? {
                Some(row) => self.rows.entry(id).or_insert(row).clone(),
                None => return Ok(None),
            },
        };
        self.packs.insert(id);
        self.manifest_packs.insert(id);
        match self.source.read(row.name, row.len, digest) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::Damaged => Ok(None),
            Err(error) => Err(error),
        }
    }
}
