//! One upload glob: the dialect of Buildkite's artifact paths, over whole paths. No file system, and no list of globs.
//!
//! `*` is any characters but `/`, `**` any characters, `?` one character but `/`, `{a,b}` either, `[abc]` and `[a-c]` one of these,
//! `[^abc]` one other character but `/`; `\` takes the next character as it is. `**/` at the beginning of a component is any number of
//! folders, none included, so that `**.go` and `**/*.go` are the same.
//!
//! A glob becomes a small automaton whose states are all followed at once: the time for a path is at most the product of both lengths,
//! whoever wrote the glob. States can be kept for a folder, and gone on with for each name in it.

use crate::model::entry_path::Printable;

use super::ant::MAX_PATTERN_BYTES;
use super::error::GlobError;
use super::glob_parser::{Step, parse};

/// A parsed glob.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
    steps: Vec<Step>,
}

/// Where in a glob one may be after the beginning of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(Vec<u32>);

impl Places {
    /// Whether no path with that beginning can fit.
    pub const fn is_dead(&self) -> bool {
        self.0.is_empty()
    }
}

impl Glob {
    /// Reads a glob. `./` and doubled or trailing slashes say nothing.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        let printable = || Printable(text.as_bytes().into());
        if text.len() > MAX_PATTERN_BYTES {
            return Err(GlobError::TooLong(Printable(text.as_bytes()[..64].into())));
        }
        if text.contains('\0') {
            return Err(GlobError::Nul(printable()));
        }
        if text.split(['/', '{', ',', '}']).any(|piece| piece == "..") {
            return Err(GlobError::Parent(printable()));
        }
        let steps = parse(text).map_err(|why| GlobError::Malformed { glob: printable(), why })?;
        Ok(Self { text: text.to_owned(), steps })
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names paths from the root of the file system, which then begin with `/`.
    pub fn is_absolute(&self) -> bool {
        self.text.starts_with('/')
    }

    /// The folder that every path that fits lies in, as far as the glob spells it out, without a slash at its end; and whether that
    /// is the one path that fits.
    pub fn literal_prefix(&self) -> (String, bool) {
        let plain: String = self.steps.iter().map_while(Step::plain).collect();
        match self.steps.get(plain.chars().count()) {
            Some(Step::End) => (plain, true),
            _ => (plain.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned(), false),
        }
    }

    /// Whether `path` fits. Bytes that are no UTF-8 count as one character each.
    pub fn fits(&self, path: &[u8]) -> bool {
        self.is_end(&self.advance(&self.start(), path))
    }

    /// Before the first character.
    pub fn start(&self) -> Places {
        let mut set = Set::new(self.steps.len());
        set.enter(&self.steps, 0);
        Places(set.places)
    }

    /// Behind `bytes`, which is not to end within a character.
    pub fn advance(&self, from: &Places, bytes: &[u8]) -> Places {
        let (mut here, mut next) = (Set::new(self.steps.len()), Set::new(self.steps.len()));
        from.0.iter().for_each(|&place| _ = here.add(place));
        for symbol in symbols(bytes) {
            next.clear();
            for &place in &here.places {
                match self.steps.get(place as usize) {
                    Some(step) if step.is_loop() && step.takes(symbol) => next.enter(&self.steps, place),
                    Some(step) if step.takes(symbol) => next.enter(&self.steps, place + 1),
                    _ => {}
                }
            }
            std::mem::swap(&mut here, &mut next);
            if here.places.is_empty() {
                break;
            }
        }
        Places(here.places)
    }

    /// Whether a path that ends here fits.
    pub fn is_end(&self, places: &Places) -> bool {
        places.0.iter().any(|&place| matches!(self.steps.get(place as usize), Some(Step::End)))
    }
}

/// Characters as numbers; a byte that belongs to none is a number beyond all characters.
fn symbols(bytes: &[u8]) -> impl Iterator<Item = u32> {
    const BEYOND: u32 = 0x11_0000;
    bytes.utf8_chunks().flat_map(|chunk| {
        let invalid = chunk.invalid().iter().map(|&byte| BEYOND + u32::from(byte));
        chunk.valid().chars().map(u32::from).chain(invalid)
    })
}

/// Places without doubles.
struct Set {
    places: Vec<u32>,
    has: Vec<bool>,
}

impl Set {
    fn new(steps: usize) -> Self {
        Self { places: Vec::new(), has: vec![false; steps] }
    }

