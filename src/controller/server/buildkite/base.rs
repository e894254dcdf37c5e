//! The address under which a client reached this server: Buildkite's answers hold absolute ones.

use axum::http::{HeaderMap, header};

use crate::controller::server::state::Server;
use crate::model::SignedUrl;

/// `https://host`, as the client called it; a proxy says in `X-Forwarded-Proto` and `X-Forwarded-Host` what that was.
pub(super) fn base(server: &Server, headers: &HeaderMap) -> String {
    let word = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let forwarded = word("x-forwarded-proto").map(str::to_ascii_lowercase);
    let scheme = match forwarded.as_deref() {
        Some("https") => "https",
        Some("http") => "http",
        _ if server.tls => "https",
        _ => "http",
    };
    let host = word("x-forwarded-host").or_else(|| word(header::HOST.as_str())).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

/// The text of a signed URL, absolute: for the answer to whom it was signed for, and nobody else.
pub(super) fn absolute(url: SignedUrl, base: &str) -> String {
    url.on(base).expose().to_owned()
}
