//! A clock that tests move, workspaces of letters, and a writer that stashes one in four steps. No test.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use pannier::controller::{Caller, Clock, Controller, ControllerError};
use pannier::model::manifest::{PageRef, Patches, Root, Totals, chunk_list, page, patch};
use pannier::model::pack_layout::{Codec, Footer, Frame, MAGIC};
use pannier::model::progress::Progress;
use pannier::model::signed_url::file_path;
use pannier::model::{ChunkRef, Content, Digest, Entry, EntryKind, EntryPath, Timestamp};
use pannier::protocol::{BuildId, Commit, Open, PackIntent, SessionId, StashName, VerifyOptions};

/// The time, and whether the process `killed` is gone.
#[derive(Default)]
pub(crate) struct TestClock(pub(crate) AtomicI64, pub(crate) AtomicBool, bool);

impl TestClock {
    /// The clock of a controller whose agents are on other machines: leases alone end their sessions.
    pub(crate) fn of_agents_elsewhere() -> Self {
        Self(AtomicI64::default(), AtomicBool::default(), true)
    }
}

impl Clock for TestClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn process(&self) -> Option<String> {
        (!self.2).then(|| "killed".into())
    }

    fn is_gone(&self, process: &str) -> bool {
        process == "killed" && self.1.load(Ordering::Relaxed)
    }
}

pub(crate) fn build() -> BuildId {
    BuildId { project: "p".into(), build: "1".into() }
}

pub(crate) fn name(text: &str) -> StashName {
    text.parse().unwrap()
}

/// A workspace of one file for each letter: (root, all chunks as bytes).
pub(crate) fn manifest(letters: &str) -> (Digest, Vec<Vec<u8>>) {
    manifest_of(letters, 100)
}

/// The same with files of `len` bytes.
pub(crate) fn manifest_of(letters: &str, len: u32) -> (Digest, Vec<Vec<u8>>) {
    let mut chunks = Vec::new();
    let mut entries = Vec::new();
    let mut totals = Totals::default();
    for letter in letters.bytes() {
        let bytes = vec![letter; len as usize];
        let chunk = ChunkRef { digest: Digest::of(&bytes), len };
        chunks.push(bytes);
        let kind = EntryKind::File(Content { size: u64::from(len), listed: false, chunks: [chunk].into() });
        let path = EntryPath::new([letter]).unwrap();
        let mtime = Timestamp::default();
        entries.push(Entry { path, mode: 0o644, mtime, owner: None, xattrs: [].into(), kind });
        totals.add(entries.last().unwrap());
    }
    let bytes = page::encode(&entries);
    let chunk = ChunkRef { digest: Digest::of(&bytes), len: bytes.len() as u32 };
    chunks.push(bytes);
    let first = entries[0].path.clone();
    let root = Root { totals, pages: vec![PageRef { chunk, entries: entries.len() as u32, first }] }.encode();
    let id = Digest::of(&root);
    chunks.push(root);
    (id, chunks)
}

/// The workspace of `letters` whose page is stored as a patch of that of `base`: root, list of patches, and all chunks as bytes, of which the
/// last four are base, patch, list and root.
pub(crate) fn patched(letters: &str, base: &str) -> (Digest, Digest, Vec<Vec<u8>>) {
    let (id, mut chunks) = manifest(letters);
    let (root, bytes) = (chunks.pop().unwrap(), chunks.pop().unwrap());
    let base = manifest(base).1.into_iter().rev().nth(1).unwrap();
    let entries = |bytes: &[u8]| page::decode(bytes).unwrap();
    let patch = patch::encode(&Digest::of(&base), &entries(&base), &entries(&bytes));
    let mut patches = Patches::default();
    patches.insert(Digest::of(&bytes), Digest::of(&patch));
    let list = patches.encode(&id, &Root::decode(&root).unwrap()).unwrap();
    let name = Digest::of(&list);
    chunks.extend([base, patch, list, root]);
    (id, name, chunks)
}

pub(crate) fn pack(chunks: &[Vec<u8>]) -> (Vec<u8>, PackIntent) {
    let mut bytes = MAGIC.to_vec();
    let plain = chunks.concat();
    let refs = chunks.iter().map(|c| ChunkRef { digest: Digest::of(c), len: c.len() as u32 }).collect();
    let len = plain.len() as u32;
    let frame =
        Frame { offset: 8, stored_len: len, plain_len: len, codec: Codec::Raw, chunks: 0..chunks.len() };
    bytes.extend(plain);
    let end = Footer { frames: vec![frame], chunks: refs }.encode();
    let footer_digest = Digest::of(&end[..end.len() - 64]);
    bytes.extend(end);
    let len = bytes.len() as u64;
    (bytes, PackIntent { len, footer_digest, crc32c: 0 })
}

