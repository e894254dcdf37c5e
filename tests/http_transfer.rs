//! Packs that move by HTTP to and from a store that misbehaves: each way has its end, for PUT and for GET.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]

#[path = "support/over_http.rs"]
mod over_http;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::fs;

use over_http::{OverHttp, SIGNATURE};
use pannier::agent::{self, AgentError, StashRequest, Stashed, UnstashRequest, Unstashed, UploadOptions};
use pannier::http::ClientOptions;
use pannier::model::progress::Progress;
use pannier::protocol::BuildId;
use pannier::transfer::get::PackSource;
use pannier::transfer::{ReadLease, Remote};
use pannier::workspace::restore::RestoreOptions;
use pannier::workspace::select::{SelectOptions, Selection};
use scripted::{Act, Scripted, Seen, range};
use support::{Sandbox, assert_same_tree, noise};

/// Long enough that nothing ends early on a busy machine, short enough to wait for.
fn patient() -> ClientOptions {
    ClientOptions::default().hastened(20)
}

/// For what is to time out.
fn hasty() -> ClientOptions {
    ClientOptions::default().hastened(100)
}

/// A workspace, a store behind a script, and the agent between them.
struct Scene {
    sandbox: Sandbox,
    server: Scripted,
    remote: OverHttp,
    /// Whether the agent keeps anything between its runs.
    cache: bool,
}

impl Scene {
    fn new(options: &ClientOptions, script: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Self {
        let sandbox = Sandbox::new();
        fs::write(sandbox.work().join("large"), noise(5, 3 << 20)).unwrap();
        for number in 0..20 {
            fs::write(sandbox.work().join(format!("{number}")), noise(number + 1, 3000)).unwrap();
        }
        let server = Scripted::start(&sandbox.store().join("store/packs"), script);
        let remote = OverHttp::open(&sandbox.store(), server.url("bucket/"), options);
        Self { sandbox, server, remote, cache: false }
    }

    /// A scene with a stash in it; the script is asked about GETs alone, counted from the first of them.
    fn stashed(
        options: &ClientOptions,
        script: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static,
    ) -> Self {
        let puts = std::sync::atomic::AtomicUsize::new(0);
        let scene = Self::new(options, move |seen, nth| {
            if seen.is_put() {
                puts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                return Act::Store;
            }
            script(seen, nth - puts.load(std::sync::atomic::Ordering::Relaxed))
        });
        scene.stash().unwrap();
        scene
    }

    fn stash(&self) -> Result<Stashed, AgentError> {
        let request = StashRequest {
            folder: self.sandbox.work(),
            build: build(),
            name: "ws".parse().unwrap(),
            selection: Selection::new(&SelectOptions::default()).unwrap(),
            allow_empty: false,
            owner: false,
            xattrs: false,
            leave_out: Vec::new(),
            cache_file: self.cache.then(|| self.sandbox.path("ws.stat")),
            upload: UploadOptions { level: 1, threads: 2 },
        };
        agent::stash(&self.remote, &request, &Progress::default())
    }

    fn unstash(&self) -> Result<Unstashed, AgentError> {
        let request = UnstashRequest {
            folder: self.sandbox.path("out"),
            build: build(),
            name: "ws".parse().unwrap(),
            paths: Vec::new(),
            restore: RestoreOptions::default(),
            cache_file: None,
        };
        agent::unstash(&self.remote, &request, &Progress::default())
    }

    fn seen(&self, method: &str) -> Vec<Seen> {
        self.server.seen().into_iter().filter(|seen| seen.method == method).collect()
    }

    /// The stash is whole, read from the store's own folder.
    #[track_caller]
    fn is_whole(&self) {
        self.sandbox
            .run(["unstash", "ws", "-C", "direct", "--no-cache", "--project", "p", "--build", "1"])
            .exits(0);
        assert_same_tree(&self.sandbox.work(), &self.sandbox.path("direct"));
        self.sandbox.run(["verify"]).exits(0);
    }

    #[track_caller]
    fn is_restored(&self) {
        self.unstash().unwrap();
        assert_same_tree(&self.sandbox.work(), &self.sandbox.path("out"));
    }

    /// The failure as people see it, which holds no signature; nothing is visible after it.
    #[track_caller]
    fn fails_to_stash(&self) -> String {
        let said = words(&self.stash().unwrap_err());
        assert_eq!(self.remote.count("commit"), 0);
        assert_eq!(self.remote.calls().last(), Some(&"release"));
        said
    }

    #[track_caller]
    fn fails_to_unstash(&self) -> String {
        let said = words(&self.unstash().unwrap_err());
        let out = self.sandbox.path("out");
        let left = fs::read_dir(out).map_or(0, Iterator::count);
        assert_eq!(left, 0, "nothing half-written");
        said
    }
}

fn build() -> BuildId {
    BuildId { project: "p".into(), build: "1".into() }
}

/// The whole chain of an error, as text and for debugging.
fn words(error: &AgentError) -> String {
    let mut said = error.to_string();
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        said += &format!(": {source}");
        cause = source;
    }
    assert!(!format!("{said} {error:?}").contains(SIGNATURE), "{said} {error:?}");
    said
}

