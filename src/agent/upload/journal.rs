//! What an upload has sent, written down beside the stat cache, so that an agent that was killed and started again sends
//! no pack twice. Not what is committed: the file goes when the session ends.
//!
//! ```text
//! "PNRSENT1" | session u64 | records: pack's name 16 | count u32 | digests count × 32 | BLAKE3 of the record
//! ```
//! A record is appended when its pack is durable; nothing is synced, since a power loss costs a pack sent twice and
//! nothing else. What a kill tore off at the end is no record.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};

use crate::agent::digest_set::DigestSet;
use crate::model::wire::{Reader, Writer};
use crate::model::{ChunkRef, Digest, PackName};
use crate::protocol::{BuildId, SessionId, StashName};

const MAGIC: &[u8; 8] = b"PNRSENT1";
const HEAD_BYTES: u64 = 16;

/// A journal, or nothing where none is kept: without a stat cache, or while another process stashes the same.
#[derive(Debug, Default)]
pub(in crate::agent) struct Journal {
    kept: Option<Kept>,
    earlier: Earlier,
}

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    /// Locked as long as it is open.
    file: Mutex<fs::File>,
}

/// What an agent before this one had sent.
#[derive(Debug, Default)]
struct Earlier {
    session: Option<SessionId>,
    packs: Vec<PackName>,
    digests: DigestSet,
    /// Where its whole records end.
    end: u64,
}

/// The journal of one stash of one workspace, beside its stat cache.
pub(in crate::agent) fn journal_file(
    cache_file: &Path,
    remote: &str,
    build: &BuildId,
    name: &StashName,
) -> PathBuf {
    let mut key = Writer::default();
    [remote, &build.project, &build.build, name.as_str()].iter().for_each(|part| key.bytes(part.as_bytes()));
    let digest = Digest::of(&key.0).to_string();
    cache_file.with_extension(format!("{}.sent", &digest[..16]))
}

impl Journal {
    /// Opens a journal and reads what is in it. That it cannot be used costs a resumption and nothing else.
    pub(in crate::agent) fn open(path: Option<PathBuf>) -> Self {
        let Some(path) = path else { return Self::default() };
        match Self::lock_and_read(&path) {
            Ok((file, earlier)) => Self { kept: Some(Kept { path, file: Mutex::new(file) }), earlier },
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "no journal is kept");
                Self::default()
            }
        }
    }

    fn lock_and_read(path: &Path) -> io::Result<(fs::File, Earlier)> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file =
            fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        flock(file.file(), FlockOperation::NonBlockingLockExclusive)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok((file, Earlier::decode(&bytes)))
    }

    /// Whether another run will find what is written here.
    pub(in crate::agent) const fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// The session to go on with, if one has sent anything.
    pub(super) fn resume(&self) -> Option<SessionId> {
        self.earlier.session.filter(|_| !self.earlier.packs.is_empty())
    }

    /// The session that the controller opened: what another one had sent is forgotten.
    pub(super) fn begin(&mut self, session: SessionId) {
        if self.earlier.session != Some(session) {
            self.earlier = Earlier { session: Some(session), end: HEAD_BYTES, ..Earlier::default() };
        }
        let end = self.earlier.end;
        self.write(|file| {
            file.set_len(end)?;
            file.rewind()?;
            file.write_all(&[&MAGIC[..], &session.0.to_le_bytes()].concat())?;
            file.seek(SeekFrom::Start(end)).map(drop)
        });
    }

    /// The packs that were sent before this run.
    pub(super) fn packs(&self) -> &[PackName] {
        &self.earlier.packs
    }

    /// Whether one of those packs holds the chunk.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.earlier.digests.contains(digest)
    }

    /// Writes down a pack that is durable.
    pub(super) fn sent(&self, pack: PackName, chunks: &[ChunkRef]) {
        let mut record = Writer::default();
        record.raw(&pack.0);
        record.u32(chunks.len() as u32);
        chunks.iter().for_each(|chunk| record.raw(chunk.digest.as_bytes()));
        let sum = Digest::of(&record.0);
        record.raw(sum.as_bytes());
        self.write(|file| file.write_all(&record.0));
    }

    /// Forgets everything: the session has ended.
    pub(in crate::agent) fn remove(self) {
        if let Some(kept) = self.kept {
            // The next run finds an ended session in what stays, and drops it.
            let _ = fs::remove_file(&kept.path);
        }
    }

    fn write(&self, write: impl FnOnce(&mut fs::File) -> io::Result<()>) {
        let Some(kept) = &self.kept else { return };
        let mut file: MutexGuard<'_, fs::File> = kept.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = write(&mut file) {
            tracing::debug!(path = %kept.path.display(), %error, "the journal was not written");
        }
    }
}

