//! Interleavings of writers, readers, sweeps, removals, copies, ends of leases and packs set aside, after each step of
//! which every committed stash is whole and every reader has its packs. Then the same with ledgers that are broken on
//! purpose, which the schedules must notice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pannier::controller::ledger::{Ledger, PackState, SqliteLedger};
use pannier::controller::{Caller, Controller, ControllerError, ErrorKind};
use pannier::model::{Digest, PackName};
use pannier::protocol::{BuildId, Commit, GcOptions, Open, SessionId};

use crate::guarded::{Accident, Guard, GuardedLedger, GuardedStore, Shelf};
use crate::scene::{TestClock, build, manifest, name, pack, patched};

const NAMES: [&str; 2] = ["a", "b"];
const LETTERS: [&str; 4] = ["abc", "bcd", "ad", "abcd"];
const LEASE_SECONDS: i64 = 15 * 60;
const STEPS: u32 = 32;

/// xorshift, so that a seed is a schedule.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % limit as u64) as usize
    }
}

/// A stash under way, of a workspace that its agent may know an earlier stash of.
struct Writer {
    at: usize,
    root: Digest,
    patches: Option<Digest>,
    chunks: Vec<Vec<u8>>,
    parent: Digest,
    parents_chunks: BTreeSet<Digest>,
    step: u8,
    session: SessionId,
    new: Vec<Vec<u8>>,
    packs: Vec<PackName>,
}

/// An unstash under way.
struct Reader {
    session: SessionId,
    packs: Vec<PackName>,
    lease_ends: i64,
}

/// What one schedule moves.
struct World {
    controller: Controller,
    ledger: GuardedLedger,
    shelf: Shelf,
    clock: Arc<TestClock>,
    random: Random,
    writers: Vec<Option<Writer>>,
    reader: Option<Reader>,
    /// What each pack holds, and what each root needs.
    held: BTreeMap<PackName, BTreeSet<Digest>>,
    needed: BTreeMap<Digest, Needed>,
    set_aside: bool,
}

/// What a stash needs, by its list of patches, or its root if it has none.
struct Needed {
    always: BTreeSet<Digest>,
    /// Its page, …
    page: Digest,
    /// … or the patch and its base, if it has one.
    patch: Option<[Digest; 2]>,
}

impl Needed {
    fn is_held(&self, held: &BTreeSet<Digest>) -> bool {
        let page = held.contains(&self.page);
        let patch = self.patch.is_some_and(|parts| parts.iter().all(|part| held.contains(part)));
        self.always.is_subset(held) && (page || patch)
    }
}

/// A stash as it may be stored: root, list of patches, chunks.
type Stored = (Digest, Option<Digest>, Vec<Vec<u8>>);

/// Letters, with their page as it is or as a patch of another's.
fn stored(letters: &str, base: &str) -> Stored {
    match letters == base {
        true => {
            let (root, chunks) = manifest(letters);
            (root, None, chunks)
        }
        false => {
            let (root, list, chunks) = patched(letters, base);
            (root, Some(list), chunks)
        }
    }
}

fn needed(letters: &str, base: &str) -> (Digest, Needed) {
    let (root, list, chunks) = stored(letters, base);
    let page = Digest::of(&manifest(letters).1[letters.len()]);
    let digests: Vec<Digest> = chunks.iter().map(|chunk| Digest::of(chunk)).collect();
    let patch = list.map(|_| [digests[letters.len()], digests[letters.len() + 1]]);
    let is_always =
        |digest: &&Digest| **digest != page && !patch.iter().flatten().any(|part| part == *digest);
    let always = digests.iter().filter(is_always).copied().collect();
    (list.unwrap_or(root), Needed { always, page, patch })
}

type Found = Result<(), String>;

