//! The command line: one file per command.
//!
//! Does: parse, choose the controller, run, print (data to stdout, the rest to stderr). Decides nothing about protocol.
//! May import: everything; `embedded` alone names both agent side and controller side.

mod args;
mod artifact;
mod completions;
mod connect;
mod copy;
pub mod embedded;
mod exit;
mod export;
mod gc;
mod hint;
mod identity;
mod import;
mod list;
mod rm;
mod run;
mod serve;
mod show;
mod signals;
mod stash;
mod stdin;
mod summary;
mod token;
mod ui;
mod unstash;
mod verify;

pub use run::main;

use exit::Exit;

/// What a command answers: how the process ends, or the error to print.
type Outcome = anyhow::Result<Exit>;
