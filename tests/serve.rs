//! `pannier serve` as agents meet it: every command over HTTP, tokens, limits, what is logged and counted, and stops.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use support::served::Served;
use support::{Sandbox, assert_same_tree, make_rich_tree, noise};

/// Proves that every command does over HTTP what it does on a folder, and that a build restarts from an earlier one.
#[test]
fn every_command_works_over_http() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    let served = Served::start(&sandbox, "data", &[]);
    let said = sandbox.run_at(&served, ["stash", "deps", "-C", "work", "--build", "41"]).exits(0);
    assert!(said.stderr().starts_with("Stashed "), "{}", said.stderr());
    sandbox.run_at(&served, ["unstash", "deps", "-C", "out", "--set-id", "--build", "41"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
    let again = sandbox.run_at(&served, ["stash", "deps", "-C", "work", "--build", "41", "--json"]).json();
    assert_eq!((&again["packs"], &again["uploaded_bytes"]), (&0.into(), &0.into()), "{again}");
    sandbox.run_at(&served, ["copy", "--from-build", "41", "--to-build", "42"]).exits(0);
    let listed = sandbox.run_at(&served, ["list", "--build", "42", "--json"]).json();
    assert_eq!(listed[0]["name"], "deps");
    sandbox.run_at(&served, ["unstash", "deps", "--from-build", "42", "-C", "part", "src/deep"]).exits(0);
    assert!(sandbox.path("part/src/deep/er").is_dir() && !sandbox.path("part/src/file1.txt").exists());
    let shown = sandbox.run_at(&served, ["show", "deps", "--build", "42", "src/file1.txt"]).exits(0);
    assert!(shown.stdout().contains("src/file1.txt"));
    sandbox.run_at(&served, ["export", "deps", "--build", "42", "-o", "deps.tar"]).exits(0);
    let imported =
        sandbox.run_at(&served, ["import", "deps.tar", "tarred", "--build", "42", "--json"]).json();
    assert_eq!(imported["stash"]["id"], again["stash"]["id"], "export | import is the same stash");
    let verified = sandbox.run_at(&served, ["verify"]).exits(0);
    assert!(verified.stderr().contains("everything is whole"), "{}", verified.stderr());
    for build in ["41", "42"] {
        sandbox.run_at(&served, ["rm", "deps", "--build", build]).exits(0);
    }
    sandbox.run_at(&served, ["rm", "tarred", "--build", "42"]).exits(0);
    sandbox
        .run_at(&served, ["unstash", "deps", "-C", "gone", "--build", "41"])
        .exits(4)
        .says("No such saved stash");
}

/// Proves what a stash and an unstash cost on the wire: requests as the controller logged them, its objects' among them.
#[test]
fn requests_are_as_few_as_the_protocol_says() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    let served = Served::start(&sandbox, "data", &[]);
    let cost = |args: &[&str]| {
        let from = served.log().len();
        sandbox.run_at(&served, args).exits(0);
        served.requests(from)
    };
    let first = cost(&["stash", "deps", "-C", "work"]);
    let expected = [
        "POST /v1/sessions",
        "POST /v1/sessions/{session}/packs",
        "PUT /objects/{object}",
        "POST /v1/sessions/{session}/commit",
    ];
    assert_eq!(first, expected, "a small first stash");
    let again = cost(&["stash", "deps", "-C", "work"]);
    assert_eq!(again, ["POST /v1/sessions", "POST /v1/sessions/{session}/commit"], "an unchanged stash");
    let back = cost(&["unstash", "deps", "-C", "out"]);
    assert_eq!(back[0], "POST /v1/resolve");
    assert!(back[1..].iter().all(|request| request == "GET /objects/{object}"), "{back:?}");
    assert!(back.len() <= 5, "one pack: its footer, root, pages and content: {back:?}");
    let again = cost(&["unstash", "deps", "-C", "out"]);
    assert!(again.len() < back.len(), "no content is fetched that is there already: {again:?}");
}

