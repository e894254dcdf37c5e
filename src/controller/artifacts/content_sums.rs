//! SHA-256 of blobs that no store compared: each is read once in the background, however often somebody asks. Decides nothing
//! about artifacts.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use aws_lc_rs::digest::{Context, SHA256};

use crate::controller::store::{Store, StoreError};
use crate::model::{ObjectName, Sha256};

/// Blobs that are read at once: one stream of SHA-256 keeps a core busy.
const READERS: usize = 2;
/// Pieces in which a blob is read.
const PIECE_BYTES: u64 = 4 << 20;
/// Pieces that a reader asks for at once, while as many are summed: a store in a cloud answers each of them after a while.
const PIECES: u64 = 4;
/// Sums that nobody came back for; an artifact whose sum is dropped is read again if somebody does.
const MOST_KEPT: usize = 1000;

/// The sums that are being made, or wait to be taken.
#[derive(Default)]
pub(in crate::controller) struct ContentSums {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    work: Mutex<Work>,
    read_bytes: AtomicU64,
}

#[derive(Default)]
struct Work {
    /// `None` while it is read, or waits to be.
    sums: HashMap<ObjectName, Option<Result<Sha256, StoreError>>>,
    waiting: VecDeque<(Arc<dyn Store>, ObjectName, u64)>,
    readers: usize,
}

/// How far the sum of a blob is.
pub(super) enum Summed {
    /// Nobody asked for it.
    Never,
    /// It is read.
    Underway,
    /// It is known, and forgotten with this answer.
    Ended(Result<Sha256, StoreError>),
}

impl ContentSums {
    /// How far the sum of `object` is.
    pub(super) fn take(&self, object: ObjectName) -> Summed {
        let mut work = self.shared.lock();
        match work.sums.get(&object) {
            None => Summed::Never,
            Some(None) => Summed::Underway,
            Some(Some(_)) => work.sums.remove(&object).flatten().map_or(Summed::Never, Summed::Ended),
        }
    }

    /// Begins to read the `len` bytes of `object`, unless they are read.
    pub(super) fn begin(&self, store: &Arc<dyn Store>, object: ObjectName, len: u64) {
        let mut work = self.shared.lock();
        if work.sums.contains_key(&object) {
            return;
        }
        if work.sums.len() >= MOST_KEPT {
            work.sums.retain(|_, sum| sum.is_none());
        }
        work.sums.insert(object, None);
        work.waiting.push_back((Arc::clone(store), object, len));
        if work.readers < READERS {
            work.readers += 1;
            let shared = Arc::clone(&self.shared);
            thread::spawn(move || shared.read_all());
        }
    }

    /// Bytes that were read since the start, for whoever reads more.
    pub(in crate::controller) fn read_bytes(&self) -> &AtomicU64 {
        &self.shared.read_bytes
    }
}

impl Shared {
    /// Reads what waits until nothing does.
    fn read_all(&self) {
        loop {
            let (store, object, len) = {
                let mut work = self.lock();
                let Some(next) = work.waiting.pop_front() else {
                    work.readers -= 1;
                    return;
                };
                next
            };
            let sum = sha256_of(&*store, object, len, PIECES, &self.read_bytes);
            self.lock().sums.insert(object, Some(sum));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        // Each change is one of a single list or number.
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SHA-256 of the `len` bytes of `object`: `at_once` pieces of 4 MiB are summed while as many more come. Adds what it read to `read_bytes`.
pub(super) fn sha256_of(
    store: &dyn Store,
    object: ObjectName,
    len: u64,
    at_once: u64,
    read_bytes: &AtomicU64,
) -> Result<Sha256, StoreError> {
    let mut context = Context::new(&SHA256);
    thread::scope(|scope| {
        let read_from = |start: u64| {
            let starts = (0..at_once).map(|at| start + at * PIECE_BYTES).filter(|start| *start < len);
            let read = move |start: u64| store.read(object, start..len.min(start + PIECE_BYTES));
            starts.map(|start| scope.spawn(move || read(start))).collect::<Vec<_>>()
        };
        let (mut coming, mut at) = (read_from(0), 0);
        while !coming.is_empty() {
            let pieces: Vec<Vec<u8>> = coming
                .into_iter()
                .map(|piece| piece.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect::<Result<_, _>>()?;
            at += at_once * PIECE_BYTES;
            coming = read_from(at);
            for piece in pieces {
                context.update(&piece);
                read_bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
        }
        let mut sum = Sha256([0; 32]);
        sum.0.copy_from_slice(context.finish().as_ref());
        Ok(sum)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::controller::store::{DiskStore, PutIntent};

    const LEN: usize = (2 * PIECES * PIECE_BYTES) as usize + 5;

    fn stored(bytes: &[u8]) -> (tempfile::TempDir, Arc<dyn Store>, ObjectName) {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path());
        let object = ObjectName::blob([7; 16]);
        let intent = PutIntent { len: bytes.len() as u64, crc32c: None, sha256: None };
        store.sign_put(object, &intent).unwrap();
        let mut arrival = store.begin(object, &intent).unwrap();
        arrival.write(bytes).unwrap();
        arrival.finish().unwrap();
        (folder, Arc::new(store), object)
    }

    fn sum_of(bytes: &[u8]) -> Sha256 {
        let mut sum = Sha256([0; 32]);
        sum.0.copy_from_slice(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref());
        sum
    }

    fn waited(sums: &ContentSums, object: ObjectName) -> Result<Sha256, StoreError> {
        for _ in 0..2000 {
            match sums.take(object) {
                Summed::Ended(sum) => return sum,
                Summed::Underway => thread::sleep(Duration::from_millis(5)),
                Summed::Never => panic!("it was begun"),
            }
        }
        panic!("it does not end");
    }

    /// Proves that windows and pieces make the whole, in order, read once for several who ask.
    #[test]
    fn a_blob_is_read_once_and_summed_whole() {
        let bytes: Vec<u8> = (0..LEN).map(|at| (at / 1000) as u8).collect();
        let (_folder, store, object) = stored(&bytes);
        let sums = ContentSums::default();
        assert!(matches!(sums.take(object), Summed::Never));
        for _ in 0..5 {
            sums.begin(&store, object, LEN as u64);
        }
        assert_eq!(waited(&sums, object).unwrap(), sum_of(&bytes));
        assert_eq!(sums.read_bytes().load(Ordering::Relaxed), LEN as u64);
        assert!(matches!(sums.take(object), Summed::Never), "taken once");
    }

    /// Proves that more blobs than readers all end, and that what cannot be read is an answer and no silence.
    #[test]
    fn all_that_wait_end() {
        let (_folder, store, object) = stored(b"content");
        let sums = ContentSums::default();
        let lost = (0..20).map(|number| ObjectName::blob([number; 16])).filter(|name| *name != object);
        let all: Vec<ObjectName> = lost.chain([object]).collect();
        all.iter().for_each(|object| sums.begin(&store, *object, 7));
        for name in all {
            let sum = waited(&sums, name);
            assert_eq!(sum.ok(), (name == object).then(|| sum_of(b"content")), "{name}");
        }
    }
}
