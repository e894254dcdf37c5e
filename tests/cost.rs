//! What a stash and an unstash cost in requests: the agent's own functions on a remote that writes down every request.
//! Not a measurement of time.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use pannier::agent::{self, StashRequest, Stashed, UnstashRequest, Unstashed, UploadOptions};
use pannier::cli::embedded::Embedded;
use pannier::model::progress::Progress;
use pannier::model::{Digest, PackName, SignedUrl};
use pannier::protocol::{
    BuildId, Commit, Committed, Copied, GcOptions, GcReport, IssuedToken, Open, Opened, PackDownload,
    PackIntent, Resolved, SessionId, SignedPack, StashInfo, StashName, TokenRequest, VerifyOptions,
    VerifyReport,
};
use pannier::transfer::{Remote, RemoteError, Transport};
use pannier::workspace::restore::RestoreOptions;
use pannier::workspace::select::{SelectOptions, Selection};
use support::{Sandbox, assert_same_tree, noise};

/// A request, with how many digests or packs it carried.
type Request = (&'static str, usize);

/// A remote that writes down what is asked of the one in it.
struct Recording<R> {
    inner: R,
    requests: Mutex<Vec<Request>>,
}

impl<R: Remote> Recording<R> {
    fn note(&self, request: &'static str, size: usize) -> &R {
        self.requests.lock().unwrap().push((request, size));
        &self.inner
    }

    /// What was asked since the last look.
    fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

impl<R: Remote> Remote for Recording<R> {
    fn transport(&self) -> &Transport {
        self.inner.transport()
    }

    fn renew_put(
        &self,
        session: SessionId,
        pack: PackName,
        intent: &PackIntent,
    ) -> Result<SignedUrl, RemoteError> {
        self.note("renew_put", 1).renew_put(session, pack, intent)
    }

    fn renew_gets(&self, session: SessionId) -> Result<Vec<PackDownload>, RemoteError> {
        self.note("renew_gets", 0).renew_gets(session)
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }

    fn open(&self, request: &Open) -> Result<Opened, RemoteError> {
        self.note("open", request.digests.len()).open(request)
    }

    fn missing(&self, session: SessionId, digests: &[Digest]) -> Result<Vec<bool>, RemoteError> {
        self.note("missing", digests.len()).missing(session, digests)
    }

    fn sign(&self, session: SessionId, packs: &[PackIntent]) -> Result<Vec<SignedPack>, RemoteError> {
        self.note("sign", packs.len()).sign(session, packs)
    }

    fn commit(&self, request: &Commit) -> Result<Committed, RemoteError> {
        self.note("commit", request.packs.len()).commit(request)
    }

    fn resolve(&self, build: &BuildId, name: &StashName) -> Result<Resolved, RemoteError> {
        self.note("resolve", 0).resolve(build, name)
    }

    fn release(&self, session: SessionId) {
        self.note("release", 0).release(session);
    }

    fn report_damaged(&self, session: SessionId, pack: PackName, why: &str) -> Result<(), RemoteError> {
        self.note("report_damaged", 0).report_damaged(session, pack, why)
    }

    fn list(&self, build: &BuildId) -> Result<Vec<StashInfo>, RemoteError> {
        self.note("list", 0).list(build)
    }

    fn remove(&self, build: &BuildId, name: &StashName) -> Result<bool, RemoteError> {
        self.note("remove", 0).remove(build, name)
    }

    fn copy(&self, from: &BuildId, to: &BuildId) -> Result<Copied, RemoteError> {
        self.note("copy", 0).copy(from, to)
    }

    fn issue_token(&self, request: &TokenRequest) -> Result<IssuedToken, RemoteError> {
        self.note("issue_token", 0).issue_token(request)
    }

    fn gc(&self, options: &GcOptions) -> Result<GcReport, RemoteError> {
        self.note("gc", 0).gc(options)
    }

    fn verify(&self, options: &VerifyOptions, progress: &Progress) -> Result<VerifyReport, RemoteError> {
        self.note("verify", 0).verify(options, progress)
    }
}

/// A sandbox and the recorded controller on its store.
struct Scene {
    sandbox: Sandbox,
    remote: Recording<Embedded>,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let inner = Embedded::open(&sandbox.store()).unwrap();
        Self { sandbox, remote: Recording { inner, requests: Mutex::default() } }
    }

    fn stash(&self) -> Stashed {
        // Files younger than the walk are not trusted the next time.
        std::thread::sleep(Duration::from_millis(30));
        let request = StashRequest {
            folder: self.sandbox.work(),
            build: local(),
            name: "ws".parse().unwrap(),
            selection: Selection::new(&SelectOptions::default()).unwrap(),
            allow_empty: false,
            owner: false,
            xattrs: false,
            leave_out: Vec::new(),
            cache_file: Some(self.sandbox.path("stash.cache")),
            upload: UploadOptions { level: 1, threads: 2 },
        };
        agent::stash(&self.remote, &request, &Progress::default()).unwrap()
    }

    fn unstash(&self, paths: &[&str]) -> Unstashed {
        let request = UnstashRequest {
            folder: self.sandbox.path("out"),
            build: local(),
            name: "ws".parse().unwrap(),
            paths: paths
                .iter()
                .map(|path| pannier::model::EntryPath::new(path.as_bytes()).unwrap())
                .collect(),
            restore: RestoreOptions::default(),
            cache_file: Some(self.sandbox.path("unstash.cache")),
        };
        agent::unstash(&self.remote, &request, &Progress::default()).unwrap()
    }

    /// Packs with their times and lengths: a store that nobody wrote to has the same.
    fn store(&self) -> BTreeMap<PathBuf, (i64, i64, u64)> {
        let about = |path: PathBuf| {
            let meta = fs::metadata(&path).unwrap();
            (path, (meta.mtime(), meta.mtime_nsec(), meta.len()))
        };
        self.sandbox.packs().into_iter().map(about).collect()
    }
}

fn local() -> BuildId {
    BuildId { project: "local".into(), build: "local".into() }
}

fn names(requests: &[Request]) -> Vec<&'static str> {
    requests.iter().map(|(name, _)| *name).collect()
}

