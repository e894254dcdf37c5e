//! Agents that lie to a controller with its ledger and store on disk: about what their packs hold, whose they are, how
//! long they are. None of them makes anybody read wrong bytes or takes what is not its own. Lies about size: `giants`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pannier::agent::{self, AgentError, UnstashRequest};
use pannier::cli::embedded::Embedded;
use pannier::controller::ledger::{Access, Creation, Ledger, PackState, SqliteLedger};
use pannier::controller::store::DiskStore;
use pannier::controller::{Caller, Controller, ControllerError, ErrorKind};
use pannier::model::pack_layout::Codec;
use pannier::model::progress::Progress;
use pannier::model::signed_url::file_path;
use pannier::model::{Digest, PackName};
use pannier::protocol::{Commit, GcOptions, Open, PackIntent};
use pannier::workspace::restore::RestoreOptions;

use crate::crafted::{Part, crafted};
use crate::scene::{TestClock, Writer, build, manifest, name, pack, patched, whole};

/// What every scene here has: a data folder, its controller, and a second look at its ledger.
pub(crate) struct Scene {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) controller: Controller,
    ledger: SqliteLedger,
    clock: Arc<TestClock>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = || SqliteLedger::open(&folder.path().join("ledger.sqlite"), || Creation::New).unwrap();
        let store = DiskStore::open(&folder.path().join("store"));
        let (ledger, clock) = (open(), Arc::new(TestClock::of_agents_elsewhere()));
        let controller = Controller::with_parts(Box::new(open()), Box::new(store), clock.clone());
        // The commands and agents of these tests open the folder with the real clock.
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        clock.0.store(now as i64, Ordering::Relaxed);
        Self { folder, controller, ledger, clock }
    }

    /// A writer whose session is open and who has asked what is missing.
    pub(crate) fn writer(&self, at: &'static str, root: Digest, chunks: Vec<Vec<u8>>) -> Writer {
        let mut writer = Writer { root, chunks, ..Writer::new(at, "a") };
        (0..2).for_each(|_| writer.step(&self.controller).unwrap());
        writer
    }

    /// Sends one pack, `arriving` in the store as it may be; the next step of the writer is its commit.
    pub(crate) fn send(&self, writer: &mut Writer, arriving: &[u8], announced: PackIntent) -> PackName {
        let signed = self.controller.sign(&Caller::local(), writer.session, &[announced]).unwrap().remove(0);
        fs_err::write(file_path(&signed.put).unwrap(), arriving).unwrap();
        (writer.packs, writer.step) = (vec![signed.name], 3);
        signed.name
    }

    pub(crate) fn path(&self, pack: PackName) -> std::path::PathBuf {
        let name = pack.to_string();
        self.folder.path().join(format!("store/packs/{}/{name}.pack", &name[..2]))
    }

    pub(crate) fn state(&self, pack: PackName) -> Option<PackState> {
        self.ledger.pack(pack).unwrap().map(|row| row.state)
    }

    /// No stash is visible, and nothing that `writer` sent is known to be there.
    pub(crate) fn is_unchanged(&self, writer: &Writer, what: &str) {
        assert!(self.controller.list(&Caller::local(), &build()).unwrap().is_empty(), "{what}");
        let digests: Vec<Digest> = writer.chunks.iter().map(|chunk| Digest::of(chunk)).collect();
        let found = self.ledger.locate(&Caller::local().access, &digests).unwrap();
        assert!(found.iter().all(Option::is_none), "{what}: the index knows a chunk");
        for pack in &writer.packs {
            assert_eq!(self.state(*pack), Some(PackState::Pending), "{what}");
        }
    }

    /// Restores a stash by the agent; the files' contents by their names.
    fn unstash(&self, at: &str) -> Result<Vec<Vec<u8>>, AgentError> {
        let remote = Embedded::open(self.folder.path()).unwrap();
        let out = tempfile::tempdir().unwrap();
        let request = UnstashRequest {
            folder: out.path().join("out"),
            build: build(),
            name: name(at),
            paths: vec![],
            restore: RestoreOptions::default(),
            cache_file: None,
        };
        let unstashed = agent::unstash(&remote, &request, &Progress::default());
        let files = contents(&request.folder);
        match unstashed {
            Ok(_) => Ok(files),
            Err(error) => {
                assert!(files.is_empty(), "a failed unstash leaves nothing in a new folder");
                Err(error)
            }
        }
    }

    /// Runs the program with half a GiB of address space; its exit code and what it said.
    pub(crate) fn in_little_memory(&self, args: &[&str]) -> (Option<i32>, String) {
        let said = Command::new("sh")
            .args(["-c", "ulimit -v 524288 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_pannier")])
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs([("PANNIER_PROJECT", "p"), ("PANNIER_BUILD", "1"), ("PANNIER_CACHE_DIR", "cache")])
            .env("PANNIER_URL", self.folder.path())
            // The limit is one of addresses, of which glibc reserves 64 MiB for each thread's arena; memory is what counts here.
            .env("MALLOC_ARENA_MAX", "1")
            .output()
            .unwrap();
        (said.status.code(), String::from_utf8(said.stderr).unwrap())
    }
}

