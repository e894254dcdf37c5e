//! Pages for people at the controller's root: projects, builds, stashes and what is in them. Made here, no script needed.
//!
//! Does: let people sign in (`session`), show lists (`projects`, `stash`, `artifacts`), hand out files and tarballs (`files`,
//! `streaming`), open reports in a sandbox (`reports`, `report_key`), say failures (`failure`), dress it all
//! (`layout`, `words`, `media`, `address`).
//! Does not: read a stash; that is `controller::browse`'s. Change anything.
//! May import: what the controller may.

mod address;
mod artifacts;
mod failure;
mod files;
mod layout;
mod media;
mod projects;
mod report_key;
mod reports;
mod session;
mod stash;
mod streaming;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get, post};

use super::state::Server;

pub(super) use report_key::ReportKey;

/// The pages' routes.
pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/", get(projects::projects))
        .route("/ui/project", get(projects::builds))
        .route("/ui/build", get(projects::build))
        .route("/ui/artifacts", get(artifacts::folder))
        .route("/ui/artifact", get(artifacts::content))
        .route("/ui/stash", get(stash::stash))
        .route("/ui/file", get(files::file))
        .route("/ui/tar", get(files::tarball))
        .route("/ui/open", get(reports::open))
        .route("/ui/report/{capability}/{*path}", get(reports::report))
        .route("/ui/sign-in", get(session::sign_in_page).post(session::sign_in))
        .route("/ui/sign-out", post(session::sign_out))
        .route("/ui/style.css", get(layout::style))
        .route("/ui/icon.svg", get(layout::icon))
        .route("/ui/{*path}", any(|| async { failure::PageFailure::NotFound }))
}
