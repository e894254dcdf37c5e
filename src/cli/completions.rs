//! `pannier completions SHELL`

use clap::CommandFactory;

use super::args::{Cli, CompletionsArgs};
use super::exit::Exit;
use super::{Outcome, ui};

pub(super) fn run(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pannier", &mut script);
    ui::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
