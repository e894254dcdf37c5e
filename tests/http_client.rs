//! Controller calls against a server that misbehaves: each way has its end, and a token never leaves for another host.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

#[path = "support/scripted.rs"]
mod scripted;

use pannier::http::{Bytes, Cause, Client, ClientOptions, HttpError, Method, Request, Response};
use pannier::model::{Secret, Stop};
use scripted::{Act, Scripted, Seen};

const TOKEN: &str = "t0ken-that-nobody-else-may-see";

/// Long enough that nothing ends early on a busy machine, short enough to wait for.
fn patient() -> ClientOptions {
    ClientOptions::default().hastened(20)
}

/// For what is to time out.
fn hasty() -> ClientOptions {
    ClientOptions::default().hastened(100)
}

fn server(script: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Scripted {
    Scripted::start(std::path::Path::new("/nonexistent"), script)
}

/// A POST with a token and a body of two parts.
fn call(server: &Scripted, options: &ClientOptions) -> Result<Response, HttpError> {
    let secret = Secret::new(TOKEN);
    let body = [Bytes::from_static(b"half and "), Bytes::from_static(b"half")];
    let url = server.url("v1/open?signature=0123456789abcdef");
    let request = Request { bearer: Some(&secret), body: &body, ..Request::new(Method::POST, &url) };
    Client::new(options).unwrap().send(&request)
}

fn first(acts: &'static [fn() -> Act], then: fn() -> Act) -> impl Fn(&Seen, usize) -> Act {
    move |_, nth| acts.get(nth).map_or_else(then, |act| act())
}

#[test]
fn what_passes_is_tried_again_and_sent_whole() {
    let status = |status| move |_: &Seen, nth| if nth < 2 { Act::status(status) } else { Act::Store };
    for code in [408, 425, 429, 500, 502, 503, 504] {
        let server = server(status(code));
        assert_eq!(call(&server, &patient()).unwrap().body, b"half and half", "{code}");
        let seen = server.seen();
        assert_eq!(seen.len(), 3, "{code}");
        assert!(seen.iter().all(|seen| seen.body == b"half and half"));
        assert!(seen.iter().all(|seen| seen.header("authorization") == Some(&format!("Bearer {TOKEN}"))));
        assert!(seen.iter().all(|seen| seen.header("content-length") == Some("13")));
    }
    let broken: [fn() -> Act; 4] =
        [|| Act::Reset, || Act::StoreThenReset, || Act::Truncate(3), || Act::ResetAfter(3)];
    for act in broken {
        let server = server(move |_, nth| if nth < 2 { act() } else { Act::Store });
        assert_eq!(call(&server, &patient()).unwrap().body, b"half and half", "{:?}", act());
    }
}

/// Proves that a PUT of nothing says so, whether it has no part or parts without bytes: stores refuse one that tells no length.
#[test]
fn a_put_of_nothing_tells_its_length() {
    let server = server(|_, _| Act::Answer(200, Vec::new(), Vec::new()));
    for body in [&[][..], &[Bytes::new()], &[Bytes::new(), Bytes::new()]] {
        let url = server.url("x");
        let request = Request { body, ..Request::new(Method::PUT, &url) };
        Client::new(&patient()).unwrap().send(&request).unwrap();
    }
    let lengths: Vec<Option<String>> =
        server.seen().iter().map(|seen| seen.header("content-length").map(str::to_owned)).collect();
    assert_eq!(lengths, vec![Some("0".to_owned()); 3]);
}

#[test]
fn retry_after_is_obeyed_in_both_its_forms() {
    let busy = |after: &str| Act::Answer(429, vec![("retry-after", after.to_owned())], vec![]);
    let server = server(move |_, nth| match nth {
        0 => busy("0"),
        1 => busy("1"),
        2 => busy("Sun, 06 Nov 1994 08:49:37 GMT"),
        3 => busy("when it suits you"),
        _ => Act::Store,
    });
    let response = call(&server, &patient()).unwrap();
    assert_eq!((response.status, server.seen().len()), (200, 5));
}

#[test]
fn a_refusal_is_final_and_shows_the_servers_words_on_one_line() {
    for code in [400, 401, 403, 404, 409, 412, 413, 422, 501] {
        let server = server(move |_, _| Act::status(code));
        let error = call(&server, &patient()).unwrap_err();
        assert_eq!((error.status(), error.attempts, server.seen().len()), (Some(code), 1, 1));
        let said = error.to_string();
        assert!(said.contains(&format!("POST to {} failed: it answered {code}", server.address)), "{said}");
        assert!(said.contains(&format!("the server's words about {code}")), "{said}");
        assert_eq!(said.lines().count(), 1);
    }
}

#[test]
fn a_server_that_never_recovers_ends_with_its_words_and_the_attempts() {
    let server =
        server(|_, _| Act::Answer(500, vec![], b"the ledger is on fire, says 0123456789abcdef".to_vec()));
    let error = call(&server, &hasty()).unwrap_err();
    assert!(error.is_retryable() && error.attempts > 3, "{error:?}");
    assert_eq!(server.seen().len() as u32, error.attempts);
    let said = error.to_string();
    assert!(said.contains("500 Internal Server Error: the ledger is on fire, says …"), "{said}");
    assert!(said.contains(&format!("after {} attempts", error.attempts)), "{said}");
    let debug = format!("{said} {:?}", error.host);
    assert!(!debug.contains(TOKEN) && !debug.contains("0123456789abcdef") && !debug.contains("v1/open"));
}

#[test]
fn silence_a_trickle_and_a_closed_door_end_too() {
    let silent = server(|_, _| Act::Hang);
    let error = call(&silent, &hasty()).unwrap_err();
    assert!(matches!(error.cause, Cause::Silent(_) | Cause::Slow(_)), "{error}");
    assert!(error.attempts > 1, "{error}");
    let trickling = server(|_, _| Act::Drip);
    let error = call(&trickling, &hasty()).unwrap_err();
    assert!(matches!(error.cause, Cause::Slow(_) | Cause::Silent(_)), "{error}");
    let recovering = server(|_, nth| if nth == 0 { Act::Hang } else { Act::Store });
    assert_eq!(call(&recovering, &hasty()).unwrap().status, 200);

    let closed = server(|_, _| Act::Store);
    let url = closed.url("v1/open");
    drop(closed);
    let error = Client::new(&hasty()).unwrap().send(&Request::new(Method::GET, &url)).unwrap_err();
    assert!(matches!(error.cause, Cause::Connect(_)) && error.attempts > 1, "{error}");
}

#[test]
fn a_token_is_never_sent_where_a_redirect_points() {
    for code in [301, 302, 303, 307, 308] {
        let elsewhere = server(|_, _| Act::Store);
        let location = elsewhere.url("v1/open");
        let server = server(move |_, _| Act::redirect(code, location.clone()));
        let error = call(&server, &patient()).unwrap_err();
        assert_eq!(error.status(), Some(code));
        let said = error.to_string();
        assert!(
            said.contains(&format!("it points to {}, which is not followed", elsewhere.address)),
            "{said}"
        );
        assert_eq!((server.seen().len(), elsewhere.seen().len()), (1, 0));
    }
}

#[test]
fn a_longer_answer_than_was_asked_for_is_refused() {
    let server = server(|_, _| Act::Answer(200, vec![], vec![b'x'; 5000]));
    let url = server.url("v1/list");
    let request = Request { max_answer_bytes: 4999, ..Request::new(Method::GET, &url) };
    let error = Client::new(&patient()).unwrap().send(&request).unwrap_err();
    assert!(matches!(error.cause, Cause::TooLong(4999)) && error.attempts == 1, "{error}");
}

#[test]
fn a_stopped_run_asks_nothing_more_but_says_its_last_words() {
    let options = ClientOptions { stop: Stop::default(), ..ClientOptions::default() };
    let client = Client::new(&options).unwrap();
    let server = server(|seen, _| if seen.method == "DELETE" { Act::Store } else { Act::Hang });
    let url = server.url("v1/session");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| client.send(&Request::new(Method::GET, &url)));
        while server.seen().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        options.stop.stop();
        let error = waiting.join().unwrap().unwrap_err();
        assert!(matches!(error.cause, Cause::Stopped), "{error}");
    });
    let asked = server.seen().len();
    let error = client.send(&Request::new(Method::DELETE, &url)).unwrap_err();
    assert!(matches!(error.cause, Cause::Stopped) && server.seen().len() == asked, "{error}");
    let last = Request { last_words: true, ..Request::new(Method::DELETE, &url) };
    assert_eq!(client.send(&last).unwrap().status, 200);
}

#[test]
fn connections_are_used_again() {
    let server = server(first(&[|| Act::Store, || Act::status(503)], || Act::Store));
    let client = Client::new(&patient()).unwrap();
    let url = server.url("v1/list");
    for _ in 0..5 {
        client.send(&Request::new(Method::POST, &url)).unwrap();
    }
    // A connection goes back to the pool a moment after its answer, which the next request may not wait for.
    assert_eq!(server.seen().len(), 6);
    assert!(server.connections() <= 3, "{}", server.connections());
}