impl World {
    fn new(seed: u64, ledger: SqliteLedger, skips_the_check_of_states: bool) -> Self {
        let (shelf, clock) = (Shelf::default(), Arc::new(TestClock::of_agents_elsewhere()));
        let guard = Guard::new(Accident::None);
        let mut ledger = GuardedLedger::new(Arc::new(ledger), guard.clone());
        ledger.skips_the_check_of_states = skips_the_check_of_states;
        let store = GuardedStore { inner: shelf.clone(), guard };
        let controller = Controller::with_parts(Box::new(ledger.clone()), Box::new(store), clock.clone());
        let pairs = LETTERS.iter().flat_map(|letters| LETTERS.iter().map(move |base| (letters, base)));
        let needed = pairs.map(|(letters, base)| needed(letters, base)).collect();
        let random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let (writers, held) = (vec![None, None], BTreeMap::new());
        Self {
            controller,
            ledger,
            shelf,
            clock,
            random,
            writers,
            reader: None,
            held,
            needed,
            set_aside: false,
        }
    }

    /// Runs a schedule; says what went wrong, if something did.
    fn run(mut self) -> Found {
        for step in 0..STEPS {
            self.step().and_then(|()| self.check()).map_err(|wrong| format!("step {step}: {wrong}"))?;
        }
        Ok(())
    }

