//! `pannier artifact download QUERY DEST`

use std::sync::Arc;
use std::time::Instant;

use crate::agent::artifact::{self, DownloadRequest, DownloadedArtifacts, Search};
use crate::cli::args::Global;
use crate::model::progress::Progress;
use crate::protocol::artifact::ArtifactQuery;

use super::args::{DownloadArgs, RestoredSymlinks};
use super::{Outcome, filters, signals, summary, ui};

pub(super) fn run(global: &Global, args: &DownloadArgs) -> Outcome {
    let started = Instant::now();
    let search = filters::search(global, &args.query)?;
    let request = DownloadRequest {
        search: Search { query: ArtifactQuery { signed: true, ..search.query }, ..search },
        folder: args.folder.clone(),
        links: args.symlinks == RestoredSymlinks::Keep,
        concurrency: args.at_once.concurrency,
    };
    let stop = signals::watch()?;
    let remote = global.connect_artifacts()?;
    let progress = Arc::new(Progress { stop, ..Progress::default() });
    let line = ui::ProgressLine::start("Downloading", &progress, !global.quiet);
    let downloaded = artifact::download(remote.as_ref(), &request, &progress);
    drop(line);
    let downloaded = downloaded?;
    if global.json {
        ui::print_json(&serde_json::json!({
            "build": downloaded.build,
            "artifacts": downloaded.artifacts,
            "problems": downloaded.problems,
            "fetched_bytes": downloaded.fetched_bytes,
            "kept": downloaded.kept,
            "elapsed_seconds": started.elapsed().as_secs_f64(),
        }))?;
    } else if !global.quiet {
        ui::note(&said(&downloaded, started));
    }
    Ok(summary::name_problems(&downloaded.problems))
}

/// `Downloaded 12 artifacts of build 41 of org/repo: 1.3 MB fetched, 2 kept, 0.1 s`
fn said(downloaded: &DownloadedArtifacts, started: Instant) -> String {
    let fetched = downloaded.artifacts.len() as u64 - downloaded.kept;
    let build = downloaded.build.as_ref().map(|build| format!(" of {build}")).unwrap_or_default();
    let kept = match downloaded.kept {
        0 => String::new(),
        kept => format!(", {} kept", ui::count(kept)),
    };
    let (artifacts, bytes) = (ui::counted(fetched, "artifact"), ui::bytes(downloaded.fetched_bytes));
    format!("Downloaded {artifacts}{build}: {bytes} fetched{kept}, {}", ui::seconds(started))
}