#[test]
fn a_pack_is_sent_with_what_was_signed_and_its_length() {
    let scene = Scene::new(&patient(), |_, _| Act::Store);
    let stashed = scene.stash().unwrap();
    let puts = scene.seen("PUT");
    assert_eq!((puts.len() as u64, puts[0].header("if-none-match")), (stashed.stats.packs, Some("*")));
    assert_eq!(puts[0].header("content-length"), Some(&*puts[0].body.len().to_string()));
    assert!(puts[0].header("authorization").is_none() && puts[0].header("transfer-encoding").is_none());
    scene.is_whole();
    scene.is_restored();
}

#[test]
fn what_passes_is_sent_again_whole() {
    for code in [408, 425, 429, 500, 502, 503, 504] {
        let scene =
            Scene::new(&patient(), move |_, nth| if nth < 2 { Act::status(code) } else { Act::Store });
        scene.stash().unwrap();
        assert_eq!(scene.seen("PUT").len(), 3, "{code}");
        scene.is_whole();
    }
    let later = |nth: usize, after: &str| match nth {
        0 => Act::Answer(429, vec![("retry-after", after.to_owned())], vec![]),
        _ => Act::Store,
    };
    Scene::new(&patient(), move |_, nth| later(nth, "1")).stash().unwrap();
    let scene = Scene::new(&patient(), |_, nth| if nth < 2 { Act::Reset } else { Act::Store });
    scene.stash().unwrap();
    scene.is_whole();
}

#[test]
fn a_url_that_has_ended_is_renewed_once() {
    let once = Scene::new(&patient(), |_, nth| if nth == 0 { Act::status(403) } else { Act::Store });
    once.stash().unwrap();
    let puts = once.seen("PUT");
    assert_eq!((puts.len(), once.remote.count("renew_put")), (2, 1));
    assert_ne!(puts[0].target, puts[1].target, "another signature");
    once.is_whole();

    let expired = b"<Error><Code>ExpiredToken</Code><Message>expired</Message></Error>";
    let gcs = Scene::new(&patient(), move |_, nth| match nth {
        0 => Act::Answer(400, vec![], expired.to_vec()),
        _ => Act::Store,
    });
    gcs.stash().unwrap();
    assert_eq!(gcs.remote.count("renew_put"), 1);

    let ever = Scene::new(&patient(), |_, _| Act::status(403));
    let said = ever.fails_to_stash();
    assert!(
        said.contains("could not store pack") && said.contains("403 Forbidden: the server's words"),
        "{said}"
    );
    assert_eq!((ever.seen("PUT").len(), ever.remote.count("renew_put")), (2, 1));
}

