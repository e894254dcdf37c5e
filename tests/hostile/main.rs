//! Tars that mean harm, through the program itself: each is refused with its path or place named, or is a stash whose
//! restore is exactly what the tar's names say and changes nothing outside its folder.
//! Workspaces that change under the reader have `hostile_folders.rs`.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod archive;
mod contradictions;
mod names;
mod sizes;
#[path = "../support/mod.rs"]
mod support;
mod targets;

use std::fs;
use std::path::PathBuf;

use support::{Run, Sandbox, tree};

/// A sandbox with something outside the target that must stay as it is.
pub(crate) struct Scene {
    pub(crate) sandbox: Sandbox,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        fs::create_dir(sandbox.path("outside")).unwrap();
        fs::write(sandbox.path("outside/precious"), b"precious").unwrap();
        fs::write(sandbox.path("precious"), b"precious").unwrap();
        // So that the first stash of a case is not the one that makes the store and the cache.
        fs::write(sandbox.work().join("file"), b"x").unwrap();
        sandbox.stash("first");
        Self { sandbox }
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.sandbox.path("out")
    }

    fn import(&self, bytes: &[u8]) -> Run {
        fs::write(self.sandbox.path("hostile.tar"), bytes).unwrap();
        self.sandbox.run(["import", "hostile.tar", "hostile"])
    }

    /// The import fails, names the tar, says each of `texts`, and leaves no stash.
    #[track_caller]
    pub(crate) fn refuses(&self, bytes: &[u8], texts: &[&str]) {
        let run = self.import(bytes);
        let said = run.stderr();
        assert_eq!(run.code(), 1, "{texts:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        for text in [&["hostile.tar"], texts].concat() {
            assert!(said.contains(text), "`{text}` is not in: {said}");
        }
        self.sandbox.run(["rm", "hostile"]).exits(4);
    }

    /// The import succeeds and a restore gives exactly `paths`: onto nothing, onto itself, and
    /// onto itself with `--mirror`. Nothing outside changes.
    #[track_caller]
    pub(crate) fn restores(&self, bytes: &[u8], paths: &[&str]) {
        let import = self.import(bytes);
        assert_eq!(import.code(), 0, "{paths:?}: {}", import.stderr());
        let before = self.outside();
        for flags in [&[][..], &[], &["--mirror"]] {
            let run = self.sandbox.run([&["unstash", "hostile", "-C", "out"], flags].concat());
            assert_eq!(run.code(), 0, "{paths:?}: {}", run.stderr());
            let found: Vec<_> = tree(&self.out()).into_keys().map(|path| lossy(&path)).collect();
            assert_eq!(found, paths);
            assert_eq!(self.outside(), before, "{paths:?}: changed something outside");
        }
        self.clear();
    }

    /// The import succeeds and the restore fails, says each of `texts`, and leaves nothing.
    #[track_caller]
    pub(crate) fn cannot_restore(&self, bytes: &[u8], texts: &[&str]) {
        let import = self.import(bytes);
        assert_eq!(import.code(), 0, "{texts:?}: {}", import.stderr());
        let before = self.outside();
        let run = self.sandbox.run(["unstash", "hostile", "-C", "out"]);
        let said = run.stderr();
        assert_eq!(run.code(), 1, "{texts:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        texts.iter().for_each(|text| assert!(said.contains(text), "`{text}` is not in: {said}"));
        assert!(tree(&self.out()).is_empty(), "{texts:?}");
        assert_eq!(self.outside(), before, "{texts:?}: changed something outside");
        self.clear();
    }

    pub(crate) fn clear(&self) {
        self.sandbox.run(["rm", "hostile"]).exits(0);
        fs::remove_dir_all(self.out()).unwrap();
    }

    /// Every path outside the target and pannier's own folders.
    pub(crate) fn outside(&self) -> Vec<(Vec<u8>, Vec<u8>, u32)> {
        let own: [&[u8]; 3] = [b"out", b"store", b"cache"];
        let is_own = |path: &[u8]| own.contains(&path.split(|&byte| byte == b'/').next().unwrap());
        let nodes = tree(self.sandbox.dir.path()).into_iter().filter(|(path, _)| !is_own(path));
        nodes.map(|(path, node)| (path, node.content, node.mode)).collect()
    }
}

pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
