//! `pannier verify`

use std::sync::Arc;

use crate::model::progress::Progress;
use crate::protocol::{VerifyOptions, VerifyReport};
use crate::transfer::Remote;

use super::args::{Global, VerifyArgs};
use super::embedded::Embedded;
use super::exit::Exit;
use super::{Outcome, ui};

pub(super) fn run(global: &Global, args: &VerifyArgs) -> Outcome {
    let controller: Box<dyn Remote> = match args.rebuild_index {
        true => Box::new(Embedded::open_to_rebuild(&global.store_folder()?)?),
        false => global.connect()?,
    };
    let progress = Arc::new(Progress::default());
    let line = ui::ProgressLine::start("Verifying", &progress, !global.quiet);
    let report = controller.verify(&VerifyOptions { rebuild_index: args.rebuild_index }, &progress);
    drop(line);
    let report = report?;
    if global.json {
        ui::print_json(&report)?;
    } else {
        describe(&report, global.quiet);
    }
    let sound = report.damaged_packs.is_empty()
        && report.damaged_stashes.is_empty()
        && report.lost_stashes.is_empty();
    Ok(if sound { Exit::Done } else { Exit::Incomplete })
}

fn describe(report: &VerifyReport, quiet: bool) {
    for pack in &report.damaged_packs {
        ui::note(&format!("damaged: pack {}: {}", pack.name, pack.why));
    }
    for stash in &report.damaged_stashes {
        ui::note(&format!("damaged: stash `{}` of {}: {}", stash.name, stash.build, stash.why));
    }
    for stash in &report.lost_stashes {
        ui::note(&format!("lost: `{}`: {}", stash.name, stash.why));
    }
    if !report.damaged_stashes.is_empty() {
        ui::note(
            "hint: stash the same workspace again: what is damaged is sent anew and the older stashes heal",
        );
        ui::note(
            "hint: until then `pannier unstash NAME PATH…` gives back what is whole; \
             what is left is kept until `pannier rm NAME`",
        );
    }
    if quiet {
        return;
    }
    if report.rebuilt_packs > 0 {
        ui::note(&format!("Indexed {} anew", ui::counted(report.rebuilt_packs, "pack")));
    }
    for name in &report.recovered_stashes {
        ui::note(&format!("Recovered `{name}`"));
    }
    if !report.recovered_stashes.is_empty() {
        ui::note("hint: `pannier unstash NAME --project local --from-build recovered` gives one back");
    }
    let damaged = match report.damaged_packs.len() + report.damaged_stashes.len() {
        0 => "everything is whole".to_owned(),
        _ => {
            let (packs, stashes) = (report.damaged_packs.len() as u64, report.damaged_stashes.len() as u64);
            format!("{} and {} are damaged", ui::counted(packs, "pack"), stashes_counted(stashes))
        }
    };
    let (packs, bytes) = (ui::counted(report.packs, "pack"), ui::bytes(report.bytes));
    let stashes = stashes_counted(report.stashes);
    ui::note(&format!("Verified {packs}, {bytes}, and {stashes}: {damaged}"));
}

fn stashes_counted(number: u64) -> String {
    match number {
        1 => "1 stash".to_owned(),
        _ => format!("{} stashes", ui::count(number)),
    }
}
