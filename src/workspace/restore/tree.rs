//! The entries as a tree: which folder holds which entry, and that they can stand beside each other at all.
//! Knows nothing of a disk.

use super::error::RestoreError;
use crate::model::{Entry, EntryKind, EntryPath};

/// The top of the target among [`Tree::folders`].
pub(super) const TOP: u32 = 0;

/// Checked entries and the folders that hold them.
pub(super) struct Tree {
    /// Sorted by path, each path once.
    pub(super) entries: Vec<Entry>,
    /// For each entry the folder that holds it.
    pub(super) parents: Vec<u32>,
    /// Parents before what they hold; the first is the top.
    pub(super) folders: Vec<TreeFolder>,
    /// Hard links as (target, link) indices of entries, sorted.
    pub(super) links: Vec<(u32, u32)>,
}

/// A folder that entries need, whether it is an entry or not.
pub(super) struct TreeFolder {
    /// `None` for the top.
    pub(super) path: Option<EntryPath>,
    pub(super) parent: u32,
    /// Its entry; `None` for a folder that only the paths of others imply.
    pub(super) entry: Option<u32>,
}

impl Tree {
    /// Sorts and checks `entries`.
    pub(super) fn build(mut entries: Vec<Entry>) -> Result<Self, RestoreError> {
        if u32::try_from(entries.len()).is_err() {
            return Err(RestoreError::TooMany(entries.len()));
        }
        if !entries.is_sorted_by(|a, b| a.path <= b.path) {
            entries.sort_by(|a, b| a.path.cmp(&b.path));
        }
        let (parents, folders) = folders_of(&entries)?;
        let links = links_of(&entries)?;
        Ok(Self { entries, parents, folders, links })
    }

    /// The hard links to `target`, as indices of entries.
    pub(super) fn links_to(&self, target: u32) -> impl Iterator<Item = u32> {
        let start = self.links.partition_point(|link| link.0 < target);
        self.links[start..].iter().take_while(move |link| link.0 == target).map(|link| link.1)
    }

    /// Whether an entry is `path` or lies beneath it.
    pub(super) fn names(&self, path: &EntryPath) -> bool {
        let index = self.entries.partition_point(|entry| entry.path < *path);
        self.entries.get(index).is_some_and(|entry| entry.path.is_within(path))
    }
}

fn folders_of(entries: &[Entry]) -> Result<(Vec<u32>, Vec<TreeFolder>), RestoreError> {
    let mut folders = vec![TreeFolder { path: None, parent: TOP, entry: None }];
    let mut parents = Vec::with_capacity(entries.len());
    let mut open: Vec<u32> = vec![TOP];
    let mut leaf: Option<&Entry> = None;
    for (index, entry) in entries.iter().enumerate() {
        let path = &entry.path;
        if index > 0 && entries[index - 1].path == *path {
            return Err(RestoreError::Duplicate(path.clone()));
        }
        if let Some(leaf) = leaf.filter(|leaf| path.is_within(&leaf.path)) {
            let (beneath, noun) = (path.clone(), leaf.kind.noun());
            return Err(RestoreError::NotAFolder { path: leaf.path.clone(), noun, beneath });
        }
        let holds = |folder: u32| folders[folder as usize].path.as_ref().is_none_or(|f| path.is_within(f));
        while open.len() > 1 && open.last().is_some_and(|&folder| !holds(folder)) {
            open.pop();
        }
        imply_folders(path, &mut folders, &mut open)?;
        let parent = open.last().copied().unwrap_or(TOP);
        parents.push(parent);
        if matches!(entry.kind, EntryKind::Directory) {
            open.push(folders.len() as u32);
            folders.push(TreeFolder { path: Some(path.clone()), parent, entry: Some(index as u32) });
        } else {
            leaf = Some(entry);
        }
    }
    Ok((parents, folders))
}

/// Adds the folders between the innermost open one and `path`.
fn imply_folders(
    path: &EntryPath,
    folders: &mut Vec<TreeFolder>,
    open: &mut Vec<u32>,
) -> Result<(), RestoreError> {
    let parent = open.last().copied().unwrap_or(TOP);
    let known_len = folders[parent as usize].path.as_ref().map_or(0, |path| path.as_bytes().len() + 1);
    let bytes = path.as_bytes();
    for slash in (known_len..bytes.len()).filter(|&at| bytes[at] == b'/') {
        // The head of a path up to one of its slashes is a path; the error exists for form's sake.
        let head = EntryPath::new(&bytes[..slash]).map_err(|_| RestoreError::Duplicate(path.clone()))?;
        let parent = open.last().copied().unwrap_or(TOP);
        if u32::try_from(folders.len()).is_err() {
            return Err(RestoreError::TooMany(folders.len()));
        }
        open.push(folders.len() as u32);
        folders.push(TreeFolder { path: Some(head), parent, entry: None });
    }
    Ok(())
}

fn links_of(entries: &[Entry]) -> Result<Vec<(u32, u32)>, RestoreError> {
    let mut links = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let EntryKind::HardLink { target } = &entry.kind else { continue };
        let found = entries.binary_search_by(|entry| entry.path.cmp(target)).ok();
        let linkable =
            |&at: &usize| !matches!(entries[at].kind, EntryKind::Directory | EntryKind::HardLink { .. });
        match found.filter(linkable) {
            Some(at) => links.push((at as u32, index as u32)),
            None => {
                return Err(RestoreError::LinkTarget { link: entry.path.clone(), target: target.clone() });
            }
        }
    }
    links.sort_unstable();
    Ok(links)
}
