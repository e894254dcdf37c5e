//! The OpenAPI document against the server: every route is in it and nothing else, and what is answered has the shape that it says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::{Api, announcement, artifact};
use crate::support::noise;

/// What of JSON Schema the document uses. Why `value` does not fit, if it does not.
fn misfit(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        return misfit(document, target, value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().filter(|choice| misfit(document, choice, value, at).is_none()).count();
        return (fitting != 1).then(|| format!("{at}: {fitting} choices fit {value}"));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if schema["type"] != kind {
        return Some(format!("{at}: {value} is no {}", schema["type"]));
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        return Some(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_i64(), value.as_i64())
        && number < least
    {
        return Some(format!("{at}: {number} < {least}"));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str()) {
        // `^[0-9a-f]{n}$` is all that is used.
        let digits: usize = pattern.split(['{', '}']).nth(1).unwrap().parse().unwrap();
        if text.len() != digits || !text.bytes().all(|byte| b"0123456789abcdef".contains(&byte)) {
            return Some(format!("{at}: {text} is not {pattern}"));
        }
    }
    if let Some(items) = value.as_array() {
        return items.iter().find_map(|item| misfit(document, &schema["items"], item, &format!("{at}[]")));
    }
    let fields = value.as_object()?;
    let required = schema["required"].as_array().into_iter().flatten();
    if let Some(name) = required.map(|name| name.as_str().unwrap()).find(|name| !fields.contains_key(*name)) {
        return Some(format!("{at}: no {name} in {value}"));
    }
    // A shape that names its fields names all of them, but for those of stashes, which are the agent's affair.
    let known = schema["properties"].as_object()?;
    let closed = at.starts_with("/v1/artifacts") || at.starts_with("/v1/files");
    fields.iter().find_map(|(name, value)| match known.get(name) {
        Some(schema) => misfit(document, schema, value, &format!("{at}.{name}")),
        None => closed.then(|| format!("{at}: {name} is not in the document")),
    })
}

/// An operation that is tried: method, route, its address, and its body.
struct Try {
    method: &'static str,
    route: &'static str,
    path: String,
    body: Value,
}

fn attempt(method: &'static str, route: &'static str, path: &str, body: Value) -> Try {
    Try { method, route, path: path.to_owned(), body }
}

/// Every operation on artifacts; the last one deletes `id`.
fn of_artifacts(id: &str, large: &str) -> Vec<Try> {
    let query = "project=p&build=1";
    let mut link = artifact("link", b"");
    link["link"] = "a".into();
    vec![
        attempt(
            "POST",
            "/v1/artifacts",
            "/v1/artifacts",
            announcement(
                "1",
                &[
                    link,
                    artifact("new", b"x"),
                    artifact("k", b"content"),
                    artifact("a/b.txt", b"content"),
                    artifact("large2", &noise(2, (64 << 20) + 1)),
                ],
            ),
        ),
        attempt(
            "POST",
            "/v1/artifacts/{id}/parts",
            &format!("/v1/artifacts/{large}/parts"),
            json!([{ "number": 2, "len": 1, "crc32c": 5 }]),
        ),
        attempt(
            "POST",
            "/v1/artifacts/finish",
            "/v1/artifacts/finish",
            json!([{ "id": id }, { "id": large, "parts": [{ "number": 1, "etag": "x" }] }]),
        ),
        attempt(
            "POST",
            "/v1/artifacts/search",
            "/v1/artifacts/search",
            json!({ "project": "p", "build": "1", "path": "*", "signed": true, "states": ["new", "error", "finished"], "include_duplicates": true, "include_retried": true }),
        ),
        attempt(
            "POST",
            "/v1/artifacts/search",
            "/v1/artifacts/search",
            json!({ "project": "p", "branch": "none" }),
        ),
        attempt("GET", "/v1/artifacts/{id}", &format!("/v1/artifacts/{id}"), Value::Null),
        attempt(
            "POST",
            "/v1/files/list",
            "/v1/files/list",
            json!({ "project": "p", "build": "1", "signed": true }),
        ),
        attempt(
            "POST",
            "/v1/files/list",
            "/v1/files/list",
            json!({ "project": "p", "build": "1", "path": "a", "recursive": true, "includes": "**", "excludes": "x", "default_excludes": true }),
        ),
        attempt("GET", "/v1/files", &format!("/v1/files?{query}&path=a/b.txt"), Value::Null),
        attempt("GET", "/v1/files", &format!("/v1/files?{query}&path=a"), Value::Null),
        attempt("DELETE", "/v1/artifacts/{id}", &format!("/v1/artifacts/{id}"), Value::Null),
    ]
}

/// Every operation on builds and by operators that speaks JSON and needs no session.
fn of_builds() -> Vec<Try> {
    let (build, query) = (json!({ "project": "p", "build": "1" }), "project=p&build=1");
    vec![
        attempt("GET", "/v1/stashes", &format!("/v1/stashes?{query}"), Value::Null),
        attempt("POST", "/v1/resolve", "/v1/resolve", json!({ "project": "p", "build": "1", "name": "s" })),
        attempt(
            "POST",
            "/v1/copy",
            "/v1/copy",
            json!({ "from": build, "to": { "project": "p", "build": "2" } }),
        ),
        attempt("DELETE", "/v1/stashes", &format!("/v1/stashes?{query}&name=s"), Value::Null),
        attempt("POST", "/v1/stashes/clear", "/v1/stashes/clear", build),
        attempt("DELETE", "/v1/files", &format!("/v1/files?{query}&path="), Value::Null),
        attempt("POST", "/v1/gc", "/v1/gc", json!({ "dry_run": true })),
        attempt("POST", "/v1/verify", "/v1/verify", json!({ "rebuild_index": false })),
        attempt(
            "POST",
            "/v1/tokens",
            "/v1/tokens",
            json!({ "project": "p", "read": [], "operator": false, "lives_seconds": 60 }),
        ),
    ]
}

/// Proves that the document lists the server's routes, all of them and no other: the server answers 404 without words of a route
/// that it does not have, and its source names those that it has.
#[test]
fn the_document_has_every_route() {
    let api = Api::on_disk();
    let document = api.ask_as("", "GET", "/v1/openapi.json", &Value::Null).json();
    let source = std::fs::read_to_string("src/controller/server/routes.rs").unwrap();
    let has = |name: &str| source.contains(&format!("\"{name}\""));
    let documented: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    for path in &documented {
        assert!(has(path.strip_prefix("/v1").unwrap()), "{path} is no route");
    }
    let v1 = source.split("Router::new()\n        .nest").next().unwrap();
    let mut rest = [v1, source.split("fn artifacts_routes").nth(1).unwrap()].concat();
    let mut routes = 0;
    while let Some(at) = rest.find(".route(\"/") {
        let (path, left) = rest[at + 8..].split_once('"').unwrap();
        assert!(documented.contains(&format!("/v1{path}")[..]), "{path} is not in the document");
        rest = left.to_owned();
        routes += 1;
    }
    assert_eq!(routes, documented.len());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "delete", "put"] {
            let answer = api.ask_as("nobody", &method.to_uppercase(), path, &Value::Null);
            let expected = if methods[method].is_null() {
                405
            } else if path == "/v1/openapi.json" {
                200
            } else {
                401
            };
            assert_eq!(answer.status, expected, "{method} {path}");
        }
    }
}

