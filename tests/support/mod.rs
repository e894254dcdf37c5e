//! What the end-to-end tests share: a sandbox with its own store, cache and workspace, and a picture of a tree.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(unreachable_pub, reason = "each test program is a crate of its own")]

pub mod proxy;
pub mod served;
pub mod servers;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A store, a cache and a workspace of a test's own.
pub struct Sandbox {
    pub dir: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("work")).unwrap();
        Self { dir }
    }

    pub fn work(&self) -> PathBuf {
        self.path("work")
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program with this sandbox's folders, not started yet.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pannier"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"))
            .env("PANNIER_URL", self.store())
            .env("PANNIER_CACHE_DIR", self.path("cache"));
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        Run(self.command(args).output().unwrap())
    }

    /// Stashes the workspace as `name`; what it said as JSON.
    pub fn stash(&self, name: &str) -> serde_json::Value {
        self.run(["stash", name, "-C", "work", "--json"]).json()
    }

    /// Unstashes `name` into `folder`; what it said as JSON.
    pub fn unstash(&self, name: &str, folder: &str) -> serde_json::Value {
        self.run(["unstash", name, "-C", folder, "--json"]).json()
    }

    /// Files beneath the store's packs, sorted.
    pub fn packs(&self) -> Vec<PathBuf> {
        let files = walkdir::WalkDir::new(self.store().join("store/packs")).sort_by_file_name();
        files
            .into_iter()
            .filter_map(Result::ok)
            .filter(|e| e.file_type().is_file())
            .map(|e| e.into_path())
            .collect()
    }
}

/// What a run printed and how it ended.
pub struct Run(pub Output);

impl Run {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    pub fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    /// Asserts the exit code, showing what was printed.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "stdout: {}\nstderr: {}", self.stdout(), self.stderr());
        self
    }

    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let done = self.exits(0);
        serde_json::from_slice(&done.0.stdout).unwrap()
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr().contains(text), "`{text}` is not in: {}", self.stderr());
        self
    }
}

/// Everything that a stash keeps of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub mode: u32,
    pub mtime: (i64, i64),
    pub content: Vec<u8>,
    /// The smallest path of the same inode, where it has several.
    pub link: Option<Vec<u8>>,
}

/// A tree by relative path. Read with std and `walkdir` alone.
pub fn tree(root: &Path) -> BTreeMap<Vec<u8>, Node> {
    let mut nodes = BTreeMap::new();
    let mut inodes: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name() {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        let meta = fs::symlink_metadata(entry.path()).unwrap();
        let content = match meta.file_type() {
            kind if kind.is_file() => fs::read(entry.path()).unwrap(),
            kind if kind.is_symlink() => fs::read_link(entry.path()).unwrap().as_os_str().as_bytes().to_vec(),
            _ => Vec::new(),
        };
        let several = meta.nlink() > 1 && !meta.is_dir();
        let link =
            several.then(|| inodes.entry((meta.dev(), meta.ino())).or_insert_with(|| path.clone()).clone());
        nodes.insert(
            path,
            Node { mode: meta.mode(), mtime: (meta.mtime(), meta.mtime_nsec()), content, link },
        );
    }
    nodes
}

/// Asserts that two trees are the same, naming the first paths that differ.
#[track_caller]
pub fn assert_same_tree(left: &Path, right: &Path) {
    let (left, right) = (tree(left), tree(right));
    let show = |path: &Vec<u8>| String::from_utf8_lossy(path).into_owned();
    let differing: Vec<String> = left
        .keys()
        .chain(right.keys())
        .filter(|path| left.get(*path) != right.get(*path))
        .map(show)
        .take(5)
        .collect();
    assert!(
        differing.is_empty(),
        "differ: {differing:?}, e.g. {:?}",
        differing
            .first()
            .map(|path| { (left.get(path.as_bytes()).cloned(), right.get(path.as_bytes()).cloned()) })
    );
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A workspace with one of everything that a stash keeps.
pub fn make_rich_tree(root: &Path) {
    for folder in ["src/deep/er", "empty", "closed", "target/debug"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for number in 0..300u64 {
        fs::write(
            root.join(format!("src/file{number}.txt")),
            format!("file {number}\n").repeat(number as usize),
        )
        .unwrap();
    }
    fs::write(root.join("src/deep/er/empty"), b"").unwrap();
    fs::write(root.join("target/debug/large.bin"), noise(1, 3_000_000)).unwrap();
    fs::write(root.join("target/debug/exactly-64k"), noise(2, 64 << 10)).unwrap();
    fs::write(root.join("target/debug/text"), "the same line again and again\n".repeat(50_000)).unwrap();
    fs::write(root.join(OsStr::from_bytes(b"weird \xff\n'name'\\")), b"bytes").unwrap();
    fs::write(root.join("čॐ #?:$&'\"<>"), b"unicode").unwrap();
    fs::hard_link(root.join("src/file7.txt"), root.join("src/zlink")).unwrap();
    fs::hard_link(root.join("src/file7.txt"), root.join("alink")).unwrap();
    symlink("src", root.join("to-folder")).unwrap();
    symlink("nowhere/at all", root.join("dangling")).unwrap();
    symlink("/etc/passwd", root.join("absolute")).unwrap();
    make_fifo(&root.join("pipe"));
    let sparse = fs::File::create(root.join("sparse.img")).unwrap();
    sparse.set_len(8 << 20).unwrap();
    sparse.write_all_at(b"in the middle", 4 << 20).unwrap();
    for (path, mode) in
        [("src/file1.txt", 0o600), ("src/file2.txt", 0o777), ("src/file3.txt", 0o4755), ("closed", 0o555)]
    {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    for (path, seconds) in [
        ("src/file5.txt", "1970-01-01 00:00:01.123456789"),
        ("empty", "2001-02-03 04:05:06.7"),
        ("dangling", "1999-12-31 23:59:59.5"),
    ] {
        let touched =
            Command::new("touch").args(["-h", "-d", seconds]).arg(root.join(path)).status().unwrap();
        assert!(touched.success());
    }
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}
