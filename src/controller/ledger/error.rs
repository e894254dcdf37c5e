//! What fails in a ledger, whatever its back end.

use std::path::PathBuf;

use crate::model::PackName;
use crate::protocol::SessionId;

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
        source: rusqlite::Error,
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
    Sqlite(#[from] rusqlite::Error),
}
