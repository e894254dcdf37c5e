//! The agent's wire, spoken by hand where the agent never goes wrong: other bytes than announced, foreign jobs, tokens that name no
//! build, altered tickets.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{Api, artifact};
use crate::support::noise;

/// A batch of one file, as an agent announces it.
fn batch(path: &str, content: &[u8], parts: bool) -> Value {
    let new = artifact(path, content);
    json!({
        "id": format!("batch of {path}"), "upload_destination": "", "multipart_supported": parts,
        "artifacts": [{
            "path": path, "absolute_path": format!("/w/{path}"), "glob_path": "*", "file_size": content.len(),
            "sha1sum": new["sha1"], "sha256sum": new["sha256"], "content_type": "text/plain",
        }],
    })
}

fn own_token(api: &Api) -> String {
    api.token(&["--for-project", "org/pipe", "--for-build", "b", "--for-job", "j", "--for-step", "s"])
}

/// A URL that an answer names, without the server.
fn path_of<'a>(api: &Api, action: &'a Value) -> &'a str {
    action["url"].as_str().unwrap().strip_prefix(&api.served.url).unwrap()
}

/// Proves that other bytes than were announced end in `error`, and that an agent which calls them finished is told so.
#[test]
fn other_bytes_are_never_finished() {
    for api in Api::all("buildkite-mismatch") {
        let token = own_token(&api);
        let created =
            api.ask_as(&token, "POST", "/v3/jobs/j/artifacts", &batch("a.txt", b"announced", true)).json();
        let id = created["artifact_ids"][0].as_str().unwrap();
        let actions = created["per_artifact_instructions"][id]["actions"].as_array().unwrap();
        assert_eq!((actions.len(), &actions[0]["part_number"]), (1, &1.into()));
        let sent = api.signed("PUT", &json!({ "url": actions[0]["url"] }), b"different");
        let etag = sent.header("etag").to_owned();
        let parts = if etag.is_empty() { json!([]) } else { json!([{ "part_number": 1, "etag": etag }]) };
        let ended = json!({ "artifacts": [{ "id": id, "state": "finished", "multipart": true, "multipart_etags": parts }] });
        api.ask_as(&token, "PUT", "/v3/jobs/j/artifacts", &ended).refused(422, "is in state error");
        let searched = "/v3/builds/b/artifacts/search?query=*&state=";
        assert_eq!(api.ask_as(&token, "GET", &format!("{searched}finished"), &Value::Null).json(), json!([]));
        assert_eq!(api.ask_as(&token, "GET", &format!("{searched}error"), &Value::Null).json()[0]["id"], id);
    }
}

/// Proves that other bytes in several parts end in `error` where no store compares them: while they are read an agent is put off, in time for
/// its own patience, and it asks again.
#[test]
fn other_parts_are_never_finished() {
    let Some((api, proxy)) = Api::on_cut_seaweedfs("buildkite-mismatched-parts") else { return };
    let token = own_token(&api);
    let (whole, mut other) = (noise(8, (64 << 20) + 2), noise(8, (64 << 20) + 2));
    other[70] ^= 1;
    let created = api.ask_as(&token, "POST", "/v3/jobs/j/artifacts", &batch("a", &whole, true)).json();
    let id = created["artifact_ids"][0].as_str().unwrap();
    let actions = created["per_artifact_instructions"][id]["actions"].as_array().unwrap();
    let halves = other.chunks(other.len() / 2);
    let send = |(action, half): (&Value, &[u8])| {
        let sent = api.signed("PUT", &json!({ "url": action["url"] }), half);
        json!({ "part_number": action["part_number"], "etag": sent.header("etag") })
    };
    let parts: Vec<Value> = actions.iter().zip(halves).map(send).collect();
    assert_eq!(parts.len(), 2);
    let ended = json!({ "artifacts": [{ "id": id, "state": "finished", "multipart": true, "multipart_etags": parts }] });
    let update = || {
        let patience = [("Buildkite-Timeout-Milliseconds", "3000")];
        api.ask_with(&token, "PUT", "/v3/jobs/j/artifacts", &ended, &patience)
    };
    proxy.hold_after(1 << 20);
    let began = Instant::now();
    update().refused(503, "is being read");
    assert!(began.elapsed() < Duration::from_secs(3), "the agent has gone by now");
    assert!(proxy.is_holding());
    proxy.release();
    let refused = (0..30).map(|_| update()).find(|answer| answer.status != 503).unwrap();
    refused.refused(422, "is in state error: its SHA-256 is");
}

