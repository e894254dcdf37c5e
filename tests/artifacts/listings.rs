//! A build's artifacts as a manager sees them: one folder, a whole tree, one file; cleared and copied.

use serde_json::{Value, json};

use crate::api::{Api, announcement, artifact};

fn list(api: &Api, build: &str, more: &Value) -> Value {
    let mut body = json!({ "project": "p", "build": build });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    api.ask("POST", "/v1/files/list", &body).json()
}

fn paths(listing: &Value) -> Vec<&str> {
    listing["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect()
}

/// Makes finished artifacts without content of their own.
fn make(api: &Api, build: &str, names: &[String]) {
    for names in names.chunks(1000) {
        let artifacts: Vec<Value> = names.iter().map(|name| artifact(name, b"")).collect();
        let created = api.ask("POST", "/v1/artifacts", &announcement(build, &artifacts)).json();
        let created = created.as_array().unwrap();
        if created[0]["upload"]["how"] == "whole" {
            // One is sent; the others are known then.
            assert_eq!(api.signed("PUT", &created[0]["upload"]["put"], b"").status / 100, 2);
        }
        for created in created.iter().filter(|created| created["upload"]["how"] == "whole").skip(1) {
            assert_eq!(api.signed("PUT", &created["upload"]["put"], b"").status / 100, 2);
        }
        let ends: Vec<Value> = created.iter().map(|created| json!({ "id": created["id"] })).collect();
        let ended = api.ask("POST", "/v1/artifacts/finish", &Value::Array(ends)).json();
        assert!(ended.as_array().unwrap().iter().all(|ended| ended["state"] == "finished"));
    }
}

fn file(api: &Api, method: &str, path: &str) -> crate::api::Answer {
    let encoded: String = path.bytes().map(|byte| format!("%{byte:02X}")).collect();
    api.ask(method, &format!("/v1/files?project=p&build=1&path={encoded}"), &Value::Null)
}

/// Proves what a Jenkins-like manager asks: one level, all below, patterns, default excludes, one file, what is not there.
#[test]
fn a_build_is_browsed_as_a_tree() {
    let api = Api::on_disk();
    let odd = "otherdir/xxx#?:$&'\"<>čॐ";
    let names = ["a-b.txt", "a/b/c.txt", "a/d.txt", "a.txt", ".git/config", "somefile~", odd];
    make(&api, "1", &names.map(str::to_owned));
    let top = list(&api, "1", &json!({}));
    assert_eq!(paths(&top), [".git", "a-b.txt", "a.txt", "a", "otherdir", "somefile~"]);
    let kinds: Vec<&Value> = top["files"].as_array().unwrap().iter().map(|file| &file["kind"]).collect();
    assert_eq!(kinds, ["folder", "file", "file", "folder", "folder", "file"]);
    assert_eq!(paths(&list(&api, "1", &json!({ "path": "a" }))), ["a/b", "a/d.txt"]);
    let recursive = |more: Value| {
        let mut body = json!({ "recursive": true });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        list(&api, "1", &body)
    };
    assert_eq!(
        paths(&recursive(json!({ "includes": "**/*.txt", "excludes": "a-*" }))),
        ["a.txt", "a/b/c.txt", "a/d.txt"]
    );
    assert_eq!(
        paths(&recursive(json!({ "path": "a", "includes": "*.txt" }))),
        ["a/d.txt"],
        "relative to the folder"
    );
    assert_eq!(recursive(json!({ "default_excludes": true }))["files"].as_array().unwrap().len(), 5);
    assert_eq!(paths(&list(&api, "1", &json!({ "path": "nowhere" }))), Vec::<&str>::new());

    let one = file(&api, "GET", odd).json();
    assert_eq!(
        (&one["kind"], &one["len"], &one["mode"], &one["modified"]),
        (&"file".into(), &0.into(), &0o640.into(), &1_700_000_000.into())
    );
    assert_eq!(api.signed("GET", &one["get"], b"").status, 200);
    assert_eq!(file(&api, "GET", "a/b").json()["kind"], "folder");
    assert_eq!(file(&api, "GET", "").json()["kind"], "folder");
    file(&api, "GET", "a/b/x").refused(404, "no artifact of");
    file(&api, "GET", "a/../b").refused(400, "is no path of an artifact");

    assert_eq!(
        file(&api, "DELETE", "a").json(),
        2,
        "a folder goes with what is below it, and nothing beside"
    );
    assert_eq!(file(&api, "DELETE", "a").json(), 0);
    assert_eq!(paths(&list(&api, "1", &json!({}))).len(), 5);
}

/// Proves that a link is kept as one, without content.
#[test]
fn a_link_is_a_link() {
    let api = Api::on_disk();
    let mut link = artifact("latest", b"");
    link["link"] = "build/1.log".into();
    let created = api.create(&[link]).remove(0);
    assert_eq!(created["upload"]["how"], "known");
    assert_eq!(api.finish(&json!({ "id": created["id"] }))["state"], "finished");
    let one = file(&api, "GET", "latest").json();
    assert_eq!(
        (&one["kind"], &one["link"], &one["get"]),
        (&"link".into(), &"build/1.log".into(), &Value::Null)
    );
}

/// Proves what pages cost: a folder of 100 files with their URLs is one request, a glob over 1,000 artifacts is one, and
/// longer lists go on where they stopped without loss or repetition.
#[test]
fn one_listing_answers_a_page() {
    let api = Api::on_disk();
    let names: Vec<String> = (0..100).map(|number| format!("page/{number:03}.log")).collect();
    make(&api, "1", &names);
    let from = api.served.log().len();
    let page = list(&api, "1", &json!({ "path": "page", "signed": true }));
    let files = page["files"].as_array().unwrap();
    assert!(files.len() == 100 && files.iter().all(|file| file["get"]["url"].is_string()));
    assert_eq!(api.served.requests(from), ["POST /v1/files/list"]);

    let names: Vec<String> = (0..1500)
        .map(|number| format!("many/{:02}/{number:04}.{}", number % 40, ["log", "xml"][number % 3 / 2]))
        .collect();
    make(&api, "2", &names);
    let from = api.served.log().len();
    let globbed = list(&api, "2", &json!({ "recursive": true, "includes": "many/**/*.log" }));
    assert_eq!(globbed["files"].as_array().unwrap().len(), 1000);
    assert!(globbed["next"].is_null(), "exactly a thousand fit one answer");
    assert_eq!(api.served.requests(from).len(), 1);
    let (mut found, mut after, mut requests) = (Vec::new(), Value::Null, 0);
    loop {
        let mut body = json!({ "recursive": true });
        if !after.is_null() {
            body["after"] = after;
        }
        let listing = list(&api, "2", &body);
        found.extend(paths(&listing).into_iter().map(str::to_owned));
        after = listing["next"].clone();
        requests += 1;
        if after.is_null() {
            break;
        }
    }
    let mut sorted = names;
    sorted.sort();
    assert!(found == sorted && requests == 2, "{} in {requests} requests", found.len());
    assert_eq!(list(&api, "2", &json!({ "path": "many" }))["files"].as_array().unwrap().len(), 40);
}

/// Proves that another build gets artifacts and stashes by reference, and that clearing stashes leaves artifacts.
#[test]
fn a_build_is_copied_and_its_stashes_cleared() {
    let api = Api::on_disk();
    api.upload("report.html", b"<h1>well</h1>");
    std::fs::write(api.sandbox.path("work/file"), b"stashed").unwrap();
    api.sandbox.run_at(&api.served, ["stash", "s", "-C", "work", "--project", "p", "--build", "1"]).exits(0);
    let builds = json!({ "from": { "project": "p", "build": "1" }, "to": { "project": "p", "build": "2" } });
    let from = api.served.log().len();
    assert_eq!(api.ask("POST", "/v1/copy", &builds).json(), json!({ "stashes": 1, "artifacts": 1 }));
    assert_eq!(api.served.requests(from), ["POST /v1/copy"], "no content moves");
    for expected in [1, 0] {
        let cleared = api.ask("POST", "/v1/stashes/clear", &json!({ "project": "p", "build": "1" })).json();
        assert_eq!(cleared, expected);
    }
    assert_eq!(file(&api, "DELETE", "").json(), 1);
    let kept = list(&api, "2", &json!({ "signed": true }));
    assert_eq!(api.signed("GET", &kept["files"][0]["get"], b"").body, b"<h1>well</h1>");
    api.sandbox.run_at(&api.served, ["unstash", "s", "-C", "out", "--project", "p", "--build", "2"]).exits(0);
}

/// Proves that requests which make no sense, or would cost too much, are refused in words.
#[test]
fn senseless_and_excessive_requests_are_refused() {
    let api = Api::on_disk();
    for path in ["../x", "/etc/passwd", "a//b", "a/./b", ""] {
        let announced = announcement("1", &[artifact(path, b"")]);
        api.ask("POST", "/v1/artifacts", &announced).refused(400, "is no path of an artifact");
    }
    let many: Vec<Value> = (0..1001).map(|number| artifact(&number.to_string(), b"")).collect();
    api.ask("POST", "/v1/artifacts", &announcement("1", &many)).refused(400, "1001 are more than 1000");
    let mut header = artifact("a", b"");
    header["content_type"] = "text/plain\r\nset-cookie: a=b".into();
    api.ask("POST", "/v1/artifacts", &announcement("1", &[header])).refused(400, "content type");
    let mut huge = artifact("a", b"");
    huge["len"] = u64::MAX.into();
    api.ask("POST", "/v1/artifacts", &announcement("1", &[huge])).refused(400, "bytes of an artifact");
    make(&api, "1", &[format!("{}b", "a".repeat(2000))]);
    let slow = json!({ "path": "*a".repeat(1900) + "*c" });
    assert_eq!(api.search(&slow).len(), 0, "a pattern that is made to be slow is answered like any other");
    let query = json!({ "project": "p", "build": "1", "after": "nonsense" });
    api.ask("POST", "/v1/artifacts/search", &query).refused(400, "`after`");
}
