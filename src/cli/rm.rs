//! `pannier rm NAME…`

use crate::transfer::RemoteError;
use crate::transfer::remote::RemoteErrorKind;

use super::args::{Global, RmArgs};
use super::exit::Exit;
use super::{Outcome, ui};

pub(super) fn run(global: &Global, args: &RmArgs) -> Outcome {
    let build = global.build_id()?;
    let remote = global.connect()?;
    for name in &args.names {
        if !remote.remove(&build, name)? {
            let message = format!("No such saved stash ‘{name}’ in {build}");
            return Err(RemoteError::new(RemoteErrorKind::NotFound, message).into());
        }
        if !global.quiet && !global.json {
            ui::note(&format!("Removed `{name}`; `pannier gc` frees what nothing else uses"));
        }
    }
    if global.json {
        ui::print_json(&serde_json::json!({ "removed": args.names }))?;
    }
    Ok(Exit::Done)
}
