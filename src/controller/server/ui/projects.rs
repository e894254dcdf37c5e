//! The lists above stashes: projects, the builds of one, and what one build has. Nothing in a stash is read for them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::{BuildRow, Part};
use crate::controller::server::state::Server;
use crate::protocol::listing::Listing;
use crate::protocol::{BuildId, StashInfo};

use super::address::{Parameters, link};
use super::artifacts;
use super::failure::PageFailure;
use super::layout::{self, Page};
use super::session::Visitor;
use super::words;

/// Rows of one page.
const ROWS: u64 = 200;

/// `GET /?part`: what this visitor may see.
pub(super) async fn projects(
    State(server): State<Arc<Server>>,
    Visitor(caller): Visitor,
    query: Parameters,
) -> Result<Response, PageFailure> {
    let number = query.part();
    let list = move |controller: &crate::controller::Controller| {
        Ok(controller.ledger.projects(&caller.access, caller.project.as_deref(), part(number))?)
    };
    let (rows, more) = cut(server.run(list).await?);
    let body = html! {
        @if rows.is_empty() { (no_builds()) } @else {
            table.rows role="table" aria-label="Projects" {
                thead role="rowgroup" { tr role="row" {
                    th scope="col" role="columnheader" { "Project" }
                    th.number scope="col" role="columnheader" { "Builds" }
                    th.number scope="col" role="columnheader" { "Stashes" }
                    th.number scope="col" role="columnheader" { "Artifacts" }
                    th scope="col" role="columnheader" { "Last" }
                } }
                tbody role="rowgroup" {
                    @for row in &rows {
                        tr role="row" {
                            th scope="row" role="rowheader" {
                                a href=(link("/ui/project", &[("project", row.project.as_bytes())])) { (row.project) }
                            }
                            td.number role="cell" data-unit=(unit(row.builds, "build")) { (words::count(row.builds)) }
                            td.number role="cell" data-unit=(unit(row.stashes, "stash")) { (words::count(row.stashes)) }
                            td.number role="cell" data-unit=(unit(row.artifacts, "artifact")) { (words::count(row.artifacts)) }
                            td role="cell" { (when(row.last_at)) }
                        }
                    }
                }
            }
        }
        (parts("/", &[], number, more))
    };
    Ok(Page { signed_in: true, ..Page::new("Projects") }.show(&body))
}

/// `GET /ui/project?project&part`: its builds, the latest first.
pub(super) async fn builds(
    State(server): State<Arc<Server>>,
    Visitor(caller): Visitor,
    query: Parameters,
) -> Result<Response, PageFailure> {
    let (project, number) = (query.project()?, query.part());
    let wanted = project.clone();
    let list = move |controller: &crate::controller::Controller| {
        caller.require_read(&BuildId { project: wanted.clone(), build: String::new() })?;
        Ok(controller.ledger.builds(&caller.access, &wanted, part(number))?)
    };
    let (rows, more) = cut(server.run(list).await?);
    if rows.is_empty() {
        return Err(PageFailure::NotFound);
    }
    let body = html! {
        table.rows role="table" aria-label="Builds" {
            thead role="rowgroup" { tr role="row" {
                th scope="col" role="columnheader" { "Build" }
                th.number scope="col" role="columnheader" { "Stashes" }
                th.number scope="col" role="columnheader" { "Files" }
                th.number scope="col" role="columnheader" { "Kept in" }
                th.number scope="col" role="columnheader" { "Artifacts" }
                th scope="col" role="columnheader" { "Last" }
            } }
            tbody role="rowgroup" {
                @for row in &rows {
                    tr role="row" {
                        th scope="row" role="rowheader" { a href=(build_link(&row.build)) { (row.build.build) } }
                        td.number role="cell" data-unit=(unit(row.stashes, "stash")) { (words::count(row.stashes)) }
                        td.number role="cell" data-unit="of files" { (words::bytes(row.bytes)) }
                        td.number role="cell" data-unit="kept" { (words::bytes(row.pack_bytes)) }
                        td.number role="cell" data-unit=(unit(row.artifacts, "artifact")) { (words::count(row.artifacts)) }
                        td role="cell" { (when(row.last_at)) }
                    }
                }
            }
        }
        (parts("/ui/project", &[("project", project.as_bytes())], number, more))
    };
    let way = vec![("Projects".to_owned(), "/".to_owned())];
    Ok(Page { way, signed_in: true, ..Page::new(&project) }.show(&body))
}

/// `GET /ui/build?project&build`: its stashes, and the top of its artifacts.
pub(super) async fn build(
    State(server): State<Arc<Server>>,
    Visitor(caller): Visitor,
    query: Parameters,
) -> Result<Response, PageFailure> {
    let build = query.build()?;
    let wanted = build.clone();
    let find = move |controller: &crate::controller::Controller| found(controller, &caller, &wanted);
    let Found { row, stashes, artifacts } = server.run(find).await?;
    let body = html! {
        p.lead { (kept(&row)) }
        h2 { "Stashes" }
        @if stashes.is_empty() && row.artifacts > 0 {
            p.soft { "This build has artifacts alone." }
        } @else if stashes.is_empty() {
            p { "This build has no stash: it was removed, or its first is under way. A step of the build makes one with" }
            pre { code { "pannier stash NAME" } }
        } @else { (stash_table(&stashes)) }
        (artifacts::section(&build, &artifacts))
    };
    let way =
        vec![("Projects".to_owned(), "/".to_owned()), (build.project.clone(), project_link(&build.project))];
    let title = format!("Build {}", build.build);
    Ok(Page { way, signed_in: true, ..Page::new(&title) }.show(&body))
}

