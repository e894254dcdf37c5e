//! Deleting what the entries do not name, within the scope that was asked for. Only in folders that the target
//! had; nothing is followed.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::error::{RestoreError, at};
use super::site::{FolderPlace, Site};
use super::staging::is_staging_name;
use crate::model::EntryPath;
use crate::workspace::beneath::Directory;

/// Deletes the extras; returns how many names went.
pub(super) fn delete_extras(site: &Site) -> Result<u64, RestoreError> {
    (0..site.tree.folders.len())
        .into_par_iter()
        .filter(|&folder| {
            let covered = site.scope.covers(site.tree.folders[folder].path.as_ref());
            covered && matches!(site.seats[folder].place, FolderPlace::Existing(_))
        })
        .map(|folder| delete_extras_of(site, folder as u32))
        .try_reduce(|| 0, |a, b| Ok(a + b))
}

fn delete_extras_of(site: &Site, folder: u32) -> Result<u64, RestoreError> {
    let path = site.tree.folders[folder as usize].path.as_ref();
    let handle = site.folder(folder)?;
    let names = match path {
        Some(path) => handle.list().map_err(at("list", path))?,
        None => site.target.list(None)?,
    };
    let mut deleted = 0;
    for entry in names.into_iter().filter(|entry| !is_staging_name(&entry.name)) {
        let child = match path {
            Some(path) => path.join(&entry.name),
            None => EntryPath::new(entry.name.clone()),
        };
        // A path that is too long for any entry is no entry's; it is left where it is.
        let Ok(child) = child else { continue };
        if !site.tree.names(&child) {
            deleted += delete(site, folder, &handle, &child)?;
        }
    }
    Ok(deleted)
}

/// Moves a name into the staging folder first, so that a kill leaves no half of a folder.
fn delete(site: &Site, folder: u32, handle: &Directory, path: &EntryPath) -> Result<u64, RestoreError> {
    let staging = site.staging(site.seats[folder as usize].area)?;
    let name = path.file_name();
    let aside = staging.next_extra();
    match handle.rename(name, staging.folder.top(), &aside) {
        Ok(()) => staging.folder.top().remove_all(&aside),
        // A mount of its own, a folder that its owner may not write: emptied where it stands.
        Err(_) => handle.remove_all(name),
    }
    .map_err(at("delete", path))
}
