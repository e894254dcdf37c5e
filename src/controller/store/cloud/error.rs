//! Why a cloud did not do what was asked: its status and its own code for it, without URLs, keys or bodies.

use std::error::Error;

use object_store::client::{HttpError, HttpErrorKind};

/// A cloud's refusal or silence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CloudError {
    kind: CloudErrorKind,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloudErrorKind {
    /// No such bucket or object.
    NotFound,
    /// The credentials are wrong, or do not allow this.
    Denied,
    /// Nobody answered.
    Unreachable,
    /// It answered that it cannot now.
    Busy,
    /// No credentials, or ones that cannot sign.
    Unsigned,
    /// The bytes end before the range does.
    Range,
    /// The request made no sense to it.
    Refused,
    /// Anything else.
    Other,
}

impl CloudError {
    pub(super) fn new(kind: CloudErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    pub(super) const fn kind(&self) -> CloudErrorKind {
        self.kind
    }

    /// What to do next, where that is known.
    pub(in crate::controller::store) const fn hint(&self) -> Option<&'static str> {
        match self.kind {
            CloudErrorKind::NotFound => {
                Some("check the bucket's name and the region or endpoint that it is looked for at")
            }
            CloudErrorKind::Denied => Some(
                "check the credentials, and that they may list the bucket and read, write and delete its objects \
                 (docs/operations.md, “Stores”)",
            ),
            CloudErrorKind::Unreachable => {
                Some("check the network, and the endpoint or region that is set for the store")
            }
            CloudErrorKind::Busy => Some("try again later"),
            CloudErrorKind::Unsigned => {
                Some("set the cloud's own variables for credentials (docs/operations.md, “Stores”)")
            }
            CloudErrorKind::Range | CloudErrorKind::Refused | CloudErrorKind::Other => None,
        }
    }
}

impl From<object_store::Error> for CloudError {
    fn from(error: object_store::Error) -> Self {
        if let Some(http) = cause::<HttpError>(&error) {
            return unanswered(http);
        }
        let text = innermost(&error);
        let Some((status, body)) = status(&text) else {
            let kind = match error {
                object_store::Error::NotFound { .. } => CloudErrorKind::NotFound,
                object_store::Error::Unauthenticated { .. }
                | object_store::Error::PermissionDenied { .. } => CloudErrorKind::Denied,
                _ => CloudErrorKind::Other,
            };
            return Self::new(kind, without_urls(&text));
        };
        let kind = match status.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0u16) {
            400 => CloudErrorKind::Refused,
            401 | 403 => CloudErrorKind::Denied,
            404 => CloudErrorKind::NotFound,
            416 => CloudErrorKind::Range,
            429 | 500..=599 => CloudErrorKind::Busy,
            _ => CloudErrorKind::Other,
        };
        match code(body) {
            Some(code) => Self::new(kind, format!("the store answered {status} ({code})")),
            None => Self::new(kind, format!("the store answered {status}")),
        }
    }
}

impl From<reqwest::Error> for CloudError {
    fn from(error: reqwest::Error) -> Self {
        let why = without_urls(&innermost(&error.without_url()));
        Self::new(CloudErrorKind::Unreachable, format!("the store cannot be reached: {why}"))
    }
}

fn unanswered(error: &HttpError) -> CloudError {
    let why = without_urls(&innermost(error));
    match error.kind() {
        HttpErrorKind::Timeout => {
            CloudError::new(CloudErrorKind::Unreachable, format!("the store did not answer in time: {why}"))
        }
        HttpErrorKind::Decode => {
            CloudError::new(CloudErrorKind::Other, format!("the store's answer could not be read: {why}"))
        }
        _ => CloudError::new(CloudErrorKind::Unreachable, format!("the store cannot be reached: {why}")),
    }
}

fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// What the last of the causes says; those before it repeat it, with URLs.
fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| error.source())
}

/// `403 Forbidden` and the body, out of object_store's text: its type for them is not public.
fn status(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once("status code: ")?;
    Some(rest.split_once(": ").unwrap_or((rest.trim_end_matches(':'), "")))
}

/// The cloud's own word for an error, out of a body of XML (S3, Azure, GCS) or JSON (GCS).
fn code(body: &str) -> Option<&str> {
    let between = |open: &str, close: &str| body.split_once(open)?.1.split_once(close).map(|(code, _)| code);
    let code = between("<Code>", "</Code>").or_else(|| between("\"reason\": \"", "\""))?;
    (code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(code)
}

/// One line without words that hold a URL.
fn without_urls(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.split(' ').map(|word| if word.contains("://") { "…" } else { word }).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> CloudError {
        let source = text.to_owned().into();
        object_store::Error::Generic { store: "S3", source }.into()
    }

    #[test]
    fn a_refusal_says_status_and_code_and_nothing_of_url_or_body() {
        let body =
            "<?xml?><Error><Code>SignatureDoesNotMatch</Code><StringToSign>secret</StringToSign></Error>";
        let error = refused(&format!("Server returned non-2xx status code: 403 Forbidden: {body}"));
        assert_eq!(error.to_string(), "the store answered 403 Forbidden (SignatureDoesNotMatch)");
        assert!(error.hint().unwrap().contains("credentials"));
        let error = refused("Server returned non-2xx status code: 503 Service Unavailable: ");
        assert_eq!(
            (error.kind(), error.to_string()),
            (CloudErrorKind::Busy, "the store answered 503 Service Unavailable".into())
        );
        let json =
            "Server returned non-2xx status code: 404 Not Found: {\"error\": {\"reason\": \"notFound\"}}";
        assert_eq!(refused(json).to_string(), "the store answered 404 Not Found (notFound)");
    }

    #[test]
    fn no_url_gets_through() {
        let error = refused("cannot go to https://host/b?X-Amz-Signature=secret now");
        assert_eq!(error.to_string(), "cannot go to … now");
    }
}
