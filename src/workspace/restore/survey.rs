//! The look at the target before anything changes: what is there, what is equal, what has to be built.
//! Changes nothing but leftovers of killed restores.

use std::collections::HashMap;
use std::sync::OnceLock;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::compare::{has_metadata, is_equal};
use super::error::{RestoreError, at, staging as at_staging};
use super::request::Known;
use super::site::{Area, Fate, FolderPlace, FolderSeat, Over, Site};
use super::staging;
use super::tree::TOP;
use crate::model::EntryKind;
use crate::workspace::beneath::Directory;
use crate::workspace::stat::{FileType, Stat};

/// What stands where an entry belongs. The stat of all but `Absent` and `Folder` is in [`Site::stats`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Its folder is not there, or it is a folder itself: not looked at.
    Unseen,
    Absent,
    Folder,
    Different,
    /// Equal content; whether the metadata are equal too.
    Equal(bool),
}

/// Fills in seats, areas, fates and the stats of what is kept.
pub(super) fn survey(site: &mut Site, known: &Known<'_>) -> Result<(), RestoreError> {
    survey_folders(site)?;
    let shared = &*site;
    let looks = (0..shared.tree.entries.len())
        .into_par_iter()
        .with_min_len(64)
        .map(|index| look(shared, index, known))
        .collect::<Result<Vec<_>, _>>()?;
    decide(site, &looks)
}

fn survey_folders(site: &mut Site) -> Result<(), RestoreError> {
    let top = std::sync::Arc::clone(site.target.top());
    let mode = top.stat_self().map_err(at_staging("place"))?.permissions();
    site.seats.push(FolderSeat { area: 0, place: FolderPlace::Existing(mode) });
    site.areas.push(Area {
        mount: top.mount().map_err(at_staging("place"))?,
        home: TOP,
        slots: 0,
        staging: None,
    });
    staging::sweep(&top)?;
    for folder in 1..site.tree.folders.len() {
        let seat = survey_folder(site, folder)?;
        site.seats.push(seat);
    }
    Ok(())
}

fn survey_folder(site: &mut Site, folder: usize) -> Result<FolderSeat, RestoreError> {
    let parent = site.tree.folders[folder].parent;
    let FolderSeat { area, place } = site.seats[parent as usize];
    match place {
        FolderPlace::Slot(..) => return Ok(FolderSeat { area, place: FolderPlace::Within(parent) }),
        FolderPlace::Within(top) => return Ok(FolderSeat { area, place: FolderPlace::Within(top) }),
        FolderPlace::Existing(_) => {}
    }
    let holder = site.folder(parent)?;
    let Some(path) = &site.tree.folders[folder].path else {
        return Ok(FolderSeat { area, place });
    };
    let name = path.file_name();
    let over = match holder.stat(name).map_err(at("stat", path))? {
        Some(stat) if stat.file_type() == FileType::Directory => {
            let mount = holder.mount_of(name).map_err(at("stat", path))?;
            let inner =
                if site.areas[area as usize].mount == mount { area } else { area_of(site, folder, mount)? };
            return Ok(FolderSeat { area: inner, place: FolderPlace::Existing(stat.permissions()) });
        }
        Some(_) => Over::NonFolder,
        None => Over::Nothing,
    };
    let slot = take_slot(site, area);
    Ok(FolderSeat { area, place: FolderPlace::Slot(slot, over) })
}

/// The area of a mount that begins at `folder`, or that was met above already.
fn area_of(site: &mut Site, folder: usize, mount: u64) -> Result<u16, RestoreError> {
    let known = site.areas.iter().position(|area| area.mount == mount);
    let index = known.unwrap_or(site.areas.len());
    let area = u16::try_from(index).map_err(|_| RestoreError::TooMany(index))?;
    if known.is_none() {
        if let Some(path) = &site.tree.folders[folder].path {
            staging::sweep(&*site.target.directory(Some(path))?)?;
        }
        site.areas.push(Area { mount, home: folder as u32, slots: 0, staging: None });
    }
    Ok(area)
}

fn take_slot(site: &mut Site, area: u16) -> u32 {
    let slots = &mut site.areas[area as usize].slots;
    *slots += 1;
    *slots - 1
}

