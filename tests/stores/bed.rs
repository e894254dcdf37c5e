//! A store under test, and the requests that an agent would make with its URLs.

use std::sync::Arc;

use pannier::controller::store::{AnswerHeaders, PutIntent, Store, StoredObject};
use pannier::model::signed_url::file_path;
use pannier::model::{ObjectKind, ObjectName, Sha256, SignedUrl};
use pannier::transfer::put;
use tokio::runtime::Runtime;

/// What a kind of store can promise about its URLs.
#[derive(Clone, Copy)]
pub(crate) struct Promises {
    /// The PUT itself is refused where something is; otherwise it is staged, and settling leaves what is.
    pub(crate) create_only: bool,
    /// Another length is refused at the PUT.
    pub(crate) length: bool,
    /// Other bytes of the same length are refused at the PUT.
    pub(crate) checksum: bool,
    /// URLs are signed and end.
    pub(crate) signature: bool,
}

/// A store, and whatever must live as long.
pub(crate) struct Bed {
    pub(crate) store: Box<dyn Store>,
    pub(crate) promises: Promises,
    runtime: Runtime,
    client: reqwest::Client,
    _alive: Arc<dyn Send + Sync>,
}

impl Bed {
    pub(crate) fn new(store: Box<dyn Store>, promises: Promises, alive: Arc<dyn Send + Sync>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { store, promises, runtime, client: reqwest::Client::new(), _alive: alive }
    }

    /// A PUT as an agent sends it; `Err` is a refusal.
    pub(crate) fn put(&self, url: &SignedUrl, bytes: &[u8]) -> Result<(), String> {
        if let Some(path) = file_path(url) {
            // As an agent writes: beside, and then under its name unless something has it.
            let part = path.with_extension(format!("pack.{}.part", name().file_name()));
            fs_err::write(&part, bytes).unwrap();
            let published = fs_err::hard_link(&part, &path).map_err(|error| error.to_string());
            fs_err::remove_file(&part).unwrap();
            return published;
        }
        match self.request("PUT", url, url.expose(), bytes) {
            (200 | 201, _) => Ok(()),
            (status, body) => Err(format!("{status}: {}", String::from_utf8_lossy(&body))),
        }
    }

    /// Sends `bytes` where something is already: the PUT is refused, or what it staged is left alone.
    pub(crate) fn put_in_vain(&self, object: ObjectName, url: &SignedUrl, bytes: &[u8]) {
        let sent = self.put(url, bytes);
        assert!(sent.is_err() || !self.promises.create_only, "a PUT onto {object} was taken");
        self.store.settle(object).unwrap();
    }

    /// Status and body of any request to `text`, with the headers of `url` if it is a PUT.
    pub(crate) fn request(&self, method: &str, url: &SignedUrl, text: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut request = self.client.request(method.parse().unwrap(), text);
        for (name, value) in &url.headers {
            request = request.header(name, value);
        }
        if method == "PUT" {
            request = request.body(body.to_vec());
        }
        self.send(request)
    }

    /// Status and body of a GET, of a range if one is given.
    pub(crate) fn get(&self, text: &str, range: Option<&str>) -> (u16, Vec<u8>) {
        let request = self.client.get(text);
        self.send(match range {
            Some(range) => request.header("range", range),
            None => request,
        })
    }

    fn send(&self, request: reqwest::RequestBuilder) -> (u16, Vec<u8>) {
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
        })
    }

    /// A signed GET, whose answer says nothing in particular.
    pub(crate) fn sign_get(&self, object: ObjectName) -> SignedUrl {
        self.store.sign_get(object, &AnswerHeaders::default()).unwrap()
    }

    /// Everything of that kind that a listing finds, sorted.
    pub(crate) fn listed(&self, kind: ObjectKind) -> Vec<StoredObject> {
        let mut found = Vec::new();
        self.store.list(kind, &mut |object| found.push(object)).unwrap();
        found.sort_by_key(|object| object.object);
        found
    }

    /// A header of the answer to a GET.
    pub(crate) fn answered(&self, text: &str, header: &str) -> Option<String> {
        let response = self.runtime.block_on(self.client.get(text).send()).unwrap();
        assert_eq!(response.status(), 200);
        Some(response.headers().get(header)?.to_str().unwrap().to_owned())
    }

    /// Sends a part, and what the store answers as its `ETag`; `Err` is a refusal.
    pub(crate) fn put_part(&self, url: &SignedUrl, bytes: &[u8]) -> Result<String, u16> {
        let mut request = self.client.put(url.expose()).body(bytes.to_vec());
        for (name, value) in &url.headers {
            request = request.header(name, value);
        }
        let response = self.runtime.block_on(request.send()).unwrap();
        match response.status().as_u16() {
            200 | 201 => {
                let etag = response.headers().get("etag").map(|etag| etag.to_str().unwrap());
                Ok(etag.unwrap_or_default().to_owned())
            }
            status => Err(status),
        }
    }

    /// Signs for and sends `bytes` under a name of their own.
    pub(crate) fn stored(&self, bytes: &[u8]) -> ObjectName {
        let pack = name();
        let url = self.store.sign_put(pack, &intent(bytes)).unwrap();
        self.put(&url, bytes).unwrap();
        self.store.settle(pack).unwrap();
        pack
    }
}

/// What an agent announces before it sends `bytes` of a pack.
pub(crate) fn intent(bytes: &[u8]) -> PutIntent {
    let crc32c = Some(put::crc32c(&[bytes.to_vec()]));
    PutIntent { len: bytes.len() as u64, crc32c, sha256: None }
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> Sha256 {
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    Sha256(sum.as_ref().try_into().unwrap())
}

/// A name that no other object has, of a pack.
pub(crate) fn name() -> ObjectName {
    let mut name = [0; 16];
    getrandom::fill(&mut name).unwrap();
    ObjectName { kind: ObjectKind::Pack, name }
}

/// The same of a blob.
pub(crate) fn blob() -> ObjectName {
    ObjectName { kind: ObjectKind::Blob, ..name() }
}