#[test]
fn an_object_that_is_there_is_success_after_an_attempt_of_ours_alone() {
    let lost_answer =
        Scene::new(&patient(), |_, nth| if nth == 0 { Act::StoreThenReset } else { Act::Store });
    lost_answer.stash().unwrap();
    assert_eq!(lost_answer.seen("PUT").len(), 2, "the second was answered 412");
    lost_answer.is_whole();
    let azure = [
        (409, "<Error><Code>BlobAlreadyExists</Code></Error>"),
        (403, "<Error><Code>UnauthorizedBlobOverwrite</Code></Error>"),
    ];
    for (code, body) in azure {
        let scene = Scene::new(&patient(), move |_, nth| match nth {
            0 => Act::StoreThenReset,
            _ => Act::Answer(code, vec![], body.into()),
        });
        scene.stash().unwrap();
        assert_eq!(scene.remote.count("renew_put"), 0);
        scene.is_whole();
    }
    let conflict = b"<Error><Code>ConditionalRequestConflict</Code></Error>";
    let scene = Scene::new(&patient(), move |_, nth| match nth {
        0 | 1 => Act::Answer(409, vec![], conflict.to_vec()),
        _ => Act::Store,
    });
    scene.stash().unwrap();
    assert_eq!(scene.seen("PUT").len(), 3, "another PUT of it is still under way, says S3");
    scene.is_whole();
    for code in [409, 412] {
        let scene = Scene::new(&patient(), move |_, _| Act::status(code));
        let said = scene.fails_to_stash();
        assert!(said.contains(&code.to_string()) && scene.seen("PUT").len() == 1, "{said}");
    }
}

#[test]
fn what_cannot_be_sent_ends_with_the_stores_words() {
    for code in [400, 401, 404, 411, 413, 501] {
        let scene = Scene::new(&patient(), move |_, _| Act::status(code));
        let said = scene.fails_to_stash();
        assert!(
            said.contains(&format!("it answered {code}")) && said.contains("the server's words"),
            "{said}"
        );
        assert_eq!(scene.seen("PUT").len(), 1);
    }
    let scene = Scene::new(&hasty(), |_, _| Act::status(500));
    let said = scene.fails_to_stash();
    assert!(said.contains("500 Internal Server Error: the server's words about 500"), "{said}");
    assert!(said.contains("attempts in") && scene.seen("PUT").len() > 3, "{said}");
    for act in [Act::Hang, Act::Reset] {
        let scene = Scene::new(&hasty(), move |_, _| act.clone());
        scene.fails_to_stash();
        assert!(scene.seen("PUT").len() > 1);
    }
}

#[test]
fn a_put_follows_no_redirect() {
    let elsewhere = Scripted::start(std::path::Path::new("/nonexistent"), |_, _| Act::Store);
    let location = elsewhere.url("bucket/x");
    let scene = Scene::new(&patient(), move |_, _| Act::redirect(307, location.clone()));
    let said = scene.fails_to_stash();
    assert!(said.contains("which is not followed"), "{said}");
    assert_eq!((scene.seen("PUT").len(), elsewhere.seen().len()), (1, 0));
}

#[test]
fn a_read_passes_over_what_passes() {
    for code in [408, 425, 429, 500, 502, 503, 504] {
        Scene::stashed(&patient(), move |_, nth| if nth < 2 { Act::status(code) } else { Act::Store })
            .is_restored();
    }
    Scene::stashed(&patient(), |_, nth| if nth % 2 == 0 { Act::Reset } else { Act::Store }).is_restored();
    Scene::stashed(&hasty(), |_, nth| if nth == 1 { Act::Hang } else { Act::Store }).is_restored();
}

/// Proves that a read goes on where it was cut, and asks for no byte twice.
#[test]
fn a_read_goes_on_where_it_was_cut() {
    for cut in [|| Act::Truncate(100_000), || Act::ResetAfter(100_000)] {
        let large = |seen: &Seen| range(seen).is_some_and(|(start, last)| last - start > 1_000_000);
        let scene = Scene::stashed(&patient(), move |seen, _| if large(seen) { cut() } else { Act::Store });
        scene.is_restored();
        let gets: Vec<(usize, usize)> = scene.seen("GET").iter().filter_map(range).collect();
        let large = |(start, last): (usize, usize)| last - start > 1_000_000;
        let cuts: Vec<_> = gets.windows(2).filter(|two| two[0].1 == two[1].1 && large(two[0])).collect();
        assert!(cuts.len() > 10, "{gets:?}");
        assert!(cuts.iter().all(|two| two[1].0 > two[0].0), "each begins after the one before: {gets:?}");
    }
    let truncated = Scene::stashed(&patient(), |_, _| Act::Truncate(100_000));
    let asked: usize = {
        truncated.is_restored();
        truncated
            .seen("GET")
            .iter()
            .filter_map(range)
            .map(|(start, last)| (last + 1 - start).min(100_000))
            .sum()
    };
    let stored = truncated.seen("PUT").iter().map(|put| put.body.len()).sum::<usize>();
    // The manifest's frames may be read twice: once for the root, once for its pages.
    assert!(asked < stored + stored / 4, "{asked} bytes moved of {stored}");
}

