//! Re-reads what was committed: every chunk of every live pack, then every reference of every stash.

use std::collections::{HashMap, HashSet};

use crate::controller::caller::Caller;
use crate::controller::error::{ControllerError, ErrorKind, reasons};
use crate::controller::ledger::{PackRow, PackState, StashRow};
use crate::controller::open::Controller;
use crate::controller::pack_source::{ChunkSource, read_tail};
use crate::model::manifest::{Patches, Root, chunk_list, page, patch};
use crate::model::progress::Progress;
use crate::model::{Digest, Entry, PackName};
use crate::protocol::{DamagedPack, DamagedStash, VerifyOptions, VerifyReport};

impl Controller {
    /// Verifies everything; `progress` counts packs' bytes found and done.
    pub fn verify(
        &self,
        caller: &Caller,
        options: &VerifyOptions,
        progress: &Progress,
    ) -> Result<VerifyReport, ControllerError> {
        caller.require_operator()?;
        let mut report = VerifyReport::default();
        if options.rebuild_index {
            self.rebuild(caller, &mut report)?;
        }
        let live = self.ledger.packs_in(PackState::Live)?;
        live.iter().for_each(|row| progress.found_bytes.add(row.len));
        for row in &live {
            if let Some(why) = self.set_aside_if_damaged(row)? {
                report.damaged_packs.push(DamagedPack { name: row.name, why });
            }
            report.packs += 1;
            report.bytes += row.len;
            progress.done_bytes.add(row.len);
        }
        self.mend_broken_stashes(caller);
        for stash in self.ledger.all_stashes()? {
            report.stashes += 1;
            if let Some(why) = self.why_broken(&stash)? {
                let (build, name) = (stash.info.build, stash.info.name);
                report.damaged_stashes.push(DamagedStash { build, name, why });
            }
        }
        Ok(report)
    }

    /// Why a stash is not whole. What was removed, replaced or mended meanwhile is not what was followed.
    fn why_broken(&self, stash: &StashRow) -> Result<Option<String>, ControllerError> {
        let packs = self.ledger.stash_packs(stash.id)?;
        let Err(error) = self.follow_stash(stash, packs.clone()) else { return Ok(None) };
        let now = self.ledger.stash(stash.id)?;
        let same = now.as_ref().is_some_and(|now| now.info.id == stash.info.id);
        let names = |rows: &[PackRow]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
        match now {
            Some(now) if !same || names(&self.ledger.stash_packs(now.id)?) != names(&packs) => {
                self.why_broken(&now)
            }
            None => Ok(None),
            Some(_) if error.kind() == ErrorKind::Damaged => Ok(Some(reasons(&error))),
            Some(_) => Err(error),
        }
    }

    /// Every reference of a stash stands in a readable pack that it refers to.
    fn follow_stash(&self, stash: &StashRow, packs: Vec<PackRow>) -> Result<(), ControllerError> {
        let rows: HashMap<PackName, PackRow> = packs
            .into_iter()
            .filter(|row| matches!(row.state, PackState::Live | PackState::Condemned))
            .map(|row| (row.name, row))
            .collect();
        let mut all = HashSet::new();
        let mut manifest = HashMap::new();
        for row in rows.values() {
            for chunk in read_tail(self.store.as_ref(), row.name, row.len)?.footer.chunks {
                all.insert(chunk.digest);
                if row.has_manifest {
                    manifest.insert(chunk.digest, (row.name, row.len));
                }
            }
        }
        let mut source = ChunkSource::ahead(self.store.as_ref());
        let is_whole = |digest: &Digest| all.contains(digest);
        let mut read = |digest: Digest| {
            let (pack, len) = *manifest.get(&digest).ok_or(ControllerError::MissingChunk(digest))?;
            source.read(pack, len, digest)
        };
        let present = |digest: Digest| match all.contains(&digest) {
            true => Ok(()),
            false => Err(ControllerError::MissingChunk(digest)),
        };
        let broken = |digest| move |source| ControllerError::Manifest { digest, source };
        let id = stash.info.id;
        let root = Root::decode(&read(id)?).map_err(broken(id))?;
        let patches = match stash.info.patches {
            Some(digest) => Patches::decode(&read(digest)?, &id, &root).map_err(broken(digest))?,
            None => Patches::default(),
        };
        for page in root.pages {
            let digest = page.chunk.digest;
            let bytes = match patches.of(&digest).filter(|_| !is_whole(&digest)) {
                Some(patch) => {
                    let bytes = read(patch)?;
                    let base = read(patch::base(&bytes).map_err(broken(patch))?)?;
                    patch::apply(&digest, &bytes, &base).map_err(broken(patch))?
                }
                None => read(digest)?,
            };
            let entries = page::decode(&bytes).map_err(broken(digest))?;
            for content in entries.iter().filter_map(Entry::content) {
                content.runs().try_for_each(|chunk| present(chunk.digest))?;
                for list in content.runs().filter(|_| content.listed) {
                    let chunks = chunk_list::decode(&read(list.digest)?).map_err(broken(list.digest))?;
                    chunks.iter().try_for_each(|chunk| present(chunk.digest))?;
                }
            }
        }
        Ok(())
    }
}
