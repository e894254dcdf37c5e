//! The ledger alone and at scale: what a commit costs, how many digests a second `missing` answers on a ledger of ten
//! million chunks, what a reader waits beside a commit, what dropping a pack costs. Prints a table; not criterion,
//! because the large ledger is made once and kept, and because processor time is what is asked for.
//!
//! `cargo bench --bench ledger` uses 10,000,000 chunks (1 GB in cargo's folder for temporary files);
//! `cargo bench --bench ledger -- 1000000` fewer.
#![allow(clippy::disallowed_methods, reason = "a bench that fails says where by itself")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and stops at what is wrong")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use pannier::controller::ledger::{
    Access, CommitRows, Creation, GonePack, Ledger, NewSession, PackId, PackRow, PackState, ScopeId,
    SqliteLedger,
};
use pannier::controller::store::DiskStore;
use pannier::controller::{Caller, Controller, SystemClock};
use pannier::model::limits::MAX_MISSING_DIGESTS;
use pannier::model::manifest::{PageRef, Root, Totals, page};
use pannier::model::pack_layout::{Codec, Footer, Frame, MAGIC};
use pannier::model::signed_url::file_path;
use pannier::model::{ChunkRef, Content, Digest, Entry, EntryKind, EntryPath, PackName, Timestamp};
use pannier::protocol::{BuildId, Commit, Open, PackIntent, SessionId, StashName};

/// Chunks of a first stash of a large `node_modules`.
const STASH_CHUNKS: usize = 71_000;
const PAGE_ENTRIES: usize = 1000;
/// Chunks of one pack in the large ledger: 32 MiB of chunks of 32 KiB.
const PACK_CHUNKS: u64 = 1000;
/// Chunks of one commit while the large ledger is made; many, so that it is made in a minute.
const MAKING_CHUNKS: u64 = 1_000_000;
const ROUNDS: usize = 7;
const NOW: i64 = 1;
const LEASE_END: i64 = i64::MAX;

fn main() {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let chunks: u64 = asked.unwrap_or(10_000_000);
    first_commit();
    whole_commit();
    let ledger = large(chunks);
    missing(&ledger, chunks);
    commit_at_scale(&ledger, chunks);
    read_beside_commits(&ledger, chunks);
}

/// A digest that is known by its number.
fn digest(number: u64) -> Digest {
    let mut bytes = [0; 32];
    for (at, eight) in (0..).zip(bytes.chunks_mut(8)) {
        eight.copy_from_slice(&mixed(number.wrapping_mul(4).wrapping_add(at)).to_be_bytes());
    }
    Digest::from_bytes(bytes)
}

/// splitmix64: numbers to bits that look random (Steele, Lea, Flood 2014).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn access() -> Access {
    Access { write: ScopeId(1), read: vec![ScopeId(1)] }
}

fn build() -> BuildId {
    BuildId { project: "bench".into(), build: "1".into() }
}

fn stash_name(text: &str) -> StashName {
    text.parse().unwrap()
}

/// Wall and processor time of this thread.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration, Duration) {
    let processor = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    let (wall, cpu) = (Instant::now(), processor());
    let value = work();
    (value, wall.elapsed(), processor() - cpu)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn peak_rss_mib() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// A session with packs of so many chunks each, ready to commit them.
struct Prepared {
    session: SessionId,
    packs: Vec<(PackId, u64)>,
    chunks: Vec<(Digest, PackId)>,
}

fn prepare(ledger: &dyn Ledger, numbers: std::ops::Range<u64>, pack_chunks: u64) -> Prepared {
    let new = NewSession {
        build: &build(),
        name: &stash_name("s"),
        parent: None,
        expires_at: LEASE_END,
        owner: None,
    };
    let session = ledger.open_session(&access(), &new).unwrap().id;
    let packs = (numbers.end - numbers.start).div_ceil(pack_chunks);
    let row = |_| {
        let mut name = [0; 16];
        getrandom::fill(&mut name).unwrap();
        PackRow {
            id: PackId(0),
            name: PackName(name),
            scope: ScopeId(1),
            state: PackState::Pending,
            len: 32 << 20,
            tail_len: 0,
            footer_digest: Digest::of(&name),
            has_manifest: false,
            session,
        }
    };
    let rows: Vec<PackRow> = (0..packs).map(row).collect();
    ledger.add_pending(&access(), &rows).unwrap();
    let ids: Vec<PackId> = rows.iter().map(|row| ledger.pack(row.name).unwrap().unwrap().id).collect();
    let first = numbers.start;
    let mut chunks: Vec<(Digest, PackId)> =
        numbers.map(|number| (digest(number), ids[((number - first) / pack_chunks) as usize])).collect();
    chunks.sort_unstable();
    Prepared { session, packs: ids.into_iter().map(|id| (id, 40_000)).collect(), chunks }
}

