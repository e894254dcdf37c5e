//! SQLite's errors as the ledger's. The one place that knows their codes.

use std::path::Path;

use rusqlite::{Error, ErrorCode, ffi};

use crate::controller::ledger::{Fault, LedgerError};

impl From<Error> for LedgerError {
    fn from(error: Error) -> Self {
        let fault = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Fault::Full,
            Some(ErrorCode::SystemIoFailure) => Fault::Broken,
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Fault::Unwritable
            }
            _ => Fault::Other,
        };
        Self::Database { fault, source: error.into() }
    }
}

/// Tells damage apart, and names the file that has it.
pub(super) fn named(error: LedgerError, path: &Path) -> LedgerError {
    match error {
        LedgerError::Database { source, .. } if source.downcast_ref::<Error>().is_some_and(is_corrupt) => {
            LedgerError::Corrupt { path: path.to_owned(), source }
        }
        other => other,
    }
}

/// What a check of the whole database found, as the error that SQLite itself would report.
pub(super) fn corrupt(said: String) -> LedgerError {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(said)).into()
}

fn is_corrupt(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(error, Error::SqliteFailure(_, Some(message)) if message.starts_with("no such table"))
}
