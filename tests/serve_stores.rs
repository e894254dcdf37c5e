//! A controller on real blob stores, and agents that know nothing but its URL and a token: whole stashes, restarted builds,
//! what lies in the bucket, and stores and controllers that go away in the middle.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod support;

use std::fs;
use std::process::Stdio;
use std::sync::Arc;

use pannier::controller::store::{PutIntent, StoreOptions, open_store};
use pannier::model::{ObjectKind, SignedUrl};
use support::proxy::Proxy;
use support::served::Served;
use support::servers::{
    BUCKET, Server, azurite, azurite_variables, kill_and_restart_seaweedfs, overwriting_s3, own_seaweedfs,
    seaweedfs, seaweedfs_variables,
};
use support::{Sandbox, assert_same_tree, make_rich_tree, noise};

/// A store for a controller: its URL and the variables that open it.
struct Cloud {
    url: String,
    variables: Vec<(&'static str, String)>,
    /// Further arguments of `serve`.
    args: Vec<&'static str>,
    _server: Arc<Server>,
}

impl Cloud {
    fn s3(test: &str) -> Option<Self> {
        let server = seaweedfs(test)?;
        let variables = seaweedfs_variables(&server);
        Some(Self { url: format!("s3://{BUCKET}/{test}"), variables, args: Vec::new(), _server: server })
    }

    fn azure(test: &str) -> Option<Self> {
        let server = azurite(test)?;
        let variables = azurite_variables(&server);
        Some(Self { url: format!("az://{BUCKET}/{test}"), variables, args: Vec::new(), _server: server })
    }

    /// A service of S3's protocol that overwrites.
    fn overwriting_s3(test: &str) -> Option<Self> {
        let server = overwriting_s3(test)?;
        let variables = seaweedfs_variables(&server);
        let url = format!("s3://{BUCKET}/{test}");
        Some(Self { url, variables, args: vec!["--staging"], _server: Arc::new(server) })
    }

    /// S3 by way of a proxy that can be cut.
    fn cut_s3(test: &str) -> Option<(Self, Proxy)> {
        let mut cloud = Self::s3(test)?;
        let proxy = Proxy::to(cloud._server.port);
        for (name, value) in &mut cloud.variables {
            if *name == "AWS_ENDPOINT_URL" {
                *value = format!("http://127.0.0.1:{}", proxy.port);
            }
        }
        Some((cloud, proxy))
    }

    fn serve(&self, sandbox: &Sandbox) -> Served {
        self.serve_at(&self.url, sandbox)
    }

    /// A controller on that part of it.
    fn serve_at(&self, url: &str, sandbox: &Sandbox) -> Served {
        let args = [&["--store", url], &self.args[..]].concat();
        let served = Served::start_with(sandbox, "data", &args, &self.variables);
        // Until then an object that it tries the store with may lie there too.
        let tried = (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            served.log().contains("the store was tried")
        });
        assert!(tried, "{}", served.log());
        served
    }

    /// How many packs lie in the store, and how many objects in all.
    fn objects(&self) -> usize {
        let variables = self.variables.iter().cloned().collect();
        let store = open_store(&self.url.parse().unwrap(), &StoreOptions::with_variables(variables)).unwrap();
        let mut packs = 0;
        store
            .list(ObjectKind::Pack, &mut |object| packs += usize::from(object.unfinished.is_none()))
            .unwrap();
        packs
    }
}

