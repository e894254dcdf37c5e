//! Who looks: a token is exchanged for a cookie that says the same for pages alone. Not what they may see.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use crate::controller::caller::Caller;
use crate::controller::server::state::Server;

use super::address::Parameters;
use super::failure::PageFailure;
use super::layout::Page;

/// The cookie's name.
const COOKIE: &str = "pannier_session";

/// Somebody who is signed in.
pub(super) struct Visitor(pub(super) Caller);

impl FromRequestParts<Arc<Server>> for Visitor {
    type Rejection = PageFailure;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, PageFailure> {
        let caller = match cookie(&parts.headers) {
            None => None,
            Some(session) => {
                let (session, state) = (session.to_owned(), Arc::clone(server));
                let find = move |controller: &crate::controller::Controller| {
                    state.tokens.page_caller(controller.ledger.as_ref(), &session)
                };
                server.run(find).await?
            }
        };
        let address = || parts.uri.path_and_query().map_or("/", |address| address.as_str()).to_owned();
        match caller {
            Some(caller) => Ok(Self(caller)),
            None if word(&parts.headers, "sec-fetch-site") == Some("cross-site") => {
                Err(PageFailure::FromElsewhere(address()))
            }
            None => Err(PageFailure::SignedOut(address())),
        }
    }
}

/// `GET /ui/sign-in?next`: a form for a token.
pub(super) async fn sign_in_page(query: Parameters) -> Response {
    form(StatusCode::OK, query.text("next").unwrap_or_default(), false)
}

/// `POST /ui/sign-in`: a form of `token` and `next` to a cookie and the next page.
pub(super) async fn sign_in(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: String,
) -> Result<Response, PageFailure> {
    own_form(&headers)?;
    let form = Parameters::read(&body);
    let next = next(form.text("next").unwrap_or_default()).to_owned();
    let token = form.text("token").unwrap_or_default().trim().to_owned();
    let now = server.controller.clock.now();
    let Some(session) = server.tokens.page_session(&token, now)? else {
        return Err(PageFailure::BadToken(next));
    };
    let cookie = set_cookie(&session.token, session.expires_at - now, is_secure(&server, &headers));
    Ok(with_cookie(Redirect::to(&next), &cookie))
}

/// `POST /ui/sign-out`: takes the cookie back.
pub(super) async fn sign_out(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
) -> Result<Response, PageFailure> {
    own_form(&headers)?;
    Ok(with_cookie(Redirect::to("/ui/sign-in"), &set_cookie("", 0, is_secure(&server, &headers))))
}

/// The sign-in page; `refused` after a token that does not count.
pub(super) fn form(status: StatusCode, address: &str, refused: bool) -> Response {
    let body = html! {
        p.lead { "See the projects, builds and stashes that a token may read." }
        form.sign-in method="post" action="/ui/sign-in" {
            @if refused {
                p.refused #refused role="alert" {
                    "This controller does not take the token. It may have expired: `pannier token` makes another one."
                }
            }
            label for="token" { "Token" }
            input #token type="password" name="token" required autocomplete="off" spellcheck="false"
                aria-describedby=[refused.then_some("refused")] autofocus;
            input type="hidden" name="next" value=(next(address));
            button { "Sign in" }
        }
        p.soft {
            "A token comes from whoever runs this controller, who makes one with " code { "pannier token" }
            " or, for one project, " code { "pannier token --for-project org/repo" }
            ". This browser keeps a cookie for half a day at most, never the token."
        }
    };
    Page { status, ..Page::new("Sign in") }.show(&body)
}

/// An address of this very site to go on to, whatever was asked for.
fn next(address: &str) -> &str {
    let local = address == "/" || address.starts_with("/?") || address.starts_with("/ui/");
    let plain = address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if local && plain { address } else { "/" }
}

/// Fails for what another site made a browser send. What is no browser may send what it likes: it has no cookie.
fn own_form(headers: &HeaderMap) -> Result<(), PageFailure> {
    let foreign_site =
        word(headers, "sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let host = word(headers, "host").unwrap_or_default();
    let foreign_origin = word(headers, "origin")
        .is_some_and(|origin| origin.split_once("://").is_none_or(|(_, of)| !of.eq_ignore_ascii_case(host)));
    // A proxy may give the host another name, and then a browser's own word counts.
    let told = word(headers, "sec-fetch-site").is_some();
    if foreign_site || (foreign_origin && !told) { Err(PageFailure::ForeignForm) } else { Ok(()) }
}

/// Whether the browser came by TLS, to us or to a proxy before us.
fn is_secure(server: &Server, headers: &HeaderMap) -> bool {
    server.tls
        || word(headers, "x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

fn set_cookie(value: &str, life: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}", life.max(0))
}

fn with_cookie(redirect: Redirect, cookie: &str) -> Response {
    let mut response = redirect.into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

fn word<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_addresses_are_next() {
        for own in ["/", "/ui/build?project=a%2Fb&build=1", "/?part=2"] {
            assert_eq!(next(own), own);
        }
        for foreign in
            ["", "//e.vil", "/\\e.vil", "https://e.vil/ui/", "/ui/\r\nX: y", "javascript:1", "/v1/gc"]
        {
            assert_eq!(next(foreign), "/", "{foreign}");
        }
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect()
        };
        for own in [
            &[("host", "a:1")][..],
            &[("host", "a:1"), ("origin", "http://a:1")],
            &[("host", "inner"), ("origin", "https://outer"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(own_form(&headers(own)).is_ok(), "{own:?}");
        }
        for foreign in [
            &[("host", "a:1"), ("origin", "http://b:1")][..],
            &[("host", "a:1"), ("origin", "null")],
            &[("host", "a:1"), ("origin", "http://a:1"), ("sec-fetch-site", "cross-site")],
            &[("host", "a:1"), ("sec-fetch-site", "same-site")],
        ] {
            assert!(own_form(&headers(foreign)).is_err(), "{foreign:?}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; xpannier_session=no"));
        assert_eq!(cookie(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("c=d;pannier_session=yes"));
        assert_eq!(cookie(&headers), Some("yes"));
    }
}
