//! The program itself against a controller over HTTP: killed and started again, stopped, behind a proxy, refused; and
//! everything that it printed on the way searched for what must stay secret.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use scripted::{Act, Scripted};
use support::served::Served;
use support::{Run, Sandbox, assert_same_tree, noise};

/// A workspace of more than three packs.
fn fill(sandbox: &Sandbox) {
    for number in 0..4 {
        fs::write(sandbox.work().join(format!("large{number}")), noise(number + 1, 33 << 20)).unwrap();
    }
}

/// The journal that the sandbox's one upload keeps, once a pack is written down in it.
fn journal(sandbox: &Sandbox) -> Option<PathBuf> {
    let files = fs::read_dir(sandbox.path("cache")).ok()?.filter_map(Result::ok);
    let mut paths = files.map(|file| file.path());
    let path = paths.find(|path| path.extension().is_some_and(|extension| extension == "sent"))?;
    (fs::metadata(&path).ok()?.len() > 16).then_some(path)
}

/// Starts a stash and returns when its first pack is sent.
fn under_way(sandbox: &Sandbox, served: &Served) -> Child {
    let mut command = sandbox.at(served, ["stash", "ws", "-C", "work"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let sent = (0..60_000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        journal(sandbox).is_some()
    });
    assert!(sent, "no pack was sent: {}", served.log());
    child
}

fn open_sessions(sandbox: &Sandbox) -> i64 {
    let ledger = rusqlite::Connection::open(sandbox.path("data/ledger.sqlite")).unwrap();
    ledger
        .query_row("SELECT count(*) FROM sessions WHERE state = 0 AND kind = 0", [], |row| row.get(0))
        .unwrap()
}

fn is_whole(sandbox: &Sandbox, served: &Served) {
    sandbox.run_at(served, ["unstash", "ws", "-C", "out", "--no-cache"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
}

/// Proves that an agent that was killed goes on when it is started again, and sends no finished pack twice.
#[test]
fn a_killed_agent_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    let served = Served::start(&sandbox, "data", &[]);
    let mut child = under_way(&sandbox, &served);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(open_sessions(&sandbox), 1);

    let from = served.log().len();
    let stashed = sandbox.run_at(&served, ["stash", "ws", "-C", "work", "--json"]).json();
    let resumed = stashed["resumed_packs"].as_u64().or(stashed["stats"]["resumed_packs"].as_u64()).unwrap();
    assert!(resumed >= 1, "{stashed}");
    let puts = served.requests(from).iter().filter(|request| request.starts_with("PUT")).count();
    assert!(puts as u64 <= 5 - resumed, "{:?}", served.requests(from));
    assert_eq!((open_sessions(&sandbox), journal(&sandbox)), (0, None));
    is_whole(&sandbox, &served);
}

/// Proves that Ctrl-C and SIGTERM release the session at the controller, and leave no journal of an ended one.
#[test]
fn a_stopped_agent_releases_its_session() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let sandbox = Sandbox::new();
        fill(&sandbox);
        let served = Served::start(&sandbox, "data", &[]);
        let child = under_way(&sandbox, &served);
        let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(&format!("stopped by SIG{name}")), "{said}");
        assert_eq!((open_sessions(&sandbox), journal(&sandbox)), (0, None));
        assert!(!sandbox.run_at(&served, ["list"]).exits(0).stdout().contains("ws"));
    }
}

fn printed(outputs: &[Output], more: &[String]) -> String {
    let both = outputs.iter().flat_map(|output| [&output.stdout, &output.stderr]);
    both.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).chain(more.iter().cloned()).collect()
}

/// Proves that no token and no signature is in anything that agent or controller print, whatever they are asked to log.
/// A proxy from the environment sees every request, and so every secret there was.
#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work().join("file"), noise(1, 3 << 20)).unwrap();
    let mut served = Served::start(&sandbox, "data", &[]);
    let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_down = down.clone();
    let proxy = Scripted::start(std::path::Path::new("/nonexistent"), move |seen, nth| {
        // Every kind of trouble on the way: tried again, renewed, and at last refused with the request quoted.
        let quoted = format!("{} {}", seen.target, seen.header("authorization").unwrap_or_default());
        let pack = seen.header("authorization").is_none();
        match nth {
            _ if is_down.load(std::sync::atomic::Ordering::Relaxed) => {
                Act::Answer(500, vec![], quoted.into())
            }
            0 => Act::Answer(503, vec![], quoted.into()),
            2 if pack => Act::Answer(403, vec![], quoted.into()),
            _ => Act::Forward,
        }
    });
    let run = |args: &[&str]| {
        let mut command = sandbox.at(&served, args);
        let by = format!("http://{}", proxy.address);
        command.env("HTTP_PROXY", &by).env("http_proxy", by).env("PANNIER_LOG", "trace");
        command.env("PANNIER_HTTP_HASTE", "60").output().unwrap()
    };
    let good = [
        run(&["stash", "ws", "-C", "work"]),
        run(&["unstash", "ws", "-C", "out", "--no-cache"]),
        run(&["list", "--json"]),
        run(&["show", "ws"]),
    ];
    assert!(good.iter().all(|output| output.status.success()), "{}", printed(&good, &[]));
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
    down.store(true, std::sync::atomic::Ordering::Relaxed);
    fs::write(sandbox.work().join("file"), noise(2, 3 << 20)).unwrap();
    let bad = [run(&["stash", "ws", "-C", "work"]), run(&["unstash", "ws", "-C", "out2"])];
    assert!(bad.iter().all(|output| output.status.code() == Some(1)), "{}", printed(&bad, &[]));
    served.stop();

    let seen = proxy.seen();
    let words =
        seen.iter().filter_map(|seen| seen.target.split_once('?')).flat_map(|(_, query)| query.split('&'));
    let values = words.filter_map(|pair| Some(pair.split_once('=')?.1.to_owned()));
    let secrets: Vec<String> =
        values.filter(|value| value.len() >= 16).chain([served.token.clone()]).collect();
    assert!(seen.iter().any(|seen| seen.method == "PUT") && secrets.len() > 3, "{secrets:?}");
    let all = printed(&good, &[printed(&bad, &[]), served.log()]);
    for secret in secrets {
        assert!(!all.contains(&secret), "{secret} is printed");
    }
    assert!(printed(&bad, &[]).contains("it answered 500 Internal Server Error"), "{}", printed(&bad, &[]));
}

/// Proves that a controller that only ever fails ends a command with its words and code 1.
#[test]
fn a_controller_that_never_recovers_ends_the_command() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work().join("file"), b"content").unwrap();
    let server = Scripted::start(std::path::Path::new("/nonexistent"), |_, _| Act::status(500));
    let run = |args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("PANNIER_URL", server.url("")).env("PANNIER_TOKEN", "a-token-of-some-length");
        Run(command.env("PANNIER_HTTP_HASTE", "100").output().unwrap())
    };
    for args in [&["stash", "ws", "-C", "work"][..], &["unstash", "ws"], &["list"], &["rm", "ws"]] {
        let run = run(args).exits(1);
        let said = run.stderr();
        assert!(said.contains("500 Internal Server Error: the server's words about 500"), "{said}");
        assert!(!said.contains("a-token"), "{said}");
    }
}
