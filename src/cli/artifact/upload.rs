//! `pannier artifact upload PATTERN…`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;

use crate::agent::artifact::{
    self, Collected, Collection, Kind, Source, SymlinkPolicy, UploadRequest, UploadedArtifacts,
};
use crate::cli::args::Global;
use crate::model::progress::Progress;
use crate::pattern::Glob;

use super::args::{NoFiles, Symlinks, UploadArgs};
use super::exit::Exit;
use super::{Outcome, filters, signals, summary, ui};

/// Where a Buildkite agent with a store's credentials would send to.
const STORES: [&str; 5] = ["s3://", "gs://", "rt://", "http://", "https://"];
/// Folders that are named one by one; the rest is counted.
const NAMED: usize = 3;

pub(super) fn run(global: &Global, args: &UploadArgs) -> Outcome {
    let started = Instant::now();
    let collection = collection(global, args)?;
    let stop = signals::watch()?;
    let mut collected = artifact::collect(&collection, &stop)?;
    if !global.quiet {
        name_folders(&collected.folders);
    }
    if collected.found.is_empty() && collected.problems.is_empty() {
        return nothing(global, args);
    }
    if args.dry_run {
        return dry_run(global, &collected);
    }
    let request = request(global, args, std::mem::take(&mut collected.found))?;
    let remote = global.connect_artifacts()?;
    let progress = Arc::new(Progress { stop, ..Progress::default() });
    let line = ui::ProgressLine::start("Uploading", &progress, !global.quiet);
    let uploaded = artifact::upload(remote.as_ref(), &request, &progress);
    drop(line);
    let mut uploaded = uploaded?;
    uploaded.problems.splice(0..0, collected.problems);
    report(global, &uploaded, started)?;
    Ok(summary::name_problems(&uploaded.problems))
}

fn collection(global: &Global, args: &UploadArgs) -> anyhow::Result<Collection> {
    let mut sources = Vec::new();
    for text in args.patterns.iter().flat_map(|text| pieces(text, &args.delimiter)) {
        if STORES.iter().any(|store| text.starts_with(store)) && !args.literal {
            bail!(
                "`{text}` is no pattern but a place: the controller says where artifacts are stored \
                 (`pannier serve --store`), since agents hold no store's credentials"
            );
        }
        sources.push(match args.literal {
            true => Source::Path(PathBuf::from(text)),
            false => Source::Glob(Glob::new(text)?),
        });
    }
    if sources.is_empty() {
        bail!("no pattern is specified");
    }
    let excludes = args.exclude.iter().flat_map(|text| pieces(text, &args.delimiter));
    let symlinks = match (args.upload_skip_symlinks, args.symlinks) {
        (true, _) | (_, Symlinks::Skip) => SymlinkPolicy::Skip,
        (_, Symlinks::Keep) => SymlinkPolicy::Keep,
        (_, Symlinks::Follow) => SymlinkPolicy::Follow,
    };
    Ok(Collection {
        folder: args.folder.clone(),
        sources,
        excludes: excludes.map(Glob::new).collect::<Result<_, _>>()?,
        follow_folders: args.glob_resolve_follow_symlinks,
        symlinks,
        leave_out: global
            .leave_out()?
            .into_iter()
            .filter_map(|path| std::path::absolute(path).ok())
            .collect(),
    })
}

/// What one argument names: it is split on the delimiter, unless that is empty.
fn pieces<'a>(text: &'a str, delimiter: &'a str) -> Vec<&'a str> {
    match delimiter {
        "" => vec![text],
        _ => text.split(delimiter).map(str::trim).filter(|piece| !piece.is_empty()).collect(),
    }
}

