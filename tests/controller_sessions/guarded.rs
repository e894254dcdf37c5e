//! A ledger and a store with a guard before every call: they count the calls, fail or die at one of them, or let
//! somebody else in just before a commit. Otherwise they do what the ledger or store behind them does.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use pannier::controller::ledger::{
    Access, AnnouncedArtifact, Announcement, ArtifactLedger, ArtifactRow, ArtifactSearch, BlobRow, BlobSweep,
    BrowseLedger, BuildRow, CommitRows, EndedUpload, Fault, FoundRows, GonePack, Ledger, LedgerError,
    MendedStash, NewReader, NewSession, OpenedReader, OpenedSession, PackId, PackRow, PackState, Part,
    ProjectRow, RebuiltPack, ScopeId, SessionRow, SqliteLedger, StashRow, Sweep, Swept, SweptBlobs,
};
use pannier::controller::store::{AnswerHeaders, Finding, PutIntent, Store, StoreError, StoredObject};
use pannier::model::{Digest, ObjectKind, ObjectName, PackName, SignedUrl};
use pannier::protocol::artifact::{ArtifactId, ArtifactState};
use pannier::protocol::{BuildId, Committed, Copied, SessionId, StashInfo, StashName};

/// What happens at one call, counted from 0 over ledger and store together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Accident {
    #[default]
    None,
    /// The call fails and does nothing; the next ones work again.
    Fails(u64),
    /// The process is gone: neither this call nor any later one does anything.
    DiesBefore(u64),
    /// The call does its work, and then the process is gone.
    DiesAfter(u64),
}

/// Stands before every call.
#[derive(Default)]
pub(crate) struct Guard {
    accident: Accident,
    calls: AtomicU64,
}

impl Guard {
    pub(crate) fn new(accident: Accident) -> Arc<Self> {
        Arc::new(Self { accident, calls: AtomicU64::new(0) })
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn pass<T, E: Injected>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        match self.accident {
            Accident::Fails(at) if call == at => Err(E::injected()),
            Accident::DiesBefore(at) if call >= at => Err(E::injected()),
            Accident::DiesAfter(at) if call > at => Err(E::injected()),
            Accident::DiesAfter(at) if call == at => work().and_then(|_| Err(E::injected())),
            _ => work(),
        }
    }
}

trait Injected {
    fn injected() -> Self;
}

impl Injected for LedgerError {
    fn injected() -> Self {
        Self::Database { fault: Fault::Broken, source: "an accident of the test".into() }
    }
}

impl Injected for StoreError {
    fn injected() -> Self {
        Self::Folder { path: "store".into(), source: std::io::Error::other("an accident of the test") }
    }
}

/// Somebody who acts between the controller's look at the ledger and its commit.
pub(crate) type Intruder = Box<dyn FnOnce(&SqliteLedger) + Send>;

#[derive(Clone)]
pub(crate) struct GuardedLedger {
    pub(crate) inner: Arc<SqliteLedger>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) intruder: Arc<Mutex<Option<Intruder>>>,
    /// A ledger that is broken on purpose: its commits leave packs that are gone out instead of failing.
    pub(crate) skips_the_check_of_states: bool,
}

impl GuardedLedger {
    pub(crate) fn new(inner: Arc<SqliteLedger>, guard: Arc<Guard>) -> Self {
        Self { inner, guard, intruder: Arc::default(), skips_the_check_of_states: false }
    }
}

macro_rules! guarded {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $value:ty;)+) => {
        $(fn $name(&self, $($argument: $type),*) -> Result<$value, LedgerError> {
            self.guard.pass(|| self.inner.$name($($argument),*))
        })+
    };
}

impl BrowseLedger for GuardedLedger {
    guarded! {
        fn projects(access: &Access, only: Option<&str>, part: Part) -> Vec<ProjectRow>;
        fn builds(access: &Access, project: &str, part: Part) -> Vec<BuildRow>;
        fn build(access: &Access, build: &BuildId) -> Option<BuildRow>;
    }
}