pub(crate) fn contents(folder: &Path) -> Vec<Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok);
    let files = files.filter(|entry| entry.file_type().is_file());
    files.map(|entry| fs_err::read(entry.path()).unwrap()).collect()
}

fn files(letters: &str) -> Vec<Vec<u8>> {
    letters.bytes().map(|letter| vec![letter; 100]).collect()
}

/// Proves that a digest which a footer claims and its bytes do not have misleads nobody: an honest stash may be built
/// upon it, but its reader is refused, the pack set aside, the content asked for anew, and then both stashes heal.
#[test]
fn a_claimed_digest_becomes_an_error_and_is_sent_anew() {
    let scene = Scene::new();
    let (root, chunks) = manifest("abc");
    let mut liar = scene.writer("lie", root, chunks.clone());
    let lie = Part::honest(&chunks[..3]).keeping(files("azc").concat(), Codec::Raw);
    let (bytes, intent) = crafted(vec![lie, Part::honest(&chunks[3..])]);
    let lying = scene.send(&mut liar, &bytes, intent);
    liar.step(&scene.controller).unwrap();

    let (root, chunks) = manifest("bd");
    let mut honest = scene.writer("honest", root, chunks);
    assert_eq!(honest.missing, [false, true, true, true], "the index believes the footer");
    (0..2).for_each(|_| honest.step(&scene.controller).unwrap());
    match scene.unstash("honest") {
        Err(AgentError::DamagedPack { pack, .. }) => assert_eq!(pack, lying),
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.state(lying), Some(PackState::Quarantined), "the reader has reported it");

    let (root, chunks) = manifest("b");
    let mut again = scene.writer("again", root, chunks);
    assert!(again.missing.iter().all(|missing| *missing), "{:?}", again.missing);
    (0..2).for_each(|_| again.step(&scene.controller).unwrap());
    assert_eq!(scene.unstash("honest").unwrap(), files("bd"));
    // Its own pack is not whole again yet, but what it reads it reads right.
    if let Ok(read) = scene.unstash("lie") {
        assert_eq!(read, files("abc"));
    }
    Writer::new("whole", "abc").run(&scene.controller).unwrap();
    assert_eq!(scene.unstash("lie").unwrap(), files("abc"));
    whole(&scene.controller);
    scene.controller.gc(&Caller::local(), &GcOptions::default()).unwrap();
    assert!(!scene.path(lying).exists(), "nobody needs it any more");
    assert_eq!(scene.unstash("honest").unwrap(), files("bd"));
}

/// Proves that a lie within what the controller itself reads, which is the manifest's frames, ends the commit.
#[test]
fn a_lie_beside_the_manifest_is_refused_at_commit() {
    let scene = Scene::new();
    let (root, chunks) = manifest("abc");
    let mut liar = scene.writer("lie", root, chunks.clone());
    let bytes = [files("azc").concat(), chunks[3..].concat()].concat();
    let (bytes, intent) = crafted(vec![Part::honest(&chunks).keeping(bytes, Codec::Raw)]);
    let lying = scene.send(&mut liar, &bytes, intent);
    let error = liar.step(&scene.controller).unwrap_err();
    assert!(matches!(error, ControllerError::Pack { pack, .. } if pack == lying), "{error}");
    scene.is_unchanged(&liar, "a lie beside the manifest");
}

