//! `pannier token`

use crate::protocol::TokenRequest;

use super::args::{Global, TokenArgs};
use super::exit::Exit;
use super::{Outcome, show, ui};

pub(super) fn run(global: &Global, args: &TokenArgs) -> Outcome {
    let request = TokenRequest {
        project: args.for_project.clone(),
        build: args.for_build.clone(),
        job: args.for_job.clone(),
        step: args.for_step.clone(),
        scope: args.scope.clone(),
        read: args.read.clone(),
        operator: args.operator,
        lives_seconds: u64::from(args.hours) * 60 * 60,
    };
    let issued = global.connect()?.issue_token(&request)?;
    if global.json {
        ui::print_json(&issued)?;
        return Ok(Exit::Done);
    }
    ui::print(&format!("{}\n", issued.token))?;
    if !global.quiet {
        ui::note(&format!(
            "expires {} UTC; give it to agents as PANNIER_TOKEN",
            show::time(issued.expires_at, 0)
        ));
    }
    Ok(Exit::Done)
}
