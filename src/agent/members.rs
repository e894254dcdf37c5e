//! The members of a tar while it is read, with the hard links among them. Knows how a later member of the same name
//! replaces an earlier one: as unpacking would, other names of the old inode keep the old data.

use std::collections::{BTreeMap, HashMap};

use crate::model::{Entry, EntryKind, EntryPath};

use super::error::AgentError;

/// Members by path. A hard link always names the member that owns the data, never another link.
#[derive(Default)]
pub(super) struct Members {
    entries: BTreeMap<EntryPath, Entry>,
    /// For each owner of data: the other names of its inode.
    names: HashMap<EntryPath, Vec<EntryPath>>,
}

impl Members {
    /// Takes a member; a hard link's target may be any name of the inode.
    pub(super) fn insert(&mut self, mut entry: Entry) -> Result<(), AgentError> {
        if let EntryKind::HardLink { target } = &entry.kind {
            let owner = self.owner_of(&entry.path, target)?;
            if owner == entry.path || self.links_to(&entry.path, &owner) {
                // It is a name of that inode already.
                return Ok(());
            }
            self.forget(&entry.path);
            self.names.entry(owner.clone()).or_default().push(entry.path.clone());
            entry.kind = EntryKind::HardLink { target: owner };
        } else {
            self.forget(&entry.path);
        }
        self.entries.insert(entry.path.clone(), entry);
        Ok(())
    }

    /// The entries of the manifest: data with the first path of each inode, every name with the same metadata.
    pub(super) fn into_entries(mut self) -> Result<impl Iterator<Item = Entry> + Send, AgentError> {
        for (owner, mut names) in std::mem::take(&mut self.names) {
            let Some(data) = self.entries.get(&owner).cloned() else { continue };
            names.push(owner);
            names.sort();
            let first = names[0].clone();
            for path in names {
                let kind = match path == first {
                    true => data.kind.clone(),
                    false => EntryKind::HardLink { target: first.clone() },
                };
                self.entries.insert(path.clone(), Entry { path, kind, ..data.clone() });
            }
        }
        self.check_folders()?;
        Ok(self.entries.into_values())
    }

    fn owner_of(&self, path: &EntryPath, target: &EntryPath) -> Result<EntryPath, AgentError> {
        let bad = |why: String| AgentError::Import { path: path.clone(), why };
        match self.entries.get(target).map(|entry| &entry.kind) {
            None => Err(bad(format!("it is a hard link to `{target}`, which does not stand before it"))),
            Some(EntryKind::Directory) => Err(bad(format!("it is a hard link to the folder `{target}`"))),
            Some(EntryKind::HardLink { target: owner }) => Ok(owner.clone()),
            Some(_) => Ok(target.clone()),
        }
    }

    fn links_to(&self, path: &EntryPath, owner: &EntryPath) -> bool {
        let kind = self.entries.get(path).map(|entry| &entry.kind);
        matches!(kind, Some(EntryKind::HardLink { target }) if target == owner)
    }

    /// Removes what stands at `path`; if it owned the data of other names, the first of them owns it now.
    fn forget(&mut self, path: &EntryPath) {
        let Some(old) = self.entries.remove(path) else { return };
        if let EntryKind::HardLink { target } = &old.kind {
            if let Some(names) = self.names.get_mut(target) {
                names.retain(|name| name != path);
            }
            return;
        }
        let Some(mut names) = self.names.remove(path).filter(|names| !names.is_empty()) else { return };
        let heir = names.remove(0);
        for name in &names {
            if let Some(entry) = self.entries.get_mut(name) {
                entry.kind = EntryKind::HardLink { target: heir.clone() };
            }
        }
        self.entries.insert(heir.clone(), Entry { path: heir.clone(), ..old });
        self.names.insert(heir, names);
    }

    /// Nothing may stand beneath what is no folder.
    fn check_folders(&self) -> Result<(), AgentError> {
        for path in self.entries.keys() {
            let mut parent = path.parent();
            while let Some(folder) = parent {
                match self.entries.get(&folder).map(|entry| &entry.kind) {
                    // What is above a folder was checked when the folder itself was.
                    Some(EntryKind::Directory) => break,
                    Some(kind) => {
                        let why = format!("`{folder}` is a {} in the same tar", kind.noun());
                        return Err(AgentError::Import { path: path.clone(), why });
                    }
                    None => parent = folder.parent(),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChunkRef, Content, Digest, Timestamp};

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    fn entry(at: &str, kind: EntryKind) -> Entry {
        Entry {
            path: path(at),
            mode: 0o644,
            mtime: Timestamp::default(),
            owner: None,
            xattrs: Box::default(),
            kind,
        }
    }

    fn file(at: &str, data: &str) -> Entry {
        let chunk = ChunkRef { digest: Digest::of(data.as_bytes()), len: data.len() as u32 };
        entry(
            at,
            EntryKind::File(Content { size: data.len() as u64, listed: false, chunks: Box::new([chunk]) }),
        )
    }

    fn link(at: &str, target: &str) -> Entry {
        entry(at, EntryKind::HardLink { target: path(target) })
    }

    fn settle(members: impl IntoIterator<Item = Entry>) -> Result<Vec<Entry>, String> {
        let mut all = Members::default();
        members.into_iter().try_for_each(|entry| all.insert(entry)).map_err(|e| e.to_string())?;
        Ok(all.into_entries().map_err(|e| e.to_string())?.collect())
    }

    #[test]
    fn the_first_path_owns_the_data_whatever_the_order_in_the_tar() {
        let settled = settle([file("z", "data"), link("a", "z"), link("m", "a")]).unwrap();
        assert_eq!(settled, [file("a", "data"), link("m", "a"), link("z", "a")]);
    }

    #[test]
    fn a_name_that_is_replaced_leaves_the_old_data_to_the_other_names() {
        let settled = settle([file("a", "old"), link("b", "a"), link("c", "a"), file("a", "new")]).unwrap();
        assert_eq!(settled, [file("a", "new"), file("b", "old"), link("c", "b")]);
        let settled = settle([file("a", "old"), link("b", "a"), file("b", "new")]).unwrap();
        assert_eq!(settled, [file("a", "old"), file("b", "new")]);
    }

    #[test]
    fn a_later_member_of_the_same_name_counts() {
        assert_eq!(settle([file("a", "1"), file("a", "2")]).unwrap(), [file("a", "2")]);
        assert_eq!(settle([file("a", "1"), link("a", "a")]).unwrap(), [file("a", "1")]);
    }

    #[test]
    fn links_to_nowhere_or_to_folders_and_files_with_children_are_errors() {
        let errors = [
            settle([link("a", "b")]),
            settle([entry("d", EntryKind::Directory), link("a", "d")]),
            settle([file("a", "1"), file("a/b", "2")]),
            settle([file("a", "1"), file("a/b/c", "2")]),
        ];
        for (error, named) in errors.iter().zip(["`a`", "`a`", "`a/b`", "`a/b/c`"]) {
            assert!(error.as_ref().is_err_and(|text| text.contains(named)), "{error:?}");
        }
    }
}
