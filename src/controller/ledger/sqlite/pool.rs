//! The connections of one ledger: one that writes, and readers beside it which a commit does not hold up (WAL).
//! No statement, no transaction.
//!
//! Readers are opened when a read first finds the writer at work, so a command that does one thing after another opens
//! none, and a controller with many agents soon reads beside its writer only.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::controller::ledger::LedgerError;

/// How long a statement waits for another process's write; a commit into a large index is the longest of them.
pub(super) const BUSY: Duration = Duration::from_secs(60);
/// Prepared statements that are kept; more than there are.
const STATEMENTS: usize = 64;
/// Readers of one process. Each connection holds 2 MB of pages, SQLite's own default: enough for the inner pages of a
/// batch that is asked in order. Leaves of a large index come from the kernel's cache; 16 MiB made lookups slower.
const MOST_READERS: usize = 16;

/// How SQLite comes by the pages of a large index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    /// A call for each: nothing to set up for a command that asks once.
    Read,
    /// Mapped, as far as SQLite does (its compiled limit, just below 2 GiB): a look-up costs no call and no copy, which is twice as fast over
    /// ten million chunks. What is written still goes through calls; a read error of the disk ends the process instead
    /// of one request, and loses nothing.
    Mapped,
}

/// The most that SQLite maps, whatever it is asked for (`SQLITE_MAX_MMAP_SIZE`).
const MAPPED_BYTES: i64 = 0x7fff_0000;

/// One writer and its readers.
pub(super) struct Pool {
    /// Empty in memory: such a database has one connection.
    path: Option<PathBuf>,
    pages: Pages,
    writer: Mutex<Connection>,
    readers: Mutex<Readers>,
    returned: Condvar,
}

#[derive(Default)]
struct Readers {
    idle: Vec<Connection>,
    open: usize,
}

impl Pool {
    pub(super) fn open(path: &Path, pages: Pages) -> Result<Self, LedgerError> {
        Self::of(Some(path.to_owned()), Connection::open(path)?, pages)
    }

    pub(super) fn in_memory() -> Result<Self, LedgerError> {
        Self::of(None, Connection::open_in_memory()?, Pages::Read)
    }

    fn of(path: Option<PathBuf>, writer: Connection, pages: Pages) -> Result<Self, LedgerError> {
        set_up(&writer, pages)?;
        let (readers, returned) = (Mutex::default(), Condvar::new());
        Ok(Self { path, pages, writer: Mutex::new(writer), readers, returned })
    }

    /// The connection that writes, once nobody else has it.
    pub(super) fn writer(&self) -> MutexGuard<'_, Connection> {
        // A panic in mid-transaction has rolled it back; the connection itself stays sound.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends `work` a connection that no write holds up; the writer where there can be no other, or none was needed.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let Some(path) = &self.path else { return work(&mut self.writer()) };
        let (mut connection, place) = match self.lend() {
            Lent::Writer(mut writer) => return work(&mut writer),
            Lent::Reader(connection, place) => (connection, place),
            Lent::Place(place) => (open_reader(path, self.pages)?, place),
        };
        let result = work(&mut connection);
        place.keep(connection);
        result
    }

    fn lend(&self) -> Lent<'_> {
        let mut readers = self.readers();
        loop {
            if let Some(connection) = readers.idle.pop() {
                return Lent::Reader(connection, Place(self));
            }
            if readers.open == 0
                && let Ok(writer) = self.writer.try_lock()
            {
                return Lent::Writer(writer);
            }
            if readers.open < MOST_READERS {
                readers.open += 1;
                return Lent::Place(Place(self));
            }
            readers = self.returned.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Lent<'a> {
    Writer(MutexGuard<'a, Connection>),
    Reader(Connection, Place<'a>),
    /// A connection may be opened.
    Place(Place<'a>),
}

/// One of the places for readers; free again when this goes, whatever happens to its connection.
struct Place<'a>(&'a Pool);

impl Place<'_> {
    /// The connection waits in this place for the next read.
    fn keep(self, connection: Connection) {
        let mut readers = self.0.readers();
        readers.idle.push(connection);
        readers.open += 1; // what the drop takes off
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.readers().open -= 1;
        self.0.returned.notify_one();
    }
}

fn open_reader(path: &Path, pages: Pages) -> Result<Connection, LedgerError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection, pages)?;
    // Writable only because WAL notes who reads up to where.
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn set_up(connection: &Connection, pages: Pages) -> Result<(), LedgerError> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // The last process to leave would otherwise copy the log back and sync twice: milliseconds of every stash.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Otherwise a value that is bound to a statement on a table with a partial index has the statement planned anew each time:
    // a third of what small artifacts cost.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if pages == Pages::Mapped {
        connection.pragma_update(None, "mmap_size", MAPPED_BYTES)?;
    }
    Ok(())
}
