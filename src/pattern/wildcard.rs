//! The query's pattern: `*` stands for any characters, `/` among them; nothing else is special.

/// A pattern, cut at its stars. Matching looks for each piece behind the one before: its time is linear in path and
/// pattern, whoever wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wildcard<'a> {
    /// What a path must begin with.
    pub prefix: &'a str,
    /// The pieces behind the first star; `None` if there is no star.
    rest: Option<Vec<&'a str>>,
}

impl<'a> Wildcard<'a> {
    /// Reads a pattern; an empty one fits every path.
    pub fn new(pattern: &'a str) -> Self {
        if pattern.is_empty() {
            return Self { prefix: "", rest: Some(vec![""]) };
        }
        let mut pieces = pattern.split('*');
        let prefix = pieces.next().unwrap_or_default();
        let rest: Vec<&str> = pieces.collect();
        Self { prefix, rest: (!rest.is_empty()).then_some(rest) }
    }

    /// Whether only the path that equals it fits.
    pub const fn is_exact(&self) -> bool {
        self.rest.is_none()
    }

    /// Whether `path` fits.
    pub fn fits(&self, path: &str) -> bool {
        let Some(mut left) = path.strip_prefix(self.prefix) else { return false };
        let Some(rest) = &self.rest else { return left.is_empty() };
        let Some((last, middle)) = rest.split_last() else { return true };
        for piece in middle {
            // The earliest place leaves most to the others.
            match left.find(piece) {
                Some(at) => left = &left[at + piece.len()..],
                None => return false,
            }
        }
        left.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The plain definition, exponential as it is.
    fn by_definition(pattern: &str, path: &str) -> bool {
        match (pattern.chars().next(), path.chars().next()) {
            (None, None) => true,
            (Some('*'), _) if by_definition(&pattern[1..], path) => true,
            (Some('*'), Some(first)) => by_definition(pattern, &path[first.len_utf8()..]),
            (Some(wanted), Some(first)) if wanted == first => {
                by_definition(&pattern[wanted.len_utf8()..], &path[first.len_utf8()..])
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_is_what_the_definition_says(pattern in "[ab*]{1,8}", path in "[ab/]{0,10}") {
            prop_assert_eq!(Wildcard::new(&pattern).fits(&path), by_definition(&pattern, &path));
        }
    }

    #[test]
    fn a_star_spans_folders_and_nothing_else_is_special() {
        assert!(Wildcard::new("log*").fits("log/a/b.txt") && Wildcard::new("*.txt").fits("log/a/b.txt"));
        assert!(Wildcard::new("").fits("anything") && Wildcard::new("a?[b]").is_exact());
        assert!(!Wildcard::new("a?").fits("ab") && Wildcard::new("a?").fits("a?"));
        assert!(!Wildcard::new("ab*ba").fits("aba"), "pieces do not overlap");
    }

    /// Backtracking over every star would not end within the life of the machine.
    #[test]
    fn hostile_patterns_end() {
        let (pattern, path) = ("*a".repeat(2000) + "*b", "a".repeat(4000));
        assert!(!Wildcard::new(&pattern).fits(&path));
    }
}
