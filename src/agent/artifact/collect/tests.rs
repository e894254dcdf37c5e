//! What collecting takes, leaves and says. The globs themselves are tested where they are.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs::symlink;

use super::{Collection, Kind, Source, SymlinkPolicy, collect};
use crate::agent::artifact::ArtifactError;
use crate::model::Stop;
use crate::pattern::Glob;

fn glob(text: &str) -> Source {
    Source::Glob(Glob::new(text).unwrap())
}

fn collection(folder: &Path, sources: &[Source]) -> Collection {
    Collection {
        folder: folder.to_owned(),
        sources: sources.to_vec(),
        excludes: Vec::new(),
        follow_folders: false,
        symlinks: SymlinkPolicy::Follow,
        leave_out: Vec::new(),
    }
}

fn paths(collection: &Collection) -> Vec<String> {
    collect(collection, &Stop::default()).unwrap().found.into_iter().map(|found| found.path).collect()
}

fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::create_dir_all(at("log/deep")).unwrap();
    fs::create_dir_all(at("empty")).unwrap();
    for path in ["a.txt", "log/b.txt", "log/deep/c.txt", "log/deep/d.bin", ".hidden"] {
        fs::write(at(path), path).unwrap();
    }
    symlink("a.txt", at("link.txt")).unwrap();
    symlink("log/deep", at("linked")).unwrap();
    symlink("nowhere", at("dangling.txt")).unwrap();
    folder
}

#[test]
fn globs_and_paths_take_each_file_once() {
    let folder = tree();
    let all =
        collection(folder.path(), &[glob("log/**"), glob("**/b.txt"), Source::Path("log/b.txt".into())]);
    assert_eq!(paths(&all), ["log/b.txt", "log/deep/c.txt", "log/deep/d.bin"]);
    let starred = collection(folder.path(), &[glob("*")]);
    assert_eq!(paths(&starred), [".hidden", "a.txt", "link.txt"]);
    assert!(paths(&collection(folder.path(), &[glob("nothing/*"), Source::Path("no".into())])).is_empty());
}

#[test]
fn absolute_names_are_relative_to_the_root() {
    let folder = tree();
    let top = folder.path().to_str().unwrap().to_owned();
    let expected = [format!("{}/log/b.txt", &top[1..])];
    assert_eq!(paths(&collection(Path::new("/"), &[glob(&format!("{top}/log/*.txt"))])), expected);
    assert_eq!(paths(&collection(folder.path(), &[glob(&format!("{top}/log/b.txt"))])), expected);
    let both = collection(folder.path(), &[glob("log/b.txt"), glob(&format!("{top}/log/b*"))]);
    assert_eq!(paths(&both), ["log/b.txt"], "the same file by two names is one");
}

#[test]
fn excludes_leave_out_files_and_folders_with_all_beneath() {
    let folder = tree();
    let mut some = collection(folder.path(), &[glob("**/*.txt"), Source::Path("log/deep/d.bin".into())]);
    some.symlinks = SymlinkPolicy::Skip;
    some.excludes = vec![Glob::new("log/deep").unwrap(), Glob::new("a*").unwrap()];
    assert_eq!(paths(&some), ["log/b.txt"]);
    some.excludes = vec![Glob::new(&format!("{}/log", folder.path().display())).unwrap()];
    assert_eq!(paths(&some), ["a.txt"]);
    some.excludes.clear();
    some.leave_out = vec![folder.path().join("log")];
    assert_eq!(paths(&some), ["a.txt"]);
}

#[test]
fn symlinks_are_what_the_policy_says() {
    let folder = tree();
    let mut links =
        collection(folder.path(), &[glob("{link,dangling}.txt"), glob("linked/*.txt"), glob("l*/c.txt")]);
    let followed = collect(&links, &Stop::default()).unwrap();
    assert_eq!(
        followed.found.iter().map(|found| &found.path).collect::<Vec<_>>(),
        ["link.txt", "linked/c.txt"]
    );
    assert_eq!(followed.found[0].kind, Kind::File(5));
    assert!(followed.problems[0].is_error && followed.problems[0].what.contains("leads nowhere"));
    links.symlinks = SymlinkPolicy::Keep;
    let kept = collect(&links, &Stop::default()).unwrap();
    assert!(matches!(&kept.found[0].kind, Kind::Link(target, _) if target == "nowhere"));
    links.symlinks = SymlinkPolicy::Skip;
    assert_eq!(paths(&links), ["linked/c.txt"]);
    let mut folders = collection(folder.path(), &[glob("l*/c.txt")]);
    assert!(paths(&folders).is_empty());
    folders.follow_folders = true;
    assert_eq!(paths(&folders), ["linked/c.txt"]);
}

#[test]
fn loops_of_symlinks_end() {
    let folder = tree();
    symlink("..", folder.path().join("log/up")).unwrap();
    let mut all = collection(folder.path(), &[glob("**/b.txt")]);
    all.follow_folders = true;
    assert_eq!(paths(&all), ["log/b.txt"]);
}

#[test]
fn folders_are_said_where_nothing_in_them_is_taken() {
    let folder = tree();
    let all = collect(&collection(folder.path(), &[glob("**")]), &Stop::default()).unwrap();
    assert_eq!(all.folders, ["empty", "linked"]);
    let named = collect(&collection(folder.path(), &[glob("log")]), &Stop::default()).unwrap();
    assert_eq!((named.folders, named.found.len()), (vec!["log".to_owned()], 0));
}

#[test]
fn what_leads_out_is_refused_and_odd_names_are_said() {
    let folder = tree();
    let out = collection(folder.path(), &[Source::Path("log/../../x".into())]);
    assert!(
        matches!(collect(&out, &Stop::default()), Err(ArtifactError::Parent(path)) if path.contains(".."))
    );
    fs::write(folder.path().join(OsStr::from_bytes(b"log/b\xff.txt")), b"x").unwrap();
    let odd = collect(&collection(folder.path(), &[glob("log/b*")]), &Stop::default()).unwrap();
    assert_eq!(odd.found.len(), 1);
    assert!(odd.problems[0].is_error && odd.problems[0].path == "log/b\\xff.txt");
    assert!(odd.problems[0].what.contains("not UTF-8"));
    let gone = collect(&collection(&folder.path().join("gone"), &[glob("*")]), &Stop::default());
    assert!(matches!(gone, Err(ArtifactError::Folder { .. })));
}
