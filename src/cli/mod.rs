//! The command line: one file per command.
//!
//! Does: parse, choose the controller, run, print (data to stdout, the rest to stderr). Decides nothing about protocol.
//! May import: everything; `embedded` alone names both agent side and controller side.

mod args;
mod completions;
mod connect;
mod copy;
pub mod embedded;
mod exit;
mod export;
mod gc;
mod hint;
mod import;
mod list;
mod rm;
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

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use exit::Exit;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let global = &cli.global;
    if !matches!(cli.command, Command::Serve(_)) {
        ui::start_logging();
    }
    let outcome = match &cli.command {
        Command::Stash(args) => stash::run(global, args),
        Command::Unstash(args) => unstash::run(global, args),
        Command::List(args) => list::run(global, args),
        Command::Show(args) => show::run(global, args),
        Command::Rm(args) => rm::run(global, args),
        Command::Copy(args) => copy::run(global, args),
        Command::Export(args) => export::run(global, args),
        Command::Import(args) => import::run(global, args),
        Command::Verify(args) => verify::run(global, args),
        Command::Gc(args) => gc::run(global, args),
        Command::Serve(args) => serve::run(global, args),
        Command::Token(args) => token::run(global, args),
        Command::Completions(args) => completions::run(args),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => signals::cut_short().unwrap_or_else(|| ui::fail(&error).into()),
    }
}

/// What a command answers: how the process ends, or the error to print.
type Outcome = anyhow::Result<Exit>;
