//! What becomes of bytes: whole or in parts, the announced ones or others, sent once.

use pannier::protocol::contents::from_bytes;
use serde_json::{Value, json};

use crate::api::{Api, Compares, artifact};
use crate::support::noise;
use crate::support::served::Served;

const ODD: &str = "otherdir/xxx#?:$&'\"<>čॐ\r\n.txt";

/// Proves that an artifact comes back as it went, under its own name and type, whatever that name is.
#[test]
fn what_goes_up_comes_down_named_and_typed() {
    for api in Api::all("artifacts-round-trip") {
        let id = api.upload(ODD, b"content");
        let found = api.search(&json!({ "path": "otherdir/*" }));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (&found[0]["id"], &found[0]["path"], &found[0]["mode"]),
            (&id.into(), &ODD.into(), &0o640.into())
        );
        let down = api.signed("GET", &found[0]["get"], b"");
        assert_eq!((down.status, &down.body[..]), (200, &b"content"[..]));
        assert_eq!(down.header("content-type"), "text/plain");
        let disposition = down.header("content-disposition");
        assert!(
            disposition.starts_with("inline; filename=\"xxx#?:$&'_<>____.txt\"; filename*="),
            "{disposition}"
        );
        assert!(disposition.ends_with("%C4%8D%E0%A5%90%0D%0A.txt"), "{disposition}");
        let empty = api.upload("empty", b"");
        assert_eq!(api.signed("GET", &api.one(&empty)["get"], b"").body, b"");
    }
}

/// Proves that small contents come together where the controller has them itself, each by the right that its own path carries, and that
/// nobody can ask for too much.
#[test]
fn small_contents_come_together() {
    let api = Api::on_disk();
    let path = |name: &str, content: &[u8]| {
        let id = api.upload(name, content);
        api.one(&id)["get"]["url"].as_str().unwrap().to_owned()
    };
    let (a, b, empty) = (path("a", b"first"), path("b", b"second"), path("empty", b""));
    let (large, medium) = (path("large", &noise(1, 300_000)), path("medium", &noise(2, 250_000)));
    let mut altered = a.clone();
    altered.replace_range(altered.len() - 1.., if a.ends_with('0') { "1" } else { "0" });
    let elsewhere = a.replace(".blob", ".pack");
    let answer =
        api.lines("/objects", &[b.clone(), altered, elsewhere, "x".into(), large, empty, a.clone(), b]);
    assert_eq!(answer.status, 200);
    let contents = from_bytes(&answer.body, 8).unwrap();
    let some = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(contents, [some("second"), None, None, None, None, some(""), some("first"), some("second")]);
    let answer = from_bytes(&api.lines("/objects", &vec![medium; 40]).body, 40).unwrap();
    assert_eq!(answer.iter().flatten().count(), 33, "8 MiB and no more");
    api.lines("/objects", &vec![a.clone(); 257]).refused(400, "256 objects");
    if let Some(api) = Api::on_seaweedfs("artifacts-together") {
        assert_eq!(api.lines("/objects", &[a]).status, 404, "they lie elsewhere");
    }
}

/// Proves that content which a build has is not sent again, nor asked for.
#[test]
fn known_content_moves_no_byte() {
    for api in Api::all("artifacts-known") {
        api.upload("a", b"the same");
        let again =
            api.create(&[artifact("a", b"the same"), artifact("b", b"the same"), artifact("c", b"new")]);
        let how: Vec<&Value> = again.iter().map(|created| &created["upload"]["how"]).collect();
        assert_eq!(
            how,
            ["finished", "known", "whole"],
            "an earlier request, the same content, other content"
        );
        assert_eq!(api.finish(&json!({ "id": again[1]["id"] }))["state"], "finished");
        let b = api.one(again[1]["id"].as_str().unwrap());
        assert_eq!(api.signed("GET", &b["get"], b"").body, b"the same");
        assert_eq!(api.one(again[2]["id"].as_str().unwrap())["state"], "new");
    }
}

/// Proves that other bytes than the announced ones never become a finished artifact.
#[test]
fn other_bytes_end_in_error() {
    for api in Api::all("artifacts-mismatch") {
        let mut created = api.create(&[
            artifact("x", b"announced"),
            artifact("y", b"announced too"),
            artifact("z", b"zzz"),
        ]);
        let put = &created[0]["upload"]["put"];
        let same_length = api.signed("PUT", put, b"different").status;
        let longer = api.signed("PUT", put, b"longer than announced").status;
        let compares = api.compares != Compares::Nothing;
        assert!(!compares || (same_length >= 400 && longer >= 400), "{same_length}, {longer}");
        let ended = api.finish(&json!({ "id": created[0]["id"] }));
        assert_eq!(ended["state"], "error", "{ended}");
        let why = if compares { "not in the store" } else { "its SHA-256 is" };
        assert!(ended["why"].as_str().unwrap().contains(why), "{ended}");
        assert_eq!(api.finish(&json!({ "id": created[0]["id"] }))["state"], "error", "it stays so");
        let failed = api.finish(&json!({ "id": created[1]["id"], "failed": true }));
        assert_eq!(failed["state"], "error");
        let parts = format!("/v1/artifacts/{}/parts", created[1]["id"].as_str().unwrap());
        let part = json!([{ "number": 1, "len": 13, "crc32c": 0 }]);
        api.ask("POST", &parts, &part).refused(400, "takes no content: it is error");
        assert_eq!(api.search(&json!({})).len(), 0);
        assert_eq!(api.search(&json!({ "states": ["error"] })).len(), 2);
        // Sent again under the same key it is another artifact, which can succeed.
        created = api.create(&[artifact("x", b"announced")]);
        assert_eq!(api.signed("PUT", &created[0]["upload"]["put"], b"announced").status / 100, 2);
        assert_eq!(api.finish(&json!({ "id": created[0]["id"] }))["state"], "finished");
    }
}

