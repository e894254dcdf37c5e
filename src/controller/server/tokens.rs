//! Tokens: who may do what, for how long, signed with the controller's key. Not kept anywhere; a token says it all.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::{Access, Ledger, ScopeId};
use crate::protocol::build::check_label;
use crate::protocol::{IssuedToken, TokenRequest};

use super::buildkite::TicketKey;
use super::key::ServerKey;
use super::ui::ReportKey;

/// The tenant, and the scope of tokens that name neither scope nor project: where the embedded default writes too.
const DEFAULT_SCOPE: &str = "local";
/// Longest life of a token: a job's are hours, an operator's at most a year.
const MAX_LIFE_SECONDS: u64 = 366 * 24 * 60 * 60;
/// Longest life of what a browser is given for a token.
const PAGE_LIFE_SECONDS: u64 = 12 * 60 * 60;
/// Scopes that one token may read.
const MAX_SCOPES: usize = 16;

/// What a token says; a JSON Web Token (RFC 7519) signed with HMAC-SHA-256.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Claims {
    exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    build: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    read: Vec<String>,
    #[serde(default)]
    operator: bool,
}

/// Makes tokens and reads them.
pub struct Tokens {
    tokens: Keys,
    /// What browsers carry counts on pages alone, and tokens do not count there.
    pages: Keys,
    /// What addresses of reports are signed with.
    pub(super) reports: ReportKey,
    /// What lets foreign agents send content through the server.
    pub(super) tickets: TicketKey,
    validation: Validation,
    /// Scopes by name: a ledger never forgets one.
    scopes: Mutex<HashMap<String, ScopeId>>,
}

impl Tokens {
    /// Tokens under `key`.
    pub fn new(key: &ServerKey) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_aud = false;
        Self {
            tokens: Keys::new(&key.derive("tokens")),
            pages: Keys::new(&key.derive("page sessions")),
            reports: ReportKey::new(&key.derive("reports")),
            tickets: TicketKey::new(&key.derive("tickets")),
            validation,
            scopes: Mutex::default(),
        }
    }

    /// A token for `request`, made at `now` (seconds since 1970).
    pub fn issue(&self, request: &TokenRequest, now: i64) -> Result<IssuedToken, ControllerError> {
        check(request)?;
        let expires_at = now.saturating_add_unsigned(request.lives_seconds.clamp(1, MAX_LIFE_SECONDS));
        let claims = Claims {
            exp: u64::try_from(expires_at).unwrap_or_default(),
            project: request.project.clone(),
            build: request.build.clone(),
            job: request.job.clone(),
            step: request.step.clone(),
            scope: request.scope.clone(),
            read: request.read.clone(),
            operator: request.operator,
        };
        Ok(IssuedToken { token: self.tokens.sign(&claims)?, expires_at })
    }

    /// What a browser is given for `token` at `now`: the same rights but for an operator's, for half a day at most.
    /// `None` if the token does not count.
    pub(super) fn page_session(&self, token: &str, now: i64) -> Result<Option<IssuedToken>, ControllerError> {
        let Some(mut claims) = self.claims(&self.tokens, token) else { return Ok(None) };
        claims.exp = claims.exp.min(u64::try_from(now).unwrap_or_default() + PAGE_LIFE_SECONDS);
        claims.operator = false;
        let expires_at = i64::try_from(claims.exp).unwrap_or(i64::MAX);
        Ok(Some(IssuedToken { token: self.pages.sign(&claims)?, expires_at }))
    }

    /// Who carries what [`Self::page_session`] gave; `None` if it does not count.
    pub(super) fn page_caller(
        &self,
        ledger: &dyn Ledger,
        session: &str,
    ) -> Result<Option<Caller>, ControllerError> {
        self.claims(&self.pages, session).map(|claims| self.caller_of(ledger, claims)).transpose()
    }

    /// Who carries `token`; `None` if it is not one of ours, was altered, or has expired.
    pub fn caller(&self, ledger: &dyn Ledger, token: &str) -> Result<Option<Caller>, ControllerError> {
        self.claims(&self.tokens, token).map(|claims| self.caller_of(ledger, claims)).transpose()
    }

    fn claims(&self, keys: &Keys, token: &str) -> Option<Claims> {
        jsonwebtoken::decode(token, &keys.decoding, &self.validation).ok().map(|token| token.claims)
    }

    fn caller_of(&self, ledger: &dyn Ledger, claims: Claims) -> Result<Caller, ControllerError> {
        // Projects do not share chunks unless somebody says so: a digest must not tell what another one has.
        let own = claims.scope.as_deref().or(claims.project.as_deref()).unwrap_or(DEFAULT_SCOPE);
        let write = self.scope(ledger, own)?;
        let mut read = vec![write];
        for name in claims.read.iter().take(MAX_SCOPES) {
            let scope = self.scope(ledger, name)?;
            if !read.contains(&scope) {
                read.push(scope);
            }
        }
        let access = Access { write, read };
        let Claims { project, build, job, step, operator, .. } = claims;
        Ok(Caller { access, project, build, job, step, operator })
    }

    fn scope(&self, ledger: &dyn Ledger, name: &str) -> Result<ScopeId, ControllerError> {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scope) = scopes.get(name) {
            return Ok(*scope);
        }
        let scope = ledger.scope(DEFAULT_SCOPE, name)?;
        scopes.insert(name.to_owned(), scope);
        Ok(scope)
    }
}

