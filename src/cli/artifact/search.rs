//! `pannier artifact search QUERY`

use crate::agent::artifact::Search;
use crate::cli::args::Global;
use crate::protocol::artifact::ArtifactQuery;

use super::args::SearchArgs;
use super::exit::Exit;
use super::format::Format;
use super::{Outcome, filters, ui};

pub(super) fn run(global: &Global, args: &SearchArgs) -> Outcome {
    let format = Format::parse(&args.format)?;
    let search = filters::search(global, &args.query)?;
    let signed = format.wants_url() && !global.json;
    let query = ArtifactQuery { include_duplicates: true, signed, ..search.query.clone() };
    let search = Search { query, ..search };
    let matches = search.run(global.connect_artifacts()?.as_ref())?;
    if matches.artifacts.is_empty() && !args.allow_empty_results {
        return Err(search.no_match(matches.build.as_ref()).into());
    }
    if global.json {
        ui::print_json(&serde_json::json!({ "build": matches.build, "artifacts": matches.artifacts }))?;
    } else {
        ui::print(&matches.artifacts.iter().map(|info| format.of(info)).collect::<String>())?;
    }
    Ok(Exit::Done)
}
