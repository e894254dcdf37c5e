//! Which system calls a walk uses: Linux's own, or those of every Unix. The tests run both and compare.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Result;

use crate::model::Timestamp;
use crate::workspace::stat::Stat;

use super::names::Names;
use super::portable;

#[cfg(not(target_os = "linux"))]
use super::portable as native;

#[cfg(target_os = "linux")]
use super::linux as native;

/// A set of system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// The best that this platform has.
    Native,
    /// Those of every Unix.
    #[cfg_attr(not(test), expect(dead_code, reason = "the native calls fall back by themselves"))]
    Portable,
}

impl Calls {
    /// Opens a folder by its path beneath `root` (`.` is `root` itself), following no symlink.
    pub(super) fn open_folder(self, root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
        match self {
            Self::Native => native::open_folder(root, path),
            Self::Portable => portable::open_folder(root, path),
        }
    }

    /// Appends the names in a folder, but for `.` and `..`.
    pub(super) fn list(self, folder: BorrowedFd<'_>, names: &mut Names) -> Result<()> {
        match self {
            Self::Native => native::list(folder, names),
            Self::Portable => portable::list(folder, names),
        }
    }

    /// Looks at one name, without following it.
    pub(super) fn stat(self, folder: BorrowedFd<'_>, name: &CStr) -> Result<Stat> {
        match self {
            Self::Native => native::stat(folder, name),
            Self::Portable => portable::stat(folder, name),
        }
    }

    /// A time no later than what a file that is written now is stamped with.
    pub(super) fn now(self) -> Timestamp {
        match self {
            Self::Native => native::now(),
            Self::Portable => portable::now(),
        }
    }
}