impl Earlier {
    fn decode(bytes: &[u8]) -> Self {
        let mut reader = Reader(bytes);
        let mut earlier = Self::default();
        if reader.raw(MAGIC.len()) != Some(MAGIC) {
            return earlier;
        }
        earlier.session = reader.u64().map(SessionId);
        earlier.end = HEAD_BYTES;
        while let Some((pack, digests)) = record(&mut reader) {
            earlier.end += 16 + 4 + digests.len() as u64 + Digest::LEN as u64;
            earlier.packs.push(pack);
            earlier.digests.extend(digests.as_chunks().0.iter().map(|digest| Digest::from_bytes(*digest)));
        }
        earlier
    }
}

/// The next whole record: a pack and the digests in it.
fn record<'a>(reader: &mut Reader<'a>) -> Option<(PackName, &'a [u8])> {
    let name = reader.raw(16)?;
    let count = reader.u32()?;
    let digests = reader.raw(Digest::LEN.checked_mul(count as usize)?)?;
    let sum = reader.raw(Digest::LEN)?;
    let written = [name, &count.to_le_bytes(), digests].concat();
    (Digest::of(&written).as_bytes() == sum).then_some((PackName(name.try_into().ok()?), digests))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(seed: u8) -> ChunkRef {
        ChunkRef { digest: Digest::of(&[seed]), len: 1 }
    }

    #[test]
    fn what_was_sent_is_known_again_and_a_torn_end_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache/x.sent");
        let mut first = Journal::open(Some(path.clone()));
        assert_eq!(first.resume(), None);
        first.begin(SessionId(7));
        first.sent(PackName([1; 16]), &[chunk(1), chunk(2)]);
        assert!(Journal::open(Some(path.clone())).kept.is_none(), "another process has it");
        first.sent(PackName([2; 16]), &[chunk(3)]);
        drop(first);
        let whole = fs::read(&path).unwrap();
        for torn in 0..whole.len() {
            fs::write(&path, &whole[..torn]).unwrap();
            let again = Journal::open(Some(path.clone()));
            let packs = usize::from(torn >= 16 + 116);
            assert_eq!(again.packs().len(), packs, "{torn}");
            assert_eq!((again.resume().is_some(), again.has(&chunk(2).digest)), (packs > 0, packs > 0));
            assert!(!again.has(&chunk(3).digest));
        }
        let mut again = Journal::open(Some(path.clone()));
        again.begin(SessionId(7));
        again.sent(PackName([3; 16]), &[chunk(4)]);
        drop(again);
        let again = Journal::open(Some(path.clone()));
        assert_eq!(again.packs(), [PackName([1; 16]), PackName([3; 16])], "what was torn is written over");
        assert!(again.has(&chunk(1).digest) && again.has(&chunk(4).digest) && !again.has(&chunk(3).digest));
        again.remove();
        assert!(!path.exists());
    }

    #[test]
    fn another_session_forgets_what_the_first_had_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sent");
        let mut first = Journal::open(Some(path.clone()));
        first.begin(SessionId(7));
        first.sent(PackName([1; 16]), &[chunk(1)]);
        drop(first);
        let mut second = Journal::open(Some(path.clone()));
        assert_eq!(second.resume(), Some(SessionId(7)));
        second.begin(SessionId(8));
        assert!(second.packs().is_empty() && !second.has(&chunk(1).digest));
        drop(second);
        assert_eq!(Journal::open(Some(path)).resume(), None);
        Journal::open(None).sent(PackName([1; 16]), &[]);
    }
}
