//! A server that behaves as Google Cloud Storage does, as far as pannier uses it, and checks every signature: of
//! signed URLs (`goog4`) and of the controller's own tokens. No emulator does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use pannier::transfer::put::crc32c;
use tokio::runtime::Runtime;

use crate::goog4;
use crate::support::servers::BUCKET;

/// Keys on a page of a listing: few, so that every listing has several pages.
const PAGE: usize = 3;

/// A running server, gone with this value, and the key of the one account that it knows.
pub(crate) struct GcsServer {
    pub(crate) url: String,
    /// The account's key file, as Google writes it.
    pub(crate) key_file: tempfile::NamedTempFile,
    _runtime: Runtime,
}

/// What a server does wrong.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    /// It takes a PUT of what is there already.
    pub(crate) overwrites: bool,
    /// Its clock is ahead of ours.
    pub(crate) seconds_ahead: i64,
    /// It passes no ranges on, as some proxies do.
    pub(crate) no_ranges: bool,
    /// The account may write nothing.
    pub(crate) read_only: bool,
}

struct Bucket {
    faults: Faults,
    public_key: Vec<u8>,
    objects: Mutex<BTreeMap<String, Bytes>>,
    /// Parts of uploads that are under way.
    uploads: Mutex<BTreeMap<String, BTreeMap<u32, Bytes>>>,
}

impl GcsServer {
    pub(crate) fn start() -> Self {
        Self::start_with(Faults::default())
    }

    pub(crate) fn start_with(faults: Faults) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let encoded = STANDARD.encode(private.as_ref());
        let lines: Vec<&str> =
            encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        let key_file = tempfile::NamedTempFile::new().unwrap();
        let account = serde_json::json!({
            "type": "service_account",
            "private_key": pem,
            "private_key_id": "k",
            "client_email": "ci@example.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
        });
        fs_err::write(key_file.path(), account.to_string()).unwrap();
        let public_key = pair.public_key().as_ref().to_vec();
        let bucket = Bucket { faults, public_key, objects: Mutex::default(), uploads: Mutex::default() };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer).with_state(Arc::new(bucket));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { url, key_file, _runtime: runtime }
    }
}

async fn answer(State(bucket): State<Arc<Bucket>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers: BTreeMap<String, String> =
        parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let query = parts.uri.query().unwrap_or_default();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let request = goog4::Request { method, path, query, headers: &headers };
    let allowed = if query.contains("X-Goog-Signature") {
        goog4::verify(&request, &bucket.public_key, jiff::Timestamp::now())
    } else {
        bucket.verify_token(headers.get("authorization").map_or("", String::as_str))
    };
    if let Err(why) = allowed {
        // Google says 400 of a URL that has ended.
        let (status, code) = if why == goog4::ENDED { (400, "ExpiredToken") } else { (403, "AccessDenied") };
        return error(status, code, why);
    }
    if bucket.faults.read_only && method == "PUT" {
        return error(403, "AccessDenied", "the account may not create objects");
    }
    let mut response = match path.strip_prefix(&format!("/{BUCKET}")) {
        Some("" | "/") if method == "GET" => bucket.list(query),
        // The controller escapes the slashes of a key, and Google takes that for the same key.
        Some(key) if key.starts_with('/') => {
            let key = goog4::decode(&key[1..]);
            let pairs: BTreeMap<String, String> = query.split('&').filter_map(goog4::pair).collect();
            match bucket.upload(method, &key, &pairs, &body) {
                Some(response) => response,
                None => told(bucket.object(method, &key, &headers, body), &pairs),
            }
        }
        _ => error(404, "NoSuchBucket", "the specified bucket does not exist"),
    };
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + bucket.faults.seconds_ahead);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now.unwrap()).unwrap();
    response.headers_mut().insert("date", date.parse().unwrap());
    response
}