#[test]
fn urls_that_have_ended_are_renewed_for_all_readers_at_once() {
    // Every signature of the first answer has ended.
    let scene = Scene::stashed(&patient(), |seen, _| {
        let number: u32 = seen.target.rsplit(SIGNATURE).next().unwrap().parse().unwrap();
        if number < 2 { Act::status(403) } else { Act::Store }
    });
    scene.is_restored();
    assert_eq!(scene.remote.count("renew_gets"), 1, "{:?}", scene.remote.calls());

    let ever = Scene::stashed(&patient(), |_, _| Act::status(403));
    let said = ever.fails_to_unstash();
    assert!(said.contains("could not read pack") && said.contains("403 Forbidden"), "{said}");
    assert_eq!(ever.remote.count("renew_gets"), 1);
}

/// Proves that threads whose URLs ended at the same time ask for others once, together.
#[test]
fn threads_that_notice_together_ask_once() {
    let at_once = std::sync::atomic::AtomicU32::new(0);
    let scene = Scene::stashed(&patient(), move |seen, _| {
        let number: u32 = seen.target.rsplit(SIGNATURE).next().unwrap().parse().unwrap();
        if number > 1 {
            return Act::Store;
        }
        // Neither is answered before both have asked (or a second has passed, on a machine that is that busy).
        at_once.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            at_once.load(std::sync::atomic::Ordering::Relaxed) >= 2
        });
        Act::status(403)
    });
    let resolved = scene.remote.resolve(&build(), &"ws".parse().unwrap()).unwrap();
    let lease = std::sync::Arc::new(ReadLease::new(&scene.remote, resolved.session));
    let source = PackSource::new(resolved.packs[0].clone(), lease);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| source.read(0..100).unwrap())).collect();
        let read: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        assert_eq!(read[0], read[1]);
    });
    assert_eq!(scene.remote.count("renew_gets"), 1);
}

#[test]
fn a_pack_that_is_not_there_or_too_short_is_reported() {
    for code in [404, 410, 416] {
        let scene = Scene::stashed(&patient(), move |_, _| Act::status(code));
        let said = scene.fails_to_unstash();
        assert!(
            said.contains("could not read pack") && said.contains(&format!("it answered {code}")),
            "{said}"
        );
        assert_eq!((scene.seen("GET").len(), scene.remote.count("report_damaged")), (1, 1));
    }
    let another = |body: &'static str| {
        move |_: &Seen, _| Act::Answer(206, vec![("content-range", "bytes 0-3/9".into())], body.into())
    };
    let said = Scene::stashed(&patient(), another("four")).fails_to_unstash();
    assert!(said.contains("not what was asked for"), "{said}");
    let said = Scene::stashed(&patient(), |_, _| Act::Answer(200, vec![], vec![0; 4])).fails_to_unstash();
    assert!(said.contains("not what was asked for"), "{said}");
}

#[test]
fn wrong_bytes_are_damage_and_no_file() {
    let scene = Scene::stashed(&patient(), |seen, _| match range(seen) {
        Some((start, last)) if last - start > 1_000_000 => Act::Flip(500_000),
        _ => Act::Store,
    });
    let said = scene.fails_to_unstash();
    assert!(said.contains("is damaged"), "{said}");
    assert_eq!(scene.remote.count("report_damaged"), 1);
}

#[test]
fn a_store_that_never_recovers_ends_a_read() {
    let said = Scene::stashed(&hasty(), |_, _| Act::status(500)).fails_to_unstash();
    assert!(said.contains("500 Internal Server Error: the server's words about 500"), "{said}");
    for act in [Act::Hang, Act::Drip, Act::Reset] {
        let scene = Scene::stashed(&hasty(), move |_, _| act.clone());
        scene.fails_to_unstash();
        assert_eq!(scene.remote.count("report_damaged"), 0, "that is no damage");
    }
}

