//! Reports: what their addresses open, for whom, and until when.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use pannier::controller::ledger::{Creation, SqliteLedger};
use pannier::controller::server::{Listen, ServerKey, Serving, Tokens, serve};
use pannier::controller::store::DiskStore;
use pannier::controller::{Clock, Controller, SystemClock};
use pannier::protocol::TokenRequest;

use crate::plain_http::Visitor;
use crate::support::Sandbox;
use crate::support::served::Served;

fn write_report(sandbox: &Sandbox) {
    fs::create_dir_all(sandbox.path("work/report/sub")).unwrap();
    fs::write(sandbox.path("work/report/index.html"), "<link href=style.css>").unwrap();
    fs::write(sandbox.path("work/report/style.css"), "p{}").unwrap();
    fs::write(sandbox.path("work/report/sub/index.html"), "inner").unwrap();
}

fn opened(visitor: &Visitor, name: &str) -> String {
    let query = format!("/ui/open?project=p&build=1&stash={name}&path=report/index.html");
    let answer = visitor.get(&query);
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

/// Proves that a report's files come without a cookie, as what they are and in a sandbox; that folders have their page; and
/// that neither another address nor another stash is opened by it.
#[test]
fn a_report_opens_its_own_stash_in_a_sandbox() {
    let sandbox = Sandbox::new();
    write_report(&sandbox);
    let served = Served::start(&sandbox, "data", &[]);
    let stash = |name: &str| {
        sandbox.run_at(&served, ["stash", name, "-C", "work", "--project", "p", "--build", "1"]).exits(0);
    };
    stash("one");
    fs::write(sandbox.path("work/report/secret.txt"), "of two").unwrap();
    stash("two");
    let (visitor, stranger) = (Visitor::with(&served, &served.token), Visitor::stranger(&served));
    let address = opened(&visitor, "one");
    let base = address.strip_suffix("index.html").unwrap();
    for (path, media, body) in [
        ("index.html", "text/html", "<link href=style.css>"),
        ("style.css", "text/css; charset=utf-8", "p{}"),
        ("sub/", "text/html", "inner"),
        ("", "text/html", "<link href=style.css>"),
    ] {
        let answer = stranger.get(&format!("{base}{path}"));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media)), "{path}");
        assert_eq!(answer.text(), body);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("sandbox allow-scripts ") && !policy.contains("allow-same-origin"),
            "{policy}"
        );
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("set-cookie"), None);
    }
    let folder = stranger.get(&format!("{base}sub"));
    assert_eq!((folder.status, folder.header("location")), (303, Some(&format!("{base}sub/")[..])));
    for path in ["secret.txt", "none", "../../x", "%2e%2e/x", "//", "%00"] {
        assert_eq!(stranger.get(&format!("{base}{path}")).status, 404, "{path}");
    }
    let altered = base.replacen(|letter: char| letter.is_ascii_uppercase(), "_", 3);
    assert_ne!(altered, base);
    for address in [&altered, "/ui/report/", "/ui/report/AAAA/index.html"] {
        assert_eq!(stranger.get(address).status, 404, "{address}");
    }
    assert_eq!(stranger.get("/ui/open?project=p&build=1&stash=one&path=report/index.html").status, 303);
    assert!(!served.log().contains(base.split('/').nth(3).unwrap()), "an address is in the log");
    // Another stash under the name is another stash.
    stash("one");
    assert_eq!(stranger.get(&address).status, 404);
    assert!(stranger.get(&address).text().contains("Open the report again"));
}

/// A clock that runs only when it is told to.
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Proves that a report's address ends after an hour.
#[test]
fn a_reports_address_ends() {
    let sandbox = Sandbox::new();
    write_report(&sandbox);
    sandbox.run(["stash", "one", "-C", "work", "--project", "p", "--build", "1"]).exits(0);
    let clock = Arc::new(Moved(AtomicI64::new(SystemClock.now())));
    let ledger = SqliteLedger::open(&sandbox.store().join("ledger.sqlite"), || Creation::Refuse).unwrap();
    let store = DiskStore::open(&sandbox.store().join("store"));
    let controller = Controller::with_parts(Box::new(ledger), Box::new(store), clock.clone());
    let tokens = Tokens::new(&ServerKey::new([7; 32]));
    let request = TokenRequest { lives_seconds: 600, ..TokenRequest::default() };
    let token = tokens.issue(&request, clock.now()).unwrap().token;
    let serving = Serving { controller: Arc::new(controller), tokens, objects: None };
    let (started, address) = mpsc::channel();
    // It serves until the test program ends.
    std::thread::spawn(move || {
        let listen =
            Listen { address: SocketAddr::from(([127, 0, 0, 1], 0)), tls: None, sweep_every: Duration::ZERO };
        serve(serving, &listen, |address| started.send(address).unwrap())
    });
    let mut visitor = Visitor::at(&format!("http://{}", address.recv().unwrap()));
    visitor.sign_in(&token);
    let address = opened(&visitor, "one");
    for (later, status) in [(0, 200), (3599, 200), (1, 404)] {
        clock.0.fetch_add(later, Ordering::Relaxed);
        assert_eq!(visitor.get(&address).status, status, "after {later} more seconds");
    }
}