/// Proves that a page may be stored as a patch, read back and found again by its list, and that a patch which makes no page, has no base, or
/// is of another patch, and a list that is missing or of another stash, make no stash.
#[test]
fn a_patch_makes_its_page_or_no_stash() {
    let scene = Scene::new();
    Writer::new("x", "abc").run(&scene.controller).unwrap();
    Writer::patched("y", "abd", "abc").run(&scene.controller).unwrap();
    assert_eq!(scene.unstash("y").unwrap(), files("abd"));
    let mut again = Writer::patched("y", "abd", "abc");
    again.step(&scene.controller).unwrap();
    again.step = 3;
    again.step(&scene.controller).unwrap();
    whole(&scene.controller);

    let unseen = |liar: &Writer, what: &str| {
        assert!(scene.controller.resolve(&Caller::local(), &build(), &name("z")).is_err(), "{what}");
        assert!(liar.packs.iter().all(|pack| scene.state(*pack) == Some(PackState::Pending)), "{what}");
    };
    let honest = Writer::patched("z", "ab", "abc");
    let [base, patch, list] = [0, 1, 2].map(|at| honest.chunks[2 + at].clone());
    let other = Writer::patched("z", "abcd", "abc").chunks[5].clone();
    let of_patch = [&patch[..8], Digest::of(&patch).as_bytes(), &patch[40..]].concat();
    let of_nothing = [&patch[..8], Digest::of(b"nothing").as_bytes(), &patch[40..]].concat();
    let list_of = |patch: &[u8]| [&list[..list.len() - 32], Digest::of(patch).as_bytes()].concat();
    let (_, foreign, _) = patched("ad", "abc");
    for (patch, list, what) in [
        (&other, list_of(&other), "a patch that makes another page"),
        (&of_patch, list_of(&of_patch), "a patch of a patch"),
        (&of_nothing, list_of(&of_nothing), "a patch of nothing"),
        (&base, list_of(&base), "a page in a patch's place"),
        (&patch[..patch.len() - 1].to_vec(), list_of(&patch[..patch.len() - 1]), "a cut patch"),
    ] {
        let chunks =
            [&honest.chunks[..2], &[base.clone(), patch.clone(), list.clone()], &honest.chunks[5..]].concat();
        let mut liar =
            Writer { patches: Some(Digest::of(&list)), chunks, ..scene.writer("z", honest.root, Vec::new()) };
        (liar.step, liar.missing) = (1, Vec::new());
        (0..2).for_each(|_| liar.step(&scene.controller).unwrap());
        let error = liar.step(&scene.controller).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Damaged, "{what}: {error}");
        unseen(&liar, what);
    }
    for list in [Digest::of(b"no list"), foreign, honest.root] {
        let mut liar = Writer { patches: Some(list), ..Writer::patched("z", "ab", "abc") };
        (0..3).for_each(|_| liar.step(&scene.controller).unwrap());
        let error = liar.step(&scene.controller).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{list}: {error}");
        unseen(&liar, "a list of another stash");
    }
}

/// Proves that a pack belongs to the session that it was signed for, whether it is pending or live.
#[test]
fn a_pack_of_another_session_is_refused() {
    let scene = Scene::new();
    let mut writers = ["abc", "def"].map(|letters| Writer::new("x", letters));
    for writer in &mut writers {
        (0..3).for_each(|_| writer.step(&scene.controller).unwrap());
    }
    let [thief, mut owner] = writers;
    let theirs = owner.packs[0];
    let commits = [vec![theirs], vec![thief.packs[0], theirs]];
    let commits =
        commits.map(|packs| Commit { session: thief.session, root: owner.root, patches: None, packs });
    for commit in &commits {
        let error = scene.controller.commit(&Caller::local(), commit).unwrap_err();
        assert!(matches!(error, ControllerError::ForeignPack(pack) if pack == theirs), "{error}");
        assert!(error.outside().contains(&theirs.to_string()), "{error}");
        scene.is_unchanged(&thief, "a foreign pack");
        scene.is_unchanged(&owner, "a foreign pack");
    }
    owner.step(&scene.controller).unwrap();
    for commit in &commits {
        let error = scene.controller.commit(&Caller::local(), commit).unwrap_err();
        assert!(matches!(error, ControllerError::ForeignPack(pack) if pack == theirs), "it is live: {error}");
    }
    let mut thief = thief;
    thief.step(&scene.controller).unwrap();
    assert_eq!(scene.unstash("x").unwrap(), files("abc"));
}

