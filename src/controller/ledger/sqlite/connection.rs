//! Opening and migrating a ledger file, and its two kinds of transaction. No statement of the protocol's.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::controller::ledger::{Creation, LedgerError, TransactionObserver};

use super::error::named;
use super::pool::{BUSY, Pages, Pool};
use super::schema::MIGRATIONS;

/// A ledger in a file, or in memory for tests.
pub struct SqliteLedger {
    path: PathBuf,
    pool: Pool,
    pub(super) observer: OnceLock<TransactionObserver>,
}

/// What a transaction's end promises.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// It survives a power cut.
    Durable,
    /// It survives the process; a power cut may undo it, in order with everything after it.
    Ordered,
}

impl SqliteLedger {
    /// Opens the ledger at `path`, or makes it as `creation` says, asked while nobody else can write.
    ///
    /// An up-to-date ledger costs one read of its header: nothing is written, synced or checked.
    pub fn open(path: &Path, creation: impl FnOnce() -> Creation) -> Result<Self, LedgerError> {
        Self::open_with(path, Pages::Read, creation)
    }

    /// The same for a process that stays and is asked about many chunks: the file is mapped.
    pub fn open_to_stay(path: &Path, creation: impl FnOnce() -> Creation) -> Result<Self, LedgerError> {
        Self::open_with(path, Pages::Mapped, creation)
    }

    fn open_with(
        path: &Path,
        pages: Pages,
        creation: impl FnOnce() -> Creation,
    ) -> Result<Self, LedgerError> {
        let ledger =
            Self { path: path.to_owned(), pool: Pool::open(path, pages)?, observer: OnceLock::new() };
        ledger.prepare(creation).map_err(|error| named(error, path))?;
        Ok(ledger)
    }

    /// A ledger that lives as long as this value.
    pub fn in_memory() -> Result<Self, LedgerError> {
        let ledger = Self { path: ":memory:".into(), pool: Pool::in_memory()?, observer: OnceLock::new() };
        ledger.prepare(|| Creation::New)?;
        Ok(ledger)
    }

    fn prepare(&self, creation: impl FnOnce() -> Creation) -> Result<(), LedgerError> {
        let mut connection = self.pool.writer();
        let known = MIGRATIONS.len() as i64;
        let found = version(&connection)?;
        match found {
            found if found == known => Ok(()),
            found if found > known => Err(LedgerError::NewerSchema { found, known }),
            _ => {
                use_wal(&connection)?;
                self.migrate(&mut connection, creation)
            }
        }
    }

    fn migrate(
        &self,
        connection: &mut Connection,
        creation: impl FnOnce() -> Creation,
    ) -> Result<(), LedgerError> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = version(&transaction)?;
        let creation = if done == 0 { creation() } else { Creation::New };
        if creation == Creation::Refuse {
            return Err(LedgerError::Missing(self.path.clone()));
        }
        for migration in MIGRATIONS.iter().skip(usize::try_from(done).unwrap_or(0)) {
            transaction.execute_batch(migration)?;
        }
        if creation == Creation::BesidePacks {
            transaction.execute("INSERT INTO meta VALUES ('needs_rebuild', '')", [])?;
        }
        transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
        Ok(transaction.commit()?)
    }

    /// Runs `work` in one read transaction: it sees one state of the ledger.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let _observed = Observed::start("read", self);
        self.pool
            .read(|connection| work(&connection.transaction_with_behavior(TransactionBehavior::Deferred)?))
            .map_err(|error| named(error, &self.path))
    }

    /// Runs `work` in one write transaction, undone if it fails.
    pub(super) fn write<T>(
        &self,
        sync: Sync,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.write_if(sync, |transaction| work(transaction).map(|value| (value, true)))
    }

    /// Like [`Self::write`], undone also if `work` says so beside its value.
    pub(super) fn write_if<T>(
        &self,
        sync: Sync,
        work: impl FnOnce(&Transaction<'_>) -> Result<(T, bool), LedgerError>,
    ) -> Result<T, LedgerError> {
        let _observed = Observed::start("write", self);
        let mut connection = self.pool.writer();
        let run = || {
            connection.pragma_update(
                None,
                "synchronous",
                if sync == Sync::Durable { "FULL" } else { "NORMAL" },
            )?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let (value, keep) = work(&transaction)?;
            if keep {
                transaction.commit()?;
            } else {
                transaction.rollback()?;
            }
            Ok(value)
        };
        run().map_err(|error| named(error, &self.path))
    }

    /// Copies the log back into the file and empties it, if nobody is in the way; otherwise somebody else will.
    pub(super) fn fold_log(&self) -> Result<(), LedgerError> {
        let connection = self.pool.writer();
        connection.busy_timeout(Duration::ZERO)?;
        let folded = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        connection.busy_timeout(BUSY)?;
        folded.or_else(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Ok(()),
            _ => Err(named(error.into(), &self.path)),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn version(connection: &Connection) -> Result<i64, LedgerError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// WAL is written into the file once. The switch does not wait by itself for another process that does the same.
fn use_wal(connection: &Connection) -> Result<(), LedgerError> {
    let start = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && start.elapsed() < BUSY =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return Ok(other?),
        }
    }
}

/// Tells the observer, if there is one, when it goes.
struct Observed<'a> {
    kind: &'static str,
    started: Instant,
    observer: Option<&'a TransactionObserver>,
}

impl<'a> Observed<'a> {
    fn start(kind: &'static str, ledger: &'a SqliteLedger) -> Self {
        Self { kind, started: Instant::now(), observer: ledger.observer.get() }
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        if let Some(observer) = self.observer {
            observer(self.kind, self.started.elapsed());
        }
    }
}
