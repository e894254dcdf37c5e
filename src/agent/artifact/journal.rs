//! Which parts of an upload were sent, written down in the cache folder, so that an agent that was killed and started again sends none
//! twice. Not whether the upload has ended: the file goes when it has.
//!
//! The first line is the artifact's id, each further one `NUMBER ETAG` of a part that the store has. A line without an end was torn
//! off by a kill, and counts for nothing.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};

use crate::model::Digest;
use crate::model::wire::Writer;
use crate::protocol::artifact::{ArtifactId, SentPart};

/// An upload that nobody goes on with is over long before its journal is this old.
const KEPT_FOR: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// A journal, or nothing where none can be kept.
pub(super) struct PartsJournal(Option<(PathBuf, fs::File)>);

impl PartsJournal {
    /// The journal of the artifact `id` with that key at that controller, and the parts that were sent before. That it cannot be used costs
    /// a resumption and nothing else.
    pub(super) fn open(
        folder: Option<&Path>,
        remote: &str,
        key: &str,
        id: &ArtifactId,
    ) -> (Self, Vec<SentPart>) {
        let Some(folder) = folder else { return (Self(None), Vec::new()) };
        let mut name = Writer::default();
        [remote, key].iter().for_each(|part| name.bytes(part.as_bytes()));
        let digest = Digest::of(&name.0).to_string();
        let path = folder.join(format!("{}.parts", &digest[..32]));
        match lock_and_read(&path, id) {
            Ok((file, sent)) => (Self(Some((path, file))), sent),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "no journal is kept");
                (Self(None), Vec::new())
            }
        }
    }

    /// Writes down a part that the store has.
    pub(super) fn sent(&mut self, part: &SentPart) {
        if let Some((path, file)) = &mut self.0
            && let Err(error) = file.write_all(format!("{} {}\n", part.number, part.etag).as_bytes())
        {
            tracing::debug!(path = %path.display(), %error, "the journal was not written");
        }
    }

    /// Where it stands, to be removed when the upload has ended.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.0.as_ref().map(|(path, _)| path.clone())
    }
}

fn lock_and_read(path: &Path, id: &ArtifactId) -> io::Result<(fs::File, Vec<SentPart>)> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
        sweep(folder);
    }
    let mut file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    flock(file.file(), FlockOperation::NonBlockingLockExclusive)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let text = String::from_utf8_lossy(&bytes[..whole]).into_owned();
    let mut lines = text.lines();
    if lines.next() != Some(id.0.as_str()) {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(format!("{}\n", id.0).as_bytes())?;
        return Ok((file, Vec::new()));
    }
    file.set_len(whole as u64)?;
    file.seek(SeekFrom::End(0))?;
    let mut sent: Vec<SentPart> = lines.filter_map(part).collect();
    sent.sort_unstable_by_key(|part| part.number);
    sent.dedup_by_key(|part| part.number);
    Ok((file, sent))
}

/// Removes what uploads left that never went on. Best effort: it is a cache.
fn sweep(folder: &Path) {
    let is_old = |entry: &fs::DirEntry| {
        let age = entry.metadata().ok().and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
        entry.path().extension().is_some_and(|extension| extension == "parts") && age > Some(KEPT_FOR)
    };
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).filter(is_old) {
        let _ = fs::remove_file(entry.path());
    }
}

fn part(line: &str) -> Option<SentPart> {
    let (number, etag) = line.split_once(' ')?;
    Some(SentPart { number: number.parse().ok()?, etag: etag.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_there_again_but_for_what_a_kill_tore_off() {
        let folder = tempfile::tempdir().unwrap();
        let open =
            |id: &str| PartsJournal::open(Some(folder.path()), "remote", "key", &ArtifactId(id.to_owned()));
        let part = |number| SentPart { number, etag: format!("\"e {number}\"") };
        let (mut journal, sent) = open("one");
        assert!(sent.is_empty());
        [2, 1].iter().for_each(|number| journal.sent(&part(*number)));
        assert!(open("one").1.is_empty(), "another process holds it");
        let path = journal.path().unwrap();
        drop(journal);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"3 \"tor").unwrap();
        drop(file);
        let (mut journal, sent) = open("one");
        assert_eq!(sent, [part(1), part(2)]);
        journal.sent(&part(4));
        drop(journal);
        assert_eq!(open("one").1, [part(1), part(2), part(4)]);
        let old = folder.path().join("old.parts");
        let file = fs::File::create(&old).unwrap();
        file.set_modified(std::time::SystemTime::now() - 2 * KEPT_FOR).unwrap();
        assert!(open("two").1.is_empty() && !old.exists() && path.exists(), "what is old goes");
        assert!(open("two").1.is_empty() && open("one").1.is_empty(), "of another artifact it says nothing");
    }
}
