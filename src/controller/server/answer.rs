//! Failures as HTTP answers: a status that tells the agent whether to try again, and JSON that tells people why.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::controller::error::{ControllerError, ErrorKind};
use crate::protocol::wire::WireError;
use crate::protocol::{Refusal, RefusalKind};

/// Seconds after which an agent may try again what failed in passing.
const RETRY_AFTER: &str = "1";

/// Why a request is not answered as asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The controller said so.
    Controller(ControllerError),
    /// No token, or none that counts.
    Unauthorized,
    /// The message makes no sense.
    Malformed(String),
    /// The message makes sense, and what it asks for cannot be.
    Unprocessable(String),
    /// What was asked for is not done yet; the same request finds it done later.
    Later(String),
    /// As many requests are under way as this server takes.
    Busy,
    /// A pre-signed URL that does not count: altered, expired, or for something else.
    BadSignature,
    /// Nothing is there.
    NoObject,
    /// Something is there already; objects are never overwritten.
    Exists,
    /// The range lies outside the object.
    Range,
}

impl Failure {
    fn refusal(&self) -> (StatusCode, Refusal) {
        let (status, kind, message) = match self {
            Self::Controller(error) if error.is_full() => {
                let hint = "free some space on the controller's disk; what was stored before is untouched";
                let message = "the controller's disk is full".to_owned();
                let refusal =
                    Refusal { kind: RefusalKind::Unavailable, message, hint: Some(hint.to_owned()) };
                return (StatusCode::INSUFFICIENT_STORAGE, refusal);
            }
            Self::Controller(error) => {
                let (status, kind) = status_of(error.kind());
                let hint = error.hint().map(str::to_owned);
                return (status, Refusal { kind, message: error.outside(), hint });
            }
            Self::Unauthorized => {
                let hint = "set PANNIER_TOKEN to a token that has not expired; `pannier token` makes one";
                let message = "this controller does not take the token".to_owned();
                let refusal = Refusal { kind: RefusalKind::Refused, message, hint: Some(hint.to_owned()) };
                return (StatusCode::UNAUTHORIZED, refusal);
            }
            Self::Malformed(why) => (StatusCode::BAD_REQUEST, RefusalKind::Refused, why.as_str()),
            Self::Unprocessable(why) => {
                (StatusCode::UNPROCESSABLE_ENTITY, RefusalKind::Refused, why.as_str())
            }
            Self::Later(why) => (StatusCode::SERVICE_UNAVAILABLE, RefusalKind::Unavailable, why.as_str()),
            Self::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, RefusalKind::Unavailable, "the controller is busy")
            }
            Self::BadSignature => (
                StatusCode::FORBIDDEN,
                RefusalKind::Refused,
                "this URL is not signed for that, or has expired",
            ),
            Self::NoObject => (StatusCode::NOT_FOUND, RefusalKind::NotFound, "nothing is stored here"),
            Self::Exists => {
                (StatusCode::PRECONDITION_FAILED, RefusalKind::Refused, "something is stored here already")
            }
            Self::Range => {
                (StatusCode::RANGE_NOT_SATISFIABLE, RefusalKind::Damaged, "the object ends before that range")
            }
        };
        (status, Refusal { kind, message: message.to_owned(), hint: None })
    }
}

/// 410 and 422 are final for any client; which of the two tells an agent whether a new session can help.
fn status_of(kind: ErrorKind) -> (StatusCode, RefusalKind) {
    match kind {
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, RefusalKind::NotFound),
        ErrorKind::Refused => (StatusCode::BAD_REQUEST, RefusalKind::Refused),
        ErrorKind::SessionEnded => (StatusCode::GONE, RefusalKind::SessionEnded),
        ErrorKind::Damaged => (StatusCode::UNPROCESSABLE_ENTITY, RefusalKind::Damaged),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, RefusalKind::Unavailable),
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if let Self::Controller(error) = &self {
            let why = crate::controller::error::reasons(error);
            match error.kind() {
                ErrorKind::Unavailable | ErrorKind::Damaged => tracing::error!(why, "request failed"),
                _ => tracing::debug!(why, "request refused"),
            }
        }
        let (status, refusal) = self.refusal();
        let mut response = (status, Json(refusal)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<ControllerError> for Failure {
    fn from(error: ControllerError) -> Self {
        Self::Controller(error)
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::Malformed(error.to_string())
    }
}
