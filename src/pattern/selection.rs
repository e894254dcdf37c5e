//! Includes and excludes together: is this path chosen, must this folder be read? One path at a time, without I/O.

use super::ant::Pattern;
use super::error::SelectError;

/// What to choose. Each string may hold several patterns, split on commas only; blanks around them do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectOptions {
    /// Files to take; all if there is no pattern here.
    pub includes: Vec<String>,
    /// Files to leave; they win over `includes`.
    pub excludes: Vec<String>,
    /// Whether to leave what Jenkins leaves by default (editors' and version control's files).
    pub default_excludes: bool,
    /// Whether to leave what the workspace's `.gitignore` files and `.git/info/exclude` name.
    pub gitignore: bool,
}

/// A checked choice of paths. Paths are given as components, outermost first, at least one.
#[derive(Clone, Debug)]
pub struct Selection {
    /// `None` takes everything. Empty takes nothing: every pattern was one that no path can match.
    includes: Option<Vec<Pattern>>,
    excludes: Vec<Pattern>,
    gitignore: bool,
    /// Patterns that no path can match, as they were given.
    absolute: Vec<String>,
}

/// Jenkins's and Ant's default excludes, each below any folder (`DirectoryScanner.DEFAULTEXCLUDES` of Ant 1.10).
const DEFAULT_EXCLUDES: &str = "*~ #*# .#* %*% ._* CVS CVS/** .cvsignore SCCS SCCS/** vssver.scc .svn .svn/** \
    .git .git/** .gitattributes .gitignore .gitmodules .hg .hg/** .hgignore .hgsub .hgsubstate .hgtags \
    .bzr .bzr/** .bzrignore .DS_Store";

impl Selection {
    /// Reads the patterns.
    pub fn new(options: &SelectOptions) -> Result<Self, SelectError> {
        let any_include = options.includes.iter().flat_map(|text| patterns(text)).next().is_some();
        let includes = any_include.then(|| parse(&options.includes)).transpose()?;
        let mut excludes = parse(&options.excludes)?;
        if options.default_excludes {
            let below_any = |name| format!("**/{name}");
            excludes.extend(parse(&DEFAULT_EXCLUDES.split(' ').map(below_any).collect::<Vec<_>>())?);
        }
        Ok(Self { includes, excludes, gitignore: options.gitignore, absolute: absolute(options) })
    }

    /// Takes every path.
    pub const fn everything() -> Self {
        Self { includes: None, excludes: Vec::new(), gitignore: false, absolute: Vec::new() }
    }

    /// A line for each pattern that cannot match any path, for people to read.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.absolute
            .iter()
            .map(|pattern| format!("patterns are relative to the workspace: `{pattern}` matches nothing"))
    }

    /// Whether a file, symlink or fifo is chosen.
    pub fn takes(&self, path: &[&[u8]]) -> bool {
        let included = self
            .includes
            .as_ref()
            .is_none_or(|includes| includes.iter().any(|pattern| pattern.matches(path)));
        included && !self.excludes.iter().any(|pattern| pattern.matches(path))
    }

    /// Whether a folder is chosen for itself, be it empty or not. One that is not is still kept if anything
    /// beneath it is.
    pub fn takes_folder(&self, path: &[&[u8]]) -> bool {
        self.takes(path)
    }

    /// Whether nothing beneath this folder can be chosen, so that it need not be read.
    pub fn may_prune(&self, folder: &[&[u8]]) -> bool {
        self.excludes.iter().any(|pattern| pattern.covers(folder))
            || self
                .includes
                .as_ref()
                .is_some_and(|includes| !includes.iter().any(|pattern| pattern.reaches_into(folder)))
    }

    /// Whether every path is chosen, so that none needs to be asked for.
    pub fn takes_everything(&self) -> bool {
        self.includes.is_none() && self.excludes.is_empty()
    }

    /// Whether the workspace's `.gitignore` files count.
    pub const fn uses_gitignore(&self) -> bool {
        self.gitignore
    }
}

/// The patterns that begin with a separator, Ant's way to match nothing.
fn absolute(options: &SelectOptions) -> Vec<String> {
    let all = options.includes.iter().chain(&options.excludes).flat_map(|text| patterns(text));
    all.filter(|pattern| pattern.starts_with(['/', '\\'])).map(str::to_owned).collect()
}

/// The patterns in one string.
fn patterns(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|pattern| !pattern.is_empty())
}

fn parse(texts: &[String]) -> Result<Vec<Pattern>, SelectError> {
    let all = texts.iter().flat_map(|text| patterns(text));
    all.filter_map(|text| Pattern::parse(text.as_bytes()).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(includes: &[&str], excludes: &[&str]) -> Selection {
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let options = SelectOptions {
            includes: strings(includes),
            excludes: strings(excludes),
            ..SelectOptions::default()
        };
        Selection::new(&options).unwrap()
    }

    fn takes(selection: &Selection, path: &str) -> bool {
        selection.takes(&path.split('/').map(str::as_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn blank_includes_take_everything() {
        for blank in [&[][..], &[""], &[" , ,"]] {
            assert!(selection(blank, &[]).takes_everything());
        }
        assert!(!takes(&selection(&["/a"], &[]), "a"), "an absolute include takes nothing");
    }

    #[test]
    fn patterns_that_can_match_nothing_are_named() {
        let warnings = |includes: &[&str], excludes: &[&str]| -> Vec<String> {
            selection(includes, excludes).warnings().collect()
        };
        assert!(warnings(&["a/b, *.c"], &["**/x"]).is_empty());
        let named = warnings(&["a, /b/**"], &["\\c"]);
        assert_eq!(named.len(), 2);
        assert!(named[0].contains("`/b/**`") && named[1].contains("`\\c`"));
    }

    #[test]
    fn patterns_split_on_commas_alone_and_excludes_win() {
        let selection = selection(&["a b/*, c , d"], &["c"]);
        assert!(takes(&selection, "a b/x") && takes(&selection, "d") && !takes(&selection, "c"));
        assert!(!takes(&selection, "b/x"));
    }

    #[test]
    fn default_excludes_are_jenkins_list_and_off_unless_asked_for() {
        let options = SelectOptions { default_excludes: true, ..SelectOptions::default() };
        let on = Selection::new(&options).unwrap();
        for path in ["x~", "a/#x#", ".git/config", "a/.git", "a/.DS_Store", "._x", "CVS/Root", ".#x", "%x%"] {
            assert!(!takes(&on, path), "{path}");
            assert!(takes(&selection(&[], &[]), path), "{path}");
        }
        assert!(takes(&on, ".github/workflows/x") && takes(&on, "a~b"));
        assert!(on.may_prune(&[b"a", b".git"]) && !on.may_prune(&[b"a"]));
    }

    #[test]
    fn folders_off_the_includes_are_pruned() {
        let selection = selection(&["a/*.c"], &[]);
        assert!(
            selection.may_prune(&[b"b"])
                && !selection.may_prune(&[b"a"])
                && selection.may_prune(&[b"a", b"d"])
        );
        assert!(!selection.takes_folder(&[b"a"]));
    }
}
