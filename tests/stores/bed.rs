//! A store under test, and the requests that an agent would make with its URLs.

use std::sync::Arc;

use pannier::controller::store::Store;
use pannier::model::signed_url::file_path;
use pannier::model::{Digest, PackName, SignedUrl};
use pannier::protocol::PackIntent;
use pannier::transfer::put;
use tokio::runtime::Runtime;

/// What a kind of store can promise about its URLs.
#[derive(Clone, Copy)]
pub(crate) struct Promises {
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
            let part = path.with_extension(format!("pack.{}.part", name()));
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

    /// Signs for and sends `bytes` under a name of their own.
    pub(crate) fn stored(&self, bytes: &[u8]) -> PackName {
        let pack = name();
        let url = self.store.sign_put(pack, &intent(bytes)).unwrap();
        self.put(&url, bytes).unwrap();
        pack
    }
}

/// What an agent announces before it sends `bytes`.
pub(crate) fn intent(bytes: &[u8]) -> PackIntent {
    let crc32c = put::crc32c(&[bytes.to_vec()]);
    PackIntent { len: bytes.len() as u64, footer_digest: Digest::of(bytes), crc32c }
}

/// A name that no other pack has.
pub(crate) fn name() -> PackName {
    let mut name = [0; 16];
    getrandom::fill(&mut name).unwrap();
    PackName(name)
}
