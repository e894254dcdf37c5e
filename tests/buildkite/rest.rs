//! Artifacts as Buildkite's REST clients see them.

use serde_json::{Value, json};

use crate::api::{Api, artifact};

const BUILD: &str = "/v2/organizations/org/pipelines/pipe/builds";

/// Uploads through the API as a pannier agent in Buildkite does: build `id`, number 7.
fn upload(api: &Api, job: &str, path: &str, content: &[u8], finish: bool) -> String {
    let mut new = artifact(path, content);
    new["key"] = format!("{job} {path}").into();
    let body = json!({
        "project": "org/pipe", "build": "0191-b", "facts": { "number": "7" }, "job": { "id": job, "step": "s" },
        "artifacts": [new],
    });
    let created = api.ask("POST", "/v1/artifacts", &body).json()[0].clone();
    if finish {
        if created["upload"]["how"] == "whole" {
            assert_eq!(api.signed("PUT", &created["upload"]["put"], content).status / 100, 2);
        }
        assert_eq!(api.finish(&json!({ "id": created["id"] }))["state"], "finished");
    }
    created["id"].as_str().unwrap().to_owned()
}

fn get(api: &Api, path: &str) -> crate::api::Answer {
    api.ask("GET", &format!("{BUILD}/{path}"), &Value::Null)
}

/// Proves the shape of an artifact, lists by build and by job, filters, and a build's number.
#[test]
fn lists_filters_and_fields() {
    let api = Api::on_disk();
    let id = upload(&api, "j1", "logs/a b.txt", b"text", true);
    upload(&api, "j2", "top.txt", b"other", true);
    let new = upload(&api, "j2", "logs/new.txt", b"never sent", false);
    let listed = get(&api, "7/artifacts").json();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert_eq!(get(&api, "0191-b/artifacts?state=finished").json().as_array().unwrap().len(), 2);
    assert_eq!(get(&api, "7/artifacts?state=new").json()[0]["id"], new);
    assert_eq!(get(&api, "7/artifacts?path=logs/*&state=finished").json()[0]["id"], id);
    get(&api, "7/artifacts?state=odd").refused(422, "is no state");
    let of_job = get(&api, "7/jobs/j1/artifacts").json();
    let one = &of_job[0];
    assert_eq!(of_job.as_array().unwrap().len(), 1);
    let at = format!("{}{BUILD}/7/jobs/j1/artifacts/{id}", api.served.url);
    let expected = json!({
        "id": id, "job_id": "j1", "url": at, "download_url": format!("{at}/download"), "state": "finished",
        "path": "logs/a b.txt", "dirname": "logs", "filename": "a b.txt", "mime_type": "text/plain", "file_size": 4,
        "sha1sum": "372ea08cab33e71c02c651dbc83a474d32c676ea",
        "sha256sum": "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1",
    });
    assert_eq!(*one, expected);
    assert_eq!(get(&api, &format!("7/jobs/j1/artifacts/{id}")).json(), expected);
    assert_eq!(get(&api, &format!("7/artifacts/{id}")).json(), expected);
}

/// Proves that a download is a redirect to the content for a while, and what is deleted or unfinished is not there.
#[test]
fn downloads_redirect_and_deletes_stay() {
    for api in Api::all("buildkite-rest") {
        let id = upload(&api, "j1", "a.txt", b"text", true);
        let new = upload(&api, "j1", "b.txt", b"never sent", false);
        let answer = get(&api, &format!("7/artifacts/{id}/download"));
        let url: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, answer.header("location")), (302, url["url"].as_str().unwrap()));
        assert_eq!(api.signed("GET", &url, b"").body, b"text");
        get(&api, &format!("7/artifacts/{new}/download")).refused(404, "");
        let one = format!("{BUILD}/7/artifacts/{id}");
        assert_eq!(api.ask("DELETE", &one, &Value::Null).status, 204);
        assert_eq!(api.ask("DELETE", &one, &Value::Null).status, 404);
        assert_eq!(get(&api, &format!("7/artifacts/{id}")).status, 404);
        assert_eq!(get(&api, "7/artifacts?state=deleted").json()[0]["id"], id);
    }
}

/// Proves that what a token may not see or touch is not there, and a wrong build or job neither.
#[test]
fn what_is_not_allowed_is_not_there() {
    let api = Api::on_disk();
    let id = upload(&api, "j1", "a.txt", b"text", true);
    let one = format!("{BUILD}/7/artifacts/{id}");
    let foreign = api.token(&["--for-project", "org/other"]);
    let reader = api.token(&["--for-project", "org/pipe", "--for-build", "another", "--scope", "local"]);
    for path in [format!("{BUILD}/7/artifacts"), one.clone(), format!("{one}/download")] {
        assert_eq!(api.ask_as(&foreign, "GET", &path, &Value::Null).status, 404, "{path}");
        assert_eq!(api.ask_as("nonsense", "GET", &path, &Value::Null).status, 401, "{path}");
        assert!(api.ask_as(&reader, "GET", &path, &Value::Null).status < 400, "{path}");
    }
    assert_eq!(api.ask_as(&reader, "DELETE", &one, &Value::Null).status, 404, "it may read that build alone");
    assert_eq!(get(&api, "8/artifacts").status, 404);
    assert_eq!(get(&api, &format!("7/jobs/j2/artifacts/{id}")).status, 404);
    assert_eq!(get(&api, "7/artifacts/nonsense").status, 404);
}

/// Proves that pages hold what was asked for, and lead to each other.
#[test]
fn pages_lead_to_each_other() {
    let api = Api::on_disk();
    for number in 0..35 {
        upload(&api, "j1", &format!("{number:02}.txt"), b"same", true);
    }
    let first = get(&api, "7/artifacts");
    assert_eq!(first.json().as_array().unwrap().len(), 30);
    let next = format!("<{}{BUILD}/7/artifacts?page=2>; rel=\"next\"", api.served.url);
    assert!(first.header("link").contains(&next), "{}", first.header("link"));
    let second = get(&api, "7/artifacts?page=2");
    assert_eq!(second.json()[4]["path"], "34.txt");
    assert!(!second.header("link").contains("next"), "{}", second.header("link"));
    let (mut paths, mut address) =
        (Vec::new(), format!("{BUILD}/7/jobs/j1/artifacts?per_page=10&path=*.txt"));
    loop {
        let page = api.ask("GET", &address, &Value::Null);
        paths.extend(
            page.json()
                .as_array()
                .unwrap()
                .iter()
                .map(|artifact| artifact["path"].as_str().unwrap().to_owned()),
        );
        let next = page.header("link").split(", ").find(|link| link.ends_with("rel=\"next\""));
        let Some(next) = next else { break };
        let url = next.trim_start_matches('<').split('>').next().unwrap();
        address = url.strip_prefix(&api.served.url).unwrap().to_owned();
    }
    assert_eq!(paths, (0..35).map(|number| format!("{number:02}.txt")).collect::<Vec<_>>());
}
