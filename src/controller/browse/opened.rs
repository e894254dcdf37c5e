//! A stash that is open to read, under a lease that keeps its packs. Finds chunks, pages and entries; not whole folders.

use crate::controller::caller::Caller;
use crate::controller::error::{ControllerError, ErrorKind};
use crate::controller::ledger::{Access, NewReader, OpenedReader, PackRow};
use crate::controller::open::{Controller, LEASE_SECONDS};
use crate::controller::pack_source::ChunkSource;
use crate::model::manifest::{Patches, Root, page, patch};
use crate::model::{Digest, Entry, EntryKind, EntryPath};
use crate::protocol::{BuildId, SessionId, StashInfo, StashName};

/// A stash as it stood when somebody was allowed to read it: its number, and the root that it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct StashKey {
    /// Its number in the ledger.
    pub(in crate::controller) stash: i64,
    /// Its id.
    pub(in crate::controller) root: Digest,
    /// Who was allowed to.
    pub(in crate::controller) access: Access,
}

/// A stash that is open to read; its lease ends with the value.
pub(in crate::controller) struct OpenedStash<'a> {
    pub(in crate::controller) info: StashInfo,
    pub(super) root: Root,
    patches: Patches,
    controller: &'a Controller,
    key: StashKey,
    session: SessionId,
    renew_at: i64,
    packs: Vec<PackRow>,
    source: ChunkSource<'a>,
    /// The page that was read last, and its place in the root.
    page: Option<(usize, Vec<Entry>)>,
}

impl Controller {
    /// Opens the stash of a name to read it.
    pub(in crate::controller) fn open_stash(
        &self,
        caller: &Caller,
        build: &BuildId,
        name: &StashName,
    ) -> Result<OpenedStash<'_>, ControllerError> {
        caller.require_read(build)?;
        let missing = || ControllerError::NoStash { name: name.clone(), others: Vec::new() };
        let row = self.ledger.find(&caller.access, build, name)?.ok_or_else(missing)?;
        self.open_row(&caller.access, row.id)?.ok_or_else(missing)
    }

    /// Opens the stash of `key`; `None` if it is gone or another one by now.
    pub(in crate::controller) fn open_key(
        &self,
        key: &StashKey,
    ) -> Result<Option<OpenedStash<'_>>, ControllerError> {
        let row = self.ledger.stash(key.stash)?;
        let row = row.filter(|row| row.info.id == key.root && key.access.read.contains(&row.scope));
        let opened = row.map_or(Ok(None), |row| self.open_row(&key.access, row.id))?;
        Ok(opened.filter(|opened| opened.key == *key))
    }

    fn open_row(&self, access: &Access, stash: i64) -> Result<Option<OpenedStash<'_>>, ControllerError> {
        let owner = self.clock.process();
        let owner = owner.as_deref();
        let new = NewReader { stash, expires_at: self.reader_expires_at(owner), owner };
        let Some(OpenedReader { session, stash, mut packs }) = self.ledger.open_reader(access, &new)? else {
            return Ok(None);
        };
        // What the index does not know is looked for in all of them: first where roots and pages can stand.
        packs.sort_by_key(|pack| !pack.has_manifest);
        let mut opened = OpenedStash {
            key: StashKey { stash: stash.id, root: stash.info.id, access: access.clone() },
            info: stash.info,
            root: Root::default(),
            patches: Patches::default(),
            controller: self,
            session,
            renew_at: self.clock.now() + LEASE_SECONDS / 3,
            packs,
            source: ChunkSource::sharing(self.store.as_ref(), &self.tails),
            page: None,
        };
        let digest = opened.info.id;
        let bytes = opened.chunk(digest)?;
        opened.root = Root::decode(&bytes).map_err(|source| ControllerError::Manifest { digest, source })?;
        if let Some(list) = opened.info.patches {
            let bytes = opened.chunk(list)?;
            opened.patches = Patches::decode(&bytes, &digest, &opened.root)
                .map_err(|source| ControllerError::Manifest { digest: list, source })?;
        }
        Ok(Some(opened))
    }
}

