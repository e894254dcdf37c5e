//! A scope of a ledger with short words for its rows: packs, sessions and stashes of letters. No rule.

use std::sync::atomic::{AtomicU64, Ordering};

use pannier::controller::ledger::{
    Access, CommitRows, GonePack, Ledger, LedgerError, NewReader, NewSession, OpenedReader, OpenedSession,
    PackId, PackRow, PackState, ScopeId, SessionRow, Sweep, Swept,
};
use pannier::model::manifest::Totals;
use pannier::model::{Digest, PackName};
use pannier::protocol::{BuildId, Committed, SessionId, StashName};

/// The controller's clock, and a lease.
pub(crate) const NOW: i64 = 1000;
pub(crate) const LEASE: i64 = 900;

/// One scope, seen by somebody who may write it.
pub(crate) struct Scene<'a> {
    pub(crate) ledger: &'a dyn Ledger,
    pub(crate) access: Access,
}

/// A stash of one pack.
pub(crate) struct Stashed {
    pub(crate) pack: PackId,
    pub(crate) root: Digest,
    pub(crate) committed: Committed,
}

pub(crate) fn digest(letter: char) -> Digest {
    Digest::of(letter.to_string().as_bytes())
}

pub(crate) fn digests(letters: &str) -> Vec<Digest> {
    letters.chars().map(digest).collect()
}

pub(crate) fn root(letters: &str) -> Digest {
    Digest::of(format!("root of {letters}").as_bytes())
}

pub(crate) fn build(name: &str) -> BuildId {
    BuildId { project: "p".into(), build: name.into() }
}

pub(crate) fn name(text: &str) -> StashName {
    text.parse().unwrap()
}

impl<'a> Scene<'a> {
    pub(crate) fn new(ledger: &'a dyn Ledger) -> Self {
        Self::reading(ledger, "own", &[])
    }

    /// Somebody who writes to scope `own` and reads it first, then the others.
    pub(crate) fn reading(ledger: &'a dyn Ledger, own: &str, others: &[ScopeId]) -> Self {
        let write = ledger.scope("tenant", own).unwrap();
        let read = [&[write], others].concat();
        Self { ledger, access: Access { write, read } }
    }

    pub(crate) fn open(&self, parent: Option<Digest>) -> OpenedSession {
        self.open_for(parent, None)
    }

    pub(crate) fn open_for(&self, parent: Option<Digest>, owner: Option<&str>) -> OpenedSession {
        let (build, name) = (build("1"), name("x"));
        let new = NewSession { build: &build, name: &name, parent, expires_at: NOW + LEASE, owner };
        self.ledger.open_session(&self.access, &new).unwrap()
    }

    pub(crate) fn session(&self, id: SessionId) -> Result<SessionRow, LedgerError> {
        self.ledger.session(&self.access, id, NOW, LEASE)
    }

    /// A pack that the session is about to send.
    pub(crate) fn pending(&self, session: SessionId) -> PackId {
        let row = self.pack_row(session);
        self.ledger.add_pending(&self.access, std::slice::from_ref(&row)).unwrap();
        self.ledger.pack(row.name).unwrap().unwrap().id
    }

    pub(crate) fn pack_row(&self, session: SessionId) -> PackRow {
        static NAMES: AtomicU64 = AtomicU64::new(1);
        let number = NAMES.fetch_add(1, Ordering::Relaxed);
        PackRow {
            id: PackId(0),
            name: PackName(u128::from(number).to_be_bytes()),
            scope: self.access.write,
            state: PackState::Pending,
            len: 100,
            tail_len: 0,
            footer_digest: Digest::of(&number.to_be_bytes()),
            has_manifest: false,
            session,
        }
    }

    /// Commits `letters` as the session's stash `at`, those of `new` in new packs, the rest in `old` ones.
    pub(crate) fn commit(
        &self,
        session: SessionId,
        at: &str,
        letters: &str,
        new: &[(PackId, &str)],
        old: &[PackId],
    ) -> Result<Committed, LedgerError> {
        let mut chunks: Vec<(Digest, PackId)> = new
            .iter()
            .flat_map(|(pack, letters)| letters.chars().map(|letter| (digest(letter), *pack)))
            .collect();
        chunks.sort_unstable();
        self.commit_chunks(session, at, (letters, None), &chunks, new, old)
    }