    fn clear(&mut self) {
        self.places.drain(..).for_each(|place| self.has[place as usize] = false);
    }

    fn add(&mut self, place: u32) -> bool {
        let is_new = self.has.get_mut(place as usize).is_some_and(|has| !std::mem::replace(has, true));
        if is_new {
            self.places.push(place);
        }
        is_new
    }

    /// Adds a place and all that can be reached from it without a character.
    fn enter(&mut self, steps: &[Step], place: u32) {
        let mut open = vec![place];
        while let Some(place) = open.pop() {
            if !self.add(place) {
                continue;
            }
            match steps.get(place as usize) {
                Some(Step::Either(places)) => open.extend(places),
                Some(Step::Jump(to)) => open.push(*to),
                Some(step) if step.is_loop() => open.push(place + 1),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn fits(glob: &str, path: &str) -> bool {
        Glob::new(glob).unwrap().fits(path.as_bytes())
    }

    #[test]
    fn the_dialect() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("*.log", &["a.log", ".log", "č.log"], &["a/b.log", "a.logs", "a"]),
            ("log/**", &["log/a", "log/a/b", "log/.x"], &["log", "logs/a"]),
            ("**/*.go", &["a.go", "a/b.go", "a/b/c.go", ".go"], &["a.gox", "go"]),
            ("**.go", &["a.go", "a/b.go", "a/b/c.go", ".go"], &["a.gox", "go"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb", "a/b/"]),
            ("a**b", &["ab", "a/x/b", "axb"], &["a", "b"]),
            ("?.t", &["a.t", "č.t"], &["/.t", ".t", "ab.t"]),
            ("{a,b/c,d*}.t", &["a.t", "b/c.t", "d.t", "dx.t"], &["c.t", "b.t", "ab.t"]),
            ("a{,{b,c}d}e", &["ae", "abde", "acde"], &["abe", "ade", "abcde"]),
            ("{a,**/b}", &["a", "b", "x/b", "x/y/b"], &["x/a", "xb"]),
            ("[ab-d].t", &["a.t", "c.t"], &["e.t", "-.t", "/.t"]),
            ("[^a].t", &["b.t", "^.t"], &["a.t", "/.t"]),
            ("[a-].t", &["a.t", "-.t"], &["b.t"]),
            (r"\*\{a\}[\]\^]", &["*{a}]", "*{a}^"], &["x{a}]"]),
            ("./a//./b/", &["a/b"], &["./a/b", "a//b"]),
            ("/tmp/*.t", &["/tmp/a.t"], &["tmp/a.t"]),
            ("a,b}c", &["a,b}c"], &["a"]),
            ("***", &["a", "a/b"], &[]),
            ("xxx#:$&'\"<>čॐ", &["xxx#:$&'\"<>čॐ"], &[]),
        ];
        for (glob, fitting, others) in cases {
            fitting.iter().for_each(|path| assert!(fits(glob, path), "{glob} fits {path}"));
            others.iter().for_each(|path| assert!(!fits(glob, path), "{glob} does not fit {path}"));
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_reason() {
        for (glob, word) in [
            ("a{b", "`{`"),
            ("[a", "`[`"),
            ("[]", "no character"),
            ("[b-a]", "range"),
            ("a\\", "`\\`"),
            ("../a", "leads out"),
            ("a/{..,b}/c", "leads out"),
            ("a\0", "NUL"),
        ] {
            let error = Glob::new(glob).unwrap_err().to_string();
            assert!(error.contains(word), "{glob}: {error}");
        }
        assert!(Glob::new(&"a".repeat(MAX_PATTERN_BYTES + 1)).is_err());
        assert!(Glob::new("a..b/...").is_ok());
    }

    #[test]
    fn a_glob_says_where_to_begin_and_which_folders_are_for_nothing() {
        let prefix = |glob: &str| Glob::new(glob).unwrap().literal_prefix();
        assert_eq!(prefix("a/b/*.c"), ("a/b".to_owned(), false));
        assert_eq!(prefix("a/b{c,d}"), ("a".to_owned(), false));
        assert_eq!(prefix("./a/b\\*"), ("a/b*".to_owned(), true));
        assert_eq!(prefix("**"), (String::new(), false));
        assert_eq!(prefix("/t*"), (String::new(), false));
        let glob = Glob::new("a/*/{c,d}").unwrap();
        let start = glob.start();
        assert!(glob.advance(&start, b"b/").is_dead());
        let folder = glob.advance(&start, b"a/x/");
        assert!(!folder.is_dead() && !glob.is_end(&folder));
        assert!(glob.is_end(&glob.advance(&folder, b"d")));
        assert!(glob.advance(&folder, b"d/").is_dead());
    }

    #[test]
    fn bytes_that_are_no_characters_are_one_each() {
        assert!(Glob::new("a?").unwrap().fits(b"a\xff") && Glob::new("*").unwrap().fits(b"\xff\xfe"));
        assert!(!Glob::new("a?").unwrap().fits(b"a\xff\xfe") && Glob::new("[^a]").unwrap().fits(b"\xff"));
    }

    /// Backtracking, or writing alternatives out, would not end within the life of the machine.
    #[test]
    fn hostile_globs_end() {
        let path = vec![b'a'; 4000];
        assert!(!Glob::new(&("*a".repeat(1000) + "b")).unwrap().fits(&path));
        assert!(!Glob::new(&("**a".repeat(1000) + "b")).unwrap().fits(&path));
        assert!(!Glob::new(&("{a,aa}".repeat(800) + "b")).unwrap().fits(&path));
        let deep = "{".repeat(2000) + "a" + &"}".repeat(2000);
        assert!(Glob::new(&deep).unwrap().fits(b"a"));
    }

    /// The plain definition by backtracking over characters, exponential as it is. Braces are written out before.
    fn by_definition(glob: &[char], path: &[char], at_start: bool) -> bool {
        match (glob, path) {
            ([], _) => path.is_empty(),
            (['*', '*', '/', rest @ ..], _) if at_start => {
                let behind = |at: usize| by_definition(rest, &path[at..], true);
                behind(0) || (1..=path.len()).any(|at| path[at - 1] == '/' && behind(at))
            }
            (['*', '*', rest @ ..], _) => (0..=path.len()).any(|at| by_definition(rest, &path[at..], false)),
            (['*', rest @ ..], _) => {
                let name = path.iter().take_while(|c| **c != '/').count();
                (0..=name).any(|at| by_definition(rest, &path[at..], false))
            }
            (['?', rest @ ..], [first, path @ ..]) => *first != '/' && by_definition(rest, path, false),
            ([wanted, rest @ ..], [first, path @ ..]) => {
                wanted == first && by_definition(rest, path, *wanted == '/')
            }
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn it_is_what_the_definition_says(
            glob in "(a|b|\\?|\\*|\\*\\*|[ab]/|\\*/|\\*\\*/){1,6}[ab*]{1,2}",
            path in "[ab]{1,2}(/[ab]{1,2}){0,3}",
        ) {
            // The definition knows two stars at most.
            let glob = std::iter::successors(Some(glob), |glob| glob.contains("***").then(|| glob.replace("***", "**")));
            let glob = glob.last().unwrap_or_default();
            let (pattern, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), path.chars().collect());
            prop_assert_eq!(fits(&glob, &path), by_definition(&pattern, &text, true));
        }

        #[test]
        fn alternatives_are_the_globs_written_out(
            // Written out, no two stars or slashes may meet that stand apart in the braces.
            before in "[ab]?\\*?", one in "([ab]\\*?/?|[ab]/\\*)?[ab]", other in "([ab]{1,2}\\*?)?[ab]",
            after in "\\*?[ab]?", path in "[ab]{1,3}(/[ab]{1,2}){0,2}",
        ) {
            let either = format!("{before}{{{one},{other}}}{after}");
            let written = [format!("{before}{one}{after}"), format!("{before}{other}{after}")];
            prop_assert_eq!(fits(&either, &path), written.iter().any(|glob| fits(glob, &path)));
        }

        #[test]
        fn going_on_from_a_folder_is_the_same_as_the_whole_path(
            glob in "[ab*?/]{1,8}", folder in "[ab]{1,2}(/[ab]{1,2}){0,2}", name in "[ab]{1,2}",
        ) {
            let glob = Glob::new(&glob).unwrap();
            let there = glob.advance(&glob.start(), format!("{folder}/").as_bytes());
            let whole = glob.fits(format!("{folder}/{name}").as_bytes());
            prop_assert_eq!(glob.is_end(&glob.advance(&there, name.as_bytes())), whole);
        }
    }
}