/// A thousand small files: about a page of a manifest.
fn many_files(scene: &Scene, files: u64) {
    for number in 0..files {
        let folder = scene.sandbox.work().join(format!("{:02}", number % 50));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{number}")), noise(number + 1, 300)).unwrap();
    }
}

#[test]
fn a_small_first_stash_is_three_requests_and_one_put() {
    let scene = Scene::new();
    many_files(&scene, 200);
    let stashed = scene.stash();
    assert_eq!(names(&scene.remote.take()), ["open", "sign", "commit"]);
    assert_eq!((stashed.stats.packs, scene.sandbox.packs().len()), (1, 1));
}

#[test]
fn an_unchanged_stash_is_two_requests_and_nothing_of_the_store() {
    let scene = Scene::new();
    many_files(&scene, 3000);
    scene.stash();
    let before = scene.store();
    scene.remote.take();
    let stashed = scene.stash();
    assert_eq!(names(&scene.remote.take()), ["open", "commit"]);
    assert_eq!((stashed.stats.packs, stashed.stats.new_chunks), (0, 0));
    assert_eq!(scene.store(), before);
}

#[test]
fn a_change_of_one_percent_asks_about_what_is_new_alone() {
    let scene = Scene::new();
    many_files(&scene, 3000);
    scene.stash();
    scene.remote.take();
    for number in 0..30u64 {
        let path = scene.sandbox.work().join(format!("07/{}", 7 + 50 * number));
        fs::write(path, noise(number + 90_000, 300)).unwrap();
    }
    let stashed = scene.stash();
    let requests = scene.remote.take();
    let asked: usize =
        requests.iter().filter(|(name, _)| ["open", "missing"].contains(name)).map(|(_, size)| size).sum();
    // Thirty files, their pages with their bases, the root; never the other 2,970 files. One request asks whether the bases are still there.
    assert!((30..=60).contains(&asked), "{asked} digests in {requests:?}");
    assert!(requests.len() <= 5, "{requests:?}");
    assert_eq!(stashed.stats.packs, 1);
    assert!(stashed.stats.new_chunks <= 60, "{:?}", stashed.stats);
    assert_eq!(stashed.unopened.0, 2970);
}

#[test]
fn an_unstash_is_one_request_and_few_reads() {
    let scene = Scene::new();
    many_files(&scene, 500);
    fs::write(scene.sandbox.work().join("large"), noise(5, 9 << 20)).unwrap();
    scene.stash();
    let packs = scene.sandbox.packs().len() as u64;
    scene.remote.take();
    let unstashed = scene.unstash(&[]);
    let requests = scene.remote.take();
    assert_eq!(names(&requests), ["resolve", "release"], "the release is best effort");
    assert!(packs >= 2);
    assert!(unstashed.fetched.fetches <= packs, "{:?} of {packs} packs", unstashed.fetched);
    assert_same_tree(&scene.sandbox.work(), &scene.sandbox.path("out"));

    // Nothing to do: nothing is fetched but footers and the manifest.
    let again = scene.unstash(&[]);
    assert_eq!(names(&scene.remote.take()), ["resolve", "release"]);
    assert_eq!((again.fetched.fetches, again.fetched.fetched_bytes), (0, 0));
}

#[test]
fn a_part_of_a_stash_costs_its_own_frames() {
    let scene = Scene::new();
    many_files(&scene, 500);
    fs::write(scene.sandbox.work().join("large"), noise(5, 9 << 20)).unwrap();
    scene.stash();
    scene.remote.take();
    let unstashed = scene.unstash(&["03/3"]);
    assert_eq!(names(&scene.remote.take()), ["resolve", "release"]);
    assert_eq!(unstashed.fetched.fetches, 1);
    assert!(unstashed.fetched.decoded_bytes <= 1 << 20, "{:?}", unstashed.fetched);
}
