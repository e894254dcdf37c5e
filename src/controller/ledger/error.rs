//! What fails in a ledger, whatever its back end: no database's own types, so that any may stand behind the trait.

use std::error::Error;
use std::path::PathBuf;

use crate::model::PackName;
use crate::protocol::SessionId;

/// What the database itself said.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a ledger did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The session is over, or its lease is.
    #[error("session {} has ended", .0.0)]
    SessionEnded(SessionId),
    /// The pack was not given to this session.
    #[error("pack {0} does not belong to this session")]
    ForeignPack(PackName),
    /// A pack that the commit refers to was deleted or set aside meanwhile.
    #[error("a pack that this stash refers to (number {0}) is no longer there")]
    PackGone(i64),
    /// The file is no database, or a damaged one.
    #[error("the ledger {path} is damaged")]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// What the database said.
        source: Cause,
    },
    /// Written by a newer program.
    #[error("the ledger has schema {found}, and this program knows {known}")]
    NewerSchema {
        /// Version in the file.
        found: i64,
        /// Latest version that this program knows.
        known: i64,
    },
    /// No ledger is there and none may be made.
    #[error("the ledger {0} is missing or empty")]
    Missing(PathBuf),
    /// A row that this program never writes.
    #[error("the ledger holds a wrong {0}")]
    Row(&'static str),
    /// The database failed otherwise.
    #[error("the ledger cannot be read or written")]
    Database {
        /// What that means for whoever runs it.
        fault: Fault,
        /// What the database said.
        source: Cause,
    },
}

/// What kind of failure a database reports; each has its own next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No space is left.
    Full,
    /// The disk, or the connection, failed.
    Broken,
    /// It may not be opened or written.
    Unwritable,
    /// Anything else: busy for too long, a wrong statement.
    Other,
}
