//! Signing in and out, and what a stranger or another site gets.

use crate::plain_http::Visitor;
use crate::support::Sandbox;
use crate::support::served::Served;

/// Proves that a token becomes a cookie that is neither the token nor one, that no script can read, and that goes with
/// signing out.
#[test]
fn a_token_is_exchanged_for_a_cookie() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, "data", &[]);
    let mut visitor = Visitor::stranger(&served);
    let asked = visitor.get("/ui/build?project=a%2Fb&build=1");
    assert_eq!((asked.status, asked.body.len()), (303, 0));
    let form = asked.header("location").unwrap().to_owned();
    assert_eq!(form, "/ui/sign-in?next=/ui/build%3Fproject%3Da%252Fb%26build%3D1");
    let form = visitor.get(&form).text();
    assert!(form.contains("value=\"/ui/build?project=a%2Fb&amp;build=1\""), "{form}");

    let refused = visitor.post("/ui/sign-in", "token=nonsense&next=/ui/x", &[]);
    assert_eq!((refused.status, refused.header("set-cookie")), (403, None));
    assert!(refused.text().contains("role=\"alert\"") && !refused.text().contains("nonsense"));

    let token = format!("token={}&next=//e.vil/", served.token);
    let signed_in = visitor.post("/ui/sign-in", &token, &[]);
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/")));
    let cookie = signed_in.header("set-cookie").unwrap();
    for attribute in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains(&served.token));
    let proxied = visitor.post("/ui/sign-in", &token, &[("X-Forwarded-Proto", "https")]);
    assert!(proxied.header("set-cookie").unwrap().ends_with("; Secure"));

    let session = cookie.split(';').next().unwrap().to_owned();
    let bearer = format!("Bearer {}", session.split_once('=').unwrap().1);
    let as_token = visitor.get_with("/v1/stashes?project=p&build=1", &[("Authorization", &bearer)]);
    assert_eq!(as_token.status, 401);
    visitor.cookie = Some(format!("pannier_session={}", served.token));
    assert_eq!(visitor.get("/").status, 303, "a token is no cookie");
    visitor.cookie = Some(session);
    assert_eq!(visitor.get("/").status, 200);
    let signed_out = visitor.post("/ui/sign-out", "", &[]);
    assert!(signed_out.header("set-cookie").unwrap().starts_with("pannier_session=; Path=/; Max-Age=0"));
    assert!(!served.log().contains(&bearer) && !served.log().contains(&served.token));
}

/// Proves that other sites can neither sign anybody in nor out, and that somebody who follows a link from one is asked to
/// come again rather than to sign in.
#[test]
fn other_sites_can_do_nothing() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, "data", &[]);
    let visitor = Visitor::with(&served, &served.token);
    let form = format!("token={}", served.token);
    for headers in
        [&[("Origin", "http://e.vil")][..], &[("Origin", "null")], &[("Sec-Fetch-Site", "cross-site")]]
    {
        for address in ["/ui/sign-in", "/ui/sign-out"] {
            let refused = visitor.post(address, &form, headers);
            assert_eq!((refused.status, refused.header("set-cookie")), (403, None), "{address} {headers:?}");
        }
    }
    let own = format!("http://{}", visitor.host);
    assert_eq!(visitor.post("/ui/sign-out", "", &[("Origin", &own)]).status, 303);
    let stranger = Visitor::stranger(&served);
    let again = stranger.get_with("/", &[("Sec-Fetch-Site", "cross-site")]);
    assert_eq!(again.status, 200);
    assert!(again.text().contains("http-equiv=\"refresh\" content=\"0\""), "{}", again.text());
}

/// Proves that every page of pannier's own, failures among them, runs nothing and is kept by nobody.
#[test]
fn every_page_carries_its_policy() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("work/a"), "a").unwrap();
    let served = Served::start(&sandbox, "data", &[]);
    sandbox.run_at(&served, ["stash", "deps", "-C", "work", "--project", "p", "--build", "1"]).exits(0);
    let visitor = Visitor::with(&served, &served.token);
    for (address, status) in [
        ("/", 200),
        ("/ui/project?project=p", 200),
        ("/ui/build?project=p&build=1", 200),
        ("/ui/stash?project=p&build=1&stash=deps", 200),
        ("/ui/sign-in", 200),
        ("/ui/nothing", 404),
        ("/ui/build?project=p&build=2", 404),
        ("/ui/report/x/y", 404),
    ] {
        let answer = visitor.get(address);
        assert_eq!(answer.status, status, "{address}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{address}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{address}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{address}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{address}");
        let text = answer.text();
        assert!(text.contains("<html lang=\"en\">") && text.contains("<main id=\"content\""), "{address}");
        assert!(!text.contains("<script") && !text.contains(" style="), "{address}");
    }
}