fn commit(ledger: &dyn Ledger, prepared: &Prepared, name: &str) {
    let packs: Vec<PackId> = prepared.packs.iter().map(|(id, _)| *id).collect();
    let pages: Vec<(Digest, Vec<PackId>)> = (0..prepared.chunks.len() / PAGE_ENTRIES)
        .map(|page| (prepared.chunks[page].0, packs.iter().take(3).copied().collect()))
        .collect();
    let row = ledger.session(&access(), prepared.session, NOW, LEASE_END).unwrap();
    let row = pannier::controller::ledger::SessionRow { name: stash_name(name), ..row };
    let rows = CommitRows {
        session: &row,
        root: prepared.chunks[0].0,
        patches: None,
        totals: Totals::default(),
        new_packs: &prepared.packs,
        chunks: &prepared.chunks,
        pages: &pages,
        packs: &packs,
        manifest_packs: &packs[..1],
        now: NOW,
    };
    ledger.commit(&access(), &rows).unwrap();
}

fn new_ledger(folder: &Path) -> SqliteLedger {
    SqliteLedger::open(&folder.join("ledger.sqlite"), || Creation::New).unwrap()
}

/// The commit of a first stash, in the ledger alone.
fn first_commit() {
    let (mut walls, mut processors) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS as u64 {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let ledger = new_ledger(folder.path());
        let from = round * STASH_CHUNKS as u64;
        let prepared = prepare(&ledger, from..from + STASH_CHUNKS as u64, 18_000);
        let ((), wall, processor) = timed(|| commit(&ledger, &prepared, "s"));
        walls.push(wall);
        processors.push(processor);
    }
    println!(
        "commit of {STASH_CHUNKS} new chunks, ledger alone, empty before: {:.1} ms ({:.1} ms of processor)",
        median(walls),
        median(processors)
    );
}

/// The same through the controller: packs are looked for, footers read, the root followed.
fn whole_commit() {
    let (mut walls, mut processors) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = DiskStore::open(&folder.path().join("store"));
        let controller = Controller::with_parts(
            Box::new(new_ledger(folder.path())),
            Box::new(store),
            std::sync::Arc::new(SystemClock),
        );
        let caller = Caller::local();
        let (root, packs) = stash();
        let open =
            Open { build: build(), name: stash_name("s"), parent: None, resume: None, digests: vec![] };
        let session = controller.open_session(&caller, &open).unwrap().session;
        let intents: Vec<PackIntent> = packs.iter().map(|(_, intent)| *intent).collect();
        let signed = controller.sign(&caller, session, &intents).unwrap();
        for ((bytes, _), signed) in packs.iter().zip(&signed) {
            fs_err::write(file_path(&signed.put).unwrap(), bytes).unwrap();
        }
        let packs = signed.iter().map(|signed| signed.name).collect();
        let request = Commit { session, root, patches: None, packs };
        let (committed, wall, processor) = timed(|| controller.commit(&caller, &request));
        committed.unwrap();
        walls.push(wall);
        processors.push(processor);
    }
    println!(
        "commit of {STASH_CHUNKS} new chunks, whole controller: {:.1} ms ({:.1} ms of processor)",
        median(walls),
        median(processors)
    );
}

/// A workspace of small files in three data packs and one of the manifest.
fn stash() -> (Digest, Vec<(Vec<u8>, PackIntent)>) {
    let contents: Vec<Vec<u8>> = (0..STASH_CHUNKS as u64).map(|n| mixed(n).to_be_bytes().into()).collect();
    let mut entries = Vec::new();
    let mut totals = Totals::default();
    for (number, bytes) in contents.iter().enumerate() {
        let chunk = ChunkRef { digest: Digest::of(bytes), len: bytes.len() as u32 };
        let kind =
            EntryKind::File(Content { size: bytes.len() as u64, listed: false, chunks: [chunk].into() });
        let path = EntryPath::new(format!("folder/{number:08}").into_bytes()).unwrap();
        let mtime = Timestamp::default();
        entries.push(Entry { path, mode: 0o644, mtime, owner: None, xattrs: [].into(), kind });
        totals.add(entries.last().unwrap());
    }
    let mut manifest = Vec::new();
    let mut pages = Vec::new();
    for entries in entries.chunks(PAGE_ENTRIES) {
        let bytes = page::encode(entries);
        let chunk = ChunkRef { digest: Digest::of(&bytes), len: bytes.len() as u32 };
        pages.push(PageRef { chunk, entries: entries.len() as u32, first: entries[0].path.clone() });
        manifest.push(bytes);
    }
    let root = Root { totals, pages }.encode();
    let id = Digest::of(&root);
    manifest.push(root);
    let mut packs: Vec<_> = contents.chunks(STASH_CHUNKS.div_ceil(3)).map(pack).collect();
    packs.push(pack(&manifest));
    (id, packs)
}