impl ArtifactLedger for GuardedLedger {
    guarded! {
        fn announce(access: &Access, announced: &Announcement<'_>) -> Vec<AnnouncedArtifact>;
        fn artifact(access: &Access, id: &ArtifactId) -> Option<ArtifactRow>;
        fn note_upload(blob: i64, upload: &str) -> Option<String>;
        fn touch_upload(blob: i64, now: i64) -> bool;
        fn end_uploads(access: &Access, ended: &[EndedUpload]) -> Vec<(ArtifactState, Option<String>)>;
        fn delete_artifact(access: &Access, id: &ArtifactId) -> Option<bool>;
        fn delete_below(access: &Access, build: &BuildId, path: &str) -> u64;
        fn search_artifacts(access: &Access, search: &ArtifactSearch<'_>) -> Option<FoundRows>;
        fn build_numbered(access: &Access, project: &str, number: &str) -> Option<BuildId>;
        fn copy_build(access: &Access, from: &BuildId, to: &BuildId, now: i64) -> Copied;
        fn clear_stashes(access: &Access, build: &BuildId) -> u64;
        fn blob(name: [u8; 16]) -> Option<BlobRow>;
        fn sweep_blobs(sweep: &BlobSweep) -> SweptBlobs;
        fn forget_blobs(blobs: &[i64]) -> ();
    }
}

impl Ledger for GuardedLedger {
    guarded! {
        fn identity() -> String;
        fn check() -> ();
        fn scope(tenant: &str, name: &str) -> ScopeId;
        fn open_session(access: &Access, new: &NewSession<'_>) -> OpenedSession;
        fn session(access: &Access, session: SessionId, now: i64, lease: i64) -> SessionRow;
        fn end_session(access: &Access, session: SessionId) -> ();
        fn owners() -> Vec<(SessionId, String)>;
        fn pinned(session: SessionId) -> Vec<PackRow>;
        fn pin_present(access: &Access, at: SessionId, digests: &[Digest]) -> Vec<bool>;
        fn locate(access: &Access, digests: &[Digest]) -> Vec<Option<PackId>>;
        fn page_packs(access: &Access, pages: &[Digest]) -> Vec<Option<Vec<PackId>>>;
        fn add_pending(access: &Access, packs: &[PackRow]) -> ();
        fn pack(name: PackName) -> Option<PackRow>;
        fn pack_by_id(pack: PackId) -> Option<PackRow>;
        fn commit_known(access: &Access, at: &SessionRow, root: Digest, patches: Option<Digest>, now: i64) -> Option<Committed>;
        fn find(access: &Access, build: &BuildId, name: &StashName) -> Option<StashRow>;
        fn open_reader(access: &Access, new: &NewReader<'_>) -> Option<OpenedReader>;
        fn reader(access: &Access, session: SessionId, now: i64, lease: i64) -> Vec<PackRow>;
        fn list(access: &Access, build: &BuildId) -> Vec<StashInfo>;
        fn remove(access: &Access, build: &BuildId, name: &StashName) -> bool;
        fn all_stashes() -> Vec<StashRow>;
        fn stash(stash: i64) -> Option<StashRow>;
        fn stash_packs(stash: i64) -> Vec<PackRow>;
        fn broken_stashes() -> Vec<StashRow>;
        fn mend(access: &Access, mended: &MendedStash<'_>) -> bool;
        fn quarantine(pack: PackName, why: &str) -> bool;
        fn packs_in(state: PackState) -> Vec<PackRow>;
        fn sweep(sweep: &Sweep<'_>) -> Swept;
        fn forget(packs: &[GonePack]) -> ();
        fn needs_rebuild() -> bool;
        fn rebuilt() -> ();
        fn reindex(scope: ScopeId, pack: &RebuiltPack<'_>) -> ();
    }

    fn commit(&self, access: &Access, rows: &CommitRows<'_>) -> Result<Committed, LedgerError> {
        if let Some(intruder) = self.intruder.lock().unwrap().take() {
            intruder(&self.inner);
        }
        let there = |pack: &PackId| {
            let row = self.inner.pack_by_id(*pack).unwrap();
            row.is_some_and(|row| !matches!(row.state, PackState::Deleted | PackState::Quarantined))
        };
        let left: Vec<PackId> = rows.packs.iter().copied().filter(there).collect();
        let packs = if self.skips_the_check_of_states { &left } else { rows.packs };
        self.guard.pass(|| self.inner.commit(access, &CommitRows { packs, ..*rows }))
    }
}

/// A store whose objects lie in memory.
#[derive(Clone, Default)]
pub(crate) struct Shelf(Arc<Mutex<BTreeMap<ObjectName, Vec<u8>>>>);

impl Shelf {
    pub(crate) fn put(&self, pack: PackName, bytes: Vec<u8>) {
        assert!(self.0.lock().unwrap().insert(pack.into(), bytes).is_none(), "a pack is written once");
    }

    pub(crate) fn has(&self, pack: PackName) -> bool {
        self.0.lock().unwrap().contains_key(&pack.into())
    }

    pub(crate) fn names(&self) -> Vec<PackName> {
        self.0.lock().unwrap().keys().filter_map(|object| object.pack()).collect()
    }
}

impl Store for Shelf {
    fn sign_put(&self, _object: ObjectName, _intent: &PutIntent) -> Result<SignedUrl, StoreError> {
        Ok(SignedUrl::new("memory://put"))
    }

    fn sign_get(&self, _object: ObjectName, _answer: &AnswerHeaders) -> Result<SignedUrl, StoreError> {
        Ok(SignedUrl::new("memory://get"))
    }

    fn head(&self, object: ObjectName) -> Result<Option<u64>, StoreError> {
        Ok(self.0.lock().unwrap().get(&object).map(|bytes| bytes.len() as u64))
    }

    fn read(&self, object: ObjectName, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let objects = self.0.lock().unwrap();
        let bytes =
            objects.get(&object).and_then(|bytes| bytes.get(range.start as usize..range.end as usize));
        bytes.map(<[u8]>::to_vec).ok_or(StoreError::Range { object, end: range.end })
    }

    fn delete(&self, object: &StoredObject) -> Result<u64, StoreError> {
        Ok(self.0.lock().unwrap().remove(&object.object).map_or(0, |bytes| bytes.len() as u64))
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(StoredObject)) -> Result<(), StoreError> {
        let objects: Vec<ObjectName> = self.0.lock().unwrap().keys().copied().collect();
        objects.into_iter().filter(|object| object.kind == kind).map(StoredObject::finished).for_each(each);
        Ok(())
    }

    fn check(&self) -> Vec<Finding> {
        Vec::new()
    }
}

/// The same guard before a store.
pub(crate) struct GuardedStore {
    pub(crate) inner: Shelf,
    pub(crate) guard: Arc<Guard>,
}

impl Store for GuardedStore {
    fn sign_put(&self, object: ObjectName, intent: &PutIntent) -> Result<SignedUrl, StoreError> {
        self.guard.pass(|| self.inner.sign_put(object, intent))
    }

    fn settle(&self, object: ObjectName) -> Result<(), StoreError> {
        self.guard.pass(|| self.inner.settle(object))
    }

    fn sign_get(&self, object: ObjectName, answer: &AnswerHeaders) -> Result<SignedUrl, StoreError> {
        self.guard.pass(|| self.inner.sign_get(object, answer))
    }

    fn head(&self, object: ObjectName) -> Result<Option<u64>, StoreError> {
        self.guard.pass(|| self.inner.head(object))
    }

    fn read(&self, object: ObjectName, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.guard.pass(|| self.inner.read(object, range))
    }

    fn delete(&self, object: &StoredObject) -> Result<u64, StoreError> {
        self.guard.pass(|| self.inner.delete(object))
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(StoredObject)) -> Result<(), StoreError> {
        self.guard.pass(|| self.inner.list(kind, each))
    }

    fn check(&self) -> Vec<Finding> {
        self.inner.check()
    }
}