/// Proves that a data folder has one content, whether it is served or opened directly.
#[test]
fn a_folder_that_was_served_is_an_embedded_one_afterwards() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    sandbox.stash("before");
    let mut served = Served::start(&sandbox, "store", &[]);
    sandbox.run_at(&served, ["unstash", "before", "-C", "out", "--set-id"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
    sandbox.run_at(&served, ["stash", "after", "-C", "work"]).exits(0);
    assert_eq!(served.stop(), Some(0));
    sandbox.run(["unstash", "after", "-C", "out2", "--set-id"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out2"));
}

/// Proves that what was committed survives a crash of the controller, that its first words come once, and that its
/// tokens outlive it.
#[test]
fn a_killed_controller_has_lost_nothing() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    let mut served = Served::start(&sandbox, "data", &[]);
    sandbox.run_at(&served, ["stash", "deps", "-C", "work"]).exits(0);
    served.kill();
    let served = Served::again(&sandbox, "data", &[], &served);
    sandbox.run_at(&served, ["unstash", "deps", "-C", "out", "--set-id"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
}

/// Proves that a token for one build writes there alone, reads its project alone, and does not run the controller; and
/// that what may not be seen looks like what is not there.
#[test]
fn a_token_opens_what_it_names_and_nothing_else() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("work/file"), b"content").unwrap();
    let mut served = Served::start(&sandbox, "data", &[]);
    let operator = served.token.clone();
    let token = |args: &[&str], served: &Served| {
        let said = sandbox.run_at(served, [&["token"], args].concat()).exits(0);
        said.stdout().trim().to_owned()
    };
    let own = token(&["--for-project", "p", "--for-build", "1"], &served);
    let other = token(&["--for-project", "q"], &served);
    let stash = ["stash", "x", "-C", "work", "--no-cache", "--project", "p"];
    served.token = own;
    sandbox.run_at(&served, [&stash[..], &["--build", "1"]].concat()).exits(0);
    sandbox
        .run_at(&served, [&stash[..], &["--build", "2"]].concat())
        .exits(1)
        .says("may not write to build 2");
    sandbox.run_at(&served, ["gc"]).exits(1).says("those who run the controller");
    sandbox.run_at(&served, ["verify"]).exits(1).says("those who run the controller");
    sandbox.run_at(&served, ["token"]).exits(1).says("those who run the controller");
    served.token = other;
    let hidden =
        sandbox.run_at(&served, ["unstash", "x", "-C", "out", "--project", "p", "--build", "1"]).exits(4);
    let absent =
        sandbox.run_at(&served, ["unstash", "x", "-C", "out", "--project", "none", "--build", "1"]).exits(4);
    assert_eq!(hidden.stderr().replace("of p", "of none"), absent.stderr(), "one answer for both");
    // The same bytes in another project's scope are not known to be there: a digest is no key.
    let sent = sandbox
        .run_at(
            &served,
            ["stash", "x", "-C", "work", "--no-cache", "--project", "q", "--build", "1", "--json"],
        )
        .json();
    assert_eq!(sent["packs"], 1, "{sent}");
    served.token = operator[..operator.len() - 3].to_owned();
    sandbox.run_at(&served, ["list"]).exits(1).says("does not take the token").says("PANNIER_TOKEN");
}

/// Proves that neither a token nor a signature stands in the controller's log or in what an agent prints, however much
/// either is asked to say.
#[test]
fn no_secret_is_logged() {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    let served = Served::start(&sandbox, "data", &[]);
    let mut said = String::new();
    for args in [
        &["stash", "deps", "-C", "work"][..],
        &["unstash", "deps", "-C", "out"],
        &["unstash", "none", "-C", "out"],
        &["verify"],
        &["gc"],
    ] {
        let run = sandbox.at(&served, args).env("PANNIER_LOG", "trace").output().unwrap();
        said += &String::from_utf8_lossy(&run.stderr);
        said += &String::from_utf8_lossy(&run.stdout);
    }
    let log = served.log();
    assert!(log.contains("/v1/sessions/{session}/commit") && log.contains("answered"), "it does log: {log}");
    let signature = served.token.rsplit('.').next().unwrap();
    for text in [&log, &said] {
        for secret in [served.token.as_str(), signature, "signature=", "Bearer "] {
            assert!(!text.contains(secret), "`{secret}` is in: {text}");
        }
    }
}

/// Sends bytes as they are; the status line and all that follows it.
fn raw(served: &Served, request: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(served.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    // A server that has refused already may have closed its end.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(served: &Served, path: &str, kind: &str, body: &[u8]) -> String {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n",
        served.token,
        body.len()
    );
    raw(served, &head, body)
}

/// Proves that a request that is too large, cut, malformed, or for nothing is refused with a reason, and that the server
/// goes on.
#[test]
fn bad_requests_are_refused_and_the_server_goes_on() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("work/file"), noise(1, 1000)).unwrap();
    let served = Served::start(&sandbox, "data", &[]);
    let binary = "application/octet-stream";
    let open = br#"{"project":"p","build":"1","name":"x"}"#;
    let opened = post(&served, "/v1/sessions", binary, &[&open[..], b"\n"].concat());
    assert!(opened.starts_with("HTTP/1.1 200") && opened.contains("\"session\":1"), "{opened}");
    assert!(opened.contains("x-request-id: "), "{opened}");
    let cases: [(&str, &str, Vec<u8>, &str, &str); 9] = [
        ("/v1/sessions", binary, vec![0; 2 << 20], "413", ""),
        ("/v1/sessions", binary, b"no head".to_vec(), "400", "head of the message"),
        ("/v1/sessions", binary, [&open[..], b"\n", &[7; 33]].concat(), "400", "ends within a digest"),
        ("/v1/sessions", binary, b"{\"project\":\"\",\"build\":\"1\",\"name\":\"x\"}\n".to_vec(), "400", "No name"),
        ("/v1/sessions/1/missing", binary, vec![7; 32 * 16_385], "400", "more than 16384"),
        ("/v1/sessions/99/missing", binary, vec![7; 32], "410", "session 99 has ended"),
        ("/v1/sessions/1/packs", "application/json", b"[{}]".to_vec(), "422", ""),
        ("/v1/sessions/1/packs", "application/json", br#"[{"len":99999999999,"footer_digest":"0000000000000000000000000000000000000000000000000000000000000000","crc32c":1}]"#.to_vec(), "400", "bytes of a pack"),
        ("/v1/nothing", binary, vec![], "404", ""),
    ];
    for (path, kind, body, status, text) in cases {
        let answer = post(&served, path, kind, &body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        assert!(answer.contains(text), "{path}: {answer}");
    }
    let unknown = raw(
        &served,
        "GET /v1/stashes?project=p&build=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"",
    );
    assert!(unknown.starts_with("HTTP/1.1 401"), "{unknown}");
    sandbox.run_at(&served, ["stash", "x", "-C", "work"]).exits(0);
}

/// Proves that health, readiness and counters are there for whoever watches, and that they count.
#[test]
fn it_can_be_watched() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("work/file"), noise(2, 100_000)).unwrap();
    let served = Served::start(&sandbox, "data", &[]);
    let look = |path: &str| {
        raw(&served, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), b"")
    };
    assert!(look("/healthz").ends_with("ok\n"));
    assert!(look("/readyz").ends_with("ready\n"));
    sandbox.run_at(&served, ["stash", "a", "-C", "work"]).exits(0);
    sandbox.run_at(&served, ["stash", "b", "-C", "work", "--no-cache"]).exits(0);
    let metrics = look("/metrics");
    for line in [
        "pannier_commits_total 2",
        "pannier_stashed_bytes_total 200000",
        "pannier_missing_digests_total",
        "pannier_asked_digests_total",
        "pannier_kept_from_moving_bytes",
        "pannier_requests_total{method=\"POST\",route=\"/v1/sessions\",status=\"200\"} 2",
        "pannier_ledger_seconds_count{kind=\"write\"}",
        "pannier_ledger_seconds_count{kind=\"read\"}",
        "pannier_request_seconds_count{route=\"/v1/sessions/{session}/commit\"} 2",
    ] {
        assert!(metrics.contains(line), "`{line}` is not in: {metrics}");
    }
}