/// Proves that requests of the shape that the document asks for are taken, and that answers, refusals among them, have the
/// shape that it promises.
#[test]
fn answers_are_as_the_document_says() {
    let api = Api::on_disk();
    let document = api.ask("GET", "/v1/openapi.json", &Value::Null).json();
    let id = api.upload("a/b.txt", b"content");
    let large =
        api.create(&[artifact("large", &noise(1, (64 << 20) + 1))])[0]["id"].as_str().unwrap().to_owned();
    std::fs::write(api.sandbox.path("work/file"), b"stashed").unwrap();
    api.sandbox.run_at(&api.served, ["stash", "s", "-C", "work", "--project", "p", "--build", "1"]).exits(0);
    for Try { method, route, path, body } in of_artifacts(&id, &large).into_iter().chain(of_builds()) {
        let operation = &document["paths"][route][method.to_lowercase()];
        if !body.is_null() {
            let asked = &operation["requestBody"]["content"]["application/json"]["schema"];
            assert_eq!(
                misfit(&document, asked, &body, route),
                None,
                "{method} {route}: the request of this test"
            );
        }
        let answer = api.ask(method, &path, &body).json();
        let promised = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        assert_eq!(misfit(&document, promised, &answer, route), None, "{method} {route}: {answer}");
    }
    let refused = api.ask("GET", "/v1/files?project=p&build=1&path=nowhere", &Value::Null);
    let refusal: Value = serde_json::from_slice(&refused.body).unwrap();
    let promised = json!({ "$ref": "#/components/schemas/Refusal" });
    assert_eq!((refused.status, misfit(&document, &promised, &refusal, "refusal")), (404, None), "{refusal}");
}

/// Proves that the check above can fail.
#[test]
fn a_wrong_shape_is_seen() {
    let document = json!({ "components": { "schemas": { "A": { "type": "object", "required": ["a"], "properties": { "a": { "type": "integer", "minimum": 0 } } } } } });
    let schema = json!({ "$ref": "#/components/schemas/A" });
    assert_eq!(misfit(&document, &schema, &json!({ "a": 1 }), "/v1/files"), None);
    for wrong in [json!({}), json!({ "a": "1" }), json!({ "a": -1 }), json!({ "a": 1, "b": 2 }), json!([])] {
        assert!(misfit(&document, &schema, &wrong, "/v1/files").is_some(), "{wrong}");
    }
}