impl OpenedStash<'_> {
    /// What it takes to open the same stash again.
    pub(in crate::controller) fn key(&self) -> &StashKey {
        &self.key
    }

    /// What stands at `path`; `None` if nothing does.
    pub(in crate::controller) fn entry(
        &mut self,
        path: &EntryPath,
    ) -> Result<Option<Entry>, ControllerError> {
        let Some(at) = self.root.pages.partition_point(|page| page.first <= *path).checked_sub(1) else {
            return Ok(None);
        };
        let entries = self.page(at)?;
        let found = entries.binary_search_by(|entry| entry.path.cmp(path));
        Ok(found.ok().and_then(|at| entries.get(at)).cloned())
    }

    /// The same; for a hard link the entry that owns its bytes.
    pub(in crate::controller) fn owner(
        &mut self,
        path: &EntryPath,
    ) -> Result<Option<Entry>, ControllerError> {
        match self.entry(path)? {
            Some(Entry { kind: EntryKind::HardLink { target }, .. }) => self.entry(&target),
            found => Ok(found),
        }
    }

    /// A page of the manifest; none of it if there is no such page.
    pub(super) fn page(&mut self, at: usize) -> Result<&[Entry], ControllerError> {
        if self.page.as_ref().is_none_or(|(kept, _)| *kept != at) {
            self.page = None;
            let Some(wanted) = self.root.pages.get(at) else { return Ok(&[]) };
            let digest = wanted.chunk.digest;
            let bytes = self.page_bytes(digest)?;
            let entries =
                page::decode(&bytes).map_err(|source| ControllerError::Manifest { digest, source })?;
            self.page = Some((at, entries));
        }
        Ok(self.page.as_ref().map(|(_, entries)| &entries[..]).unwrap_or_default())
    }

    /// A page that is stored as it is, or as a patch. Where a patch cannot be read the page itself may have been brought again.
    fn page_bytes(&mut self, digest: Digest) -> Result<Vec<u8>, ControllerError> {
        let Some(patch) = self.patches.of(&digest) else { return self.chunk(digest) };
        match self.patched(digest, patch) {
            Err(error) if error.kind() == ErrorKind::Damaged => self.chunk(digest).map_err(|_| error),
            other => other,
        }
    }

    fn patched(&mut self, digest: Digest, patch: Digest) -> Result<Vec<u8>, ControllerError> {
        let broken = |source| ControllerError::Manifest { digest: patch, source };
        let bytes = self.chunk(patch)?;
        let base = self.chunk(patch::base(&bytes).map_err(broken)?)?;
        patch::apply(&digest, &bytes, &base).map_err(broken)
    }

    /// A chunk (of a file or of the manifest), verified, out of a pack that the lease keeps.
    pub(super) fn chunk(&mut self, digest: Digest) -> Result<Vec<u8>, ControllerError> {
        self.renew()?;
        if let Some(at) = self.likely_pack(digest)?
            && let Some(bytes) = self.search(at..at + 1, digest)?
        {
            return Ok(bytes);
        }
        self.search(0..self.packs.len(), digest)?.ok_or(ControllerError::MissingChunk(digest))
    }

    /// Chunks of neighbours stand in one pack. Otherwise the index knows the pack of nearly every chunk; it does not know
    /// those that were set aside.
    fn likely_pack(&self, digest: Digest) -> Result<Option<usize>, ControllerError> {
        if let Some(kept) = self.source.kept(&digest) {
            return Ok(self.packs.iter().position(|row| row.name == kept));
        }
        let indexed = self.controller.ledger.locate(&self.key.access, &[digest])?.pop().flatten();
        Ok(indexed.and_then(|pack| self.packs.iter().position(|row| row.id == pack)))
    }

    /// The chunk out of the first of these packs that has it whole. One that is damaged is looked into by the
    /// controller itself, and set aside.
    fn search(
        &mut self,
        packs: std::ops::Range<usize>,
        digest: Digest,
    ) -> Result<Option<Vec<u8>>, ControllerError> {
        let mut failed = None;
        for row in self.packs.get(packs).unwrap_or_default() {
            let read = match self.source.holds(row.name, row.len, digest) {
                Ok(false) => continue,
                Ok(true) => self.source.read(row.name, row.len, digest),
                Err(error) => Err(error),
            };
            match read {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    let _ = self.controller.set_aside_if_damaged(row);
                    failed = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// A long stream keeps its lease.
    fn renew(&mut self) -> Result<(), ControllerError> {
        let now = self.controller.clock.now();
        if now >= self.renew_at {
            self.controller.ledger.reader(&self.key.access, self.session, now, LEASE_SECONDS)?;
            self.renew_at = now + LEASE_SECONDS / 3;
        }
        Ok(())
    }
}

impl Drop for OpenedStash<'_> {
    fn drop(&mut self) {
        // A lease that cannot be given back ends by itself.
        let _ = self.controller.ledger.end_session(&self.key.access, self.session);
    }
}