/// Proves the whole way over a store: two agents on separate folders, a build restarted from an earlier one by
/// reference, only packs in the bucket, and no content through the controller.
fn two_agents_and_a_restarted_build(cloud: &Cloud) {
    let sandbox = Sandbox::new();
    make_rich_tree(&sandbox.work());
    let served = cloud.serve(&sandbox);
    let first = sandbox.run_at(&served, ["stash", "deps", "-C", "work", "--build", "41", "--json"]).json();
    assert_eq!(cloud.objects() as u64, first["packs"].as_u64().unwrap(), "only packs, and all of them");
    sandbox.run_at(&served, ["copy", "--from-build", "41", "--to-build", "42"]).exits(0);
    let other = |args: &[&str]| {
        let mut command = sandbox.at(&served, args);
        command.env("PANNIER_CACHE_DIR", sandbox.path("other-cache"));
        support::Run(command.output().unwrap())
    };
    other(&["unstash", "deps", "-C", "other", "--build", "42", "--set-id"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("other"));
    let again = other(&["stash", "deps", "-C", "other", "--build", "42", "--no-cache", "--json"]).json();
    assert_eq!(
        (&again["packs"], &again["stash"]["id"]),
        (&0.into(), &first["stash"]["id"]),
        "nothing moves again"
    );
    fs::write(sandbox.path("other/src/file9.txt"), noise(9, 200_000)).unwrap();
    let changed = other(&["stash", "deps", "-C", "other", "--build", "42", "--json"]).json();
    let uploaded = changed["uploaded_bytes"].as_u64().unwrap();
    assert!((200_000..240_000).contains(&uploaded), "only what changed: {uploaded}");
    sandbox.run_at(&served, ["verify"]).exits(0);
    sandbox.run_at(&served, ["rm", "deps", "--build", "42"]).exits(0);
    // Its lease to read ends by itself; what it may still read stays until then.
    sandbox.run_at(&served, ["gc"]).exits(0).says("kept for open sessions");
    other(&["unstash", "deps", "-C", "third", "--build", "41", "--set-id"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("third"));
    let log = served.log();
    assert!(!log.contains("/objects/"), "no content passes the controller: {log}");
}

#[test]
fn s3_serves_two_agents_and_a_restarted_build() {
    if let Some(cloud) = Cloud::s3("restart") {
        two_agents_and_a_restarted_build(&cloud);
    }
}

#[test]
fn azure_serves_two_agents_and_a_restarted_build() {
    if let Some(cloud) = Cloud::azure("restart") {
        two_agents_and_a_restarted_build(&cloud);
    }
}

/// Proves that a service without conditional PUTs is named by `--check`, and serves all the same once staging was chosen: what an agent
/// sends late changes nothing, and is swept.
#[test]
fn a_service_that_overwrites_is_served_by_staging() {
    let Some(cloud) = Cloud::overwriting_s3("overwrites") else { return };
    let sandbox = Sandbox::new();
    let check = |more: &[&str]| {
        let args =
            ["serve", "--check", "--listen", "127.0.0.1:0", "--data", "checked", "--store", &cloud.url];
        let mut command = sandbox.command([&args[..], more].concat());
        command.envs(cloud.variables.iter().cloned());
        support::Run(command.output().unwrap())
    };
    let said = check(&[]).exits(1);
    assert!(said.stdout().contains("wrong: the store overwrites"), "{}", said.stdout());
    assert!(said.stdout().contains("hint: serve with --staging"), "{}", said.stdout());
    let said = check(&cloud.args).exits(0);
    assert!(said.stdout().contains("ok: staging was chosen"), "{}", said.stdout());
    two_agents_and_a_restarted_build(&cloud);

    let sandbox = Sandbox::new();
    let late = format!("{}/late", cloud.url);
    let served = cloud.serve_at(&late, &sandbox);
    fs::write(sandbox.path("work/report.txt"), noise(1, 70_000)).unwrap();
    sandbox.run_at(&served, ["stash", "deps", "-C", "work"]).exits(0);
    let upload = ["artifact", "upload", "report.txt", "-C", "work", "--job", "j"];
    sandbox.run_at(&served, upload).exits(0);
    let variables = cloud.variables.iter().cloned().collect();
    let options = StoreOptions { staging: true, ..StoreOptions::with_variables(variables) };
    let store = open_store(&late.parse().unwrap(), &options).unwrap();
    let listed = || {
        let mut found = Vec::new();
        for kind in ObjectKind::ALL {
            store.list(kind, &mut |object| found.push(object)).unwrap();
        }
        found
    };
    let settled = listed();
    assert!(settled.len() == 2 && settled.iter().all(|object| object.unfinished.is_none()), "{settled:?}");
    for object in &settled {
        let url = store.sign_put(object.object, &PutIntent { len: 4, crc32c: None, sha256: None }).unwrap();
        assert!(put(&url, b"late"));
    }
    assert_eq!(listed().len(), 4, "what is staged lies beside");
    sandbox.run_at(&served, ["verify"]).exits(0);
    sandbox.run_at(&served, ["gc"]).exits(0);
    assert_eq!(listed(), settled);
    sandbox.run_at(&served, ["unstash", "deps", "-C", "out"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
    fs::create_dir(sandbox.path("down")).unwrap();
    sandbox.run_at(&served, ["artifact", "download", "report.txt", "down"]).exits(0);
    assert_eq!(fs::read(sandbox.path("down/report.txt")).unwrap(), noise(1, 70_000));
}

/// Whether a PUT as an agent would send it was taken.
fn put(url: &SignedUrl, bytes: &[u8]) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut request = reqwest::Client::new().put(url.expose()).body(bytes.to_vec());
    for (name, value) in &url.headers {
        request = request.header(name, value);
    }
    runtime.block_on(request.send()).unwrap().status().is_success()
}

/// Proves that `--check` finds a good store good, and names what to mend of a bad one.
#[test]
fn check_says_what_to_mend() {
    let Some(cloud) = Cloud::s3("check") else { return };
    let check = |url: &str, variables: &[(&'static str, String)]| {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command([
            "serve",
            "--check",
            "--listen",
            "127.0.0.1:0",
            "--data",
            "data",
            "--store",
            url,
        ]);
        command.envs(variables.iter().cloned());
        support::Run(command.output().unwrap())
    };
    let good = check(&cloud.url, &cloud.variables).exits(0);
    assert!(good.stdout().lines().count() >= 4, "{}", good.stdout());
    assert!(good.stdout().lines().all(|line| line.starts_with("ok: ")), "{}", good.stdout());
    assert_eq!(cloud.objects(), 0, "the probe is gone again");
    let mut wrong = cloud.variables.clone();
    wrong
        .iter_mut()
        .filter(|(name, _)| *name == "AWS_SECRET_ACCESS_KEY")
        .for_each(|(_, value)| *value = "no".into());
    let refused = check(&cloud.url, &wrong).exits(1);
    assert!(
        refused.stdout().contains("wrong: ") && refused.stdout().contains("hint: "),
        "{}",
        refused.stdout()
    );
    let absent = check("s3://no-such-bucket/x", &cloud.variables).exits(1);
    assert!(absent.stdout().contains("wrong: "), "{}", absent.stdout());
    let scheme = check("ftp://bucket/x", &cloud.variables).exits(1);
    assert!(scheme.stderr().contains("ftp"), "{}", scheme.stderr());
}

/// Proves that neither a check nor a start that failed takes the first token away from the first start that succeeds.
#[test]
fn the_first_token_is_printed_by_the_first_start_that_succeeds() {
    let Some((cloud, proxy)) = Cloud::cut_s3("first-token") else { return };
    let sandbox = Sandbox::new();
    let start = |more: &[&str]| {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", "data", "--store", &cloud.url];
        let mut command = sandbox.command([&arguments[..], more].concat());
        command.envs(cloud.variables.iter().cloned());
        support::Run(command.output().unwrap())
    };
    let checked = start(&["--check"]).exits(0);
    assert!(checked.stdout().contains("ok: the first start will make a ledger"), "{}", checked.stdout());
    assert_eq!(fs::read_dir(sandbox.path("data")).unwrap().count(), 0, "a check keeps nothing");
    proxy.go_down();
    start(&[]).exits(1);
    proxy.come_back();
    // It fails unless both lines are there.
    cloud.serve(&sandbox);
}

/// Proves that a controller whose store does not answer says so at its start: the first time it does not start, since its ledger may
/// be lost; later it stays and says what to mend, since the store may come back.
#[test]
fn a_store_that_does_not_answer_is_said_at_the_start() {
    let Some((cloud, proxy)) = Cloud::cut_s3("unanswered") else { return };
    let sandbox = Sandbox::new();
    let mut command =
        sandbox.command(["serve", "--listen", "127.0.0.1:0", "--data", "new", "--store", &cloud.url]);
    command.envs(cloud.variables.iter().cloned());
    proxy.go_down();
    let refused = support::Run(command.output().unwrap()).exits(1);
    assert!(refused.stderr().contains("cannot list s3://bucket/unanswered"), "{}", refused.stderr());
    proxy.come_back();
    let mut served = cloud.serve(&sandbox);
    let until = |text: &str, served: &Served| {
        (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            served.log().contains(text)
        })
    };
    assert!(until("the store was tried", &served), "{}", served.log());
    assert_eq!(served.stop(), Some(0));
    proxy.go_down();
    let again = Served::again_with(&sandbox, "data", &["--store", &cloud.url], &cloud.variables, &served);
    assert!(until("the store is not as it should be", &again), "{}", again.log());
}

/// Proves that a stash survives a store that breaks off in the middle of a pack and is away for a while, and that nothing
/// is visible before it is whole.
#[test]
fn a_store_that_goes_away_is_waited_for() {
    let Some((cloud, proxy)) = Cloud::cut_s3("outage") else { return };
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("work/large"), noise(3, 80 << 20)).unwrap();
    let served = cloud.serve(&sandbox);
    proxy.go_down_after(40 << 20);
    let mut stash = sandbox.at(&served, ["stash", "deps", "-C", "work"]);
    let mut stash = stash.stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..1200 {
        if proxy.is_down() || stash.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(proxy.is_down(), "the store went down in mid-upload");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let listed = sandbox.run_at(&served, ["list", "--json"]).json();
    assert_eq!(listed, serde_json::json!([]), "nothing is visible");
    proxy.come_back();
    let ended = stash.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    sandbox.run_at(&served, ["unstash", "deps", "-C", "out"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
}

/// Proves that a stash survives kill -9 of the store's own process in mid-upload, and so does all that was stored before.
#[test]
fn a_store_that_is_killed_is_waited_for() {
    let Some(mut server) = own_seaweedfs("a_store_that_is_killed_is_waited_for") else { return };
    let proxy = Proxy::to(server.port);
    let mut variables = seaweedfs_variables(&server);
    variables[0].1 = format!("http://127.0.0.1:{}", proxy.port);
    let sandbox = Sandbox::new();
    let store = format!("s3://{BUCKET}/killed");
    let served = Served::start_with(&sandbox, "data", &["--store", &store], &variables);
    fs::create_dir(sandbox.path("before")).unwrap();
    fs::write(sandbox.path("before/file"), noise(1, 3 << 20)).unwrap();
    sandbox.run_at(&served, ["stash", "earlier", "-C", "before"]).exits(0);
    fs::write(sandbox.path("work/large"), noise(4, 120 << 20)).unwrap();
    let from = proxy.sent();
    let mut stash = sandbox.at(&served, ["stash", "deps", "-C", "work"]);
    let mut stash = stash.stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..2400 {
        if proxy.sent() - from >= 50 << 20 || stash.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    assert!(stash.try_wait().unwrap().is_none(), "it was killed in mid-upload");
    kill_and_restart_seaweedfs(&mut server, std::time::Duration::from_secs(2));
    let ended = stash.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    for (name, folder) in [("earlier", "before"), ("deps", "work")] {
        sandbox.run_at(&served, ["unstash", name, "-C", &format!("{name}.out"), "--no-cache"]).exits(0);
        assert_same_tree(&sandbox.path(folder), &sandbox.path(&format!("{name}.out")));
    }
    sandbox.run_at(&served, ["verify"]).exits(0);
}

/// Proves that a controller that is killed at any of several moments of a stash, and comes back, costs the agent nothing
/// but time.
#[test]
fn a_controller_that_is_killed_in_mid_stash_is_waited_for() {
    for (round, bytes) in [1, 20 << 20, 60 << 20].into_iter().enumerate() {
        let Some((cloud, proxy)) = Cloud::cut_s3(&format!("killed-{round}")) else { return };
        let sandbox = Sandbox::new();
        fs::write(sandbox.path("work/large"), noise(50 + round as u64, 80 << 20)).unwrap();
        let mut served = cloud.serve(&sandbox);
        let from = proxy.sent();
        let mut stash = sandbox.at(&served, ["stash", "deps", "-C", "work"]);
        let mut stash = stash.stderr(Stdio::piped()).spawn().unwrap();
        for _ in 0..2400 {
            if proxy.sent() - from >= bytes || stash.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        served.kill();
        let served =
            Served::again_with(&sandbox, "data", &["--store", &cloud.url], &cloud.variables, &served);
        let ended = stash.wait_with_output().unwrap();
        assert!(ended.status.success(), "round {round}: {}", String::from_utf8_lossy(&ended.stderr));
        sandbox.run_at(&served, ["unstash", "deps", "-C", "out"]).exits(0);
        assert_same_tree(&sandbox.work(), &sandbox.path("out"));
    }
}
/// Proves that an agent that is killed in mid-stash leaves nothing visible, and that the packs which it had sent are not
/// sent again when it is started anew.
#[test]
fn a_killed_agent_goes_on_where_it_was() {
    let Some((cloud, proxy)) = Cloud::cut_s3("resume") else { return };
    let sandbox = Sandbox::new();
    let total = 200 << 20;
    fs::write(sandbox.path("work/large"), noise(7, total as usize)).unwrap();
    let served = cloud.serve(&sandbox);
    let from = proxy.sent();
    let mut stash =
        sandbox.at(&served, ["stash", "deps", "-C", "work"]).stderr(Stdio::null()).spawn().unwrap();
    for _ in 0..2400 {
        if proxy.sent() - from >= 140 << 20 || stash.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    stash.kill().unwrap();
    assert!(!stash.wait().unwrap().success(), "it was killed before its end");
    assert_eq!(sandbox.run_at(&served, ["list", "--json"]).json(), serde_json::json!([]));
    let before = proxy.sent();
    let said = sandbox.run_at(&served, ["stash", "deps", "-C", "work", "--json"]).json();
    let sent = proxy.sent() - before;
    // At most four packs of 32 MiB were under way and have to be sent again.
    assert!(sent < total - (1 << 20), "some packs are not sent twice: {sent} of {total} bytes, {said}");
    sandbox.run_at(&served, ["unstash", "deps", "-C", "out"]).exits(0);
    assert_same_tree(&sandbox.work(), &sandbox.path("out"));
}
