//! A build's artifacts as a tree, one folder a page; one of them by a redirect to the store, so that no content passes here.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::controller::server::state::Server;
use crate::model::entry::permissions;
use crate::model::entry_path::Printable;
use crate::protocol::BuildId;
use crate::protocol::artifact::ArtifactId;
use crate::protocol::listing::{FileInfo, FileKind, ListFiles, Listing};

use super::address::{Parameters, link};
use super::failure::PageFailure;
use super::layout::{self, Page, guard};
use super::projects::{build_link, project_link};
use super::session::Visitor;
use super::words;

/// A redirect holds nothing to show.
const REDIRECT_POLICY: &str = "default-src 'none'; sandbox";

/// `GET /ui/artifacts?project&build[&path][&after]`: a folder of a build's artifacts, the top without.
pub(super) async fn folder(
    State(server): State<Arc<Server>>,
    Visitor(caller): Visitor,
    query: Parameters,
) -> Result<Response, PageFailure> {
    let (build, path) = (query.build()?, query.text("path")?.to_owned());
    let after = Some(query.text("after")?.to_owned()).filter(|after| !after.is_empty());
    let request = list(&build, &path, after.clone());
    let listing = server.run(move |controller| controller.list_files(&caller, &request)).await?;
    if listing.files.is_empty() {
        return Err(PageFailure::NotFound);
    }
    let title = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("Artifacts");
    let title = printable(title);
    let body = html! {
        (table(&build, &listing))
        (parts(&build, &path, after.is_some(), &listing))
    };
    Ok(Page { way: way(&build, &path), signed_in: true, ..Page::new(&title) }.show(&body))
}

/// `GET /ui/artifact?id[&download]`: 302 to the content, for a while and for this visitor.
pub(super) async fn content(
    State(server): State<Arc<Server>>,
    Visitor(caller): Visitor,
    query: Parameters,
) -> Result<Response, PageFailure> {
    let id = ArtifactId(query.text("id")?.to_owned());
    let kind = if query.has("download") { "attachment" } else { "inline" };
    let url = server.run(move |controller| controller.sign_for_browser(&caller, &id, kind)).await?;
    let url = url.ok_or(PageFailure::NotFound)?;
    let mut response = StatusCode::FOUND.into_response();
    guard(&mut response, REDIRECT_POLICY);
    let mut location = HeaderValue::try_from(url.expose()).map_err(|_| PageFailure::NotFound)?;
    location.set_sensitive(true);
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What the top of a build's artifacts is asked for with.
pub(super) fn list(build: &BuildId, path: &str, after: Option<String>) -> ListFiles {
    ListFiles {
        build: build.clone(),
        path: path.to_owned(),
        recursive: false,
        includes: String::new(),
        excludes: String::new(),
        default_excludes: false,
        signed: false,
        after,
    }
}

/// The artifacts of a build on its own page, if it has any.
pub(super) fn section(build: &BuildId, listing: &Listing) -> Markup {
    html! {
        @if !listing.files.is_empty() {
            h2 { "Artifacts" }
            (table(build, listing))
            (parts(build, "", false, listing))
        }
    }
}

fn table(build: &BuildId, listing: &Listing) -> Markup {
    html! {
        table.rows role="table" aria-label="Artifacts" {
            thead role="rowgroup" { tr role="row" {
                th scope="col" role="columnheader" { "Name" }
                th.number scope="col" role="columnheader" { "Size" }
                th scope="col" role="columnheader" { "Mode" }
                th scope="col" role="columnheader" { "Modified" }
                th scope="col" role="columnheader" { span.hidden { "Download" } }
            } }
            tbody role="rowgroup" {
                @for file in &listing.files { (row(build, file)) }
            }
        }
    }
}

fn row(build: &BuildId, file: &FileInfo) -> Markup {
    let name = printable(file.path.rsplit('/').next().unwrap_or_default());
    let content = |more: &[(&str, &[u8])]| {
        let id = file.id.as_ref().map_or("", |id| &id.0);
        link("/ui/artifact", &[&[("id", id.as_bytes())], more].concat())
    };
    html! {
        tr role="row" {
            th scope="row" role="rowheader" {
                @match file.kind {
                    FileKind::Folder => a.folder href=(folder_link(build, &file.path)) {
                        (name) span aria-hidden="true" { "/" } span.hidden { " folder" }
                    },
                    FileKind::File => a href=(content(&[])) { (name) },
                    FileKind::Link => {
                        span { (name) } span.soft { " → " (printable(file.link.as_deref().unwrap_or_default())) }
                    }
                }
            }
            td.number role="cell" { @if file.kind == FileKind::File { (words::bytes(file.len)) } }
            td role="cell" { @if let Some(mode) = file.mode { code.mode { (permissions(mode)) } } }
            td role="cell" { @if let Some(at) = file.modified { (layout::time(at)) } }
            td.action role="cell" {
                @if file.kind == FileKind::File {
                    a href=(content(&[("download", b"1")])) aria-label={ "Download " (name) } { "Download" }
                }
            }
        }
    }
}

fn folder_link(build: &BuildId, path: &str) -> String {
    let build = [("project", build.project.as_bytes()), ("build", build.build.as_bytes())];
    link("/ui/artifacts", &[&build[..], &[("path", path.as_bytes())]].concat())
}

fn way(build: &BuildId, path: &str) -> Vec<(String, String)> {
    let mut way = vec![
        ("Projects".to_owned(), "/".to_owned()),
        (build.project.clone(), project_link(&build.project)),
        (format!("Build {}", build.build), build_link(build)),
    ];
    let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
    way.extend(above.map(|folder| {
        (printable(folder.rsplit('/').next().unwrap_or_default()), folder_link(build, folder))
    }));
    way
}

fn parts(build: &BuildId, path: &str, is_later: bool, listing: &Listing) -> Markup {
    let here = folder_link(build, path);
    let next = listing.next.as_ref().map(|next| {
        let after = link("", &[("after", next.as_bytes())]);
        format!("{here}&{}", after.trim_start_matches('?'))
    });
    layout::parts(is_later.then_some(here), next)
}

fn printable(text: &str) -> String {
    Printable(text.as_bytes().into()).to_string()
}
