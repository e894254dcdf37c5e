//! Where below a folder an artifact goes. Its path is the word of whoever sent it: what leads out is refused. Writes nothing.

use std::path::Path;

use crate::model::EntryPath;
use crate::model::entry_path::EntryPathError;

/// What a download's query and folder make of an artifact's path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Placement {
    /// The folder's own name, where the query begins with it: `app/logs/*` to `out/app` goes to `out/app/logs`.
    merged: Option<String>,
}

impl Placement {
    pub(super) fn new(query: &str, folder: &Path) -> Self {
        let first = query.split_once('/').map(|(first, _)| first).filter(|first| !first.contains('*'));
        let last = folder.file_name().and_then(|name| name.to_str());
        Self { merged: first.filter(|first| Some(*first) == last).map(str::to_owned) }
    }

    /// The place of the artifact at `path`; `..` at its beginning does not count.
    pub(super) fn of(&self, path: &str) -> Result<EntryPath, EntryPathError> {
        let mut path = path;
        while let Some(rest) = path.strip_prefix("../") {
            path = rest;
        }
        let below = self.merged.as_deref().and_then(|name| path.strip_prefix(name)?.strip_prefix('/'));
        EntryPath::new(below.unwrap_or(path).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(query: &str, folder: &str, path: &str) -> Option<String> {
        Placement::new(query, Path::new(folder)).of(path).ok().map(|place| place.to_string())
    }

    #[test]
    fn the_folder_and_the_query_merge_where_one_ends_as_the_other_begins() {
        for (query, folder, path, expected) in [
            ("app/logs/*", "foo/app", "app/logs/a", "logs/a"),
            ("app/logs/*", "foo/app/", "app/logs/a", "logs/a"),
            ("app/logs/*", "foo", "app/logs/a", "app/logs/a"),
            ("app/logs/*", ".", "app/logs/a", "app/logs/a"),
            ("*/logs/*", "app", "app/logs/a", "app/logs/a"),
            ("app*", "app", "app/logs/a", "app/logs/a"),
            ("app", "app", "app", "app"),
            ("app/*", "app", "app/app/a", "app/a"),
            ("", "app", "app/a", "app/a"),
        ] {
            assert_eq!(place(query, folder, path).as_deref(), Some(expected), "{query} {folder} {path}");
        }
    }

    #[test]
    fn nothing_leads_out() {
        assert_eq!(place("*", ".", "../../a/b").as_deref(), Some("a/b"));
        for path in
            ["/etc/passwd", "a/../../b", "..", "../..", "../", "a//b", "./a", "a/.", "", "a\0b", "..//a"]
        {
            assert_eq!(place("*", ".", path), None, "{path:?}");
        }
        assert_eq!(place("app/*", "app", "app//etc/passwd"), None);
        assert_eq!(place("app/*", "app", "app/../x"), None);
    }
}
