//! `pannier copy --from-build A --to-build B`

use super::args::{CopyArgs, Global};
use super::exit::Exit;
use super::{Outcome, ui};

pub(super) fn run(global: &Global, args: &CopyArgs) -> Outcome {
    let (from, to) = (global.build_named(&args.from_build)?, global.build_named(&args.to_build)?);
    let copied = global.connect()?.copy(&from, &to)?;
    if global.json {
        ui::print_json(&serde_json::json!({ "copied": copied }))?;
    } else if !global.quiet {
        ui::note(&format!("Copied {} to {to}, by reference", ui::counted(copied, "stash reference")));
    }
    Ok(Exit::Done)
}
