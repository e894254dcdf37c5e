//! `pannier list`

use super::args::{Global, ListArgs};
use super::exit::Exit;
use super::{Outcome, show, ui};

pub(super) fn run(global: &Global, _: &ListArgs) -> Outcome {
    let build = global.build_id()?;
    let stashes = global.connect()?.list(&build)?;
    if global.json {
        ui::print_json(&stashes)?;
        return Ok(Exit::Done);
    }
    let width = stashes.iter().map(|stash| stash.name.as_str().chars().count()).max().unwrap_or(0);
    let mut lines = String::new();
    for stash in &stashes {
        let files = ui::count(stash.totals.files + stash.totals.hard_links);
        let bytes = ui::bytes(stash.totals.bytes);
        let (id, when) = (stash.id.short(), show::time(stash.committed_at, 0));
        lines += &format!("{:width$}  {id}  {files:>10} files  {bytes:>10}  {when}\n", stash.name.as_str());
    }
    ui::print(&lines)?;
    if stashes.is_empty() && !global.quiet {
        ui::note(&format!("{build} has no stashes"));
    }
    Ok(Exit::Done)
}
