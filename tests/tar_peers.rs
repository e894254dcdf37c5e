//! Canonical tar and the tar reader against GNU tar, bsdtar, Python's tarfile and git archive.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test says what it skips

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use pannier::model::{Content, Digest, Entry, EntryKind, EntryPath, Timestamp};
use pannier::tar::{Piece, Reader, TarKind, Writer};

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    kind: &'static str,
    mode: u32,
    mtime: Timestamp,
    /// Content's digest, or a symlink's target. A hard link is seen as what it names.
    what: Vec<u8>,
}

type Tree = BTreeMap<Vec<u8>, Seen>;

const EXTRACT: &str = "import sys,tarfile\nt=tarfile.open(sys.argv[1])\nif hasattr(tarfile,'fully_trusted_filter'): t.extraction_filter=tarfile.fully_trusted_filter\nt.extractall(sys.argv[2])";
const CREATE: &str = "import sys,tarfile\nt=tarfile.open(sys.argv[1],'w',format=getattr(tarfile,sys.argv[3]))\nt.add(sys.argv[2],'.')\nt.close()";

/// Whether `tool` is there; says so, or fails where every test must run.
fn have(tool: &str) -> bool {
    let found =
        Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        assert!(std::env::var_os("PANNIER_TESTS_MUST_RUN").is_none(), "{tool} is not installed");
        eprintln!("skipped: {tool} is not installed");
    }
    found
}

