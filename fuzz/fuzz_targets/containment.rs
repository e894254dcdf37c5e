//! Any bytes as a tar that is restored to a folder full of ways out: what lies outside stays as it is.
//!
//! Input: a byte of options, then a tar, whose headers' checksums are set right.
#![no_main]

#[path = "../header_sums.rs"]
mod header_sums;
#[path = "../tar_members.rs"]
mod tar_members;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pannier::model::progress::Progress;
use pannier::model::{Entry, EntryPath};
use pannier::workspace::beneath::Folder;
use pannier::workspace::restore::{Known, Restore, RestoreError, RestoreOptions, RestoreScope};

/// Contents of one tar together.
const CONTENT_BYTES: u64 = 256 << 10;
const ENTRIES: usize = 64;
/// Longer paths cannot be looked up by their whole name from outside.
const CHECKED_PATH_BYTES: usize = 2000;
const NOTHING_KNOWN: Known<'static> = Known { content: &|_| None, chunks: &|_| None };

type Wanted = BTreeMap<EntryPath, (Entry, Vec<u8>)>;

fuzz_target!(|bytes: &[u8]| {
    let Some((&choices, tar)) = bytes.split_first() else { return };
    let (members, _) = tar_members::read(&header_sums::with_sums(tar), CONTENT_BYTES);
    let mut wanted = Wanted::new();
    for (member, content) in members.into_iter().take(ENTRIES) {
        let Some(content) = content else { continue };
        if let Some(entry) = tar_members::entry(&member, &content) {
            wanted.insert(entry.path.clone(), (entry, content));
        }
    }
    if wanted.is_empty() {
        return;
    }
    let dir = scratch();
    let (inside, outside) = (dir.path().join("inside"), dir.path().join("outside"));
    furnish(&inside, &outside);
    let before = (state(&outside), names(dir.path()));
    let restored = restore(&inside, &wanted, choices);
    assert_eq!((state(&outside), names(dir.path())), before, "the restore reached outside: {restored:?}");
    if restored.is_ok() {
        check_files(&inside, &wanted);
    }
});

/// In memory where there is such a place: a run is then a fraction of a millisecond.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new()
        .prefix("pannier-fuzz-")
        .tempdir_in(parent)
        .expect("a temporary folder can be made")
}

/// Symlinks to a folder and a file outside, relative and absolute, at the top and deeper; a file that is a name of an
/// inode outside as well.
fn furnish(inside: &Path, outside: &Path) {
    let made = || -> std::io::Result<()> {
        fs::create_dir_all(inside.join("d"))?;
        fs::create_dir_all(outside.join("sub"))?;
        fs::write(outside.join("secret"), "outside")?;
        fs::write(outside.join("sub/f"), "outside")?;
        fs::write(outside.join("shared"), "outside")?;
        symlink("../outside", inside.join("link"))?;
        symlink("../../outside/sub", inside.join("d/link"))?;
        symlink(outside, inside.join("absolute"))?;
        symlink("../outside/secret", inside.join("file"))?;
        symlink("..", inside.join("up"))?;
        fs::hard_link(outside.join("shared"), inside.join("shared"))
    };
    made().expect("a temporary folder can be written to");
}

/// All that a change would show in, of everything beneath `dir` and of itself: no write leaves the ctime as it was.
/// The names of the shared inode may grow fewer, since a restore replaces files by rename.
fn state(dir: &Path) -> BTreeMap<OsString, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder).into_iter().chain([OsString::from(".")]) {
            let path = folder.join(name);
            let stat = fs::symlink_metadata(&path).expect("what is outside stays there");
            if stat.is_dir() && path.file_name() != folder.file_name() {
                folders.push(path.clone());
            }
            let shared = path.ends_with("shared");
            let ctime = if shared { (0, 0) } else { (stat.ctime(), stat.ctime_nsec()) };
            let line = format!(
                "{} {:o} {} {} {} {:?} {ctime:?}",
                stat.ino(),
                stat.mode(),
                stat.uid(),
                stat.gid(),
                stat.len(),
                (stat.mtime(), stat.mtime_nsec())
            );
            let content = if stat.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
            found.insert(path.into_os_string(), format!("{line} {}", content.escape_ascii()));
        }
    }
    found
}

fn names(dir: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(dir).expect("the folder is there");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("the folder is read").file_name()).collect();
    names.sort();
    names
}

fn restore(inside: &Path, wanted: &Wanted, choices: u8) -> Result<(), RestoreError> {
    let chosen = |bit: u8| choices >> bit & 1 == 1;
    let options = RestoreOptions {
        mirror: chosen(0),
        set_id: chosen(1),
        owner: chosen(2),
        xattrs: chosen(3),
        threads: 1,
    };
    let folder = if chosen(4) { Folder::open_portable(inside) } else { Folder::open(inside) }?;
    let entries = wanted.values().map(|(entry, _)| entry.clone()).collect();
    let progress = Progress::default();
    let restore =
        Restore::prepare_in(folder, entries, RestoreScope::Whole, NOTHING_KNOWN, options, &progress)?;
    for (id, path, _) in restore.wanted() {
        let content = wanted.get(path).map_or(&[][..], |(_, content)| content);
        let (head, tail) = content.split_at(if chosen(5) { content.len() / 2 } else { 0 });
        restore.write(id, head.len() as u64, tail)?;
        restore.write(id, 0, head).or_else(|error| if head.is_empty() { Ok(()) } else { Err(error) })?;
    }
    restore.finish().map(|_| ())
}

/// What was restored is there, as files and not through anything else.
fn check_files(inside: &Path, wanted: &Wanted) {
    for (path, (entry, content)) in wanted {
        if entry.content().is_none() || path.as_bytes().len() > CHECKED_PATH_BYTES {
            continue;
        }
        let at = inside.join(OsStr::from_bytes(path.as_bytes()));
        match fs::symlink_metadata(&at).and_then(|stat| Ok((stat.is_file(), fs::read(&at)?))) {
            Ok((is_file, found)) => assert!(is_file && found == *content, "{path} is not what was restored"),
            // Not root, and the tar took its own permissions away.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => panic!("{path}: {error}"),
        }
    }
}
