//! What a stash does not hold although it was selected, and whether that is an error.

use std::{fmt, io};

use crate::model::entry_path::Printable;
use crate::model::limits::{MAX_PATH_BYTES, MAX_XATTR_BYTES};

/// Prefix of the folder that an unstash works in until it is done; 32 hexadecimal digits follow.
pub(super) const RESTORE_PREFIX: &[u8] = b".pannier-restore-";

/// A path, and why it (or a part of it) is not in the stash.
#[derive(Debug)]
pub struct Skipped {
    /// Relative to the workspace; `.` is the workspace itself.
    pub path: Printable,
    /// Why.
    pub reason: SkipReason,
}

/// Why something is left out.
#[derive(Debug)]
pub enum SkipReason {
    /// A socket: it means nothing without the process that made it.
    Socket,
    /// A block or character device.
    Device,
    /// The store or the cache, which lies inside the workspace.
    LeftOut,
    /// What an unstash that was killed left behind.
    AbandonedRestore,
    /// A folder that cannot be listed (it is kept, empty), or an entry that cannot be looked at.
    Unreadable(io::Error),
    /// The path, and every path beneath it, is longer than a stash can hold.
    PathTooLong,
    /// The entry is kept, its extended attributes are not: they are too large together.
    XattrsTooLarge,
}

impl SkipReason {
    /// Whether the stash lacks something that its user has reason to expect in it.
    pub const fn is_error(&self) -> bool {
        match self {
            Self::Unreadable(_) | Self::PathTooLong | Self::XattrsTooLarge => true,
            Self::Socket | Self::Device | Self::LeftOut | Self::AbandonedRestore => false,
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket => f.write_str("a socket"),
            Self::Device => f.write_str("a device"),
            Self::LeftOut => f.write_str("pannier's own store or cache"),
            Self::AbandonedRestore => f.write_str("left over from an unstash that was killed"),
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::PathTooLong => write!(f, "its path is longer than {MAX_PATH_BYTES} bytes"),
            Self::XattrsTooLarge => {
                write!(f, "its extended attributes are larger than {MAX_XATTR_BYTES} bytes")
            }
        }
    }
}

/// Whether `name` is that of an unstash's working folder.
pub(super) fn is_abandoned_restore(name: &[u8]) -> bool {
    name.strip_prefix(RESTORE_PREFIX)
        .is_some_and(|tail| tail.len() == 32 && tail.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_name_is_an_abandoned_restore() {
        let name = |tail: &str| format!(".pannier-restore-{tail}").into_bytes();
        assert!(is_abandoned_restore(&name(&"0a".repeat(16))));
        for tail in ["", "0a", &"0a".repeat(17), &"0g".repeat(16)] {
            assert!(!is_abandoned_restore(&name(tail)), "{tail}");
        }
    }
}
