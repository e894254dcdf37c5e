//! How the process ends, as scripts see it.

use std::process::ExitCode;

/// Exit codes; each command's help lists those that it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything was done.
    Done = 0,
    /// The command failed and changed nothing that was there before.
    Failed = 1,
    /// Done, but some entries are not as they stand in the workspace, or damage was found; each is named.
    Incomplete = 3,
    /// The stash, artifact, path or build that was named does not exist.
    NotFound = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Ends every command's help; clap itself answers 2.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  failed; nothing that was there before has changed
  2  wrong usage
  3  done, but not everything: what could not be read, or is damaged, is named
  4  no such stash, artifact, path or build
130, 143  stopped by SIGINT, SIGTERM: nothing new is visible, nothing is half-written";
