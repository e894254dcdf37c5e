//! A stash and one folder of it. Reads as much of the manifest as the rows of the page need.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::controller::browse::{FolderRow, Listing};
use crate::controller::error::ControllerError;
use crate::controller::server::state::Server;
use crate::model::entry::permissions;
use crate::model::entry_path::Printable;
use crate::model::{Entry, EntryKind, EntryPath};
use crate::protocol::{BuildId, StashInfo, StashName};

use super::address::{Parameters, link};
use super::failure::PageFailure;
use super::layout::{self, Page};
use super::projects::{build_link, project_link};
use super::session::Visitor;
use super::{media, words};

/// Rows of one page.
const ROWS: usize = 1000;

/// What a page shows.
struct Shown {
    info: StashInfo,
    folder: Option<EntryPath>,
    listing: Listing,
}

/// `GET /ui/stash?project&build&stash[&path][&after]`: a folder of it, the top without.
pub(super) async fn stash(
    State(server): State<Arc<Server>>,
    Visitor(caller): Visitor,
    query: Parameters,
) -> Result<Response, PageFailure> {
    let (build, name) = query.stash()?;
    let (folder, after) = (query.path("path")?, query.path("after")?);
    let is_later = after.is_some();
    let read = move |controller: &crate::controller::Controller| {
        let mut stash = controller.open_stash(&caller, &build, &name)?;
        let is_there = match &folder {
            None => true,
            Some(folder) => {
                let entry = stash.entry(folder)?;
                entry.is_some_and(|entry| entry.kind == EntryKind::Directory) || stash.holds_folder(folder)?
            }
        };
        if !is_there {
            return Err(ControllerError::NoStash { name, others: Vec::new() });
        }
        let listing = stash.folder(folder.as_ref(), after.as_ref(), ROWS)?;
        Ok(Shown { info: stash.info.clone(), folder, listing })
    };
    let shown = server.run(read).await?;
    let title = match &shown.folder {
        None => shown.info.name.to_string(),
        Some(folder) => Printable(folder.file_name().into()).to_string(),
    };
    let body = html! {
        @if shown.folder.is_none() { (about(&shown.info)) }
        (folder_table(&shown))
        (parts(&shown, is_later))
    };
    Ok(Page { way: way(&shown), signed_in: true, ..Page::new(&title) }.show(&body))
}

/// The address of something of a stash.
pub(super) fn stash_link(path: &str, build: &BuildId, name: &StashName, more: &[(&str, &[u8])]) -> String {
    let stash = [
        ("project", build.project.as_bytes()),
        ("build", build.build.as_bytes()),
        ("stash", name.as_str().as_bytes()),
    ];
    link(path, &[&stash[..], more].concat())
}

impl Shown {
    fn link(&self, path: &str, more: &[(&str, &[u8])]) -> String {
        stash_link(path, &self.info.build, &self.info.name, more)
    }
}

fn way(shown: &Shown) -> Vec<(String, String)> {
    let build = &shown.info.build;
    let mut way = vec![
        ("Projects".to_owned(), "/".to_owned()),
        (build.project.clone(), project_link(&build.project)),
        (format!("Build {}", build.build), build_link(build)),
    ];
    let Some(folder) = &shown.folder else { return way };
    way.push((shown.info.name.to_string(), shown.link("/ui/stash", &[])));
    let mut above = Vec::new();
    let mut parent = folder.parent();
    while let Some(path) = parent {
        let name = Printable(path.file_name().into()).to_string();
        above.push((name, shown.link("/ui/stash", &[("path", path.as_bytes())])));
        parent = path.parent();
    }
    way.extend(above.into_iter().rev());
    way
}

fn about(info: &StashInfo) -> Markup {
    let totals = info.totals;
    let kept = format!("{} in {}", words::bytes(info.pack_bytes), words::counted(info.packs, "pack"));
    html! {
        dl.facts {
            div { dt { "Holds" } dd { (words::counted(totals.files, "file")) ", " (words::counted(totals.directories, "folder")) } }
            div { dt { "Size" } dd { (words::bytes(totals.bytes)) } }
            div { dt { "Kept in" } dd {
                (kept)
                @if let Some(saved) = words::saved(totals.bytes, info.pack_bytes) { span.saved { (saved) " saved" } }
            } }
            div { dt { "Made" } dd { (layout::time(info.committed_at)) } }
            div { dt { "Id" } dd { code title=(info.id) { (info.id.short()) } } }
        }
        p.actions {
            a.button href=(stash_link("/ui/tar", &info.build, &info.name, &[])) { "Download as a tar" }
            span.soft { "or " code { "pannier unstash" } ", which moves only what is missing. Other stashes may share its packs." }
        }
    }
}