/// Proves that a commit after its lease makes nothing visible, and that what was sent for it goes with the next sweep.
#[test]
fn a_commit_after_its_lease_is_refused_and_its_packs_are_swept() {
    let scene = Scene::new();
    let mut late = Writer::new("x", "abc");
    (0..3).for_each(|_| late.step(&scene.controller).unwrap());
    scene.clock.0.fetch_add(15 * 60, Ordering::Relaxed);
    let ended = |error: ControllerError| assert_eq!(error.kind(), ErrorKind::SessionEnded, "{error}");
    ended(late.step(&scene.controller).unwrap_err());
    scene.is_unchanged(&late, "a late commit");
    let path = scene.path(late.packs[0]);
    assert!(path.exists());
    let swept = scene.controller.gc(&Caller::local(), &GcOptions::default()).unwrap();
    assert_eq!((swept.reaped_sessions, swept.deleted_packs), (1, 1));
    assert!(!path.exists());
    ended(late.step(&scene.controller).unwrap_err());
    assert!(scene.controller.list(&Caller::local(), &build()).unwrap().is_empty());
}

/// Proves that what arrives must be what was announced: its length and its footer. The same session can then send it as
/// it should be.
#[test]
fn another_pack_than_was_announced_is_refused() {
    let scene = Scene::new();
    let (root, chunks) = manifest("abc");
    let (bytes, intent) = pack(&chunks);
    let (mut shorter, mut longer) = (bytes.clone(), bytes.clone());
    shorter.remove(20);
    longer.insert(20, 0);
    let mut writer = scene.writer("x", root, chunks.clone());
    for arriving in [shorter, longer] {
        let sent = scene.send(&mut writer, &arriving, intent);
        let error = writer.step(&scene.controller).unwrap_err();
        let len = Some(arriving.len() as u64);
        assert!(
            matches!(error, ControllerError::PackLength { pack, found, .. } if pack == sent && found == len),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::Refused);
        scene.is_unchanged(&writer, "another length");
    }
    let sent = scene.send(&mut writer, &bytes, intent);
    fs_err::remove_file(scene.path(sent)).unwrap();
    let error = writer.step(&scene.controller).unwrap_err();
    assert!(matches!(error, ControllerError::PackLength { found: None, .. }), "{error}");

    let reversed: Vec<Vec<u8>> = chunks.iter().rev().cloned().collect();
    let (other, other_intent) = pack(&reversed);
    assert!(other.len() == bytes.len() && other_intent.footer_digest != intent.footer_digest);
    let sent = scene.send(&mut writer, &other, intent);
    let error = writer.step(&scene.controller).unwrap_err();
    assert!(matches!(error, ControllerError::FooterDigest(pack) if pack == sent), "{error}");
    scene.is_unchanged(&writer, "another footer");

    scene.send(&mut writer, &bytes, intent);
    writer.step(&scene.controller).unwrap();
    assert_eq!(scene.unstash("x").unwrap(), files("abc"));
}