/// Proves that HTTPS works with a certificate of a private authority that the agent is told of, that it is refused
/// without, and that a configuration file says the same as flags.
#[test]
fn https_works_with_a_private_authority() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("work/file"), noise(4, 5000)).unwrap();
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=pannier test", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(sandbox.dir.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = "tls-certificate = \"certificate.pem\"\ntls-key = \"key.pem\"\nsweep-minutes = 0\n";
    fs::write(sandbox.path("serve.toml"), config).unwrap();
    let served = Served::start(&sandbox, "data", &["--config", "serve.toml"]);
    assert!(served.url.starts_with("https://127.0.0.1:"), "{}", served.url);
    let distrusting = sandbox.run_at(&served, ["list"]).exits(1);
    assert!(distrusting.stderr().contains("certificate"), "{}", distrusting.stderr());
    let trusting = |args: &[&str]| {
        support::Run(sandbox.at(&served, args).env("PANNIER_CA_FILE", "certificate.pem").output().unwrap())
    };
    trusting(&["stash", "x", "-C", "work"]).exits(0);
    trusting(&["unstash", "x", "-C", "out"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
}

/// Proves that a configuration that cannot be meant is refused with the name of what is wrong.
#[test]
fn a_wrong_configuration_is_named() {
    let sandbox = Sandbox::new();
    for (text, said) in [
        ("listn = \"127.0.0.1:0\"", "listn"),
        ("listen = \"nowhere\"", "listen"),
        ("url-minutes = 900", "url-minutes"),
        ("tls-key = \"key.pem\"", "tls-certificate"),
        ("store = \"s3:/x\"", "s3"),
        ("encryption = \"rot13\"", "encryption"),
        ("not toml", "serve.toml"),
    ] {
        fs::write(sandbox.path("serve.toml"), text).unwrap();
        let refused = sandbox.run(["serve", "--config", "serve.toml", "--data", "data"]).exits(1);
        assert!(refused.stderr().contains(said), "`{said}` is not in: {}", refused.stderr());
    }
}