/// Signs and sends a part; what the store answered as its `ETag`.
pub(crate) fn send_part(api: &Api, id: &str, number: u64, bytes: &[u8]) -> Value {
    let crc32c = pannier::transfer::put::crc32c(&[bytes.to_vec()]);
    let part = json!([{ "number": number, "len": bytes.len(), "crc32c": crc32c }]);
    let signed = api.ask("POST", &format!("/v1/artifacts/{id}/parts"), &part).json();
    let sent = api.signed("PUT", &signed[0], bytes);
    assert!(matches!(sent.status, 200 | 201), "{}", String::from_utf8_lossy(&sent.body));
    json!({ "number": number, "etag": sent.header("etag") })
}

/// Proves that a large artifact goes up in parts, in any order, one of them twice, and is whole.
#[test]
fn large_ones_go_up_in_parts() {
    let content = noise(5, (130 << 20) + 7);
    for api in Api::all("artifacts-parts") {
        let created = api.create(&[artifact("large", &content)]).remove(0);
        let part_bytes = created["upload"]["part_bytes"].as_u64().unwrap() as usize;
        assert_eq!((&created["upload"]["how"], part_bytes), (&"parts".into(), 64 << 20));
        let id = created["id"].as_str().unwrap();
        let pieces: Vec<&[u8]> = content.chunks(part_bytes).collect();
        let wrong = json!([{ "number": 4, "len": 7, "crc32c": 0 }]);
        api.ask("POST", &format!("/v1/artifacts/{id}/parts"), &wrong).refused(400, "has no part 4");
        let last = send_part(&api, id, 3, pieces[2]);
        send_part(&api, id, 1, &noise(9, part_bytes));
        let first = send_part(&api, id, 1, pieces[0]);
        let second = send_part(&api, id, 2, pieces[1]);
        let upload = json!({ "id": id, "parts": [first, second, last] });
        let ended = api.finish(&upload);
        assert_eq!(ended["state"], "finished", "{ended}");
        assert_eq!(api.finish(&upload)["state"], "finished", "the answer was lost, the request repeated");
        assert!(api.signed("GET", &api.one(id)["get"], b"").body == content, "it is not what was sent");
        let read = if api.compares == Compares::Everything { 0 } else { content.len() as u64 };
        assert_eq!(api.read_bytes(), read, "what no store compared is read once");
    }
}

/// Proves that parts which do not make the announced whole end in `error`, and leave nothing behind.
#[test]
fn parts_that_do_not_make_the_whole_end_in_error() {
    let content = noise(6, (64 << 20) + 9);
    for api in Api::all("artifacts-bad-parts") {
        let id = api.create(&[artifact("large", &content)])[0]["id"].as_str().unwrap().to_owned();
        let last = send_part(&api, &id, 2, &content[64 << 20..]);
        let ended = api.finish(&json!({ "id": id, "parts": [last] }));
        assert_eq!(ended["state"], "error", "{ended}");
        let id = api.create(&[artifact("large", &content)])[0]["id"].as_str().unwrap().to_owned();
        let mut other = content.clone();
        other[5] ^= 1;
        let parts =
            [send_part(&api, &id, 1, &other[..64 << 20]), send_part(&api, &id, 2, &other[64 << 20..])];
        let upload = json!({ "id": id, "parts": parts });
        let ended = api.finish(&upload);
        assert!(ended["why"].as_str().unwrap().contains("SHA-256"), "{ended}");
        assert_eq!((&ended["state"], &api.finish(&upload)["state"]), (&"error".into(), &"error".into()));
        assert!(api.search(&json!({})).is_empty());
    }
}

/// Proves that an upload goes on where a killed controller left it.
#[test]
fn a_killed_controller_ends_no_upload() {
    let mut api = Api::on_disk();
    let created = api.create(&[artifact("a", b"content")]).remove(0);
    assert_eq!(api.signed("PUT", &created["upload"]["put"], b"content").status, 201);
    api.served.kill();
    api.served = Served::again(&api.sandbox, "data", &[], &api.served);
    assert_eq!(api.finish(&json!({ "id": created["id"] }))["state"], "finished");
    api.served.kill();
    api.served = Served::again(&api.sandbox, "data", &[], &api.served);
    let one = api.one(created["id"].as_str().unwrap());
    assert_eq!(api.signed("GET", &one["get"], b"").body, b"content");
}
