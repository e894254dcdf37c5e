//! Which build, and which stash in it: names as people and CI systems give them.

use std::fmt;

/// A build of a project. Both are names of 1 to 255 bytes without control characters, free otherwise (`org/repo`, `dev%2Fmain`, `42`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct BuildId {
    /// The project; `local` outside CI.
    pub project: String,
    /// The build; `local` outside CI.
    pub build: String,
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "build {} of {}", self.build, self.project)
    }
}

/// Why a text cannot name a stash, a project or a build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or only blanks.
    #[error("No name is specified")]
    Empty,
    /// `.` or `..`.
    #[error("`{0}` is not a name")]
    Dots(String),
    /// One of the characters that Jenkins refuses in a stash's name, or a control character.
    #[error("`{}` is an unsafe character in the name `{}`", .1.escape_default(), .0.escape_debug())]
    Unsafe(String, char),
    /// Ends in a full stop.
    #[error("the name `{0}` ends in `.`")]
    TrailingDot(String),
    /// Longer than 255 bytes.
    #[error("the name `{0}…` is longer than {MAX_NAME_BYTES} bytes")]
    TooLong(String),
}

/// Longest name of a stash, project or build: what one file name holds on every common file system.
pub const MAX_NAME_BYTES: usize = 255;

/// What Jenkins's `checkGoodName` refuses in a stash's name.
const UNSAFE: &str = "?*/\\%!@#$^&|<>[]:;";

/// The name of a stash in a build, by Jenkins's rules: no control characters, none of `?*/\%!@#$^&|<>[]:;`,
/// not `.` or `..`, no trailing `.`; spaces and Unicode are welcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StashName(String);

impl StashName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StashName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        check_length(&name)?;
        if name == "." || name == ".." {
            return Err(NameError::Dots(name));
        }
        if let Some(bad) = name.chars().find(|c| c.is_control() || UNSAFE.contains(*c)) {
            return Err(NameError::Unsafe(name, bad));
        }
        if name.ends_with('.') {
            return Err(NameError::TrailingDot(name));
        }
        Ok(Self(name))
    }
}

impl std::str::FromStr for StashName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::try_from(name.to_owned())
    }
}

impl From<StashName> for String {
    fn from(name: StashName) -> Self {
        name.0
    }
}

impl fmt::Display for StashName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks a project's or a build's name: length and control characters alone.
pub fn check_label(name: &str) -> Result<(), NameError> {
    check_length(name)?;
    match name.chars().find(|c| c.is_control()) {
        Some(bad) => Err(NameError::Unsafe(name.to_owned(), bad)),
        None => Ok(()),
    }
}

fn check_length(name: &str) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong(name.chars().take(32).collect()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_jenkins_takes_are_taken() {
        for name in ["build", "my stash", "čॐ", "a.b", "..a", "it's-\"fine\"", "a(b)=c,d+e~f`{}"] {
            assert!(name.parse::<StashName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_jenkins_refuses_are_refused() {
        let bad = ["", " ", ".", "..", "a.", "a\nb", "a\u{7f}b"].map(str::to_owned);
        let unsafe_ones = UNSAFE.chars().map(|c| format!("a{c}b"));
        for name in bad.into_iter().chain(unsafe_ones).chain(["x".repeat(256)]) {
            assert!(name.parse::<StashName>().is_err(), "{name:?}");
        }
        assert_eq!("".parse::<StashName>().map_err(|e| e.to_string()), Err("No name is specified".into()));
    }
}
