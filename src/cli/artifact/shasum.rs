//! `pannier artifact shasum QUERY`

use crate::cli::args::Global;

use super::args::ShasumArgs;
use super::exit::Exit;
use super::{Outcome, filters, ui};

pub(super) fn run(global: &Global, args: &ShasumArgs) -> Outcome {
    let search = filters::search(global, &args.query)?;
    let artifact = search.one(global.connect_artifacts()?.as_ref())?;
    match (global.json, args.sha256) {
        (true, _) => ui::print_json(&artifact)?,
        (false, true) => ui::print(&format!("{}\n", artifact.sha256))?,
        (false, false) => ui::print(&format!("{}\n", artifact.sha1))?,
    }
    Ok(Exit::Done)
}