fn run(command: &mut Command) {
    let output = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn digest(content: &[u8]) -> Vec<u8> {
    Digest::of(content).as_bytes().to_vec()
}

fn samples() -> Vec<(Entry, Vec<u8>)> {
    let time = |secs, nanos| Timestamp { secs, nanos };
    let make = |path: &[u8], mode, mtime, kind| Entry {
        path: EntryPath::new(path).unwrap(),
        mode,
        mtime,
        owner: None,
        xattrs: Box::default(),
        kind,
    };
    let file = |path: &[u8], mode, mtime, content: &[u8]| {
        let kind = EntryKind::File(Content { size: content.len() as u64, ..Content::default() });
        (make(path, mode, mtime, kind), content.to_vec())
    };
    let other = |path: &[u8], mode, mtime, kind| (make(path, mode, mtime, kind), Vec::new());
    let now = time(1_700_000_000, 123_456_789);
    let deep = [b"deep".to_vec(), vec![b'd'; 150], vec![b'e'; 150], "é".repeat(60).into_bytes()].join(&b'/');
    let mut found = vec![
        other(b"dir", 0o750, now, EntryKind::Directory),
        file(b"dir/empty", 0o600, time(5, 0), b""),
        // Whole: libarchive 3.6 adds a negative time's fraction, both reading and writing (docs/format.md).
        file(b"dir/odd\n\xff name", 0o755, time(-2, 0), b"odd"),
        other(b"dir/soft", 0o777, now, EntryKind::Symlink { target: b"nowhere \xff"[..].into() }),
        other(b"dir/soft-long", 0o777, now, EntryKind::Symlink { target: b"x/".repeat(90).into() }),
        other(b"empty-dir", 0o1777, time(1, 0), EntryKind::Directory),
        file(b"full", 0o644, now, &b"0123456789".repeat(30_000)),
        other(b"hard", 0o644, now, EntryKind::HardLink { target: EntryPath::new(*b"full").unwrap() }),
        other(b"pipe", 0o640, now, EntryKind::Fifo),
    ];
    let slashes: Vec<usize> = (0..deep.len()).filter(|&at| deep[at] == b'/').collect();
    let folders = slashes.iter().map(|&at| other(&deep[..at], 0o755, now, EntryKind::Directory));
    found.extend(folders);
    found.push(file(&deep, 0o644, now, b"deep content"));
    found.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
    found
}

fn expected() -> Tree {
    let mut tree = Tree::new();
    for (entry, content) in samples() {
        let (kind, what) = match &entry.kind {
            EntryKind::File(_) => ("file", digest(&content)),
            EntryKind::HardLink { target } => ("file", tree[target.as_bytes()].what.clone()),
            EntryKind::Symlink { target } => ("symlink", target.to_vec()),
            other => (other.noun(), Vec::new()),
        };
        let seen = Seen { kind, mode: entry.mode, mtime: entry.mtime, what };
        tree.insert(entry.path.as_bytes().to_vec(), seen);
    }
    tree
}

fn write_canonical(to: &Path) {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in samples() {
        writer.entry(&entry).unwrap();
        writer.content(&content).unwrap();
    }
    fs_err::write(to, writer.finish().unwrap()).unwrap();
}

fn on_disk(root: &Path) -> Tree {
    let entries = walkdir::WalkDir::new(root).min_depth(1).into_iter().map(Result::unwrap);
    let one = |entry: walkdir::DirEntry| {
        let meta = fs_err::symlink_metadata(entry.path()).unwrap();
        let (kind, what) = match meta.file_type() {
            t if t.is_dir() => ("directory", Vec::new()),
            t if t.is_symlink() => {
                ("symlink", fs_err::read_link(entry.path()).unwrap().as_os_str().as_bytes().to_vec())
            }
            t if t.is_file() => ("file", digest(&fs_err::read(entry.path()).unwrap())),
            _ => ("fifo", Vec::new()),
        };
        let mtime = Timestamp { secs: meta.mtime(), nanos: meta.mtime_nsec() as u32 };
        let path = entry.path().strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        (path, Seen { kind, mode: meta.permissions().mode() & 0o7777, mtime, what })
    };
    entries.map(one).collect()
}

fn in_tar(tar: &Path) -> Tree {
    let mut reader = Reader::new(fs_err::File::open(tar).unwrap());
    let mut tree = Tree::new();
    while let Some(entry) = reader.next_entry().unwrap_or_else(|e| panic!("{}: {e}", tar.display())) {
        let (kind, what) = match entry.kind {
            TarKind::Directory => ("directory", Vec::new()),
            TarKind::Symlink { target } => ("symlink", target.to_vec()),
            TarKind::Fifo => ("fifo", Vec::new()),
            TarKind::Device => ("device", Vec::new()),
            TarKind::HardLink { target } => {
                tree.insert(entry.path.as_bytes().to_vec(), Seen::clone(&tree[target.as_bytes()]));
                continue;
            }
            TarKind::File { size } => {
                let mut content = Vec::new();
                let mut buf = vec![0; 10_000];
                loop {
                    match reader.read_piece(&mut buf).unwrap() {
                        Piece::Bytes(read) => content.extend_from_slice(&buf[..read]),
                        Piece::Zeros(zeros) => content.resize(content.len() + zeros as usize, 0),
                        Piece::End => break,
                    }
                }
                assert_eq!(content.len() as u64, size);
                ("file", digest(&content))
            }
        };
        tree.insert(
            entry.path.as_bytes().to_vec(),
            Seen { kind, mode: entry.mode, mtime: entry.mtime, what },
        );
    }
    tree
}

/// `tree` as a tool sees it that rounds times, or none of a symlink's.
fn coarse(mut tree: Tree, keep_nanos: bool, keep_links: bool) -> Tree {
    for seen in tree.values_mut() {
        seen.mtime.nanos = if keep_nanos { seen.mtime.nanos } else { 0 };
        if !keep_links && seen.kind == "symlink" {
            seen.mtime = Timestamp::default();
        }
    }
    tree
}

/// Fails with only those paths that differ.
fn assert_same(found: &Tree, wanted: &Tree, what: &str) {
    let differs = |path: &&Vec<u8>| found.get(*path) != wanted.get(*path);
    let paths: std::collections::BTreeSet<_> = found.keys().chain(wanted.keys()).filter(differs).collect();
    for path in &paths {
        eprintln!("{}:\n  {:?}\n  {:?}", path.escape_ascii(), found.get(*path), wanted.get(*path));
    }
    assert!(paths.is_empty(), "{what}: {} paths differ", paths.len());
}

fn extracted(tool: &str, tar: &Path, to: &Path) {
    fs_err::create_dir(to).unwrap();
    match tool {
        "python3" => run(Command::new(tool).args(["-c", EXTRACT]).args([tar, to])),
        _ => run(Command::new(tool).arg("-xpf").arg(tar).arg("-C").arg(to)),
    }
}

#[test]
fn peers_extract_canonical_tar() {
    let dir = tempfile::tempdir().unwrap();
    let tar = dir.path().join("canonical.tar");
    write_canonical(&tar);
    assert_eq!(in_tar(&tar), expected());
    for tool in ["tar", "bsdtar", "python3"].into_iter().filter(|tool| have(tool)) {
        let to = dir.path().join(tool);
        extracted(tool, &tar, &to);
        // Python keeps times as floating point, and sets none on symlinks.
        let exact = tool != "python3";
        assert_same(&coarse(on_disk(&to), exact, exact), &coarse(expected(), exact, exact), tool);
        let inode = |name| fs_err::metadata(to.join(name)).unwrap().ino();
        assert_eq!(inode("full"), inode("hard"), "{tool}");
    }
}

#[test]
fn gnu_tar_reads_a_fraction_before_1970() {
    if !have("tar") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format/v1/tar/rich.tar");
    run(Command::new("tar").args(["--no-same-owner", "-xf"]).arg(frozen).arg("-C").arg(dir.path()));
    let odd = fs_err::metadata(dir.path().join(std::ffi::OsStr::from_bytes(b"odd\n\xff"))).unwrap();
    assert_eq!((odd.mtime(), odd.mtime_nsec()), (-2, 500_000_000));
}

/// A tree on a disk, with a sparse file; `rich` has what only PAX and GNU formats can say.
fn tree_on_disk(dir: &Path, rich: bool) -> std::path::PathBuf {
    let tar = dir.join("source.tar");
    write_canonical(&tar);
    let tree = dir.join("tree");
    extracted("tar", &tar, &tree);
    if !rich {
        fs_err::remove_dir_all(tree.join("deep")).unwrap();
        fs_err::remove_file(tree.join("dir/soft-long")).unwrap();
        fs_err::remove_file(tree.join(std::ffi::OsStr::from_bytes(b"dir/odd\n\xff name"))).unwrap();
    }
    let sparse = fs_err::File::create(tree.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    for at in (0..60).map(|run| run * 40_960) {
        std::os::unix::fs::FileExt::write_all_at(sparse.file(), b"data in a sea of holes", at).unwrap();
    }
    tree
}

#[test]
fn the_reader_reads_every_format_of_gnu_tar() {
    if !have("tar") {
        return;
    }
    let sparse = |version: &'static str| vec!["--format=posix", "--sparse", version];
    let cases = [
        (false, vec!["--format=v7"]),
        (false, vec!["--format=ustar"]),
        (true, vec!["--format=oldgnu"]),
        (true, vec!["--format=gnu"]),
        (true, vec!["--format=gnu", "--sparse"]),
        (true, vec!["--format=oldgnu", "--sparse"]),
        (true, vec!["--format=posix", "--xattrs"]),
        (true, sparse("--sparse-version=0.0")),
        (true, sparse("--sparse-version=0.1")),
        (true, sparse("--sparse-version=1.0")),
    ];
    for (rich, options) in cases {
        let dir = tempfile::tempdir().unwrap();
        let tree = tree_on_disk(dir.path(), rich);
        let tar = dir.path().join("out.tar");
        if options == ["--format=v7"] {
            fs_err::remove_file(tree.join("pipe")).unwrap(); // v7 has no fifos
        }
        run(Command::new("tar").args(&options).arg("-cf").arg(&tar).arg("-C").arg(&tree).arg("."));
        let nanos = options[0] == "--format=posix";
        assert_same(
            &coarse(in_tar(&tar), nanos, true),
            &coarse(on_disk(&tree), nanos, true),
            &options.join(" "),
        );
    }
}

#[test]
fn the_reader_reads_bsdtar_and_refuses_its_cpio() {
    if !(have("bsdtar") && have("tar")) {
        return;
    }
    for (format, rich) in [("ustar", false), ("pax", true), ("gnutar", true), ("cpio", false)] {
        let dir = tempfile::tempdir().unwrap();
        let tree = tree_on_disk(dir.path(), rich);
        let tar = dir.path().join("out.tar");
        run(Command::new("bsdtar")
            .arg("--format")
            .arg(format)
            .arg("-cf")
            .arg(&tar)
            .arg("-C")
            .arg(&tree)
            .arg("."));
        if format == "cpio" {
            let error = Reader::new(fs_err::File::open(&tar).unwrap()).next_entry().unwrap_err();
            assert!(error.to_string().contains("cpio"), "{error}");
            continue;
        }
        let nanos = format == "pax";
        if format == "gnutar" {
            // libarchive writes a time before 1970 as 0 there.
            fs_err::remove_file(tree.join(std::ffi::OsStr::from_bytes(b"dir/odd\n\xff name"))).unwrap();
            run(Command::new("bsdtar")
                .args(["--format", "gnutar", "-cf"])
                .arg(&tar)
                .arg("-C")
                .arg(&tree)
                .arg("."));
        }
        assert_same(&coarse(in_tar(&tar), nanos, true), &coarse(on_disk(&tree), nanos, true), format);
    }
}

#[test]
fn the_reader_reads_pythons_formats() {
    if !(have("python3") && have("tar")) {
        return;
    }
    for (format, rich) in [("USTAR_FORMAT", false), ("GNU_FORMAT", true), ("PAX_FORMAT", true)] {
        let dir = tempfile::tempdir().unwrap();
        let tree = tree_on_disk(dir.path(), rich);
        let tar = dir.path().join("out.tar");
        run(Command::new("python3").args(["-c", CREATE]).args([&tar, &tree]).arg(format));
        assert_same(&coarse(in_tar(&tar), false, true), &coarse(on_disk(&tree), false, true), format);
    }
}

#[test]
fn the_reader_reads_git_archive() {
    if !have("git") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let repo = dir.path().join("repo");
    let long = repo.join("l".repeat(120)).join("m".repeat(120));
    fs_err::create_dir_all(&long).unwrap();
    fs_err::write(long.join("file"), b"content").unwrap();
    fs_err::write(repo.join("plain"), b"plain").unwrap();
    std::os::unix::fs::symlink("x/".repeat(90), repo.join("link")).unwrap();
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"];
        run(Command::new("git").arg("-C").arg(&repo).args(who).args(args));
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "all"]);
    git(&["archive", "--format=tar", "-o", "../out.tar", "HEAD"]);
    let names = |tree: Tree| -> Vec<(Vec<u8>, &'static str, Vec<u8>)> {
        tree.into_iter().map(|(path, seen)| (path, seen.kind, seen.what)).collect()
    };
    fs_err::remove_dir_all(repo.join(".git")).unwrap();
    assert_eq!(names(in_tar(&dir.path().join("out.tar"))), names(on_disk(&repo)));
}
