//! Proves that includes and excludes choose what Ant chooses: the real `ant` is asked about generated patterns and
//! paths, all in one run. Needs `ant`; without it the test says so and passes, unless `PANNIER_TESTS_MUST_RUN=1`.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used)] // helpers of a test may panic; clippy only knows that of test functions

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use pannier::workspace::select::{SelectOptions, Selection};

/// Filesets that ant is asked about; each with the paths below gives thousands of decisions.
const FILESETS: usize = 600;

/// A small generator (SplitMix64), so that every run asks the same.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % limit as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const FOLDERS: [&str; 9] = ["a", "b", "aa", "src", "p q", "x.d", "é", ".git", "CVS"];
const FILES: [&str; 12] =
    ["a", "b", "ab", "abb.c", "x.o", "n~", "#x#", ".#y", "with space.txt", "日本.txt", ".gitignore", "._z"];
const PIECES: [&str; 28] = [
    "**", "**", "**", "*", "*", "a", "b", "aa", "src", "p q", "x.d", "é", "?", "??", "a*", "*b", "*.o",
    "a*b*", "a?", "***", "a**", "* *", "*~", "#*#", ".*", "日*", "?.*", "",
];

fn paths(random: &mut Random) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    while paths.len() < 220 {
        let depth = if random.below(20) == 0 { 9 } else { random.below(4) };
        let folders: String = (0..depth).map(|_| format!("{}/", random.pick(&FOLDERS))).collect();
        let path = folders + random.pick(&FILES);
        let within = |inner: &str, outer: &str| inner.starts_with(&format!("{outer}/"));
        if !paths.iter().any(|other: &String| within(other, &path) || within(&path, other)) {
            paths.insert(path);
        }
    }
    paths
}

fn pattern(random: &mut Random, paths: &[&String]) -> String {
    if random.below(10) == 0 {
        return paths[random.below(paths.len())].clone();
    }
    let mut pieces: Vec<&str> = (0..1 + random.below(5)).map(|_| random.pick(&PIECES)).collect();
    if pieces.iter().all(|piece| piece.is_empty()) {
        pieces[0] = "a";
    }
    let separator = if random.below(12) == 0 { "\\" } else { "/" };
    pieces.join(separator) + if random.below(8) == 0 { separator } else { "" }
}

struct Fileset {
    includes: Vec<String>,
    excludes: Vec<String>,
}

fn fileset(random: &mut Random, paths: &[&String]) -> Fileset {
    let mut some = |most: usize| -> Vec<String> {
        let count = random.below(most + 1);
        (0..count).map(|_| pattern(random, paths)).collect()
    };
    Fileset { includes: some(3), excludes: some(2) }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('$', "$$")
}

fn build_file(filesets: &[Fileset]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<project default=\"all\">");
    xml += "<target name=\"all\">";
    for (number, set) in filesets.iter().enumerate() {
        write!(xml, "<fileset id=\"s{number}\" dir=\"tree\" casesensitive=\"yes\" defaultexcludes=\"no\">")
            .unwrap();
        set.includes.iter().for_each(|text| write!(xml, "<include name=\"{}\"/>", escape(text)).unwrap());
        set.excludes.iter().for_each(|text| write!(xml, "<exclude name=\"{}\"/>", escape(text)).unwrap());
        writeln!(
            xml,
            "</fileset><pathconvert property=\"p{number}\" refid=\"s{number}\" pathsep=\"|\" setonempty=\"yes\"/>\
             <echo file=\"out.txt\" append=\"true\" encoding=\"UTF-8\">${{p{number}}}&#10;</echo>"
        )
        .unwrap();
    }
    xml + "</target></project>\n"
}

/// What ant selects for each fileset, relative to the tree; `None` without ant.
fn ask_ant(dir: &Path, filesets: &[Fileset]) -> Option<Vec<BTreeSet<String>>> {
    std::fs::write(dir.join("build.xml"), build_file(filesets)).unwrap();
    let run = Command::new("ant")
        .args(["-q", "-f", "build.xml"])
        .env("LC_ALL", "C.UTF-8")
        .env("ANT_OPTS", "-Dfile.encoding=UTF-8")
        .current_dir(dir)
        .output();
    let output = match run {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        run => run.unwrap(),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = format!("{}/tree/", dir.canonicalize().unwrap().display());
    let text = std::fs::read_to_string(dir.join("out.txt")).unwrap();
    let line = |line: &str| {
        let paths = line.split('|').filter(|path| !path.is_empty());
        paths.map(|path| path.strip_prefix(&tree).expect("below the tree").to_owned()).collect()
    };
    Some(text.lines().map(line).collect())
}

/// Ant's scanner starts at a pattern's literal head, and does not look at that head if it is a file, unless another
/// include makes it scan from above: the one difference that `workspace::select` names. Such files are not compared.
fn is_a_head(set: &Fileset, path: &str) -> bool {
    set.includes.iter().any(|text| {
        let text = text.replace('\\', "/") + if text.ends_with(['/', '\\']) { "**" } else { "" };
        let pieces: Vec<&str> = text.split('/').filter(|piece| !piece.is_empty()).collect();
        let head = pieces.iter().take_while(|piece| !piece.contains(['*', '?'])).count();
        let deep = head < pieces.len() && pieces[head..].iter().all(|piece| *piece == "**");
        deep && pieces[..head].join("/") == path
    })
}

#[test]
fn chooses_what_ant_chooses() {
    let mut random = Random(20);
    let all = paths(&mut random);
    let list: Vec<&String> = all.iter().collect();
    let filesets: Vec<Fileset> = (0..FILESETS).map(|_| fileset(&mut random, &list)).collect();
    let dir = tempfile::tempdir().unwrap();
    for path in &all {
        let file = dir.path().join("tree").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, b"").unwrap();
    }
    let Some(chosen) = ask_ant(dir.path(), &filesets) else {
        assert!(
            std::env::var_os("PANNIER_TESTS_MUST_RUN").is_none_or(|on| on != "1"),
            "ant is not installed"
        );
        eprintln!("skipped: ant is not installed");
        return;
    };
    assert_eq!(chosen.len(), FILESETS);
    let mut told_apart = 0;
    for (set, ants) in filesets.iter().zip(&chosen) {
        let (includes, excludes) = (set.includes.clone(), set.excludes.clone());
        let options = SelectOptions { includes, excludes, ..SelectOptions::default() };
        let selection = Selection::new(&options).unwrap();
        let what = || format!("includes {:?} excludes {:?}", set.includes, set.excludes);
        for path in &all {
            let components: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
            let ours = selection.takes(&components);
            if !is_a_head(set, path) {
                assert_eq!(ours, ants.contains(path), "{path}: {}", what());
            }
            let pruned = (1..components.len()).any(|depth| selection.may_prune(&components[..depth]));
            assert!(!(ours && pruned), "{path} lies in a pruned folder: {}", what());
        }
        told_apart += usize::from(!ants.is_empty() && ants.len() < all.len());
    }
    assert!(told_apart > FILESETS / 4, "only {told_apart} filesets choose some and not all");
}