    /// Commits `letters` in new packs, with a list of patches.
    pub(crate) fn commit_stored(
        &self,
        session: SessionId,
        at: &str,
        letters: &str,
        patches: Option<Digest>,
        new: &[(PackId, &str)],
    ) -> Result<Committed, LedgerError> {
        let each = new.iter().flat_map(|(pack, held)| held.chars().map(|letter| (digest(letter), *pack)));
        let mut chunks: Vec<(Digest, PackId)> = each.collect();
        chunks.sort_unstable();
        self.commit_chunks(session, at, (letters, patches), &chunks, new, &[])
    }

    pub(crate) fn commit_chunks(
        &self,
        session: SessionId,
        at: &str,
        (letters, patches): (&str, Option<Digest>),
        chunks: &[(Digest, PackId)],
        new: &[(PackId, &str)],
        old: &[PackId],
    ) -> Result<Committed, LedgerError> {
        let row = SessionRow { id: session, build: build("1"), name: name(at), committed: None };
        let mut packs: Vec<PackId> = new.iter().map(|(pack, _)| *pack).chain(old.iter().copied()).collect();
        packs.sort_unstable();
        let new_packs: Vec<(PackId, u64)> = new.iter().map(|(pack, _)| (*pack, 80)).collect();
        let totals = Totals { entries: letters.len() as u64, ..Totals::default() };
        let rows = CommitRows {
            session: &row,
            root: root(letters),
            patches,
            totals,
            new_packs: &new_packs,
            chunks,
            pages: &[(page(letters), packs.clone())],
            packs: &packs,
            manifest_packs: &packs[..packs.len().min(1)],
            now: NOW,
        };
        self.ledger.commit(&self.access, &rows)
    }

    /// A stash of its own pack, from the first request to the last.
    pub(crate) fn stash(&self, at: &str, letters: &str) -> Stashed {
        let session = self.open(None).id;
        let pack = self.pending(session);
        let committed = self.commit(session, at, letters, &[(pack, letters)], &[]).unwrap();
        Stashed { pack, root: root(letters), committed }
    }

    pub(crate) fn present(&self, session: SessionId, letters: &str) -> Vec<bool> {
        self.ledger.pin_present(&self.access, session, &digests(letters)).unwrap()
    }

    pub(crate) fn locate(&self, letters: &str) -> Vec<Option<PackId>> {
        self.ledger.locate(&self.access, &digests(letters)).unwrap()
    }

    pub(crate) fn pinned(&self, session: SessionId) -> Vec<PackId> {
        self.ledger.pinned(session).unwrap().into_iter().map(|row| row.id).collect()
    }

    pub(crate) fn read(&self, stash: i64) -> Option<(SessionId, Vec<PackId>)> {
        let new = NewReader { stash, expires_at: NOW + LEASE, owner: None };
        let OpenedReader { session, packs, .. } = self.ledger.open_reader(&self.access, &new).unwrap()?;
        Some((session, packs.into_iter().map(|row| row.id).collect()))
    }

    pub(crate) fn end(&self, session: SessionId) {
        self.ledger.end_session(&self.access, session).unwrap();
    }

    pub(crate) fn remove(&self, at: &str) -> bool {
        self.ledger.remove(&self.access, &build("1"), &name(at)).unwrap()
    }

    pub(crate) fn sweep(&self) -> Swept {
        self.sweep_at(NOW)
    }

    pub(crate) fn sweep_at(&self, now: i64) -> Swept {
        self.ledger.sweep(&Sweep { now, dry_run: false, ended: &[] }).unwrap()
    }

    /// `None` once its row is gone.
    pub(crate) fn state(&self, pack: PackId) -> Option<PackState> {
        self.ledger.pack_by_id(pack).unwrap().map(|row| row.state)
    }

    pub(crate) fn quarantine(&self, pack: PackId) -> bool {
        let name = self.ledger.pack_by_id(pack).unwrap().unwrap().name;
        self.ledger.quarantine(name, "for a test").unwrap()
    }

    /// Forgets a deleted pack, whose chunks are known or not.
    pub(crate) fn forget(&self, pack: PackId, chunks: Option<&str>) {
        let gone = GonePack { id: pack, scope: self.access.write, chunks: chunks.map(digests) };
        self.ledger.forget(&[gone]).unwrap();
    }
}

/// The one page of a stash.
pub(crate) fn page(letters: &str) -> Digest {
    Digest::of(format!("page of {letters}").as_bytes())
}