    fn step(&mut self) -> Found {
        let caller = Caller::local();
        match self.random.below(32) {
            which @ 0..=17 => self.write(which % 2),
            18..=20 => self.read(),
            21..=24 => {
                self.controller.gc(&caller, &GcOptions::default()).map(drop).map_err(|error| said(&error))
            }
            25..=26 => {
                let build = [build(), second()][self.random.below(2)].clone();
                let at = name(NAMES[self.random.below(2)]);
                self.controller.remove(&caller, &build, &at).map(drop).map_err(|error| said(&error))
            }
            27 => self.controller.copy(&caller, &build(), &second()).map(drop).map_err(|error| said(&error)),
            28 => {
                self.set_one_aside();
                Ok(())
            }
            29 => {
                // Somebody acts after the controller has looked and before it commits.
                let sweep = self.random.below(2) == 0;
                self.set_aside |= !sweep;
                let now = self.clock.0.load(Ordering::Relaxed);
                *self.ledger.intruder.lock().unwrap() =
                    Some(Box::new(move |ledger| intrude(ledger, sweep, now)));
                Ok(())
            }
            _ => {
                self.clock.0.fetch_add(400, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    fn write(&mut self, at: usize) -> Found {
        let mut writer = match self.writers[at].take() {
            Some(writer) => writer,
            None => self.new_writer(at),
        };
        match self.advance(&mut writer) {
            Ok(()) if writer.step < 4 => self.writers[at] = Some(writer),
            Ok(()) => return self.is_all_live(writer.root),
            Err(error) if error.kind() == ErrorKind::SessionEnded => {}
            Err(error) if error.kind() == ErrorKind::Damaged && self.set_aside => {}
            Err(error) => return Err(format!("a writer at step {} was told: {error}", writer.step)),
        }
        Ok(())
    }

    fn new_writer(&mut self, at: usize) -> Writer {
        let (root, patches, chunks) = self.any_stored();
        let (parent, list, known) = self.any_stored();
        let parent = list.unwrap_or(parent);
        let parents_chunks = known.iter().map(|chunk| Digest::of(chunk)).collect();
        let (session, new, packs) = (SessionId(0), Vec::new(), Vec::new());
        Writer { at, root, patches, chunks, parent, parents_chunks, step: 0, session, new, packs }
    }

    /// Half of them have patches.
    fn any_stored(&mut self) -> Stored {
        let letters = LETTERS[self.random.below(LETTERS.len())];
        let base =
            if self.random.below(2) == 0 { letters } else { LETTERS[self.random.below(LETTERS.len())] };
        stored(letters, base)
    }

    fn advance(&mut self, writer: &mut Writer) -> Result<(), ControllerError> {
        let caller = Caller::local();
        match writer.step {
            0 => {
                let (parent, at) = (Some(writer.parent), name(NAMES[writer.at]));
                let open = Open { build: build(), name: at, parent, resume: None, digests: vec![] };
                let opened = self.controller.open_session(&caller, &open)?;
                writer.session = opened.session;
                if !opened.parent_accepted {
                    writer.parents_chunks.clear();
                }
            }
            1 => {
                let known = |chunk: &&Vec<u8>| !writer.parents_chunks.contains(&Digest::of(chunk));
                let asked: Vec<&Vec<u8>> = writer.chunks.iter().filter(known).collect();
                let digests: Vec<Digest> = asked.iter().map(|chunk| Digest::of(chunk)).collect();
                let missing = self.controller.missing(&caller, writer.session, &digests)?;
                writer.new =
                    asked.into_iter().zip(missing).filter(|(_, is)| *is).map(|(c, _)| c.clone()).collect();
            }
            2 if !writer.new.is_empty() => {
                let (bytes, intent) = pack(&writer.new);
                let signed = self.controller.sign(&caller, writer.session, &[intent])?.remove(0);
                self.shelf.put(signed.name, bytes);
                let digests = writer.new.iter().map(|chunk| Digest::of(chunk)).collect();
                self.held.insert(signed.name, digests);
                writer.packs.push(signed.name);
            }
            2 => {}
            _ => {
                let Writer { session, root, patches, ref packs, .. } = *writer;
                self.controller.commit(&caller, &Commit { session, root, patches, packs: packs.clone() })?;
            }
        }
        writer.step += 1;
        Ok(())
    }

    /// Begins to read, or ends.
    fn read(&mut self) -> Found {
        if let Some(reader) = self.reader.take() {
            self.controller.release(&Caller::local(), reader.session);
            return Ok(());
        }
        let at = name(NAMES[self.random.below(2)]);
        match self.controller.resolve(&Caller::local(), &build(), &at) {
            Ok(resolved) => {
                let packs = resolved.packs.iter().map(|pack| pack.name).collect();
                let lease_ends = self.clock.0.load(Ordering::Relaxed) + LEASE_SECONDS;
                self.reader = Some(Reader { session: resolved.session, packs, lease_ends });
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(said(&error)),
        }
    }

    /// In the ledger alone: the object is as good as it was, so what is checked afterwards stays readable.
    fn set_one_aside(&mut self) {
        let live = self.ledger.inner.packs_in(PackState::Live).unwrap();
        if !live.is_empty() {
            let row = &live[self.random.below(live.len())];
            assert!(self.ledger.inner.quarantine(row.name, "for a test").unwrap());
            self.set_aside = true;
        }
    }

    /// A stash that was committed just now refers to live packs alone.
    fn is_all_live(&self, root: Digest) -> Found {
        let ledger = &self.ledger.inner;
        let newest = ledger.all_stashes().unwrap().into_iter().filter(|row| row.info.id == root);
        let states = |row: &pannier::controller::ledger::StashRow| {
            ledger.stash_packs(row.id).unwrap().into_iter().all(|row| row.state == PackState::Live)
        };
        if newest.into_iter().any(|row| states(&row)) {
            Ok(())
        } else {
            Err("committed on packs that are gone".into())
        }
    }

    /// Every stash is whole, and every reader whose lease runs has what it was promised.
    fn check(&self) -> Found {
        let ledger = &self.ledger.inner;
        for stash in ledger.all_stashes().unwrap() {
            let packs = ledger.stash_packs(stash.id).unwrap();
            let mut held = BTreeSet::new();
            for row in &packs {
                if !matches!(row.state, PackState::Live | PackState::Quarantined) {
                    return Err(format!("{} refers to a pack that is {:?}", stash.info.name, row.state));
                }
                if !self.shelf.has(row.name) {
                    return Err(format!("{} refers to a pack whose object is gone", stash.info.name));
                }
                held.extend(self.held[&row.name].iter().copied());
            }
            let stored = stash.info.patches.unwrap_or(stash.info.id);
            if !self.needed[&stored].is_held(&held) {
                return Err(format!("{} lost a chunk", stash.info.name));
            }
        }
        let now = self.clock.0.load(Ordering::Relaxed);
        match &self.reader {
            Some(reader)
                if now < reader.lease_ends && !reader.packs.iter().all(|pack| self.shelf.has(*pack)) =>
            {
                Err("a reader lost a pack".into())
            }
            _ => Ok(()),
        }
    }
}

fn intrude(ledger: &SqliteLedger, sweep: bool, now: i64) {
    if sweep {
        ledger.sweep(&pannier::controller::ledger::Sweep { now, dry_run: false, ended: &[] }).unwrap();
    } else {
        for row in ledger.packs_in(PackState::Live).unwrap() {
            ledger.quarantine(row.name, "for a test").unwrap();
        }
    }
}

fn second() -> BuildId {
    BuildId { project: "p".into(), build: "2".into() }
}

fn said(error: &ControllerError) -> String {
    format!("{:?}: {error}", error.kind())
}

/// Proves, as far as 1,000 schedules can, that no interleaving loses a chunk of a committed stash, takes a pack from a
/// reader, or fails a writer whose session lives and whose packs were not set aside.
#[test]
fn no_schedule_of_writers_readers_sweeps_and_removals_loses_a_chunk() {
    for seed in 0..1000 {
        let world = World::new(seed, SqliteLedger::in_memory().unwrap(), false);
        world.run().unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
}

/// Runs schedules on ledgers that SQL breaks on purpose until one is noticed; what was noticed.
fn noticed(sql: &str, skips_the_check_of_states: bool) -> String {
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    for seed in 0..2000 {
        let path = folder.path().join(format!("{seed}.sqlite"));
        let ledger = SqliteLedger::open(&path, || pannier::controller::ledger::Creation::New).unwrap();
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        if let Err(wrong) = World::new(seed, ledger, skips_the_check_of_states).run() {
            return format!("seed {seed}: {wrong}");
        }
    }
    panic!("no schedule noticed: {sql}");
}

/// Proves that the schedules can fail: they notice a ledger that does not pin.
#[test]
fn the_schedules_notice_a_ledger_that_pins_nothing() {
    let wrong = noticed("CREATE TRIGGER broken BEFORE INSERT ON pins BEGIN SELECT RAISE(IGNORE); END", false);
    eprintln!("noticed: {wrong}");
}

/// Proves the same of a sweep that deletes what it condemns without waiting for older sessions.
#[test]
fn the_schedules_notice_a_sweep_that_does_not_wait_for_older_sessions() {
    let wrong = noticed(
        "CREATE TRIGGER broken AFTER UPDATE OF state ON packs WHEN NEW.state = 2
         BEGIN UPDATE packs SET condemned_by = -1 WHERE id = NEW.id; END;
         CREATE TRIGGER unpinned BEFORE INSERT ON pins BEGIN SELECT RAISE(IGNORE); END",
        false,
    );
    eprintln!("noticed: {wrong}");
}

/// Proves the same of a sweep that condemns what stashes refer to.
#[test]
fn the_schedules_notice_a_sweep_that_forgets_references() {
    let wrong = noticed(
        "CREATE TRIGGER broken AFTER INSERT ON stash_packs WHEN NEW.pack % 3 = 0
         BEGIN DELETE FROM stash_packs WHERE stash = NEW.stash AND pack = NEW.pack; END",
        false,
    );
    eprintln!("noticed: {wrong}");
}

/// Proves the same of a commit that does not look at the states of the packs which it refers to.
#[test]
fn the_schedules_notice_a_commit_that_does_not_check_states() {
    eprintln!("noticed: {}", noticed("", true));
}
