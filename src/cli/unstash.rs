//! `pannier unstash NAME [PATH…]`

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;

use crate::agent::{self, AgentError, UnstashRequest, Unstashed};
use crate::model::EntryPath;
use crate::model::progress::Progress;
use crate::transfer::RemoteError;
use crate::transfer::remote::RemoteErrorKind;
use crate::workspace::restore::RestoreOptions;

use super::args::{Global, UnstashArgs};
use super::exit::Exit;
use super::{Outcome, signals, ui};

pub(super) fn run(global: &Global, args: &UnstashArgs) -> Outcome {
    let started = Instant::now();
    let request = request(global, args)?;
    let stop = signals::watch()?;
    let remote = global.connect()?;
    let progress = Arc::new(Progress { stop, ..Progress::default() });
    let line = ui::ProgressLine::start("Unstashing", &progress, !global.quiet);
    let unstashed = agent::unstash(remote.as_ref(), &request, &progress);
    drop(line);
    let unstashed = unstashed.map_err(|error| with_origin(error, global, args))?;
    if global.json {
        ui::print_json(&serde_json::json!({
            "stash": unstashed.info,
            "restored": unstashed.restored,
            "fetched": unstashed.fetched,
            "elapsed_seconds": started.elapsed().as_secs_f64(),
        }))?;
    } else if !global.quiet {
        ui::note(&summary(&unstashed, started));
    }
    Ok(Exit::Done)
}

fn request(global: &Global, args: &UnstashArgs) -> anyhow::Result<UnstashRequest> {
    let build = match &args.from_build {
        Some(build) => global.build_named(build)?,
        None => global.build_id()?,
    };
    Ok(UnstashRequest {
        folder: args.folder.clone(),
        build,
        name: args.name.clone(),
        paths: args.paths.iter().map(|path| entry_path(path)).collect::<Result<_, _>>()?,
        restore: RestoreOptions {
            mirror: args.mirror,
            set_id: args.set_id,
            owner: args.owner,
            xattrs: args.xattrs,
            threads: global.threads(),
        },
        cache_file: global.cache_file(&args.folder, args.no_cache)?,
    })
}

/// Adds the build that this one was made from, if the stash is not in this one: it is named, and not read unasked.
fn with_origin(error: AgentError, global: &Global, args: &UnstashArgs) -> AgentError {
    match error {
        AgentError::Remote(error) if error.kind == RemoteErrorKind::NotFound && args.from_build.is_none() => {
            let origin = global.identity().restarted_from.map(|origin| origin.hint(args.name.as_str()));
            AgentError::Remote(RemoteError { hint: origin.or(error.hint), ..error })
        }
        other => other,
    }
}

/// A path of a stash as people type it: `./a//b/` is `a/b`.
pub(super) fn entry_path(path: &Path) -> anyhow::Result<EntryPath> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = path.as_os_str().as_bytes();
    let absolute = bytes.starts_with(b"/").then_some(&b""[..]);
    let parts = bytes.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    let joined = absolute.into_iter().chain(parts).collect::<Vec<_>>().join(&b'/');
    EntryPath::new(joined).with_context(|| format!("`{}` is no path of a stash", path.display()))
}

/// `Unstashed 12 of 79,012 files, 1.3 MB: 79,000 kept, 2 deleted, 40 kB fetched, 0.1 s`
fn summary(unstashed: &Unstashed, started: Instant) -> String {
    let restored = &unstashed.restored;
    let mut parts = Vec::new();
    if restored.kept_files > 0 {
        parts.push(format!("{} kept", ui::count(restored.kept_files)));
    }
    if restored.deleted > 0 {
        parts.push(format!("{} deleted", ui::count(restored.deleted)));
    }
    parts.push(format!("{} fetched", ui::bytes(unstashed.fetched.fetched_bytes)));
    parts.push(ui::seconds(started));
    format!(
        "Unstashed {}, {}: {}",
        ui::counted(restored.written_files, "file"),
        ui::bytes(restored.written_bytes),
        parts.join(", ")
    )
}
