//! `pannier stash NAME`

use std::sync::Arc;
use std::time::Instant;

use crate::agent::{self, StashRequest, UploadOptions};
use crate::model::progress::Progress;
use crate::workspace::select::{SelectOptions, Selection};

use super::args::{Global, StashArgs};
use super::{Outcome, signals, summary, ui};

pub(super) fn run(global: &Global, args: &StashArgs) -> Outcome {
    let started = Instant::now();
    let request = request(global, args)?;
    if args.dry_run {
        return dry_run(global, &request);
    }
    let stop = signals::watch()?;
    let remote = global.connect()?;
    let progress = Arc::new(Progress { stop, ..Progress::default() });
    let line = ui::ProgressLine::start("Stashing", &progress, !global.quiet);
    let stashed = agent::stash(remote.as_ref(), &request, &progress);
    drop(line);
    let stashed = stashed?;
    let (committed, stats) = (&stashed.committed, stashed.stats);
    summary::of_upload(global, "Stashed", committed, stats, stashed.unopened, &stashed.problems, started)
}

fn request(global: &Global, args: &StashArgs) -> anyhow::Result<StashRequest> {
    let selection = Selection::new(&SelectOptions {
        includes: args.includes.clone(),
        excludes: args.excludes.clone(),
        default_excludes: args.default_excludes,
        gitignore: args.gitignore,
    })?;
    if !global.quiet {
        selection.warnings().for_each(|warning| ui::note(&format!("hint: {warning}")));
    }
    Ok(StashRequest {
        folder: args.folder.clone(),
        build: global.build_id()?,
        name: args.name.clone(),
        selection,
        allow_empty: args.allow_empty,
        owner: args.owner,
        xattrs: args.xattrs,
        leave_out: global.leave_out()?,
        cache_file: global.cache_file(&args.folder, args.no_cache)?,
        upload: UploadOptions { level: args.compression.level, threads: global.threads() },
    })
}

/// What `--dry-run` tells scripts of each entry.
#[derive(serde::Serialize)]
struct Planned {
    path: String,
    bytes: u64,
}

fn dry_run(global: &Global, request: &StashRequest) -> Outcome {
    let (found, problems) = agent::dry_run(request, &Progress::default())?;
    let planned =
        found.iter().map(|found| Planned { path: found.path.to_string(), bytes: found.stat.content_bytes() });
    if global.json {
        let entries: Vec<Planned> = planned.collect();
        ui::print_json(&serde_json::json!({ "entries": entries, "problems": problems }))?;
    } else {
        let lines: String = planned.map(|planned| planned.path + "\n").collect();
        ui::print(&lines)?;
        if !global.quiet {
            let bytes = found.iter().map(|found| found.stat.content_bytes()).sum();
            let entries = ui::count(found.len() as u64);
            ui::note(&format!("Would stash {entries} entries, {}", ui::bytes(bytes)));
        }
    }
    Ok(summary::name_problems(&problems))
}