fn folder_table(shown: &Shown) -> Markup {
    let rows = &shown.listing.rows;
    html! {
        @if shown.folder.is_none() { h2 { "Files" } }
        @if rows.is_empty() { p.soft { "This folder is empty." } } @else {
            table.rows role="table" aria-label="Files" {
                thead role="rowgroup" { tr role="row" {
                    th scope="col" role="columnheader" { "Name" }
                    th.number scope="col" role="columnheader" { "Size" }
                    th scope="col" role="columnheader" { "Mode" }
                    th scope="col" role="columnheader" { "Modified" }
                    th scope="col" role="columnheader" { span.hidden { "Download" } }
                } }
                tbody role="rowgroup" {
                    @for row in rows {
                        @match row {
                            FolderRow::Entry(entry) => (entry_row(shown, entry)),
                            FolderRow::Implied(path) => tr role="row" {
                                th scope="row" role="rowheader" { (folder_name(shown, path)) }
                                td.number role="cell" {} td role="cell" {} td role="cell" {} td role="cell" {}
                            },
                        }
                    }
                }
            }
        }
    }
}

fn entry_row(shown: &Shown, entry: &Entry) -> Markup {
    html! {
        tr role="row" {
            th scope="row" role="rowheader" { (name(shown, entry)) }
            td.number role="cell" { @if let Some(content) = entry.content() { (words::bytes(content.size)) } }
            td role="cell" { code.mode { (permissions(entry.mode)) } }
            td role="cell" { (layout::time(entry.mtime.secs)) }
            td.action role="cell" {
                @if matches!(entry.kind, EntryKind::File(_) | EntryKind::HardLink { .. }) {
                    a href=(shown.link("/ui/file", &[("path", entry.path.as_bytes()), ("download", b"1")]))
                        aria-label={ "Download " (printable(entry.path.file_name())) } { "Download" }
                }
            }
        }
    }
}

/// The name, leading to what can be done with it.
fn name(shown: &Shown, entry: &Entry) -> Markup {
    let file = entry.path.file_name();
    let path = entry.path.as_bytes();
    match &entry.kind {
        EntryKind::Directory => folder_name(shown, &entry.path),
        EntryKind::File(_) | EntryKind::HardLink { .. } => {
            let address = match () {
                () if media::is_page(file) => shown.link("/ui/open", &[("path", path)]),
                () if media::to_show(file).is_some() => shown.link("/ui/file", &[("path", path)]),
                () => shown.link("/ui/file", &[("path", path), ("download", b"1")]),
            };
            html! {
                a href=(address) { (printable(file)) }
                @if let EntryKind::HardLink { target } = &entry.kind {
                    span.soft { " same file as " (target) }
                }
            }
        }
        EntryKind::Symlink { target } => html! {
            span { (printable(file)) } span.soft { " → " (printable(target)) }
        },
        EntryKind::Fifo => html! { span { (printable(file)) } span.soft { " fifo" } },
    }
}

fn folder_name(shown: &Shown, path: &EntryPath) -> Markup {
    html! {
        a.folder href=(shown.link("/ui/stash", &[("path", path.as_bytes())])) {
            (printable(path.file_name())) span aria-hidden="true" { "/" } span.hidden { " folder" }
        }
    }
}

fn parts(shown: &Shown, is_later: bool) -> Markup {
    let folder = shown.folder.as_ref().map(|folder| ("path", folder.as_bytes()));
    let here: Vec<(&str, &[u8])> = folder.into_iter().collect();
    let last = shown.listing.rows.last().filter(|_| shown.listing.more);
    let next =
        last.map(|row| shown.link("/ui/stash", &[&here[..], &[("after", row.path().as_bytes())]].concat()));
    // Rows are found by the name before them, so the way back is to the first.
    layout::parts(is_later.then(|| shown.link("/ui/stash", &here)), next)
}

fn printable(bytes: &[u8]) -> String {
    Printable(bytes.into()).to_string()
}
