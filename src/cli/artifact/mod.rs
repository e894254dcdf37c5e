//! `pannier artifact`: one file per verb.
//!
//! Does: turn flags and CI's variables into what the agent takes (`args`, `filters`), run it, print (`format`).
//! May import: what `cli` may, but not `controller`.

mod args;
mod download;
mod filters;
mod format;
mod search;
mod shasum;
mod upload;

pub(super) use args::ArtifactArgs;

use super::args::Global;
use super::{Outcome, exit, signals, summary, ui};
use args::ArtifactCommand;

pub(super) fn run(global: &Global, args: &ArtifactArgs) -> Outcome {
    match &args.command {
        ArtifactCommand::Upload(args) => upload::run(global, args),
        ArtifactCommand::Download(args) => download::run(global, args),
        ArtifactCommand::Search(args) => search::run(global, args),
        ArtifactCommand::Shasum(args) => shasum::run(global, args),
    }
}