fn pack(chunks: &[Vec<u8>]) -> (Vec<u8>, PackIntent) {
    let mut bytes = MAGIC.to_vec();
    let mut frames = Vec::new();
    // A frame holds up to 1 MiB.
    let (mut from, mut plain) = (0, Vec::new());
    for at in 0..=chunks.len() {
        let full = chunks.get(at).is_none_or(|next| plain.len() + next.len() > 1 << 20);
        if full && from < at {
            let len = plain.len() as u32;
            let offset = bytes.len() as u64;
            frames.push(Frame {
                offset,
                stored_len: len,
                plain_len: len,
                codec: Codec::Raw,
                chunks: from..at,
            });
            bytes.append(&mut plain);
            from = at;
        }
        plain.extend(chunks.get(at).into_iter().flatten());
    }
    let refs = chunks.iter().map(|c| ChunkRef { digest: Digest::of(c), len: c.len() as u32 }).collect();
    let end = Footer { frames, chunks: refs }.encode();
    let footer_digest = Digest::of(&end[..end.len() - 64]);
    bytes.extend(end);
    let len = bytes.len() as u64;
    (bytes, PackIntent { len, footer_digest, crc32c: 0 })
}

/// The large ledger, made if it is not there.
fn large(chunks: u64) -> SqliteLedger {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ledger-{chunks}"));
    let whole = folder.join("whole");
    if !whole.exists() {
        let _ = fs_err::remove_dir_all(&folder);
        fs_err::create_dir_all(&folder).unwrap();
        let start = Instant::now();
        let ledger = new_ledger(&folder);
        let mut from = 0;
        while from < chunks {
            let to = (from + MAKING_CHUNKS).min(chunks);
            let prepared = prepare(&ledger, from..to, PACK_CHUNKS);
            commit(&ledger, &prepared, &format!("s{from}"));
            from = to;
        }
        fs_err::write(whole, "").unwrap();
        println!("a ledger of {chunks} chunks was made in {:.0?}", start.elapsed());
    }
    // As a controller that is served opens it.
    let ledger = SqliteLedger::open_to_stay(&folder.join("ledger.sqlite"), || Creation::New).unwrap();
    let bytes = fs_err::metadata(folder.join("ledger.sqlite")).unwrap().len();
    println!("the ledger of {chunks} chunks has {} MB", bytes / 1_000_000);
    ledger
}

/// `missing`, in batches as agents send them.
fn missing(ledger: &SqliteLedger, chunks: u64) {
    // The making of the ledger shall not count.
    let _ = fs_err::write("/proc/self/clear_refs", "5");
    let new = NewSession {
        build: &build(),
        name: &stash_name("m"),
        parent: None,
        expires_at: LEASE_END,
        owner: None,
    };
    let session = ledger.open_session(&access(), &new).unwrap().id;
    for hit_percent in [0, 50, 99] {
        let (mut walls, mut processors) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS as u64 {
            let number = |at: u64| {
                let random = mixed((hit_percent * 1000 + round) * 1_000_000 + at);
                let known = random % 100 < hit_percent;
                if known { (random >> 8) % chunks } else { chunks + (1 << 40) + random % (1 << 40) }
            };
            let digests: Vec<Digest> = (0..MAX_MISSING_DIGESTS as u64).map(|at| digest(number(at))).collect();
            let (present, wall, processor) = timed(|| ledger.pin_present(&access(), session, &digests));
            let found = present.unwrap().into_iter().filter(|present| *present).count();
            assert!((found * 100).abs_diff(digests.len() * hit_percent as usize) < digests.len() * 3);
            walls.push(wall);
            processors.push(processor);
        }
        let per_second = |ms: f64| MAX_MISSING_DIGESTS as f64 / ms * 1e3;
        println!(
            "missing, {hit_percent} % known: {:.0} digests/s/core ({:.0}/s of wall time)",
            per_second(median(processors)),
            per_second(median(walls))
        );
    }
    ledger.end_session(&access(), session).unwrap();
    println!("peak memory of the process: {} MiB", peak_rss_mib());
}

