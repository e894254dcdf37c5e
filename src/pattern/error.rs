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

/// An upload glob that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// Longer than any path, so that it could only cost time.
    #[error("the glob `{0}…` is longer than {MAX_PATTERN_BYTES} bytes")]
    TooLong(Printable),
    /// No path holds a NUL byte.
    #[error("the glob `{0}` holds a NUL byte")]
    Nul(Printable),
    /// It names the folder above.
    #[error("the glob `{0}` leads out of its folder by `..`")]
    Parent(Printable),
    /// A bracket or brace is not closed, and the like.
    #[error("the glob `{glob}` cannot be read: {why}")]
    Malformed {
        /// The glob.
        glob: Printable,
        /// What is wrong with it.
        why: &'static str,
    },
}