fn found(
    controller: &crate::controller::Controller,
    caller: &Caller,
    build: &BuildId,
) -> Result<Found, ControllerError> {
    caller.require_read(build)?;
    let row = controller.ledger.build(&caller.access, build)?;
    let row = row.ok_or_else(|| ControllerError::NoBuild(build.clone()))?;
    let artifacts = controller.list_files(caller, &artifacts::list(build, "", None))?;
    Ok(Found { row, stashes: controller.list(caller, build)?, artifacts })
}

/// What a build has.
struct Found {
    row: BuildRow,
    stashes: Vec<StashInfo>,
    artifacts: Listing,
}

fn stash_table(stashes: &[StashInfo]) -> Markup {
    html! {
        table.rows role="table" aria-label="Stashes" {
            thead role="rowgroup" { tr role="row" {
                th scope="col" role="columnheader" { "Stash" }
                th.number scope="col" role="columnheader" { "Entries" }
                th.number scope="col" role="columnheader" { "Size" }
                th scope="col" role="columnheader" { "Made" }
                th scope="col" role="columnheader" { span.hidden { "Download" } }
            } }
            tbody role="rowgroup" {
                @for stash in stashes {
                    tr role="row" {
                        th scope="row" role="rowheader" { a href=(stash_link(stash)) { (stash.name) } }
                        td.number role="cell" data-unit=(unit(stash.totals.entries, "entry")) {
                            (words::count(stash.totals.entries))
                        }
                        td.number role="cell" { (words::bytes(stash.totals.bytes)) }
                        td role="cell" { (layout::time(stash.committed_at)) }
                        td.action role="cell" {
                            a href=(tar_link(stash)) aria-label={ "Download " (stash.name) " as a tar" } { "Download" }
                        }
                    }
                }
            }
        }
    }
}

/// `2 stashes with 2.60 GB of files, kept in 310 MB of packs: 88 % saved. 3 artifacts, 1.20 MB.`
fn kept(row: &BuildRow) -> String {
    let stashes = words::counted(row.stashes, "stash");
    let (bytes, packs) = (words::bytes(row.bytes), words::bytes(row.pack_bytes));
    let mut told = match (row.stashes, words::saved(row.bytes, row.pack_bytes)) {
        (0, _) if row.artifacts == 0 => return "Nothing is kept for this build.".to_owned(),
        (0, _) => String::new(),
        (_, Some(saved)) => {
            format!("{stashes} with {bytes} of files, kept in {packs} of packs: {saved} saved. ")
        }
        (_, None) => format!("{stashes} with {bytes} of files, kept in {packs} of packs. "),
    };
    if row.artifacts > 0 {
        told.push_str(&format!(
            "{}, {}.",
            words::counted(row.artifacts, "artifact"),
            words::bytes(row.artifact_bytes)
        ));
    }
    told.trim_end().to_owned()
}

fn no_builds() -> Markup {
    html! {
        p.lead { "No builds yet." }
        p { "A project appears with its first stash or artifact. On a CI worker, or right here, with this controller’s address and a token:" }
        pre { code {
            "export PANNIER_URL=…    # the address of this page, without a path\n"
            "export PANNIER_TOKEN=…  # from `pannier token`\n"
            "pannier stash deps -C node_modules"
        } }
        p.soft { "Builds of other projects need a token for them." }
    }
}

pub(super) fn project_link(project: &str) -> String {
    link("/ui/project", &[("project", project.as_bytes())])
}

pub(super) fn build_link(build: &BuildId) -> String {
    link("/ui/build", &[("project", build.project.as_bytes()), ("build", build.build.as_bytes())])
}

fn stash_link(stash: &StashInfo) -> String {
    super::stash::stash_link("/ui/stash", &stash.build, &stash.name, &[])
}

fn tar_link(stash: &StashInfo) -> String {
    super::stash::stash_link("/ui/tar", &stash.build, &stash.name, &[])
}

/// The word after a number where a narrow page has no column heads: `stashes`.
fn unit(number: u64, noun: &str) -> String {
    let counted = words::counted(number, noun);
    counted.split_once(' ').map_or(String::new(), |(_, word)| word.to_owned())
}

fn when(at: Option<i64>) -> Markup {
    html! { @match at { Some(at) => (layout::time(at)), None => span.soft { "none left" } } }
}

/// One row more than a page has, to see whether another page follows.
fn part(number: u32) -> Part {
    Part { skip: u64::from(number) * ROWS, most: ROWS + 1 }
}

fn cut<T>(mut rows: Vec<T>) -> (Vec<T>, bool) {
    let more = rows.len() as u64 > ROWS;
    rows.truncate(ROWS as usize);
    (rows, more)
}

fn parts(path: &str, parameters: &[(&str, &[u8])], number: u32, more: bool) -> Markup {
    let address = |number: u32| {
        let number = number.to_string();
        link(path, &[parameters, &[("part", number.as_bytes())]].concat())
    };
    layout::parts(number.checked_sub(1).map(address), more.then(|| address(number.saturating_add(1))))
}