/// Commits into the large ledger, and takes back what they wrote.
fn commit_at_scale(ledger: &SqliteLedger, chunks: u64) {
    for new_chunks in [700, STASH_CHUNKS as u64] {
        let mut random = [0; 8];
        getrandom::fill(&mut random).unwrap();
        let from = chunks + (1 << 50) + (u64::from_be_bytes(random) >> 20);
        let prepared = prepare(ledger, from..from + new_chunks, PACK_CHUNKS);
        let name = format!("new{new_chunks}");
        let ((), wall, processor) = timed(|| commit(ledger, &prepared, &name));
        println!(
            "commit of {new_chunks} new chunks into the large ledger: {:.1} ms ({:.1} ms of processor)",
            wall.as_secs_f64() * 1e3,
            processor.as_secs_f64() * 1e3
        );
        assert!(ledger.remove(&access(), &build(), &stash_name(&name)).unwrap());
        let sweep = pannier::controller::ledger::Sweep { now: NOW, dry_run: false, ended: &[] };
        let gone: Vec<GonePack> = prepared
            .packs
            .iter()
            .map(|(id, _)| {
                let of_pack =
                    prepared.chunks.iter().filter(|(_, pack)| pack == id).map(|(digest, _)| *digest);
                GonePack { id: *id, scope: ScopeId(1), chunks: Some(of_pack.collect()) }
            })
            .collect();
        let (swept, wall, _) = timed(|| ledger.sweep(&sweep).unwrap());
        assert_eq!(swept.deleted.len(), gone.len());
        let ((), forget, processor) = timed(|| ledger.forget(&gone).unwrap());
        println!(
            "sweep {:.1} ms; forgetting {} packs: {:.1} ms ({:.1} ms of processor)",
            wall.as_secs_f64() * 1e3,
            gone.len(),
            forget.as_secs_f64() * 1e3,
            processor.as_secs_f64() * 1e3
        );
    }
}

/// What one small read waits while commits of a first stash's size run one after the other.
fn read_beside_commits(ledger: &SqliteLedger, chunks: u64) {
    let prepared: Vec<Prepared> = (0..3)
        .map(|round| {
            let mut random = [0; 8];
            getrandom::fill(&mut random).unwrap();
            let from = chunks + (1 << 50) + (u64::from_be_bytes(random) >> 20) + round;
            prepare(ledger, from..from + STASH_CHUNKS as u64, PACK_CHUNKS)
        })
        .collect();
    let (mut waits, mut commits) = (Vec::new(), Duration::ZERO);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let start = Instant::now();
            for (at, prepared) in prepared.iter().enumerate() {
                commit(ledger, prepared, &format!("beside{at}"));
            }
            start.elapsed()
        });
        let mut at = 0;
        while !writing.is_finished() {
            let digests: Vec<Digest> = (0..100).map(|_| digest(mixed(at) % chunks)).collect();
            let start = Instant::now();
            ledger.locate(&access(), &digests).unwrap();
            waits.push(start.elapsed());
            at += 1;
        }
        commits = writing.join().unwrap();
    });
    waits.sort();
    println!(
        "beside {} commits in {:.0} ms: {} reads of 100 digests, median {:.2} ms, longest {:.2} ms",
        prepared.len(),
        commits.as_secs_f64() * 1e3,
        waits.len(),
        waits[waits.len() / 2].as_secs_f64() * 1e3,
        waits[waits.len() - 1].as_secs_f64() * 1e3
    );
    for at in 0..prepared.len() {
        assert!(ledger.remove(&access(), &build(), &stash_name(&format!("beside{at}"))).unwrap());
    }
    let sweep = pannier::controller::ledger::Sweep { now: NOW, dry_run: false, ended: &[] };
    let deleted = ledger.sweep(&sweep).unwrap().deleted;
    let gone: Vec<GonePack> =
        deleted.iter().map(|row| GonePack { id: row.id, scope: row.scope, chunks: None }).collect();
    let ((), wall, _) = timed(|| ledger.forget(&gone).unwrap());
    println!(
        "forgetting {} packs whose footers cannot be read: {:.0} ms, in slices",
        gone.len(),
        wall.as_secs_f64() * 1e3
    );
}
