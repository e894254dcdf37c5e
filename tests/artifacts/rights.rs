//! Who may what: a job's token writes as that job alone, and knowing a digest opens nothing.

use serde_json::{Value, json};

use crate::api::{Api, announcement, artifact};

/// Proves that a token of one job makes artifacts of that job in that build, and of no other.
#[test]
fn a_job_writes_as_itself() {
    let api = Api::on_disk();
    let own =
        api.token(&["--for-project", "p", "--for-build", "1", "--for-job", "j", "--for-step", "tested"]);
    let made = api.ask_as(&own, "POST", "/v1/artifacts", &announcement("1", &[artifact("a", b"x")])).json();
    let foreign_build = announcement("2", &[artifact("a", b"x")]);
    api.ask_as(&own, "POST", "/v1/artifacts", &foreign_build).refused(400, "may not write to");
    let mut foreign_job = announcement("1", &[artifact("a", b"x")]);
    foreign_job["job"]["id"] = "other".into();
    api.ask_as(&own, "POST", "/v1/artifacts", &foreign_job)
        .refused(400, "may not write artifacts of job other");
    let put = &made[0]["upload"]["put"];
    assert_eq!(api.signed("PUT", put, b"x").status, 201);
    let other = api.token(&["--for-project", "p", "--for-build", "1", "--for-job", "other"]);
    let ends = json!([{ "id": made[0]["id"] }]);
    api.ask_as(&other, "POST", "/v1/artifacts/finish", &ends)
        .refused(400, "may not write artifacts of job j");
    assert_eq!(api.ask_as(&own, "POST", "/v1/artifacts/finish", &ends).json()[0]["state"], "finished");
    let id = made[0]["id"].as_str().unwrap();
    let seen = api.ask_as(&other, "GET", &format!("/v1/artifacts/{id}"), &Value::Null).json();
    assert_eq!(seen["job"]["step"], "tested", "the step is what the token says");
    api.ask_as(&other, "DELETE", &format!("/v1/artifacts/{id}"), &Value::Null).refused(400, "of job j");
    api.ask_as(&other, "DELETE", "/v1/files?project=p&build=1", &Value::Null).refused(400, "may not write");
}

/// Proves that another project's token finds nothing of this one, and that content which it may not read is not "known" to it.
#[test]
fn what_may_not_be_seen_is_not_there() {
    let api = Api::on_disk();
    let p = api.token(&["--for-project", "p"]);
    let q = api.token(&["--for-project", "q"]);
    let made =
        api.ask_as(&p, "POST", "/v1/artifacts", &announcement("1", &[artifact("a", b"secret")])).json();
    assert_eq!(api.signed("PUT", &made[0]["upload"]["put"], b"secret").status, 201);
    let ends = json!([{ "id": made[0]["id"] }]);
    assert_eq!(api.ask_as(&p, "POST", "/v1/artifacts/finish", &ends).json()[0]["state"], "finished");
    let one = format!("/v1/artifacts/{}", made[0]["id"].as_str().unwrap());
    for (method, path, body) in [
        ("GET", &one[..], Value::Null),
        ("DELETE", &one, Value::Null),
        ("POST", "/v1/artifacts/finish", ends),
        ("POST", "/v1/artifacts/search", json!({ "project": "p", "build": "1" })),
        ("POST", "/v1/files/list", json!({ "project": "p", "build": "1" })),
        ("GET", "/v1/files?project=p&build=1&path=a", Value::Null),
        ("DELETE", "/v1/files?project=p&build=1&path=a", Value::Null),
        ("POST", "/v1/stashes/clear", json!({ "project": "p", "build": "1" })),
    ] {
        api.ask_as(&q, method, path, &body).refused(404, "or this token may not see it");
    }
    let mut theirs = announcement("1", &[artifact("a", b"secret")]);
    theirs["project"] = "q".into();
    let theirs = api.ask_as(&q, "POST", "/v1/artifacts", &theirs).json();
    assert_eq!(
        theirs[0]["upload"]["how"], "whole",
        "who knows a digest has to send the content all the same"
    );
    let again =
        api.ask_as(&p, "POST", "/v1/artifacts", &announcement("2", &[artifact("a", b"secret")])).json();
    assert_eq!(again[0]["upload"]["how"], "known");
    assert_eq!(api.ask_as("nonsense", "GET", &one, &Value::Null).status, 401);
}
