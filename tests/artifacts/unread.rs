//! Uploads that the controller has to read before they end, while it does and when it cannot. The disk store compares by itself; here
//! SeaweedFS does not.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{Api, artifact};
use crate::contents::send_part;
use crate::support::noise;
use crate::support::proxy::Proxy;
use crate::support::served::Served;
use crate::support::servers::BUCKET;

const LEN: usize = (64 << 20) + 9;

/// An upload whose parts are there, so that all that is left is its end.
fn sent(api: &Api, content: &[u8]) -> Value {
    let id = api.create(&[artifact("large", content)])[0]["id"].as_str().unwrap().to_owned();
    let parts = [send_part(api, &id, 1, &content[..64 << 20]), send_part(api, &id, 2, &content[64 << 20..])];
    json!({ "id": id, "parts": parts })
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(25));
    }
    panic!("{what} does not come");
}

/// Waits until the store's answers are kept back in the middle of a blob.
fn wait_for_reading(api: &Api, proxy: &Proxy) {
    wait_until("the reading", || proxy.is_holding());
    assert!(api.read_bytes() < LEN as u64);
}

/// Proves that an upload is neither finished nor failed while it is read, that others end meanwhile, and that a killed controller
/// reads it again.
#[test]
fn it_is_new_until_it_was_read() {
    let test = "artifacts-unread";
    let Some((mut api, proxy)) = Api::on_cut_seaweedfs(test) else { return };
    let content = noise(3, LEN);
    let upload = sent(&api, &content);
    proxy.hold_after(1 << 20);
    let ended = api.try_finish(&upload);
    wait_for_reading(&api, &proxy);
    assert_eq!(ended["state"], "new");
    assert!(ended["why"].as_str().unwrap().contains("is being read"), "{ended}");
    assert!(api.search(&json!({})).is_empty(), "nobody finds it before it is whole");
    let failed = api.create(&[artifact("other", b"never sent")]).remove(0);
    let both = json!([upload, { "id": failed["id"], "failed": true }]);
    let states = api.ask("POST", "/v1/artifacts/finish", &both).json();
    assert_eq!((&states[0]["state"], &states[1]["state"]), (&"new".into(), &"error".into()));

    api.served.kill();
    proxy.release();
    let store = format!("s3://{BUCKET}/{test}");
    let variables = api.variables.clone();
    api.served = Served::again_with(&api.sandbox, "data", &["--store", &store], &variables, &api.served);
    assert_eq!(api.finish(&upload)["state"], "finished");
    assert_eq!(api.read_bytes(), LEN as u64);
    let get = &api.one(upload["id"].as_str().unwrap())["get"];
    assert!(api.signed("GET", get, b"").body == content);
}

/// Proves that a store which breaks off while an upload is read costs a repeated request and no upload.
#[test]
fn a_store_that_breaks_off_is_read_again() {
    let Some((api, proxy)) = Api::on_cut_seaweedfs("artifacts-unread-cut") else { return };
    let upload = sent(&api, &noise(4, LEN));
    proxy.hold_after(1 << 20);
    assert_eq!(api.try_finish(&upload)["state"], "new");
    wait_for_reading(&api, &proxy);
    proxy.go_down();
    proxy.release();
    // The reading fails once its own attempts are over.
    proxy.come_back();
    for _ in 0..30 {
        let answer = api.ask("POST", "/v1/artifacts/finish", &json!([upload]));
        match answer.status {
            503 => thread::sleep(Duration::from_millis(200)),
            _ if answer.json()[0]["state"] == "finished" => return,
            _ => assert_eq!(answer.json()[0]["state"], "new"),
        }
    }
    panic!("it does not end");
}
