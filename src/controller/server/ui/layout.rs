//! The dress of every page: head, landmarks, way back, and the headers that keep foreign code out. No content.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::words;

/// The stylesheet.
const STYLE: &str = include_str!("style.css");
/// A basket.
const ICON: &str = include_str!("icon.svg");

/// Pages run no script, load nothing from elsewhere, and stand in nobody's frame.
const OWN_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                          frame-ancestors 'none'; base-uri 'none'";

/// A page to show.
pub(super) struct Page<'a> {
    pub(super) status: StatusCode,
    /// The heading, and the first part of the window's title.
    pub(super) title: &'a str,
    /// What stands above it, outermost first: name and address.
    pub(super) way: Vec<(String, String)>,
    /// Whether somebody is signed in.
    pub(super) signed_in: bool,
}

impl<'a> Page<'a> {
    pub(super) fn new(title: &'a str) -> Self {
        Self { status: StatusCode::OK, title, way: Vec::new(), signed_in: false }
    }

    /// The page with `body` under its heading.
    pub(super) fn show(&self, body: &Markup) -> Response {
        let way = (!self.way.is_empty()).then(|| way(&self.way, self.title));
        let body = html! {
            a.skip href="#content" { "Skip to the content" }
            header.top {
                a.brand href="/" { img src="/ui/icon.svg" alt="" width="24" height="24"; "pannier" }
                @if self.signed_in {
                    form method="post" action="/ui/sign-out" { button.quiet { "Sign out" } }
                }
            }
            main #content tabindex="-1" {
                @if let Some(way) = way { (way) }
                h1 { (self.title) }
                (body)
            }
        };
        own(self.status, document(self.title, &html! {}, &body))
    }
}

fn way(steps: &[(String, String)], here: &str) -> Markup {
    html! {
        nav.way aria-label="Way back" {
            ol {
                @for (name, address) in steps { li { a href=(address) { (name) } } }
                li aria-current="page" { (here) }
            }
        }
    }
}

fn document(title: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · pannier" }
                link rel="icon" href="/ui/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/ui/style.css";
                (head)
            }
            body { (body) }
        }
    }
}

/// A page that asks for itself again, now from this very site, so that the browser sends its cookie.
pub(super) fn once_more(address: &str) -> Response {
    let head = html! { meta http-equiv="refresh" content="0"; };
    let body = html! {
        main #content {
            h1 { "One moment" }
            p { a href=(address) { "Go on to the page" } }
        }
    };
    own(StatusCode::OK, document("One moment", &head, &body))
}

/// `<time>` in UTC.
pub(super) fn time(secs: i64) -> Markup {
    html! { time datetime=(words::machine_time(secs)) title="UTC" { (words::time(secs)) } }
}

/// A link to the earlier and one to the later part of a long list; nothing if it is a short one.
pub(super) fn parts(earlier: Option<String>, later: Option<String>) -> Markup {
    html! {
        @if earlier.is_some() || later.is_some() {
            nav.parts aria-label="Parts of the list" {
                @if let Some(address) = earlier { a rel="prev" href=(address) { "← Earlier in the list" } }
                @if let Some(address) = later { a rel="next" href=(address) { "Further in the list →" } }
            }
        }
    }
}

/// `GET /ui/style.css`.
pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

/// `GET /ui/icon.svg`.
pub(super) async fn icon() -> Response {
    asset("image/svg+xml", ICON)
}

fn asset(media: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media),
        (header::CACHE_CONTROL, "public, max-age=300"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    (headers, text).into_response()
}

fn own(status: StatusCode, document: Markup) -> Response {
    let mut response = (status, Html(document.into_string())).into_response();
    guard(&mut response, OWN_POLICY);
    let isolated: [(HeaderName, &'static str); 3] = [
        // The form of one page goes to another, which looks at where it came from.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in isolated {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What every answer for a browser carries: its policy, no guessing of types, no copy in a shared cache, no referrer.
pub(super) fn guard(response: &mut Response, policy: &'static str) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}
