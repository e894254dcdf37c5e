//! Which paths a stash holds: Ant patterns (`--includes`, `--excludes`, Jenkins's default excludes) and, if asked
//! for, the workspace's own `.gitignore` files.
//!
//! Does: parse patterns, match one path, and say which folders need not be read. The rules are those of Ant 1.10's
//! `SelectorUtils.matchPath`, with the real `ant` as the oracle of `tests/ant_oracle.rs`.
//! Does not: read a directory (that is [`crate::workspace::walk`]), or know git's index or global gitignore.
//! May import: `model`.
//!
//! Three differences from Ant, on purpose. Symlinks are chosen by their own name, as files are, and never followed.
//! `?` stands for one character, also for one that Java counts as two. And `a/**` takes a *file* `a`, as `matchPath`
//! says; Ant's scanner starts at `a`, and so finds such a file only if another include makes it scan from above.

mod error;
mod gitignore;
mod glob;
mod pattern;
mod selection;

pub use error::SelectError;
pub(in crate::workspace) use gitignore::IgnoreLevel;
pub use selection::{SelectOptions, Selection};