fn look(site: &Site, index: usize, known: &Known<'_>) -> Result<Look, RestoreError> {
    let (entry, parent) = (site.entry(index), site.tree.parents[index]);
    let is_there = matches!(site.seats[parent as usize].place, FolderPlace::Existing(_));
    if !is_there || matches!(entry.kind, EntryKind::Directory) {
        return Ok(Look::Unseen);
    }
    let folder: &Directory = &*site.folder(parent)?;
    let name = entry.path.file_name();
    let Some(stat) = folder.stat(name).map_err(at("stat", &entry.path))? else { return Ok(Look::Absent) };
    if stat.file_type() == FileType::Directory {
        return Ok(Look::Folder);
    }
    let _ = site.stats[index].set(stat);
    if !is_equal(entry, folder, name, &stat, known).map_err(at("compare", &entry.path))? {
        return Ok(Look::Different);
    }
    let same = has_metadata(entry, folder, name, &stat, &site.options);
    Ok(Look::Equal(same.map_err(at("compare", &entry.path))?))
}

fn decide(site: &mut Site, looks: &[Look]) -> Result<(), RestoreError> {
    // Inodes with several names, by the entry that keeps them: one inode cannot be two files of the manifest.
    let mut claims: HashMap<(u64, u64), usize> = HashMap::new();
    for (index, look) in looks.iter().enumerate() {
        let fate = match (&site.entry(index).kind, look) {
            (EntryKind::Directory, _) => Fate::Folder,
            // Decided below, since a link's target may stand behind it.
            (EntryKind::HardLink { .. }, _) | (_, Look::Unseen) => Fate::Within,
            (_, Look::Equal(same)) => match can_keep(site, looks, index, *same, &mut claims) {
                true if *same => Fate::Keep,
                true => Fate::Correct,
                false => stage(site, index, *look)?,
            },
            _ => stage(site, index, *look)?,
        };
        site.fates.push(fate);
    }
    for at in 0..site.tree.links.len() {
        let (target, link) = (site.tree.links[at].0 as usize, site.tree.links[at].1 as usize);
        let kept = matches!(site.fates[target], Fate::Keep | Fate::Correct)
            && matches!(looks[link], Look::Equal(_))
            && inode(site, target).is_some_and(|target| inode(site, link) == Some(target));
        if kept {
            site.fates[link] = Fate::Keep;
        } else if looks[link] != Look::Unseen {
            site.fates[link] = stage(site, link, looks[link])?;
        }
    }
    for index in 0..looks.len() {
        if site.is_staged(index) {
            site.stats[index] = OnceLock::new();
        }
    }
    Ok(())
}

/// Whether an equal inode may stay: it must not be another entry's file too, nor be changed through a name that
/// is not this entry's.
fn can_keep(
    site: &Site,
    looks: &[Look],
    index: usize,
    same_metadata: bool,
    claims: &mut HashMap<(u64, u64), usize>,
) -> bool {
    let Some(stat) = site.stats[index].get().filter(|stat| stat.nlink > 1) else { return true };
    let linked = site.tree.links_to(index as u32).filter(|&link| {
        matches!(looks[link as usize], Look::Equal(_))
            && inode(site, link as usize) == Some((stat.dev, stat.ino))
    });
    let names = 1 + linked.count() as u64;
    if !same_metadata && names != u64::from(stat.nlink) {
        return false;
    }
    *claims.entry((stat.dev, stat.ino)).or_insert(index) == index
}

fn inode(site: &Site, index: usize) -> Option<(u64, u64)> {
    site.stats[index].get().map(|stat: &Stat| (stat.dev, stat.ino))
}

fn stage(site: &mut Site, index: usize, look: Look) -> Result<Fate, RestoreError> {
    let over = match look {
        Look::Absent | Look::Unseen => Over::Nothing,
        Look::Different | Look::Equal(_) => Over::NonFolder,
        Look::Folder if site.options.mirror => Over::Folder,
        Look::Folder => {
            let entry = site.entry(index);
            return Err(RestoreError::FolderInTheWay { path: entry.path.clone(), noun: entry.kind.noun() });
        }
    };
    let area = site.seats[site.tree.parents[index] as usize].area;
    Ok(Fate::Slot(take_slot(site, area), over))
}