impl Bucket {
    /// A JWT that the account signed for itself.
    fn verify_token(&self, authorization: &str) -> Result<(), &'static str> {
        let token = authorization.strip_prefix("Bearer ").ok_or("neither a signature nor a token")?;
        let (signed, signature) = token.rsplit_once('.').ok_or("no token")?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "no token")?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public_key)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| "another key's token")
    }

    fn object(&self, method: &str, key: &str, headers: &BTreeMap<String, String>, body: Bytes) -> Response {
        let mut objects = self.objects.lock().unwrap();
        let found = objects.get(key).cloned();
        match (method, found) {
            ("PUT", found) => match refusal(headers, found.is_some() && !self.faults.overwrites, &body) {
                Some(refused) => refused,
                None => {
                    objects.insert(key.to_owned(), body);
                    plain(200, Body::empty(), &[])
                }
            },
            (_, None) => error(404, "NoSuchKey", "the specified key does not exist"),
            ("HEAD", Some(bytes)) => {
                plain(200, Body::empty(), &[("content-length", bytes.len().to_string())])
            }
            ("GET", Some(bytes)) => {
                let range = headers.get("range").filter(|_| !self.faults.no_ranges);
                ranged(&bytes, range.map(String::as_str))
            }
            ("DELETE", Some(_)) => {
                objects.remove(key);
                plain(204, Body::empty(), &[])
            }
            _ => error(405, "MethodNotAllowed", "neither GET, HEAD, PUT nor DELETE"),
        }
    }

    /// Uploads in parts, as the XML API has them; `None` for any other request.
    fn upload(
        &self,
        method: &str,
        key: &str,
        query: &BTreeMap<String, String>,
        body: &Bytes,
    ) -> Option<Response> {
        let mut uploads = self.uploads.lock().unwrap();
        if query.contains_key("uploads") {
            let id = format!("upload{}", uploads.len());
            uploads.insert(format!("{key} {id}"), BTreeMap::new());
            let xml = format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            );
            return Some(plain(200, xml.into(), &[]));
        }
        let name = format!("{key} {}", query.get("uploadId")?);
        let Some(parts) = uploads.get_mut(&name) else {
            return Some(error(404, "NoSuchUpload", "the specified upload does not exist"));
        };
        let etag = |bytes: &Bytes| format!("{:08x}", crc32c(&[bytes.to_vec()]));
        Some(match (method, query.get("partNumber")) {
            ("PUT", Some(number)) => {
                parts.insert(number.parse().unwrap(), body.clone());
                let mut response = plain(200, Body::empty(), &[]);
                response.headers_mut().insert("etag", format!("\"{}\"", etag(body)).parse().unwrap());
                response
            }
            ("POST", None) => {
                let xml = String::from_utf8_lossy(body).replace("&quot;", "\"");
                let whole = parts.values().all(|bytes| xml.contains(&etag(bytes)))
                    && xml.matches("<PartNumber>").count() == parts.len();
                if !whole {
                    return Some(error(400, "InvalidPart", "a part is not there, or is another one"));
                }
                let bytes: Vec<u8> = parts.values().flatten().copied().collect();
                uploads.remove(&name);
                self.objects.lock().unwrap().insert(key.to_owned(), bytes.into());
                let xml = "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>";
                plain(200, xml.into(), &[])
            }
            ("DELETE", None) => {
                uploads.remove(&name);
                plain(204, Body::empty(), &[])
            }
            _ => error(405, "MethodNotAllowed", "no such request of an upload"),
        })
    }

    fn list(&self, query: &str) -> Response {
        let pairs: BTreeMap<String, String> = query.split('&').filter_map(goog4::pair).collect();
        let (prefix, after) =
            (pairs.get("prefix").cloned().unwrap_or_default(), pairs.get("continuation-token"));
        let objects = self.objects.lock().unwrap();
        let mut keys = objects
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix) && after.is_none_or(|after| *key > after));
        let page: Vec<_> = keys.by_ref().take(PAGE).collect();
        let mut xml = String::from("<?xml version='1.0'?><ListBucketResult>");
        for (key, bytes) in &page {
            let size = bytes.len();
            xml += &format!(
                "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>\"e\"</ETag></Contents>"
            );
        }
        if keys.next().is_some() {
            let (last, _) = page[page.len() - 1];
            xml += &format!("<NextContinuationToken>{last}</NextContinuationToken>");
        }
        plain(200, (xml + "</ListBucketResult>").into(), &[])
    }
}

/// What Google says to a PUT that breaks a condition, as its documentation of these headers has it.
fn refusal(headers: &BTreeMap<String, String>, exists: bool, body: &Bytes) -> Option<Response> {
    let len = body.len();
    if headers.get("x-goog-if-generation-match").is_some_and(|generation| generation == "0") && exists {
        return Some(error(412, "PreconditionFailed", "at least one of the conditions did not hold"));
    }
    if let Some((least, most)) =
        headers.get("x-goog-content-length-range").and_then(|range| range.split_once(','))
    {
        let [least, most] = [least, most].map(|bound| bound.parse::<usize>().unwrap());
        if !(least..=most).contains(&len) {
            let code = if len < least { "EntityTooSmall" } else { "EntityTooLarge" };
            return Some(error(400, code, "the length is outside the range"));
        }
    }
    let sum = format!("crc32c={}", STANDARD.encode(crc32c(&[body.to_vec()]).to_be_bytes()));
    if headers.get("x-goog-hash").is_some_and(|hash| *hash != sum) {
        return Some(error(400, "BadDigest", "the checksum is another one"));
    }
    None
}

fn ranged(bytes: &Bytes, range: Option<&str>) -> Response {
    let len = bytes.len();
    let Some((start, end)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return plain(200, bytes.clone().into(), &[]);
    };
    let start: usize = start.parse().unwrap();
    let end = end.parse().map_or(len, |last: usize| (last + 1).min(len));
    if start >= len {
        return error(416, "InvalidRange", "the range cannot be satisfied");
    }
    let range = format!("bytes {start}-{}/{len}", end - 1);
    plain(206, bytes.slice(start..end).into(), &[("content-range", range)])
}

/// The answer with the headers that the query asks for.
fn told(mut response: Response, query: &BTreeMap<String, String>) -> Response {
    for header in ["content-type", "content-disposition"] {
        if let Some(value) = query.get(&format!("response-{header}")) {
            response.headers_mut().insert(header, value.parse().unwrap());
        }
    }
    response
}

fn plain(status: u16, body: Body, headers: &[(&str, String)]) -> Response {
    let mut response = Response::builder().status(status);
    let date =
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&jiff::Timestamp::now());
    response = response.header("date", date.unwrap()).header("etag", "\"e\"");
    response = response.header("last-modified", "Fri, 02 Jan 2026 03:04:05 GMT");
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(body).unwrap()
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let xml = format!("<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    plain(status, xml.into(), &[])
}
