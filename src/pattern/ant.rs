//! One Ant pattern: components, `**` for any number of them. Not a list of patterns, and no file system.

use crate::model::entry_path::Printable;
use crate::model::limits::MAX_PATH_BYTES;

use super::component;
use super::error::SelectError;

/// Longest pattern: twice the longest path, as every character of a path may need a wildcard beside it.
pub(super) const MAX_PATTERN_BYTES: usize = 2 * MAX_PATH_BYTES;

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Box<[Token]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// `**`: any number of components, none included.
    Deep,
    /// A component without a wildcard.
    Literal(Box<[u8]>),
    /// A component with `*` or `?`.
    Glob(Box<[u8]>),
}

impl Token {
    fn new(component: &[u8]) -> Self {
        match component {
            b"**" => Self::Deep,
            _ if has_wildcards(component) => Self::Glob(component.into()),
            _ => Self::Literal(component.into()),
        }
    }

    /// Whether this is a single component that covers `name`.
    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Deep => false,
            Self::Literal(text) => **text == *name,
            Self::Glob(glob) => component::matches(glob, name),
        }
    }
}

fn has_wildcards(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b'*' | b'?'))
}

impl Pattern {
    /// Reads one pattern, trimmed already. `None` for a pattern that no path inside a workspace can match.
    ///
    /// As in Ant, `\` separates like `/`, a trailing separator is followed by an unsaid `**`, empty components
    /// vanish if there is a wildcard anywhere (without one, the pattern is compared as it is, and matches nothing),
    /// and an absolute pattern matches nothing.
    pub(super) fn parse(text: &[u8]) -> Result<Option<Self>, SelectError> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(SelectError::TooLong(Printable(text[..64].into())));
        }
        if text.contains(&0) {
            return Err(SelectError::Nul(Printable(text.into())));
        }
        let mut text: Vec<u8> = text.iter().map(|&b| if b == b'\\' { b'/' } else { b }).collect();
        if text.last() == Some(&b'/') {
            text.extend_from_slice(b"**");
        }
        if text.first() == Some(&b'/') {
            return Ok(None);
        }
        let components = || text.split(|&b| b == b'/');
        if !has_wildcards(&text) && components().any(<[u8]>::is_empty) {
            return Ok(None);
        }
        Ok(Some(Self(components().filter(|component| !component.is_empty()).map(Token::new).collect())))
    }

    /// Whether the path with these components matches. The time is at most the product of both lengths: a mismatch
    /// goes back to the last `**` only, since an earlier one cannot do better.
    pub(super) fn matches(&self, path: &[&[u8]]) -> bool {
        if !self.last_matches(path) {
            return false;
        }
        let tokens = &*self.0;
        let (mut at_token, mut at_name) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match (tokens.get(at_token), path.get(at_name)) {
                (Some(Token::Deep), _) => {
                    at_token += 1;
                    retry = Some((at_token, at_name));
                    if at_token == tokens.len() {
                        return true;
                    }
                    continue;
                }
                (Some(token), Some(name)) if token.matches(name) => {
                    at_token += 1;
                    at_name += 1;
                    continue;
                }
                (None, None) => return true,
                (_, None) => return false,
                _ => {}
            }
            let Some((after_deep, start)) = retry else { return false };
            retry = Some((after_deep, start + 1));
            (at_token, at_name) = (after_deep, start + 1);
        }
    }

    /// A quick no: most patterns of practice (`**/*.o`) are decided by the file's name alone.
    fn last_matches(&self, path: &[&[u8]]) -> bool {
        match (self.0.last(), path.last()) {
            (Some(Token::Deep), _) => true,
            (Some(token), Some(name)) => token.matches(name),
            _ => true,
        }
    }

    /// Whether the pattern matches the folder and, ending in `**`, everything beneath it.
    pub(super) fn covers(&self, folder: &[&[u8]]) -> bool {
        self.0.last() == Some(&Token::Deep) && self.matches(folder)
    }

    /// Whether some path beneath the folder could match.
    pub(super) fn reaches_into(&self, folder: &[&[u8]]) -> bool {
        for (index, token) in self.0.iter().enumerate() {
            match (token, folder.get(index)) {
                (Token::Deep, _) | (_, None) => return true,
                (token, Some(name)) if token.matches(name) => {}
                _ => return false,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Option<Pattern> {
        Pattern::parse(text.as_bytes()).unwrap()
    }

    fn components(path: &str) -> Vec<&[u8]> {
        path.split('/').map(str::as_bytes).collect()
    }

    fn matches(text: &str, path: &str) -> bool {
        pattern(text).is_some_and(|pattern| pattern.matches(&components(path)))
    }

    #[test]
    fn the_examples_of_ants_manual() {
        assert!(matches("**/CVS/*", "CVS/Repository") && matches("**/CVS/*", "a/b/CVS/Entries"));
        assert!(!matches("**/CVS/*", "a/CVS/foo/bar/Entries"));
        assert!(
            matches("a/b/**", "a/b/c/d.xml") && matches("a/b/**", "a/b") && !matches("a/b/**", "a/xyz.java")
        );
        assert!(matches("a/**/CVS/*", "a/CVS/Entries") && !matches("a/**/CVS/*", "a/CVS/foo/Entries"));
        assert!(matches("**/test/**", "test") && matches("**/test/**", "x/test/y"));
    }

    #[test]
    fn separators_as_ant_reads_them() {
        assert!(matches("a\\b", "a/b") && matches("a\\", "a/b/c") && matches("a/", "a"));
        assert!(matches("a//*", "a/b") && !matches("a//b", "a/b"));
        for absolute in ["/a", "/", "/**", "\\a"] {
            assert_eq!(pattern(absolute), None, "{absolute}");
        }
        assert!(matches("a/***/c", "a/b/c") && !matches("a/***/c", "a/c"), "only exactly ** is deep");
        assert!(matches("**/**", "a") && matches("**/**/a/**/**", "a"));
    }

    #[test]
    fn folders_are_read_only_where_something_can_match() {
        let reaches = |text: &str, folder: &str| pattern(text).unwrap().reaches_into(&components(folder));
        assert!(reaches("a/*/c", "a") && reaches("a/*/c", "a/b") && !reaches("a/*/c", "a/b/c"));
        assert!(reaches("a/**/c", "a/x/y") && !reaches("a/**", "b") && reaches("**/c", "x"));
        let covers = |text: &str, folder: &str| pattern(text).unwrap().covers(&components(folder));
        assert!(covers("**/t/**", "a/t") && covers("**/t/**", "a/t/u") && covers("**", "a"));
        assert!(!covers("**/t/**", "a") && !covers("**/t", "t") && !covers("t/*", "t"));
    }

    /// Exponential backtracking would not end within the life of the machine.
    #[test]
    fn hostile_patterns_end() {
        let text = "**/a/".repeat(800) + "**/b*b*b*c";
        let path = "a/".repeat(1500) + "bbbbbbbbbbbbbbb";
        assert!(!matches(&text, &path) && !matches(&(text + "/**"), &path));
    }

    #[test]
    fn refuses_what_no_path_can_be() {
        assert!(matches!(Pattern::parse(&[b'a'; MAX_PATTERN_BYTES + 1]), Err(SelectError::TooLong(_))));
        assert!(matches!(Pattern::parse(b"a\0"), Err(SelectError::Nul(_))));
    }
}