/// Proves the same of other bytes that are relayed, and that what came through the controller is not read again.
#[test]
fn other_relayed_bytes_are_never_finished() {
    let Some(api) = Api::on_azurite("buildkite-mismatched-relay") else { return };
    let token = own_token(&api);
    let whole = noise(8, (64 << 20) + 2);
    let mut other = whole.clone();
    other[70] ^= 1;
    for (name, content, status) in [("whole", &whole, 200), ("other", &other, 422)] {
        let announced = if name == "whole" {
            batch(name, &whole, true)
        } else {
            batch(name, &noise(9, whole.len()), true)
        };
        let created = api.ask_as(&token, "POST", "/v3/jobs/j/artifacts", &announced).json();
        let id = created["artifact_ids"][0].as_str().unwrap();
        let relay = &created["per_artifact_instructions"][id]["actions"][0];
        assert_eq!(
            api.signed("PUT", &json!({ "url": path_of(&api, relay) }), content).status,
            status,
            "{name}"
        );
    }
    assert_eq!(api.read_bytes(), 0);
}

/// Proves that a batch which is sent again is the same batch, and that both kinds of instructions are always there for those who know them.
#[test]
fn a_repeated_batch_is_the_same() {
    let api = Api::on_disk();
    let token = own_token(&api);
    let ask =
        |parts| api.ask_as(&token, "POST", "/v3/jobs/j/artifacts", &batch("a", b"content", parts)).json();
    let (first, again, older) = (ask(true), ask(true), ask(false));
    assert_eq!(first["artifact_ids"], again["artifact_ids"]);
    assert_eq!(first["artifact_ids"], older["artifact_ids"]);
    assert_eq!(older["per_artifact_instructions"], Value::Null);
    for created in [&first, &older] {
        let form = &created["upload_instructions"];
        assert_eq!(form["data"]["path"], "${artifact:path}");
        assert_eq!(
            (&form["action"]["method"], &form["action"]["file_input"]),
            (&"POST".into(), &"file".into())
        );
    }
}

/// Proves that a job sends as itself alone, that a token which names no build is told which one is needed, that an agent's own store is
/// refused, and that no ticket but the given one opens the relay.
#[test]
fn who_may_not_is_told_so() {
    let api = Api::on_disk();
    let token = own_token(&api);
    let one = batch("a", b"", true);
    let post = |token: &str, path: &str, body: &Value| api.ask_as(token, "POST", path, body);
    post(&token, "/v3/jobs/other/artifacts", &one).refused(400, "may not write artifacts of job other");
    post(&api.served.token, "/v3/jobs/j/artifacts", &one).refused(400, "pannier token --for-project");
    assert_eq!(post("nonsense", "/v3/jobs/j/artifacts", &one).status, 401);
    let mut elsewhere = one.clone();
    elsewhere["upload_destination"] = "s3://bucket".into();
    post(&token, "/v3/jobs/j/artifacts", &elsewhere).refused(400, "leave out the upload destination");
    let mut outside = one.clone();
    outside["artifacts"][0]["path"] = "../../etc/passwd".into();
    post(&token, "/v3/jobs/j/artifacts", &outside).refused(400, "is no path of an artifact");
    let foreign = api.token(&["--for-project", "other", "--for-build", "b"]);
    let found = api.ask_as(&foreign, "GET", "/v3/builds/b/artifacts/search?query=*", &Value::Null).json();
    assert_eq!(found, json!([]), "build b of another project is another build");
    let state = api.ask_as(&token, "GET", "/v3/builds/b/artifacts/search?query=*&state=odd", &Value::Null);
    state.refused(422, "is no state");

    let created = post(&token, "/v3/jobs/j/artifacts", &one).json();
    let id = created["artifact_ids"][0].as_str().unwrap();
    // An empty file comes by the server.
    let relay = path_of(&api, &created["per_artifact_instructions"][id]["actions"][0]);
    let altered = relay.replace("ticket=", "ticket=A");
    assert_eq!(api.signed("PUT", &json!({ "url": altered }), b"").status, 403);
    assert_eq!(api.signed("PUT", &json!({ "url": "/v3/relay?ticket=" }), b"").status, 403);
    let sent = api.signed("PUT", &json!({ "url": relay }), b"");
    assert!(sent.status == 200 && !sent.header("etag").is_empty(), "{}", sent.status);
    assert_eq!(
        api.signed("PUT", &json!({ "url": relay }), b"").status,
        200,
        "its answer was lost, and it came again"
    );
}
