//! An agent's own retries: what fails in the middle and comes back is no failure.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::agent::{Agent, VERSIONS};
use crate::api::Api;
use crate::support::served::Served;
use crate::support::{Run, noise};

/// Waits until a running upload has made the controller log `text` so often.
fn wait_for(api: &Api, text: &str, times: usize) {
    for _ in 0..1200 {
        if api.served.log().matches(text).count() >= times {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("{text:?} is not logged {times} times: {}", api.served.log());
}

/// Proves that a controller which is killed in the middle of an upload and comes back is waited for, in both modes.
#[test]
fn a_killed_controller_is_waited_for() {
    let test = "buildkite-killed-controller";
    for version in VERSIONS {
        let mut api = Api::on_disk();
        let Some(agent) = Agent::of(&api, version, "b", test) else { return };
        let work = api.sandbox.path("files");
        fs::create_dir(&work).unwrap();
        for number in 0..120u64 {
            fs::write(work.join(format!("{number}.bin")), noise(number, 200_000)).unwrap();
        }
        let mut command = agent.command(&work, &["upload", "*.bin"]);
        let upload = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The last of four batches is announced, and content is on its way.
        wait_for(&api, "artifacts announced", 4);
        api.served.kill();
        std::thread::sleep(Duration::from_secs(1));
        api.served = Served::again(&api.sandbox, "data", &[], &api.served);
        Run(upload.wait_with_output().unwrap()).exits(0);
        let out = api.sandbox.path("out");
        fs::create_dir(&out).unwrap();
        agent.run(&work, &["download", "*", out.to_str().unwrap()]).exits(0);
        for number in 0..120u64 {
            assert!(
                fs::read(out.join(format!("{number}.bin"))).unwrap() == noise(number, 200_000),
                "{number}"
            );
        }
    }
}

/// Proves that a store which breaks off in the middle of an upload and comes back is waited for, by the agent where it sends to the
/// store itself, by the controller where it relays.
#[test]
fn a_store_that_goes_away_is_waited_for() {
    let test = "buildkite-store-away";
    for version in VERSIONS {
        let Some((api, proxy)) = Api::on_cut_seaweedfs(&format!("{test}-{version}")) else { return };
        let Some(agent) = Agent::of(&api, version, "b", test) else { return };
        let work = api.sandbox.path("files");
        fs::create_dir(&work).unwrap();
        for number in 0..20u64 {
            fs::write(work.join(format!("{number}.bin")), noise(number, 500_000)).unwrap();
        }
        proxy.go_down_after(4_000_000);
        let mut command = agent.command(&work, &["upload", "*.bin"]);
        let upload = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        for _ in 0..1200 {
            if proxy.is_down() {
                break;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        assert!(proxy.is_down(), "nothing came by");
        std::thread::sleep(Duration::from_secs(2));
        proxy.come_back();
        Run(upload.wait_with_output().unwrap()).exits(0);
        assert_eq!(agent.run(&work, &["search", "*"]).exits(0).stdout().lines().count(), 20);
    }
}
