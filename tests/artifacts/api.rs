//! A served controller, and a plain HTTP client of its API. No test.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::Sandbox;
use crate::support::proxy::Proxy;
use crate::support::served::Served;
use crate::support::servers::{
    BUCKET, Server, azurite, azurite_variables, other_s3, seaweedfs, seaweedfs_variables,
};

/// A controller that answers, with whatever must live as long.
pub(crate) struct Api {
    pub(crate) served: Served,
    pub(crate) sandbox: Sandbox,
    /// What of a PUT and of a whole in parts its store compares by itself; the controller reads the rest.
    pub(crate) compares: Compares,
    /// With which the controller finds a store behind a proxy.
    pub(crate) variables: Vec<(&'static str, String)>,
    runtime: Runtime,
    client: reqwest::Client,
    _store: Option<Arc<Server>>,
}

/// What a store compares with what was announced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compares {
    /// PUTs, and the SHA-256 of a whole that came in parts.
    Everything,
    /// PUTs.
    Puts,
    /// Nothing.
    Nothing,
}

impl Compares {
    /// Ceph 16 compares nothing.
    fn of_s3() -> Self {
        if other_s3().is_some() { Self::Nothing } else { Self::Puts }
    }
}

/// An answer: status, headers, body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Its JSON, if it is a success.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts a refusal and what it says.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, says: &str) {
        let text = String::from_utf8_lossy(&self.body);
        assert!(self.status == status && text.contains(says), "{}: {text}", self.status);
    }
}

impl Api {
    /// A controller on its own disk.
    pub(crate) fn on_disk() -> Self {
        let sandbox = Sandbox::new();
        let served = Served::start(&sandbox, "data", &[]);
        Self::of(sandbox, served, Compares::Everything, None)
    }

    /// One on SeaweedFS, below a prefix of its own.
    pub(crate) fn on_seaweedfs(test: &str) -> Option<Self> {
        let store = seaweedfs(test)?;
        let sandbox = Sandbox::new();
        let url = format!("s3://{BUCKET}/{test}");
        let served = Served::start_with(&sandbox, "data", &["--store", &url], &seaweedfs_variables(&store));
        Some(Self::of(sandbox, served, Compares::of_s3(), Some(store)))
    }

    /// One on SeaweedFS by way of a proxy that can be cut.
    pub(crate) fn on_cut_seaweedfs(test: &str) -> Option<(Self, Proxy)> {
        let store = seaweedfs(test)?;
        let proxy = Proxy::to(store.port);
        let sandbox = Sandbox::new();
        let mut variables = seaweedfs_variables(&store);
        for (name, value) in &mut variables {
            if *name == "AWS_ENDPOINT_URL" {
                *value = format!("http://127.0.0.1:{}", proxy.port);
            }
        }
        let url = format!("s3://{BUCKET}/{test}");
        let served = Served::start_with(&sandbox, "data", &["--store", &url], &variables);
        Some((Self { variables, ..Self::of(sandbox, served, Compares::of_s3(), Some(store)) }, proxy))
    }

    /// One on azurite.
    pub(crate) fn on_azurite(test: &str) -> Option<Self> {
        let store = azurite(test)?;
        let sandbox = Sandbox::new();
        let url = format!("az://{BUCKET}/{test}");
        let served = Served::start_with(&sandbox, "data", &["--store", &url], &azurite_variables(&store));
        Some(Self::of(sandbox, served, Compares::Nothing, Some(store)))
    }