/// Proves that the numbers of sessions and the names of packs are no keys: a caller of another scope can neither send
/// into somebody else's session, nor end it, nor have its packs looked at.
#[test]
fn a_stranger_can_do_nothing_in_somebody_elses_session() {
    let scene = Scene::new();
    let scope = scene.ledger.scope("elsewhere", "theirs").unwrap();
    let stranger =
        Caller { access: Access { write: scope, read: vec![scope] }, operator: false, ..Caller::local() };
    let controller = &scene.controller;
    Writer::new("x", "abc").run(controller).unwrap();
    let reader = controller.resolve(&Caller::local(), &build(), &name("x")).unwrap();
    let live = reader.packs[0].name;
    let mut owner = Writer::new("y", "def");
    (0..3).for_each(|_| owner.step(controller).unwrap());
    let (session, root, sent) = (owner.session, owner.root, owner.packs[0]);
    let (_, intent) = pack(&owner.chunks);

    let ended = |error: ControllerError| assert_eq!(error.kind(), ErrorKind::SessionEnded, "{error}");
    ended(
        controller
            .commit(&stranger, &Commit { session, root, patches: None, packs: vec![sent] })
            .unwrap_err(),
    );
    ended(controller.commit(&stranger, &Commit { session, root, patches: None, packs: vec![] }).unwrap_err());
    ended(controller.sign(&stranger, session, &[intent]).unwrap_err());
    ended(controller.renew_put(&stranger, session, sent, &intent).unwrap_err());
    ended(controller.missing(&stranger, session, &[root]).unwrap_err());
    ended(controller.renew_gets(&stranger, reader.session).unwrap_err());
    let open = Open { build: build(), name: name("y"), parent: None, resume: Some(session), digests: vec![] };
    let own = controller.open_session(&stranger, &open).unwrap().session;
    assert_ne!(own, session, "nor is it resumed by another");
    for packs in [vec![sent], vec![live], vec![]] {
        let error =
            controller.commit(&stranger, &Commit { session: own, root, patches: None, packs }).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Refused | ErrorKind::Damaged), "{error}");
    }

    let mut bytes = fs_err::read(scene.path(live)).unwrap();
    bytes[20] ^= 1;
    fs_err::write(scene.path(live), &bytes).unwrap();
    for pack in [live, sent] {
        let error = controller.report_damaged(&stranger, reader.session, pack, "mine to say").unwrap_err();
        assert!(matches!(error, ControllerError::ForeignPack(_)), "not even when it is so: {error}");
    }
    assert_eq!(scene.state(live), Some(PackState::Live));
    bytes[20] ^= 1;
    fs_err::write(scene.path(live), &bytes).unwrap();

    controller.release(&stranger, session);
    controller.release(&stranger, reader.session);
    assert!(controller.remove(&Caller::local(), &build(), &name("x")).unwrap());
    controller.gc(&Caller::local(), &GcOptions::default()).unwrap();
    assert!(scene.path(live).exists() && scene.path(sent).exists(), "their holders still hold them");
    owner.step(controller).unwrap();
    assert_eq!(scene.unstash("y").unwrap(), files("def"));
}

/// Proves that in a scope which builds share, a token for one build reaches into no session of another.
#[test]
fn a_token_for_one_build_can_do_nothing_in_anothers_session() {
    let scene = Scene::new();
    let neighbour = Caller { build: Some("2".into()), operator: false, ..Caller::local() };
    let controller = &scene.controller;
    let mut owner = Writer::new("y", "def");
    (0..3).for_each(|_| owner.step(controller).unwrap());
    let (session, root, packs) = (owner.session, owner.root, owner.packs.clone());
    let (_, intent) = pack(&owner.chunks);
    let refused =
        |error: ControllerError| assert!(matches!(error, ControllerError::ForeignBuild(_)), "{error}");
    refused(controller.sign(&neighbour, session, &[intent]).unwrap_err());
    refused(controller.renew_put(&neighbour, session, packs[0], &intent).unwrap_err());
    refused(controller.missing(&neighbour, session, &[root]).unwrap_err());
    refused(controller.commit(&neighbour, &Commit { session, root, patches: None, packs }).unwrap_err());
    controller.release(&neighbour, session);
    owner.step(controller).unwrap();
    assert_eq!(scene.unstash("y").unwrap(), files("def"));
    refused(
        controller.commit(&neighbour, &Commit { session, root, patches: None, packs: vec![] }).unwrap_err(),
    );
}