/// One purpose's key, to sign and to check with.
struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Keys {
    fn new(key: &[u8]) -> Self {
        Self { encoding: EncodingKey::from_secret(key), decoding: DecodingKey::from_secret(key) }
    }

    fn sign(&self, claims: &Claims) -> Result<String, ControllerError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .map_err(|error| ControllerError::Token(error.to_string()))
    }
}

fn check(request: &TokenRequest) -> Result<(), ControllerError> {
    let single = [&request.project, &request.build, &request.job, &request.step, &request.scope];
    let names = single.into_iter().flatten().chain(&request.read);
    for name in names {
        check_label(name).map_err(|error| ControllerError::Token(error.to_string()))?;
    }
    if request.read.len() > MAX_SCOPES {
        let (asked, most) = (request.read.len() as u64, MAX_SCOPES as u64);
        return Err(ControllerError::TooMuch { what: "scopes of a token", asked, most });
    }
    match request {
        TokenRequest { project: None, build: Some(_), .. } => {
            Err(ControllerError::Token("a token for one build must name its project too".to_owned()))
        }
        TokenRequest { build: None, job: Some(_), .. } => {
            Err(ControllerError::Token("a token for one job must name its build too".to_owned()))
        }
        TokenRequest { job: None, step: Some(_), .. } => {
            Err(ControllerError::Token("a token that names a step must name its job too".to_owned()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::clock::{Clock, SystemClock};
    use crate::controller::ledger::SqliteLedger;

    fn request() -> TokenRequest {
        TokenRequest {
            project: Some("org/repo".into()),
            build: Some("42".into()),
            scope: Some("fork".into()),
            read: vec!["main".into(), "fork".into()],
            lives_seconds: 60,
            ..TokenRequest::default()
        }
    }

    #[test]
    fn a_token_says_what_was_asked_for() {
        let (tokens, ledger) = (Tokens::new(&ServerKey::new([7; 32])), SqliteLedger::in_memory().unwrap());
        let token = tokens.issue(&request(), SystemClock.now()).unwrap().token;
        let caller = tokens.caller(&ledger, &token).unwrap().unwrap();
        assert_eq!((caller.project.as_deref(), caller.build.as_deref()), (Some("org/repo"), Some("42")));
        assert!(!caller.operator);
        assert_eq!(caller.access.read.len(), 2);
        assert_eq!(caller.access.read[0], caller.access.write);
        let plain = TokenRequest { lives_seconds: 60, operator: true, ..TokenRequest::default() };
        let token = tokens.issue(&plain, SystemClock.now()).unwrap().token;
        assert_eq!(tokens.caller(&ledger, &token).unwrap().unwrap(), Caller::local());
    }

    #[test]
    fn tokens_that_are_old_altered_foreign_or_unsigned_are_none() {
        let (tokens, ledger) = (Tokens::new(&ServerKey::new([7; 32])), SqliteLedger::in_memory().unwrap());
        let now = SystemClock.now();
        let good = tokens.issue(&request(), now).unwrap().token;
        let old = tokens.issue(&request(), now - 61).unwrap().token;
        let foreign = Tokens::new(&ServerKey::new([8; 32])).issue(&request(), now).unwrap().token;
        let unsigned = {
            let middle = good.split('.').nth(1).unwrap();
            // {"alg":"none"}
            format!("eyJhbGciOiJub25lIn0.{middle}.")
        };
        let mut altered = good.clone().into_bytes();
        let at = altered.iter().position(|byte| *byte == b'.').unwrap() + 5;
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        for token in [&old, &foreign, &unsigned, &altered, "", "x.y.z", &good[..good.len() - 2]] {
            assert_eq!(tokens.caller(&ledger, token).unwrap(), None, "{token}");
        }
        assert!(tokens.caller(&ledger, &good).unwrap().is_some());
    }

    #[test]
    fn a_page_session_is_no_token_and_no_operator_and_ends_first() {
        let (tokens, ledger) = (Tokens::new(&ServerKey::new([7; 32])), SqliteLedger::in_memory().unwrap());
        let now = SystemClock.now();
        let year = 365 * 24 * 60 * 60;
        let long = TokenRequest { lives_seconds: year, operator: true, ..request() };
        for (request, life) in [(long, 12 * 60 * 60), (request(), 60)] {
            let token = tokens.issue(&request, now).unwrap().token;
            let session = tokens.page_session(&token, now).unwrap().unwrap();
            assert_eq!(session.expires_at, now + life);
            let caller = tokens.page_caller(&ledger, &session.token).unwrap().unwrap();
            assert_eq!((caller.project.as_deref(), caller.operator), (Some("org/repo"), false));
            assert_eq!(caller.access, tokens.caller(&ledger, &token).unwrap().unwrap().access);
            assert_eq!(tokens.caller(&ledger, &session.token).unwrap(), None);
            assert_eq!(tokens.page_caller(&ledger, &token).unwrap(), None);
            assert!(tokens.page_session(&session.token, now).unwrap().is_none());
        }
    }

    #[test]
    fn a_token_that_makes_no_sense_is_not_made() {
        let tokens = Tokens::new(&ServerKey::new([7; 32]));
        let no_project = TokenRequest { project: None, ..request() };
        let control = TokenRequest { scope: Some("a\nb".into()), ..request() };
        let many = TokenRequest { read: (0..17).map(|n| n.to_string()).collect(), ..request() };
        for request in [no_project, control, many] {
            assert!(tokens.issue(&request, 0).is_err(), "{request:?}");
        }
    }
}
