//! `pannier gc`

use super::args::{GcArgs, Global};
use super::exit::Exit;
use super::{Outcome, show, ui};
use crate::protocol::GcOptions;

pub(super) fn run(global: &Global, args: &GcArgs) -> Outcome {
    let report = global.connect()?.gc(&GcOptions { dry_run: args.dry_run })?;
    if global.json {
        ui::print_json(&report)?;
        return Ok(Exit::Done);
    }
    if global.quiet {
        return Ok(Exit::Done);
    }
    let verb = if args.dry_run { "Would delete" } else { "Deleted" };
    let mut deleted = ui::counted(report.deleted_packs, "pack");
    if report.deleted_blobs > 0 {
        deleted.push_str(&format!(", {}", ui::counted(report.deleted_blobs, "blob")));
    }
    ui::note(&format!("{verb} {deleted}, {}", ui::bytes(report.deleted_bytes)));
    if report.expired_artifacts > 0 {
        ui::note(&format!("Expired {}", ui::counted(report.expired_artifacts, "artifact")));
    }
    if let Some(until) = report.until.filter(|_| report.kept_for_sessions > 0) {
        let kept = ui::counted(report.kept_for_sessions, "pack");
        ui::note(&format!("{kept} kept for open sessions, until {} UTC at the latest", show::time(until, 0)));
    }
    Ok(Exit::Done)
}
