//! `pannier copy --from-build A --to-build B`

use super::args::{CopyArgs, Global};
use super::exit::Exit;
use super::{Outcome, ui};

pub(super) fn run(global: &Global, args: &CopyArgs) -> Outcome {
    let (from, to) = (global.build_named(&args.from_build)?, global.build_named(&args.to_build)?);
    let copied = global.connect()?.copy(&from, &to)?;
    if global.json {
        ui::print_json(&copied)?;
    } else if !global.quiet {
        let (stashes, artifacts) =
            (ui::counted(copied.stashes, "stash reference"), ui::counted(copied.artifacts, "artifact"));
        ui::note(&format!("Copied {stashes} and {artifacts} to {to}, by reference"));
    }
    Ok(Exit::Done)
}
