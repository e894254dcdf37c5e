//! Patterns for paths, without any file system: the same on an agent's workspace and in a controller's listing.
//!
//! Does: parse and match Ant patterns (`ant`, `component`), choose by includes, excludes and Jenkins's default excludes
//! (`selection`), match the `*` of an artifact query (`wildcard`) and upload globs (`glob`, `glob_parser`). Whoever wrote a pattern, matching ends soon.
//! Does not: read a directory; know a `.gitignore`.
//! May import: `model`.
//!
//! The rules of Ant patterns are those of Ant 1.10's `SelectorUtils.matchPath`, with the real `ant` as the oracle of
//! `tests/ant_oracle.rs`. Three differences, on purpose: symlinks are chosen by their own name, as files are, and never
//! followed. `?` stands for one character, also for one that Java counts as two. And `a/**` takes a *file* `a`, as
//! `matchPath` says; Ant's scanner starts at `a`, and so finds such a file only if another include makes it scan from above.

mod ant;
mod component;
mod error;
mod glob;
mod glob_parser;
mod selection;
mod wildcard;

pub use error::{GlobError, SelectError};
pub use glob::{Glob, Places};
pub use selection::{SelectOptions, Selection};
pub use wildcard::Wildcard;
