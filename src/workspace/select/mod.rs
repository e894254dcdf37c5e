//! Which paths of a workspace a stash holds: patterns, and if asked for, the workspace's own `.gitignore` files.
//!
//! Does: match the `.gitignore` files that hold for a folder. What patterns mean is [`crate::pattern`]'s.
//! Does not: read a directory (that is [`crate::workspace::walk`]), or know git's index or global gitignore.
//! May import: `model`, `pattern`.

mod gitignore;

pub use crate::pattern::{SelectError, SelectOptions, Selection};
pub(in crate::workspace) use gitignore::IgnoreLevel;
