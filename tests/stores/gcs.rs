//! Google Cloud Storage, by a server that verifies signatures, and by Google's own library.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pannier::controller::store::{AnswerHeaders, CloudStore, Encryption, StoreOptions, StoreUrl, open_store};
use pannier::model::{ObjectKind, ObjectName, PackName, SignedUrl};

use crate::bed::{Bed, Promises, intent, name};
use crate::conformance::conformance;
use crate::gcs_server::{Faults, GcsServer};
use crate::goog4;
use crate::support::noise;
use crate::support::servers::{BUCKET, installed};

const PROMISES: Promises = Promises { create_only: true, length: true, checksum: true, signature: true };

fn url() -> StoreUrl {
    format!("gs://{BUCKET}/tests").parse().unwrap()
}

fn options(server: &GcsServer) -> StoreOptions {
    let key_file = server.key_file.path().to_str().unwrap().to_owned();
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", key_file), ("GOOGLE_BASE_URL", server.url.clone())];
    StoreOptions::with_variables(variables.into_iter().collect())
}

fn bed(_test: &str) -> Option<Bed> {
    let server = GcsServer::start();
    let store = open_store(&url(), &options(&server)).unwrap();
    Some(Bed::new(store, PROMISES, Arc::new(server)))
}

conformance!(bed);

/// Proves that a URL ends by itself.
#[test]
fn an_old_url_is_refused() {
    let server = GcsServer::start();
    let mut short = options(&server);
    // Less than `open_store` allows: nobody wants to wait a minute for this.
    short.url_life = Duration::from_secs(1);
    let bed = Bed::new(Box::new(CloudStore::open(&url(), &short).unwrap()), PROMISES, Arc::new(server));
    let bytes = noise(1, 100);
    let (pack, absent) = (bed.stored(&bytes), name());
    let put = bed.store.sign_put(absent, &intent(&bytes)).unwrap();
    let get = bed.sign_get(pack);
    std::thread::sleep(Duration::from_millis(2_500));
    let (status, said) = bed.get(get.expose(), None);
    assert!(status == 400 && String::from_utf8_lossy(&said).contains("ExpiredToken"));
    bed.put(&put, &bytes).unwrap_err();
    // What is remembered of a signature does not outlive it.
    assert_eq!(bed.get(bed.sign_get(pack).expose(), None).0, 200);
}

/// Proves that a GET of the same pack is signed once for those who ask together, and apart for different packs.
#[test]
fn a_signed_get_is_remembered() {
    let server = GcsServer::start();
    let store = open_store(&url(), &options(&server)).unwrap();
    let (one, other, plain) = (name(), name(), AnswerHeaders::default());
    assert_eq!(store.sign_get(one, &plain).unwrap(), store.sign_get(one, &plain).unwrap());
    assert_ne!(store.sign_get(one, &plain).unwrap(), store.sign_get(other, &plain).unwrap());
}

/// Proves that a check finds what is wrong with a store, says what to mend, and still leaves nothing behind.
#[test]
fn a_check_says_what_to_mend() {
    let fine = Faults::default();
    let wrong = [
        (Faults { overwrites: true, ..fine }, "does not honour If-None-Match", "conditional"),
        (Faults { seconds_ahead: 300, ..fine }, "s ahead of this machine's", "NTP"),
        (Faults { seconds_ahead: -300, ..fine }, "s behind this machine's", "NTP"),
        (Faults { no_ranges: true, ..fine }, "a signed GET of a range was answered 200", "Range"),
        (Faults { read_only: true, ..fine }, "a signed PUT was answered 403", "write objects"),
    ];
    for (faults, said, mend) in wrong {
        let server = GcsServer::start_with(faults);
        let store = open_store(&url(), &options(&server)).unwrap();
        let findings = store.check();
        let complaints: Vec<_> = findings.iter().filter(|finding| !finding.is_fine()).collect();
        assert!(complaints.iter().any(|finding| finding.what.contains(said)), "{said}: {findings:#?}");
        assert!(complaints.iter().any(|finding| finding.to_string().contains(mend)), "{mend}: {findings:#?}");
        store.list(ObjectKind::Pack, &mut |object| panic!("{object:?} was left")).unwrap();
    }
    let server = GcsServer::start();
    let findings = open_store(&"gs://no-such-bucket".parse().unwrap(), &options(&server)).unwrap().check();
    assert!(
        findings[0].what.contains("404 Not Found (NoSuchBucket)") && !findings[0].is_fine(),
        "{findings:#?}"
    );
}

/// Proves that our URLs are those of Google's own library, byte for byte up to the order and escapes of the query that
/// the signature itself is made over.
#[test]
fn signatures_are_those_of_googles_library() {
    let Some(python) = installed("venv/bin/python", "signatures_are_those_of_googles_library") else {
        return;
    };
    let server = GcsServer::start();
    let mut options = options(&server);
    options.encryption = Some(Encryption::Kms("projects/p/locations/eu/keyRings/r/cryptoKeys/k".into()));
    let store = open_store(&url(), &options).unwrap();
    assert!(!store.has_parts(), "an upload in parts would begin without the key");
    let pack = ObjectName::from(PackName([0xab; 16]));
    let ours = [
        ("GET", store.sign_get(pack, &AnswerHeaders::default()).unwrap()),
        ("PUT", store.sign_put(pack, &intent(b"123456789")).unwrap()),
    ];
    assert_eq!(ours[1].1.headers["x-goog-hash"], "crc32c=4waSgw==");
    let requests: Vec<serde_json::Value> = ours.iter().map(|(method, url)| as_request(method, url)).collect();
    let mut script = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stores/gcs_signatures.py"))
        .arg(server.key_file.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    script.stdin.take().unwrap().write_all(serde_json::to_string(&requests).unwrap().as_bytes()).unwrap();
    let output = script.wait_with_output().unwrap();
    assert!(output.status.success());
    let theirs: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    for ((method, ours), theirs) in ours.iter().zip(&theirs) {
        assert_eq!(parameters(ours.expose()), parameters(theirs), "{method}");
        let path = |url: &str| url.split('?').next().unwrap().split_once("/bucket/").unwrap().1.to_owned();
        assert_eq!(path(ours.expose()), path(theirs));
    }
}

/// What the script needs to sign the same.
fn as_request(method: &str, url: &SignedUrl) -> serde_json::Value {
    let parameters = parameters(url.expose());
    let value = |name: &str| parameters.iter().find(|(found, _)| found == name).unwrap().1.clone();
    let path = url.expose().split('?').next().unwrap().split_once("/bucket/").unwrap().1;
    serde_json::json!({
        "method": method,
        "resource": format!("/bucket/{path}"),
        "seconds": value("X-Goog-Expires").parse::<u64>().unwrap(),
        "timestamp": value("X-Goog-Date"),
        "headers": url.headers,
    })
}

/// The query's parameters, decoded and sorted; the signature is one of them.
fn parameters(url: &str) -> Vec<(String, String)> {
    let query = url.split_once('?').unwrap().1;
    let mut pairs: Vec<_> = query.split('&').map(|pair| goog4::pair(pair).unwrap()).collect();
    pairs.sort();
    assert!(pairs.iter().any(|(name, value)| name == "X-Goog-Signature" && value.len() == 512));
    pairs
}