#[test]
fn a_read_follows_a_redirect_without_what_was_signed() {
    let sandbox = Sandbox::new();
    let elsewhere = std::sync::Arc::new(std::sync::OnceLock::<Scripted>::new());
    let target = elsewhere.clone();
    let scene = Scene::stashed(&patient(), move |seen, _| {
        let name = seen.target.split('?').next().unwrap().rsplit('/').next().unwrap();
        Act::redirect(307, target.get().unwrap().url(&format!("cdn/{name}")))
    });
    let folder = scene.sandbox.store().join("store/packs");
    drop((elsewhere.set(Scripted::start(&folder, |_, _| Act::Store)), sandbox));
    scene.is_restored();
    let followed = elsewhere.get().unwrap().seen();
    assert_eq!(followed.len(), scene.seen("GET").len());
    for seen in &followed {
        assert!(seen.header("range").is_some() && seen.header("x-signed").is_none(), "{seen:?}");
        assert!(seen.header("authorization").is_none() && !seen.target.contains(SIGNATURE), "{seen:?}");
        assert!(seen.header("referer").is_none(), "{seen:?}");
    }

    let around = Scene::stashed(&patient(), |seen, _| Act::redirect(302, seen.target.clone()));
    let said = around.fails_to_unstash();
    assert!(said.contains("more than 3 redirects"), "{said}");
}

/// Three packs' worth of content, and an agent that remembers.
fn large_scene(script: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Scene {
    let options = ClientOptions { retry_for: std::time::Duration::from_secs(1), ..patient() };
    let mut scene = Scene::new(&options, script);
    scene.cache = true;
    fs::write(scene.sandbox.work().join("huge"), noise(9, 80 << 20)).unwrap();
    scene
}

fn journals(scene: &Scene) -> usize {
    let files = fs::read_dir(scene.sandbox.dir.path()).unwrap();
    files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().ends_with(".sent")).count()
}

/// Proves that a run whose store went away is gone on with by the next, which sends no pack again.
#[test]
fn a_run_that_lost_its_store_is_gone_on_with() {
    let good = std::sync::Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::<String>::new()));
    let is_up = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (taken, up) = (good.clone(), is_up.clone());
    let scene = large_scene(move |seen, _| {
        let mut taken = taken.lock().unwrap();
        let name = seen.target.split('?').next().unwrap().to_owned();
        // Down, it takes one pack and no other.
        if up.load(std::sync::atomic::Ordering::Relaxed) || taken.is_empty() || taken.contains(&name) {
            taken.insert(name);
            return Act::Store;
        }
        Act::status(503)
    });
    let error = scene.stash().unwrap_err();
    assert!(error.is_retryable(), "{}", words(&error));
    assert_eq!((scene.remote.count("release"), journals(&scene)), (0, 1));
    let arrived = good.lock().unwrap().clone();
    assert_eq!(arrived.len(), 1);

    is_up.store(true, std::sync::atomic::Ordering::Relaxed);
    let before = scene.seen("PUT").len();
    let stashed = scene.stash().unwrap();
    assert_eq!(stashed.stats.resumed_packs, 1);
    // By name: on a busy machine one may have been sent twice after all, and answered 412.
    let name = |seen: &Seen| seen.target.split('?').next().unwrap().to_owned();
    let again: std::collections::BTreeMap<_, _> =
        scene.seen("PUT").split_off(before).into_iter().map(|put| (name(&put), put.body.len())).collect();
    assert_eq!(again.len() as u64, stashed.stats.packs);
    assert!(again.keys().all(|pack| !arrived.contains(pack)), "no pack that had arrived");
    assert!(again.values().sum::<usize>() < 60 << 20, "a third was there already");
    assert_eq!(journals(&scene), 0);
    scene.is_whole();
}

/// Proves that a session that has ended meanwhile is not gone on with, and that what it had sent is sent again.
#[test]
fn an_ended_session_is_begun_anew() {
    let down = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let puts = down.clone();
    let scene = large_scene(move |_, _| match puts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => Act::Store,
        nth if nth < 1000 => Act::status(503),
        _ => Act::Store,
    });
    assert!(scene.stash().unwrap_err().is_retryable());
    let ledger = rusqlite::Connection::open(scene.sandbox.store().join("ledger.sqlite")).unwrap();
    assert_eq!(ledger.execute("UPDATE sessions SET expires_at = 1", []).unwrap(), 1);
    down.store(1000, std::sync::atomic::Ordering::Relaxed);
    let stashed = scene.stash().unwrap();
    assert_eq!((stashed.stats.resumed_packs, journals(&scene)), (0, 0));
    scene.is_whole();
}