fn request(global: &Global, args: &UploadArgs, found: Vec<artifact::Found>) -> anyhow::Result<UploadRequest> {
    let identity = global.identity();
    Ok(UploadRequest {
        build: identity.build_id()?,
        facts: filters::facts(&identity),
        job: filters::job(&identity)?,
        found,
        content_type: args.content_type.clone(),
        keep_days: args.keep_days,
        concurrency: args.at_once.concurrency,
        threads: global.threads(),
        journals: global.cache_folder().ok().map(|folder| folder.join("artifacts")),
    })
}

fn name_folders(folders: &[String]) {
    if folders.is_empty() {
        return;
    }
    let named: Vec<String> = folders.iter().take(NAMED).map(|folder| format!("`{folder}`")).collect();
    let more = match folders.len() - named.len() {
        0 => String::new(),
        more => format!(" and {} more", ui::count(more as u64)),
    };
    ui::note(&format!("warning: folders are no artifacts: {}{more}", named.join(", ")));
    if let [folder] = folders {
        ui::note(&format!("hint: `{folder}/**` names all that is in it"));
    }
}

fn nothing(global: &Global, args: &UploadArgs) -> Outcome {
    let patterns: Vec<String> = args.patterns.iter().map(|pattern| format!("`{pattern}`")).collect();
    let folder = std::path::absolute(&args.folder).unwrap_or_else(|_| args.folder.clone());
    let said = format!("No files match {} in {}", patterns.join(", "), folder.display());
    match args.if_no_files {
        NoFiles::Error => {
            ui::note(&format!("error: {said}"));
            ui::note("hint: --if-no-files warn lets the job go on");
            return Ok(Exit::NotFound);
        }
        NoFiles::Warn => ui::note(&format!("warning: {said}")),
        NoFiles::Ignore => {}
    }
    if global.json {
        report(global, &UploadedArtifacts::default(), Instant::now())?;
    }
    Ok(Exit::Done)
}

fn dry_run(global: &Global, collected: &Collected) -> Outcome {
    if global.json {
        let link = |kind: &Kind| match kind {
            Kind::Link(target, _) => Some(target.clone()),
            Kind::File(_) => None,
        };
        let files: Vec<_> = collected
            .found
            .iter()
            .map(|file| serde_json::json!({ "path": file.path, "len": file.len(), "link": link(&file.kind) }))
            .collect();
        ui::print_json(&serde_json::json!({ "artifacts": files, "problems": collected.problems }))?;
    } else {
        ui::print(&collected.found.iter().map(|file| file.path.clone() + "\n").collect::<String>())?;
        if !global.quiet {
            let bytes = collected.found.iter().map(artifact::Found::len).sum();
            let files = ui::counted(collected.found.len() as u64, "file");
            ui::note(&format!("Would upload {files}, {}", ui::bytes(bytes)));
        }
    }
    Ok(summary::name_problems(&collected.problems))
}

/// `Uploaded 12 files, 1.3 GB: 3 sent (12 MB), 9 known, 0.6 s`
fn report(global: &Global, uploaded: &UploadedArtifacts, started: Instant) -> anyhow::Result<()> {
    let known = uploaded.artifacts.len() as u64 - uploaded.sent_files;
    if global.json {
        return ui::print_json(&serde_json::json!({
            "artifacts": uploaded.artifacts,
            "problems": uploaded.problems,
            "bytes": uploaded.bytes,
            "sent_files": uploaded.sent_files,
            "sent_bytes": uploaded.sent_bytes,
            "known_files": known,
            "elapsed_seconds": started.elapsed().as_secs_f64(),
        }));
    }
    if !global.quiet {
        let moved = match uploaded.sent_files {
            0 => "nothing new".to_owned(),
            files => format!("{} sent ({})", ui::count(files), ui::bytes(uploaded.sent_bytes)),
        };
        ui::note(&format!(
            "Uploaded {}, {}: {moved}, {} known, {}",
            ui::counted(uploaded.artifacts.len() as u64, "file"),
            ui::bytes(uploaded.bytes),
            ui::count(known),
            ui::seconds(started)
        ));
    }
    Ok(())
}