/// One stash as four steps, so that a scheduler can interleave several.
pub(crate) struct Writer {
    pub(crate) name: &'static str,
    pub(crate) root: Digest,
    pub(crate) patches: Option<Digest>,
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) step: u8,
    pub(crate) session: SessionId,
    pub(crate) missing: Vec<bool>,
    pub(crate) packs: Vec<pannier::model::PackName>,
}

impl Writer {
    pub(crate) fn new(name: &'static str, letters: &str) -> Self {
        let (root, chunks) = manifest(letters);
        let (patches, session) = (None, SessionId(0));
        Self { name, root, patches, chunks, step: 0, session, missing: vec![], packs: vec![] }
    }

    /// The same with its page as a patch of that of `base`.
    pub(crate) fn patched(name: &'static str, letters: &str, base: &str) -> Self {
        let (root, patches, chunks) = patched(letters, base);
        Self { root, patches: Some(patches), chunks, ..Self::new(name, letters) }
    }

    /// The same with a file `big` of those chunks, so large that it has a chunk list.
    pub(crate) fn with_big(name: &'static str, letters: &str, big: &[Vec<u8>]) -> Self {
        let chunk = |bytes: &Vec<u8>| ChunkRef { digest: Digest::of(bytes), len: bytes.len() as u32 };
        let (_, mut chunks) = manifest(letters);
        chunks.truncate(letters.len());
        let list = chunk_list::encode(&big.iter().map(chunk).collect::<Vec<_>>());
        let file = |path: &[u8], content: Content| Entry {
            path: EntryPath::new(path).unwrap(),
            mode: 0o644,
            mtime: Timestamp::default(),
            owner: None,
            xattrs: [].into(),
            kind: EntryKind::File(content),
        };
        let small = |bytes: &Vec<u8>| Content {
            size: bytes.len() as u64,
            listed: false,
            chunks: [chunk(bytes)].into(),
        };
        let mut entries: Vec<Entry> =
            letters.bytes().zip(&chunks).map(|(letter, bytes)| file(&[letter], small(bytes))).collect();
        let size = big.iter().map(|bytes| bytes.len() as u64).sum();
        entries.push(file(b"big", Content { size, listed: true, chunks: [chunk(&list)].into() }));
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let mut totals = Totals::default();
        entries.iter().for_each(|entry| totals.add(entry));
        let bytes = page::encode(&entries);
        let (count, first) = (entries.len() as u32, entries[0].path.clone());
        let pages = vec![PageRef { chunk: chunk(&bytes), entries: count, first }];
        let root = Root { totals, pages }.encode();
        let id = Digest::of(&root);
        chunks.extend(big.iter().cloned().chain([list, bytes, root]));
        Self { root: id, chunks, ..Self::new(name, letters) }
    }

    pub(crate) fn step(&mut self, controller: &Controller) -> Result<(), ControllerError> {
        let digests: Vec<Digest> = self.chunks.iter().map(|c| Digest::of(c)).collect();
        match self.step {
            0 => {
                let open = Open {
                    build: build(),
                    name: name(self.name),
                    parent: Some(self.patches.unwrap_or(self.root)),
                    resume: None,
                    digests: vec![],
                };
                self.session = controller.open_session(&Caller::local(), &open)?.session;
            }
            1 => self.missing = controller.missing(&Caller::local(), self.session, &digests)?,
            2 => {
                let kept = self.chunks.iter().zip(&self.missing).filter(|(_, m)| **m).map(|(c, _)| c.clone());
                let new: Vec<Vec<u8>> = kept.collect();
                if !new.is_empty() {
                    let (bytes, intent) = pack(&new);
                    let signed = controller.sign(&Caller::local(), self.session, &[intent])?;
                    fs_err::write(file_path(&signed[0].put).unwrap(), bytes).unwrap();
                    self.packs = vec![signed[0].name];
                }
            }
            _ => {
                let packs = self.packs.clone();
                controller.commit(
                    &Caller::local(),
                    &Commit { session: self.session, root: self.root, patches: self.patches, packs },
                )?;
            }
        }
        self.step += 1;
        Ok(())
    }

    pub(crate) fn run(mut self, controller: &Controller) -> Result<(), ControllerError> {
        (0..4).try_for_each(|_| self.step(controller))
    }
}

pub(crate) fn whole(controller: &Controller) {
    let report =
        controller.verify(&Caller::local(), &VerifyOptions::default(), &Progress::default()).unwrap();
    assert!(report.damaged_packs.is_empty() && report.damaged_stashes.is_empty(), "{report:?}");
}
