//! Names in a tar as the paths that they mean: `./a//b/` is `a/b`. Not where they lead on a disk.

use crate::model::EntryPath;
use crate::model::entry_path::EntryPathError;

/// Drops `.` and empty components. `None` is the workspace itself (`./`); absolute names and `..` are errors.
pub(super) fn normalized(name: &[u8]) -> Result<Option<EntryPath>, EntryPathError> {
    let mut path = Vec::with_capacity(name.len());
    let start: &[u8] = if name.starts_with(b"/") { b"/" } else { b"" };
    for component in name.split(|&b| b == b'/').filter(|c| !matches!(*c, b"" | b".")) {
        path.extend_from_slice(if path.is_empty() { start } else { b"/" });
        path.extend_from_slice(component);
    }
    match (name, path.is_empty()) {
        (b"", _) => Err(EntryPathError::Empty),
        (_, true) if start.is_empty() => Ok(None),
        (_, true) => EntryPath::new(start).map(Some),
        _ => EntryPath::new(path).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_spellings_are_one_path() {
        for name in ["a/b", "./a/b", "a//b", "a/./b", "a/b/", ".//./a/b/./"] {
            assert_eq!(normalized(name.as_bytes()).unwrap().unwrap().as_bytes(), b"a/b", "{name}");
        }
        for name in [".", "./", "././/"] {
            assert!(normalized(name.as_bytes()).unwrap().is_none(), "{name}");
        }
    }

    #[test]
    fn what_leads_out_is_an_error_that_says_so() {
        for name in ["/", "//", "/a", "/./a", "..", "../a", "a/..", "a/../b", "./../a", "a\0b", ""] {
            assert!(normalized(name.as_bytes()).is_err(), "{name}");
        }
        let error = normalized(b"/etc/passwd").unwrap_err().to_string();
        assert!(error.contains("/etc/passwd"), "{error}");
    }
}
