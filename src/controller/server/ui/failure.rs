//! Failures as pages: what happened, and what to do next. What may not be seen looks like what is not there.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use crate::controller::error::{ControllerError, ErrorKind, reasons};
use crate::controller::server::answer::Failure;

use super::address::link;
use super::layout::{self, Page};

/// Why a page is not answered as asked.
#[derive(Debug)]
pub(super) enum PageFailure {
    /// Nothing is there, or this visitor may not see it.
    NotFound,
    /// Nobody is signed in; the address that was asked for.
    SignedOut(String),
    /// The same for somebody who came from another site, whose browser keeps the cookie back: asks once more.
    FromElsewhere(String),
    /// A token that does not count.
    BadToken(String),
    /// A form that another site sent.
    ForeignForm,
    /// The address of a report that is too old, altered, or of a stash that is gone.
    ReportEnded,
    /// A range that the file does not have.
    Range,
    /// Too many are served already.
    Busy,
    /// The controller said so.
    Controller(ControllerError),
}

impl IntoResponse for PageFailure {
    fn into_response(self) -> Response {
        match self {
            Self::SignedOut(next) => {
                Redirect::to(&link("/ui/sign-in", &[("next", next.as_bytes())])).into_response()
            }
            Self::FromElsewhere(next) => layout::once_more(&next),
            Self::BadToken(next) => super::session::form(StatusCode::FORBIDDEN, &next, true),
            Self::Controller(error) => of_controller(&error),
            Self::NotFound => told(
                StatusCode::NOT_FOUND,
                "Nothing is here",
                "There is no such page, or what you signed in with may not see it.",
                "It may have been removed, or be another project's. To see that one, sign out and sign in with a \
                 token for it.",
            ),
            Self::ForeignForm => told(
                StatusCode::FORBIDDEN,
                "This form came from elsewhere",
                "Another site sent this form; nothing was done.",
                "Go to the first page and try there.",
            ),
            Self::ReportEnded => told(
                StatusCode::NOT_FOUND,
                "This report’s address has ended",
                "The address of an open report holds for an hour, and for the stash that it was opened from.",
                "Open the report again from its stash.",
            ),
            Self::Range => told(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "The file ends before that",
                "A range was asked for that the file does not have.",
                "Open the file without a range.",
            ),
            Self::Busy => told(
                StatusCode::SERVICE_UNAVAILABLE,
                "The controller is busy",
                "It serves as many at once as it takes.",
                "Try again in a moment.",
            ),
        }
    }
}

fn of_controller(error: &ControllerError) -> Response {
    let (why, next) = (error.outside(), error.hint());
    match error.kind() {
        ErrorKind::NotFound => PageFailure::NotFound.into_response(),
        ErrorKind::Damaged => {
            tracing::error!(why = reasons(error), "a page failed");
            let next = next.unwrap_or(
                "Make the stash again: that heals it. `pannier verify` says what else is damaged.",
            );
            told(StatusCode::INTERNAL_SERVER_ERROR, "This is damaged in the store", &why, next)
        }
        ErrorKind::Unavailable => {
            tracing::error!(why = reasons(error), "a page failed");
            let next = next.unwrap_or("Try again in a moment; the controller’s log says more.");
            told(StatusCode::SERVICE_UNAVAILABLE, "This cannot be read now", &why, next)
        }
        ErrorKind::Refused | ErrorKind::SessionEnded => told(
            StatusCode::BAD_REQUEST,
            "This cannot be done",
            &why,
            next.unwrap_or("Go back and try again."),
        ),
    }
}

fn told(status: StatusCode, title: &str, why: &str, next: &str) -> Response {
    let body = html! {
        p.lead { (why) }
        p { (next) }
        p { a href="/" { "All projects" } }
    };
    let mut response = Page { status, ..Page::new(title) }.show(&body);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

impl From<ControllerError> for PageFailure {
    fn from(error: ControllerError) -> Self {
        Self::Controller(error)
    }
}

impl From<Failure> for PageFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Controller(error) => Self::Controller(error),
            Failure::NoObject => Self::NotFound,
            _ => Self::Busy,
        }
    }
}
