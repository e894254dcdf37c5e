//! The `.gitignore` files that hold for one folder, innermost first, matched by the `ignore` crate.
//! Does not open them: the walk reads them beneath its own directory handle.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The rules of one `.gitignore`, and those of the folders above it.
#[derive(Debug)]
pub(in crate::workspace) struct IgnoreLevel {
    rules: Gitignore,
    /// Bytes of the folder's path with its slash: what is cut off a path before these rules see it.
    prefix_bytes: usize,
    above: Option<Arc<IgnoreLevel>>,
}

impl IgnoreLevel {
    /// Reads the text of the `.gitignore` in `folder` (empty: the workspace). A line that is no pattern is left
    /// out, as git does.
    pub(in crate::workspace) fn new(folder: &[u8], text: &[u8], above: Option<Arc<Self>>) -> Self {
        // With the root `.` the crate strips nothing: paths are given relative to the folder.
        let mut builder = GitignoreBuilder::new(".");
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        for line in String::from_utf8_lossy(text).lines() {
            if let Err(error) = builder.add_line(None, line) {
                tracing::debug!(%error, "a line of a .gitignore is left out");
            }
        }
        let rules = builder.build().unwrap_or_else(|error| {
            tracing::warn!(%error, "a .gitignore is left out");
            Gitignore::empty()
        });
        Self { rules, prefix_bytes: if folder.is_empty() { 0 } else { folder.len() + 1 }, above }
    }

    /// Whether `path`, somewhere beneath this level's folder, is ignored. The innermost file that says anything
    /// about it decides. What lies in an ignored folder is never asked for: git cannot bring it back either.
    pub(in crate::workspace) fn ignores(&self, path: &[u8], is_folder: bool) -> bool {
        let mut level = Some(self);
        while let Some(this) = level {
            let below = path.get(this.prefix_bytes..).unwrap_or_default();
            match this.rules.matched(Path::new(OsStr::from_bytes(below)), is_folder) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => level = this.above.as_deref(),
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_file_decides() {
        let root = Arc::new(IgnoreLevel::new(b"", b"\xef\xbb\xbf*.o\n/top\nbuild/\n", None));
        assert!(
            root.ignores(b"a/x.o", false) && root.ignores(b"top", false) && !root.ignores(b"a/top", false)
        );
        assert!(root.ignores(b"a/build", true) && !root.ignores(b"a/build", false));
        let inner = IgnoreLevel::new(b"a", b"!keep.o\n/only-here\n\xff*\n", Some(root));
        assert!(!inner.ignores(b"a/keep.o", false) && inner.ignores(b"a/b/other.o", false));
        assert!(inner.ignores(b"a/only-here", false) && !inner.ignores(b"a/b/only-here", false));
    }
}
