//! Re-reads what was committed: every chunk of every live pack, then every reference of every stash.

use std::collections::{HashMap, HashSet};

use crate::controller::error::{ControllerError, ErrorKind};
use crate::controller::ledger::{PackRow, PackState, RebuiltPack, StashRow};
use crate::controller::open::Controller;
use crate::controller::pack_source::{ChunkSource, check_pack, read_tail};
use crate::model::manifest::{Root, chunk_list, page};
use crate::model::progress::Progress;
use crate::model::{Digest, Entry, PackName};
use crate::protocol::{BuildId, StashName};

/// How to verify.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// Index every sound pack of the store anew first, for a ledger that was lost.
    pub rebuild_index: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct VerifyReport {
    /// Packs that were read.
    pub packs: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Packs that the rebuild found and indexed.
    pub rebuilt_packs: u64,
    /// Packs that are broken and were set aside.
    pub damaged_packs: Vec<DamagedPack>,
    /// Stashes that were followed.
    pub stashes: u64,
    /// Stashes that are not whole.
    pub damaged_stashes: Vec<DamagedStash>,
}

/// A broken pack.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DamagedPack {
    /// Its name.
    pub name: PackName,
    /// What is wrong with it.
    pub why: String,
}

/// A stash that cannot be read whole.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DamagedStash {
    /// Its build.
    #[serde(flatten)]
    pub build: BuildId,
    /// Its name.
    pub name: StashName,
    /// What is wrong with it.
    pub why: String,
}

impl Controller {
    /// Verifies everything; `progress` counts packs' bytes found and done.
    pub fn verify(
        &self,
        options: &VerifyOptions,
        progress: &Progress,
    ) -> Result<VerifyReport, ControllerError> {
        let mut report = VerifyReport::default();
        if options.rebuild_index {
            self.rebuild(&mut report)?;
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
        for stash in self.ledger.all_stashes()? {
            report.stashes += 1;
            match self.follow_stash(&stash) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    let (build, name) = (stash.info.build, stash.info.name);
                    report.damaged_stashes.push(DamagedStash { build, name, why: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }

    /// Every reference of a stash stands in a readable pack that it refers to.
    fn follow_stash(&self, stash: &StashRow) -> Result<(), ControllerError> {
        let rows: HashMap<PackName, PackRow> = self
            .ledger
            .stash_packs(stash.id)?
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
        let mut source = ChunkSource::new(self.store.as_ref());
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
        for page in Root::decode(&read(id)?).map_err(broken(id))?.pages {
            let digest = page.chunk.digest;
            let entries = page::decode(&read(digest)?).map_err(broken(digest))?;
            for content in entries.iter().filter_map(Entry::content) {
                content.chunks.iter().try_for_each(|chunk| present(chunk.digest))?;
                for list in content.chunks.iter().filter(|_| content.listed) {
                    let chunks = chunk_list::decode(&read(list.digest)?).map_err(broken(list.digest))?;
                    chunks.iter().try_for_each(|chunk| present(chunk.digest))?;
                }
            }
        }
        Ok(())
    }

    fn rebuild(&self, report: &mut VerifyReport) -> Result<(), ControllerError> {
        let mut names = Vec::new();
        self.store.list(&mut |object| {
            if object.unfinished.is_none() {
                names.push(object.pack);
            }
        })?;
        for name in names {
            let Some(len) = self.store.head(name)? else { continue };
            match check_pack(self.store.as_ref(), name, len) {
                Ok(tail) => {
                    let (tail_len, footer_digest) = (tail.len, tail.digest);
                    let chunks = &tail.footer.chunks;
                    let pack = RebuiltPack { name, len, tail_len, footer_digest, chunks };
                    self.ledger.reindex(self.access.write, &pack)?;
                    report.rebuilt_packs += 1;
                }
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    report.damaged_packs.push(DamagedPack { name, why: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