    /// Every kind that can be had here.
    pub(crate) fn all(test: &str) -> Vec<Self> {
        [Some(Self::on_disk()), Self::on_seaweedfs(test), Self::on_azurite(test)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn of(sandbox: Sandbox, served: Served, compares: Compares, store: Option<Arc<Server>>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        Self { served, sandbox, compares, variables: Vec::new(), runtime, client, _store: store }
    }

    /// A token of fewer rights.
    pub(crate) fn token(&self, args: &[&str]) -> String {
        let made = self.sandbox.run_at(&self.served, [&["token"], args].concat()).exits(0);
        made.stdout().trim().to_owned()
    }

    /// A request to the API with the operator's token; `null` sends no body.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask_as(&self.served.token, method, path, body)
    }

    pub(crate) fn ask_as(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        self.ask_with(token, method, path, body, &[])
    }

    /// The same with more headers.
    pub(crate) fn ask_with(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let url = format!("{}{path}", self.served.url);
        let mut request = self.client.request(method.parse().unwrap(), url).bearer_auth(token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        self.send(request)
    }

    /// Lines of text, posted without any token.
    pub(crate) fn lines(&self, path: &str, lines: &[String]) -> Answer {
        self.send(self.client.post(format!("{}{path}", self.served.url)).body(lines.join("\n")))
    }

    /// A signed request to whoever keeps the content.
    pub(crate) fn signed(&self, method: &str, signed: &Value, body: &[u8]) -> Answer {
        let text = signed["url"].as_str().unwrap();
        let url = if text.starts_with('/') { format!("{}{text}", self.served.url) } else { text.to_owned() };
        let mut request = self.client.request(method.parse().unwrap(), url);
        for (name, value) in signed["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().unwrap());
        }
        if method == "PUT" {
            // The length is signed, also that of nothing.
            request = request.header("content-length", body.len()).body(body.to_vec());
        }
        self.send(request)
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
        })
    }

    /// Announces artifacts of job `j` of build 1 of project p; what was answered for each.
    pub(crate) fn create(&self, artifacts: &[Value]) -> Vec<Value> {
        let answer = self.ask("POST", "/v1/artifacts", &announcement("1", artifacts));
        answer.json().as_array().unwrap().clone()
    }

    /// Sends and ends an artifact that goes up in one PUT; its id.
    pub(crate) fn upload(&self, path: &str, content: &[u8]) -> String {
        let created = self.create(&[artifact(path, content)]).remove(0);
        if created["upload"]["how"] == "whole" {
            let sent = self.signed("PUT", &created["upload"]["put"], content);
            assert!(matches!(sent.status, 200 | 201), "{}", String::from_utf8_lossy(&sent.body));
        }
        let ended = self.finish(&json!({ "id": created["id"] }));
        assert_eq!(ended["state"], "finished", "{ended}");
        created["id"].as_str().unwrap().to_owned()
    }

    /// Ends one upload, asking again while it is read.
    pub(crate) fn finish(&self, upload: &Value) -> Value {
        for _ in 0..30 {
            let ended = self.try_finish(upload);
            if ended["state"] != "new" {
                return ended;
            }
        }
        panic!("it is read for ever");
    }

    /// Asks once for the end of an upload.
    pub(crate) fn try_finish(&self, upload: &Value) -> Value {
        self.ask("POST", "/v1/artifacts/finish", &json!([upload])).json()[0].clone()
    }

    /// Bytes of artifacts that the controller has read since its start.
    pub(crate) fn read_bytes(&self) -> u64 {
        let metrics = self.ask("GET", "/metrics", &Value::Null).body;
        let text = String::from_utf8(metrics).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("pannier_read_artifact_bytes_total "));
        line.unwrap().parse().unwrap()
    }

    pub(crate) fn one(&self, id: &str) -> Value {
        self.ask("GET", &format!("/v1/artifacts/{id}"), &Value::Null).json()
    }

    /// The artifacts that a search of build 1 finds.
    pub(crate) fn search(&self, query: &Value) -> Vec<Value> {
        let mut whole = json!({ "project": "p", "build": "1", "signed": true });
        whole.as_object_mut().unwrap().extend(query.as_object().unwrap().clone());
        self.ask("POST", "/v1/artifacts/search", &whole).json()["artifacts"].as_array().unwrap().clone()
    }
}

/// The body that announces artifacts of one build.
pub(crate) fn announcement(build: &str, artifacts: &[Value]) -> Value {
    json!({ "project": "p", "build": build, "job": { "id": "j", "step": "s" }, "artifacts": artifacts })
}

/// What an agent announces of a file.
pub(crate) fn artifact(path: &str, content: &[u8]) -> Value {
    json!({
        "key": path.chars().take(40).collect::<String>(), "path": path, "len": content.len(), "mode": 0o640,
        "modified": 1_700_000_000, "content_type": "text/plain",
        "sha1": hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, content).as_ref()),
        "sha256": hex(digest(&SHA256, content).as_ref()),
        "crc32c": pannier::transfer::put::crc32c(&[content.to_vec()]),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
