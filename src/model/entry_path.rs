//! A path inside a workspace: relative, of any bytes, never able to lead out of it.
//! Not a `std::path::Path`: no `.`/`..`, no absolute form, no platform separator.

use std::cmp::Ordering;
use std::fmt;

use super::limits::MAX_PATH_BYTES;

/// One to [`MAX_PATH_BYTES`] bytes: components joined by `/`, none of them empty, `.` or `..`, no NUL byte.
///
/// Ordered component by component as bytes, so a folder stands directly before what it holds.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntryPath(Box<[u8]>);

/// Why some bytes are not an [`EntryPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryPathError {
    /// No bytes at all.
    #[error("an empty path")]
    Empty,
    /// Starts with `/`.
    #[error("`{0}` is an absolute path")]
    Absolute(Printable),
    /// Has an empty, `.` or `..` component.
    #[error("`{0}` has an empty, `.` or `..` component")]
    Component(Printable),
    /// Holds a NUL byte.
    #[error("`{0}` holds a NUL byte")]
    Nul(Printable),
    /// Longer than [`MAX_PATH_BYTES`].
    #[error("`{0}…` is longer than {MAX_PATH_BYTES} bytes")]
    TooLong(Printable),
}

impl EntryPath {
    /// Checks and takes `bytes`.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, EntryPathError> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Err(EntryPathError::Empty);
        }
        if bytes.len() > MAX_PATH_BYTES {
            return Err(EntryPathError::TooLong(Printable(bytes[..64].into())));
        }
        if bytes[0] == b'/' {
            return Err(EntryPathError::Absolute(Printable(bytes)));
        }
        if bytes.contains(&0) {
            return Err(EntryPathError::Nul(Printable(bytes)));
        }
        if may_have_bad_component(&bytes)
            && bytes.split(|&b| b == b'/').any(|c| matches!(c, b"" | b"." | b".."))
        {
            return Err(EntryPathError::Component(Printable(bytes)));
        }
        Ok(Self(bytes))
    }

    /// `self/name`; `name` is one component or several.
    pub fn join(&self, name: &[u8]) -> Result<Self, EntryPathError> {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        Self::new(bytes)
    }

    /// The bytes, with `/` between components.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The components, outermost first; at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/')
    }

    /// The folder that holds this path, or `None` at the top of the workspace.
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|&b| b == b'/')?;
        Some(Self(self.0[..slash].into()))
    }

    /// The last component.
    pub fn file_name(&self) -> &[u8] {
        let start = self.0.iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
        &self.0[start..]
    }

    /// Whether this path is `folder` or lies beneath it.
    pub fn is_within(&self, folder: &Self) -> bool {
        self.0.starts_with(&folder.0) && matches!(self.0.get(folder.0.len()), None | Some(b'/'))
    }

    /// This path as the operating system takes it, relative to the workspace.
    pub fn as_path(&self) -> &std::path::Path {
        use std::os::unix::ffi::OsStrExt;
        std::path::Path::new(std::ffi::OsStr::from_bytes(&self.0))
    }
}

/// Whether any component is empty or starts with a dot. Looks at all pairs of bytes without a branch, many at a time, since every file of a workspace comes
/// through here.
fn may_have_bad_component(bytes: &[u8]) -> bool {
    let pairs = bytes.iter().zip(&bytes[1..]);
    let inside = pairs.fold(false, |bad, (&a, &b)| bad | ((a == b'/') & ((b == b'/') | (b == b'.'))));
    inside | (bytes[0] == b'.') | (bytes[bytes.len() - 1] == b'/')
}

impl Ord for EntryPath {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        let same = a.iter().zip(b.iter()).take_while(|(x, y)| x == y).count();
        // `/` ends a component and so sorts before every byte that continues one (NUL cannot occur).
        let rank = |bytes: &[u8]| bytes.get(same).map(|&b| if b == b'/' { 0 } else { b });
        rank(a).cmp(&rank(b))
    }
}

impl PartialOrd for EntryPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_printable(&self.0, f)
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// Bytes that are shown to people: valid UTF-8 as it is, control characters and other bytes as `\xNN`.
#[derive(Clone, PartialEq, Eq)]
pub struct Printable(pub Box<[u8]>);

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_printable(&self.0, f)
    }
}

impl fmt::Debug for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

fn write_printable(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for piece in bytes.utf8_chunks() {
        for c in piece.valid().chars() {
            match c.is_control() {
                true => write!(f, "{}", c.escape_default())?,
                false => write!(f, "{c}")?,
            }
        }
        piece.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn refuses_what_leads_out() {
        for text in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a\0b"] {
            assert!(EntryPath::new(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(EntryPath::new(vec![b'a'; MAX_PATH_BYTES + 1]).is_err());
    }

    #[test]
    fn takes_any_other_bytes() {
        for bytes in [&b"a"[..], b"...", b"a/..b", b"\xff\xfe/\n", b"xxx#?:$&'\"<>"] {
            assert_eq!(EntryPath::new(bytes).unwrap().as_bytes(), bytes);
        }
    }

    #[test]
    fn a_folder_stands_directly_before_what_it_holds() {
        let mut paths = ["a-b", "a/b", "a", "a.b", "b", "a/b/c", "a/a"].map(path);
        paths.sort();
        assert_eq!(paths, ["a", "a/a", "a/b", "a/b/c", "a-b", "a.b", "b"].map(path));
    }

    #[test]
    fn parents_names_and_containment() {
        assert_eq!(path("a/b/c").parent(), Some(path("a/b")));
        assert_eq!(path("a").parent(), None);
        assert_eq!(path("a/b").file_name(), b"b");
        assert!(path("a/b").is_within(&path("a")) && path("a").is_within(&path("a")));
        assert!(!path("ab").is_within(&path("a")));
    }

    #[test]
    fn prints_without_control_characters() {
        assert_eq!(EntryPath::new(&b"a\n\xffb"[..]).unwrap().to_string(), "a\\n\\xffb");
    }
}
