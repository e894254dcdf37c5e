//! One level of a stash's tree, in parts. What lies deeper is passed over page by page, not read.

use crate::controller::error::ControllerError;
use crate::model::{Entry, EntryPath};

use super::opened::OpenedStash;

/// Pages of the manifest that one part of a listing may read; a part that needs more ends early.
const MAX_PAGES: usize = 128;

/// What stands in a folder.
#[derive(Clone, Debug)]
pub(in crate::controller) enum FolderRow {
    /// An entry.
    Entry(Entry),
    /// A folder that is no entry itself, since only what lies in it was stashed.
    Implied(EntryPath),
}

/// A part of a folder's list.
#[derive(Clone, Debug, Default)]
pub(in crate::controller) struct Listing {
    /// In the order of names.
    pub(in crate::controller) rows: Vec<FolderRow>,
    /// Whether more rows follow.
    pub(in crate::controller) more: bool,
}

/// A place in the manifest: a page, and an entry of it.
#[derive(Clone, Copy)]
struct Place {
    page: usize,
    entry: usize,
}

impl FolderRow {
    /// Where it stands.
    pub(in crate::controller) const fn path(&self) -> &EntryPath {
        match self {
            Self::Entry(entry) => &entry.path,
            Self::Implied(path) => path,
        }
    }
}

impl OpenedStash<'_> {
    /// What stands directly in `folder` (the top without) behind `after`, a path in it; at most `most` rows.
    pub(in crate::controller) fn folder(
        &mut self,
        folder: Option<&EntryPath>,
        after: Option<&EntryPath>,
        most: usize,
    ) -> Result<Listing, ControllerError> {
        let mut place = match (after, folder) {
            (Some(after), _) => self.behind(after)?,
            (None, Some(folder)) => self.place(|path| path <= folder)?,
            (None, None) => Place { page: 0, entry: 0 },
        };
        let mut listing = Listing::default();
        let (mut last_page, mut pages_read) = (place.page, 1);
        while let Some(entry) = self.at(&mut place)? {
            let Some(child) = child_of(folder, &entry.path) else { break };
            if listing.rows.len() >= most || pages_read >= MAX_PAGES {
                listing.more = true;
                break;
            }
            pages_read += usize::from(place.page != last_page);
            last_page = place.page;
            place = self.behind(&child)?;
            let is_itself = entry.path == child;
            listing.rows.push(if is_itself { FolderRow::Entry(entry) } else { FolderRow::Implied(child) });
        }
        Ok(listing)
    }

    /// Whether anything lies in `folder`.
    pub(in crate::controller) fn holds_folder(
        &mut self,
        folder: &EntryPath,
    ) -> Result<bool, ControllerError> {
        let mut place = self.place(|path| path <= folder)?;
        Ok(self.at(&mut place)?.is_some_and(|entry| entry.path.is_within(folder)))
    }

    /// The first entry behind `path` and all that lies in it.
    fn behind(&mut self, path: &EntryPath) -> Result<Place, ControllerError> {
        self.place(|other| other <= path || other.is_within(path))
    }

    /// The first entry for which `is_before` does not hold; it holds for a beginning of the manifest.
    fn place(&mut self, is_before: impl Fn(&EntryPath) -> bool) -> Result<Place, ControllerError> {
        let page = self.root.pages.partition_point(|page| is_before(&page.first)).saturating_sub(1);
        let entry = self.page(page)?.partition_point(|entry| is_before(&entry.path));
        Ok(Place { page, entry })
    }

    /// The entry at `place`, which moves on to the next page at the end of one.
    fn at(&mut self, place: &mut Place) -> Result<Option<Entry>, ControllerError> {
        if place.entry >= self.page(place.page)?.len() {
            *place = Place { page: place.page + 1, entry: 0 };
        }
        Ok(self.page(place.page)?.get(place.entry).cloned())
    }
}

/// The path directly in `folder` that `path` is or lies in; `None` if it lies elsewhere.
fn child_of(folder: Option<&EntryPath>, path: &EntryPath) -> Option<EntryPath> {
    let bytes = path.as_bytes();
    let start = match folder {
        None => 0,
        Some(folder) if path.is_within(folder) && path != folder => folder.as_bytes().len() + 1,
        Some(_) => return None,
    };
    let end = bytes.get(start..)?.iter().position(|&byte| byte == b'/').map_or(bytes.len(), |at| start + at);
    EntryPath::new(bytes.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_child_is_the_next_component() {
        for (folder, inner, child) in [
            (None, "a", Some("a")),
            (None, "a/b/c", Some("a")),
            (Some("a"), "a/b/c", Some("a/b")),
            (Some("a/b"), "a/b/c", Some("a/b/c")),
            (Some("a"), "a", None),
            (Some("a"), "ab/c", None),
            (Some("a/b"), "a", None),
        ] {
            let found = child_of(folder.map(path).as_ref(), &path(inner));
            assert_eq!(found, child.map(path), "{inner} in {folder:?}");
        }
    }
}
