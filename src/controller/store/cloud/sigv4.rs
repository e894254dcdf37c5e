//! Signature version 4 of a URL, as Amazon specifies it ("Authenticating Requests: Using Query Parameters").
//!
//! object_store signs such URLs too, but not the length of what is sent; this is for PUTs, which are bound to it. It
//! signs as UNSIGNED-PAYLOAD: the bytes are held by the checksum header.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use jiff::Timestamp;
use object_store::aws::AwsCredential;
use object_store::signer::Url;

/// What is signed beside the URL.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// Names in lower case, sorted; `host` not among them.
    pub(super) headers: &'a [(&'static str, String)],
    /// Further parts of the query, sorted by name, in lower case.
    pub(super) query: &'a [(&'static str, String)],
    pub(super) region: &'a str,
    /// Seconds that the URL lives.
    pub(super) life: u64,
    pub(super) now: Timestamp,
}

/// `url` with its signature. Its path must hold nothing that needs escaping, and it must have no query.
pub(super) fn presign(url: &Url, credential: &AwsCredential, request: &Request<'_>) -> String {
    let time = request.now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = time.get(..8).unwrap_or_default();
    let scope = format!("{day}/{}/s3/aws4_request", request.region);
    let (names, canonical_headers) = canonical_headers(url, request.headers);
    let token = credential.token.as_ref();
    let pairs = [
        Some(("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned())),
        Some(("X-Amz-Credential", format!("{}/{scope}", credential.key_id))),
        Some(("X-Amz-Date", time.clone())),
        Some(("X-Amz-Expires", request.life.to_string())),
        token.map(|token| ("X-Amz-Security-Token", token.clone())),
        Some(("X-Amz-SignedHeaders", names.clone())),
    ];
    // In the order of their names already, as the signature wants them: capitals come first.
    let query: Vec<String> =
        pairs.into_iter().flatten().chain(request.query.iter().cloned()).map(pair).collect();
    let query = query.join("&");
    let canonical = format!(
        "{}\n{}\n{query}\n{canonical_headers}\n{names}\nUNSIGNED-PAYLOAD",
        request.method,
        url.path()
    );
    let hashed = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
    let secret = format!("AWS4{}", credential.secret_key).into_bytes();
    let key = [day, request.region, "s3", "aws4_request"]
        .into_iter()
        .fold(secret, |key, part| hmac(&key, part.as_bytes()));
    format!("{url}?{query}&X-Amz-Signature={}", hex(&hmac(&key, to_sign.as_bytes())))
}

fn pair((name, value): (&str, String)) -> String {
    format!("{name}={}", escaped(&value))
}

/// The names and the lines of what is signed, `host` in its place.
fn canonical_headers(url: &Url, headers: &[(&'static str, String)]) -> (String, String) {
    let host = host(url);
    let mut all: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    all.push(("host", &host));
    all.sort_unstable();
    let names = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines = all.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    (names, lines)
}

/// As HTTP clients send it: without the scheme's usual port.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), data).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All but RFC 3986's unreserved characters as `%XX`.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(byte as char),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in Amazon's specification of signed URLs, with its published signature.
    #[test]
    fn the_published_example() {
        let credential = AwsCredential {
            key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: None,
        };
        let request = Request {
            method: "GET",
            headers: &[],
            query: &[],
            region: "us-east-1",
            life: 86400,
            now: "2013-05-24T00:00:00Z".parse().unwrap(),
        };
        let url = Url::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap();
        let signed = presign(&url, &credential, &request);
        assert!(signed.starts_with(
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&"
        ));
        assert!(
            signed.ends_with("=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"),
            "{signed}"
        );
    }
}
