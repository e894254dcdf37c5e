//! The caller of a request, by its token. Everything under `/v1`, `/v2` and `/v3` asks for one; what it may do the controller decides.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};

use crate::controller::caller::Caller;

use super::answer::Failure;
use super::state::Server;

/// A request with a token that counts.
pub(super) struct Authenticated(pub(super) Caller);

impl FromRequestParts<Arc<Server>> for Authenticated {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Failure> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, token) = header.and_then(|value| value.split_once(' ')).ok_or(Failure::Unauthorized)?;
        // `Token` is what a Buildkite agent says.
        if !["bearer", "token"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(Failure::Unauthorized);
        }
        let (token, state) = (token.trim().to_owned(), Arc::clone(server));
        let found =
            server.run(move |controller| state.tokens.caller(controller.ledger.as_ref(), &token)).await?;
        found.map(Self).ok_or(Failure::Unauthorized)
    }
}
