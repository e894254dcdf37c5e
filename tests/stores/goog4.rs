//! Verifies V4 signatures of Google Cloud Storage, from Google's description of them and with none of the code that
//! makes ours. That it is right is proved on URLs that Google's own library made (`tests/data/gcs_v4.json`).

use std::collections::BTreeMap;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use jiff::Timestamp;

/// Signed as the host, wherever the server really is.
const HOST: &str = "storage.googleapis.com";

/// Why a signature whose time is over, or has not come, does not hold.
pub(crate) const ENDED: &str = "ended, or not begun";

/// What came in.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// As it stands in the URL.
    pub(crate) query: &'a str,
    /// Names in lower case.
    pub(crate) headers: &'a BTreeMap<String, String>,
}

/// Whether `request` carries a signature of `key` (PKCS #1) that holds at `now`; if not, why.
pub(crate) fn verify(request: &Request<'_>, key: &[u8], now: Timestamp) -> Result<(), &'static str> {
    let mut pairs: Vec<(String, String)> = request.query.split('&').filter_map(pair).collect();
    let value = |name: &str| {
        let found = pairs.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.clone()).ok_or("a parameter is missing")
    };
    if value("X-Goog-Algorithm")? != "GOOG4-RSA-SHA256" {
        return Err("another algorithm");
    }
    let (date, names) = (value("X-Goog-Date")?, value("X-Goog-SignedHeaders")?);
    let seconds: i64 = value("X-Goog-Expires")?.parse().map_err(|_| "no number of seconds")?;
    let signature = unhex(&value("X-Goog-Signature")?).ok_or("no hexadecimal signature")?;
    let credential = value("X-Goog-Credential")?;
    let (_, scope) = credential.split_once('/').ok_or("no scope")?;
    if scope != format!("{}/auto/storage/goog4_request", &date[..8]) {
        return Err("another scope");
    }
    // Jiff reads an ISO 8601 time without separators as well.
    let start: Timestamp = date.parse().map_err(|_| "no date")?;
    let age = now.as_second() - start.as_second();
    if !(0..=604_800).contains(&seconds) || !(-900..=seconds).contains(&age) {
        return Err(ENDED);
    }
    pairs.retain(|(name, _)| name != "X-Goog-Signature");
    let mut encoded: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    encoded.sort();
    let mut canonical = format!("{}\n{}\n{}\n", request.method, request.path, encoded.join("&"));
    for name in names.split(';') {
        let value = if name == "host" { Some(HOST) } else { request.headers.get(name).map(String::as_str) };
        let value = value.ok_or("a signed header was not sent")?;
        canonical += &format!("{name}:{}\n", value.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let unsigned =
        |name: &&String| name.starts_with("x-goog-") && !names.split(';').any(|signed| signed == *name);
    if request.headers.keys().any(|name| unsigned(&name)) {
        return Err("an extension header was not signed");
    }
    canonical += &format!("\n{names}\nUNSIGNED-PAYLOAD");
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    let signed = format!("GOOG4-RSA-SHA256\n{date}\n{scope}\n{}", hex(hash.as_ref()));
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| "another signature")
}

/// A parameter, decoded.
pub(crate) fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    Some((decode(name), decode(value)))
}

pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => unhex(&format!("{}{}", rest.next().unwrap() as char, rest.next().unwrap() as char))
                .unwrap()[0],
            plain => plain,
        });
    }
    String::from_utf8(bytes).unwrap()
}

fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes()
        .map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Proves that the verifier takes what Google's library signs, for its time, as it is, and nothing else.
#[test]
fn the_verifier_agrees_with_googles_library() {
    let text = include_str!("../data/gcs_v4.json");
    let data: serde_json::Value = serde_json::from_str(text).unwrap();
    let key = unhex(data["public_key"].as_str().unwrap()).unwrap();
    let signed = data["signed"].as_array().unwrap();
    assert!(signed.len() >= 2);
    for one in signed {
        let headers: BTreeMap<String, String> = serde_json::from_value(one["headers"].clone()).unwrap();
        let (_, rest) = one["url"].as_str().unwrap().split_once("googleapis.com").unwrap();
        let (path, query) = rest.split_once('?').unwrap();
        let method = one["method"].as_str().unwrap();
        let request = Request { method, path, query, headers: &headers };
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let now = at("2026-01-02T03:04:05Z");
        assert_eq!(verify(&request, &key, now), Ok(()));
        assert_eq!(verify(&request, &key, at("2026-01-02T03:19:06Z")), Err(ENDED));
        assert_eq!(verify(&request, &key, at("2026-01-02T02:04:05Z")), Err(ENDED));
        assert_eq!(verify(&Request { method: "DELETE", ..request }, &key, now), Err("another signature"));
        assert_eq!(
            verify(&Request { path: "/bucket/other", ..request }, &key, now),
            Err("another signature")
        );
        for name in headers.keys() {
            let mut other = headers.clone();
            other.insert(name.clone(), "other".into());
            assert_eq!(verify(&Request { headers: &other, ..request }, &key, now), Err("another signature"));
            other.remove(name);
            assert!(verify(&Request { headers: &other, ..request }, &key, now).is_err());
        }
    }
}
