//! From arguments to a command, and from what it answers to an exit code.

use std::process::ExitCode;

use clap::Parser;

use super::args::{Cli, Command};
use super::{
    artifact, completions, copy, export, gc, import, list, rm, serve, show, signals, stash, token, ui,
    unstash, verify,
};

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let global = &cli.global;
    if !matches!(cli.command, Command::Serve(_)) {
        ui::start_logging();
        tracing::debug!("{}", global.identity());
    }
    let outcome = match &cli.command {
        Command::Stash(args) => stash::run(global, args),
        Command::Unstash(args) => unstash::run(global, args),
        Command::Artifact(args) => artifact::run(global, args),
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
