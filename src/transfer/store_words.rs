//! What stores mean by their refusals, where a status alone does not say it. Sends nothing.

use crate::http::HttpError;

/// Whether a signed URL has ended (or was never good): S3 and Azure answer 403, GCS 400 with `ExpiredToken`.
pub(super) fn has_ended(error: &HttpError) -> bool {
    match error.status() {
        Some(403) => !is_overwrite(error),
        Some(400) => says(error, "ExpiredToken"),
        _ => false,
    }
}

/// Whether an object of that name is there already: 412 where the PUT was conditional, Azure also 409 `BlobAlreadyExists`
/// and, with a create-only SAS, 403 `UnauthorizedBlobOverwrite`.
pub(super) fn is_there(error: &HttpError) -> bool {
    match error.status() {
        Some(409 | 412) => true,
        Some(403) => is_overwrite(error),
        _ => false,
    }
}

/// Whether a pack that should be there is not, or is shorter than it should be.
pub(super) fn is_damage(error: &HttpError) -> bool {
    matches!(error.status(), Some(404 | 410 | 416))
        || matches!(error.cause, crate::http::Cause::Unexpected(_))
}

fn is_overwrite(error: &HttpError) -> bool {
    // The service and azurite have a word each.
    ["UnauthorizedBlobOverwrite", "AuthorizationPermissionMismatch"].iter().any(|code| says(error, code))
}

fn says(error: &HttpError, code: &str) -> bool {
    error.body().windows(code.len()).any(|window| window == code.as_bytes())
}
