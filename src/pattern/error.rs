//! Why patterns cannot be used. A path that matches nothing is no error here.

use crate::model::entry_path::Printable;

use super::ant::MAX_PATTERN_BYTES;

/// A pattern that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Longer than any path, so that it could only cost time.
    #[error("the pattern `{0}…` is longer than {MAX_PATTERN_BYTES} bytes")]
    TooLong(Printable),
    /// No path holds a NUL byte.
    #[error("the pattern `{0}` holds a NUL byte")]
    Nul(Printable),
}
