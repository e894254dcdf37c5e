//! The line that ends a stash or an import, and the entries that it could not take.

use std::time::Instant;

use crate::agent::{Problem, UploadStats};
use crate::model::manifest::Totals;
use crate::protocol::Committed;

use super::args::Global;
use super::exit::Exit;
use super::ui;

/// Problems that are named one by one; the rest is counted.
const NAMED: usize = 20;

/// What a stash or import tells scripts.
#[derive(serde::Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    committed: &'a Committed,
    #[serde(flatten)]
    stats: UploadStats,
    known_bytes: u64,
    unopened_files: u64,
    unopened_bytes: u64,
    problems: &'a [Problem],
    elapsed_seconds: f64,
}

/// Prints what was stashed and what of it had to move.
pub(super) fn of_upload(
    global: &Global,
    verb: &str,
    committed: &Committed,
    stats: UploadStats,
    unopened: (u64, u64),
    problems: &[Problem],
    started: Instant,
) -> anyhow::Result<Exit> {
    let totals = committed.stash.totals;
    let new_bytes = stats.new_bytes - stats.new_manifest_bytes;
    if global.json {
        ui::print_json(&Report {
            committed,
            stats,
            known_bytes: totals.bytes.saturating_sub(new_bytes),
            unopened_files: unopened.0,
            unopened_bytes: unopened.1,
            problems,
            elapsed_seconds: started.elapsed().as_secs_f64(),
        })?;
    } else if !global.quiet {
        ui::note(&line(verb, totals, stats, new_bytes, started));
    }
    Ok(name_problems(problems))
}

/// `Stashed 79,012 files, 1.3 GB: 12 MB new in 1 pack, 99.1 % known, 0.6 s`
fn line(verb: &str, totals: Totals, stats: UploadStats, new_bytes: u64, started: Instant) -> String {
    let moved = match stats.packs {
        0 => "nothing new".to_owned(),
        packs => format!("{} new in {}", ui::bytes(stats.uploaded_bytes), ui::counted(packs, "pack")),
    };
    format!(
        "{verb} {}, {}: {moved}, {} known, {}",
        ui::counted(totals.files + totals.hard_links, "file"),
        ui::bytes(totals.bytes),
        percent_known(totals.bytes, new_bytes),
        ui::seconds(started)
    )
}

/// Rounded down, so that 100 % means all.
fn percent_known(bytes: u64, new_bytes: u64) -> String {
    let known = bytes.saturating_sub(new_bytes);
    let per_mille = if bytes == 0 { 1000 } else { (u128::from(known) * 1000 / u128::from(bytes)) as u64 };
    match per_mille {
        1000 => "100 %".to_owned(),
        _ => format!("{}.{} %", per_mille / 10, per_mille % 10),
    }
}

/// Names the entries that are not as they stand in the workspace; the exit code follows.
pub(super) fn name_problems(problems: &[Problem]) -> Exit {
    let is_error = problems.iter().any(|problem| problem.is_error);
    for problem in problems.iter().take(NAMED) {
        let level = if problem.is_error { "warning" } else { "note" };
        ui::note(&format!("{level}: `{}`: {}", problem.path, problem.what));
    }
    if problems.len() > NAMED {
        ui::note(&format!("… and {} more", ui::count((problems.len() - NAMED) as u64)));
    }
    if is_error { Exit::Incomplete } else { Exit::Done }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_is_rounded_down_so_that_all_means_all() {
        assert_eq!(percent_known(0, 0), "100 %");
        assert_eq!(percent_known(1_000_000, 1), "99.9 %");
        assert_eq!(percent_known(1000, 9), "99.1 %");
        assert_eq!(percent_known(1000, 1000), "0.0 %");
    }
}
