//! Finds the files that globs and paths name, each once, with the path that it has as an artifact. Opens none of them.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use fs_err as fs;

use crate::agent::error::Problem;
use crate::model::Stop;
use crate::model::entry_path::Printable;
use crate::pattern::{Glob, Places};
use crate::protocol::artifact::MAX_ARTIFACT_PATH_BYTES;

use super::error::ArtifactError;

/// What to look for.
#[derive(Debug)]
pub struct Collection {
    /// Where relative globs and paths begin.
    pub folder: PathBuf,
    /// What is wanted.
    pub sources: Vec<Source>,
    /// What is left out, with all beneath it: compared with an artifact's path, or with where a file lies if it begins with `/`.
    pub excludes: Vec<Glob>,
    /// Whether globs look into symlinks to folders.
    pub follow_folders: bool,
    /// What a symlink is taken for.
    pub symlinks: SymlinkPolicy,
    /// Folders that are never looked into: the agent's own.
    pub leave_out: Vec<PathBuf>,
}

/// Something that names files.
#[derive(Clone, Debug)]
pub enum Source {
    /// All that fit.
    Glob(Glob),
    /// That one, relative or absolute.
    Path(PathBuf),
}

/// What a symlink is taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SymlinkPolicy {
    /// The file that it leads to.
    #[default]
    Follow,
    /// Nothing.
    Skip,
    /// A symlink: an artifact without content.
    Keep,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Collected {
    /// Files and kept symlinks, by path.
    pub found: Vec<Found>,
    /// What was named and cannot be sent.
    pub problems: Vec<Problem>,
    /// Folders that were named, and nothing in them was: they are skipped.
    pub folders: Vec<String>,
}

/// A file, or a symlink that is kept as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path as an artifact: relative, `/` between components, no `.` or `..`.
    pub path: String,
    /// Where it lies.
    pub absolute: PathBuf,
    /// What it is.
    pub kind: Kind,
}

impl Found {
    /// Bytes of content that it had when it was found.
    pub const fn len(&self) -> u64 {
        match self.kind {
            Kind::File(len) => len,
            Kind::Link(..) => 0,
        }
    }

    /// Whether that is nothing.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What becomes an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file of that many bytes when it was found.
    File(u64),
    /// A symlink with that target, last modified then (seconds since 1970).
    Link(String, i64),
}

/// Looks for everything that is wanted.
pub fn collect(collection: &Collection, stop: &Stop) -> Result<Collected, ArtifactError> {
    let unusable = |source| ArtifactError::Folder { path: collection.folder.clone(), source };
    let folder = std::path::absolute(&collection.folder).map_err(unusable)?;
    let metadata = fs::metadata(&folder).map_err(unusable)?;
    if !metadata.is_dir() {
        return Err(unusable(io::ErrorKind::NotADirectory.into()));
    }
    let mut collector = Collector {
        collection,
        folder,
        stop,
        seen: HashSet::new(),
        paths: BTreeMap::new(),
        folders: BTreeSet::new(),
        problems: Vec::new(),
    };
    collection.sources.iter().try_for_each(|source| collector.look_for(source))?;
    Ok(collector.finish())
}

struct Collector<'a> {
    collection: &'a Collection,
    folder: PathBuf,
    stop: &'a Stop,
    /// Where everything lies that was looked at.
    seen: HashSet<PathBuf>,
    paths: BTreeMap<String, Found>,
    folders: BTreeSet<String>,
    problems: Vec<Problem>,
}

/// A folder that is still to be read.
struct Open {
    /// Where it lies.
    absolute: PathBuf,
    /// What the glob compares, with a slash at its end unless it is empty.
    compared: Vec<u8>,
    places: Places,
    /// Device and inode of the folders above that were entered through symlinks or hold such: a loop comes back to one.
    above: Vec<(u64, u64)>,
}

impl Collector<'_> {
    fn look_for(&mut self, source: &Source) -> Result<(), ArtifactError> {
        match source {
            Source::Path(path) => self.take_path(path),
            Source::Glob(glob) => {
                self.walk(glob);
                Ok(())
            }
        }
    }

    fn take_path(&mut self, path: &Path) -> Result<(), ArtifactError> {
        if path.components().any(|component| component == Component::ParentDir) {
            return Err(ArtifactError::Parent(printable(path.as_os_str().as_bytes())));
        }
        let plain: PathBuf = path.components().filter(|component| *component != Component::CurDir).collect();
        let absolute = self.folder.join(&plain);
        self.take(plain.as_os_str().as_bytes(), &absolute);
        Ok(())
    }

    fn walk(&mut self, glob: &Glob) {
        let (prefix, is_path) = glob.literal_prefix();
        if is_path {
            // Whoever spells a path out means it, whatever folders it leads through.
            let absolute = self.folder.join(&prefix);
            return self.take(prefix.as_bytes(), &absolute);
        }
        let mut compared = prefix.clone().into_bytes();
        if !prefix.is_empty() || glob.is_absolute() {
            compared.push(b'/');
        }
        let places = glob.advance(&glob.start(), &compared);
        let top = match glob.is_absolute() {
            true => PathBuf::from("/").join(&prefix),
            false => self.folder.join(&prefix),
        };
        let mut open = vec![Open { absolute: top, compared, places, above: Vec::new() }];
        while let Some(folder) = open.pop() {
            if self.stop.is_stopped() {
                return;
            }
            if let Err(error) = self.read(glob, &folder, &mut open) {
                self.unreadable(&folder.compared, &error);
            }
        }
    }

    fn read(&mut self, glob: &Glob, folder: &Open, open: &mut Vec<Open>) -> io::Result<()> {
        let entries = match fs::read_dir(&folder.absolute) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            entries => entries?,
        };
        let mut above = folder.above.clone();
        if self.collection.follow_folders {
            let metadata = fs::metadata(&folder.absolute)?;
            let here = (metadata.dev(), metadata.ino());
            if above.contains(&here) {
                return Ok(());
            }
            above.push(here);
        }
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let places = glob.advance(&folder.places, name.as_bytes());
            if places.is_dead() {
                continue;
            }
            let compared = [&folder.compared, name.as_bytes()].concat();
            let absolute = folder.absolute.join(&name);
            if self.is_left_out(&compared, &absolute) {
                continue;
            }
            if glob.is_end(&places) {
                self.take(&compared, &absolute);
            }
            let beneath = glob.advance(&places, b"/");
            if !beneath.is_dead() && self.is_folder(&entry)? {
                let compared = [&compared[..], b"/"].concat();
                open.push(Open { absolute, compared, places: beneath, above: above.clone() });
            }
        }
        Ok(())
    }

    fn is_folder(&self, entry: &fs::DirEntry) -> io::Result<bool> {
        let kind = entry.file_type()?;
        let leads_to_one = || fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir());
        Ok(kind.is_dir() || (kind.is_symlink() && self.collection.follow_folders && leads_to_one()))
    }

    /// Whether somebody excludes it, or it is a folder of the agent's own.
    fn is_left_out(&self, compared: &[u8], absolute: &Path) -> bool {
        let path = compared.strip_prefix(b"/").unwrap_or(compared);
        let excluded = |glob: &Glob| match glob.is_absolute() {
            true => glob.fits(absolute.as_os_str().as_bytes()),
            false => glob.fits(path),
        };
        self.collection.excludes.iter().any(excluded)
            || self.collection.leave_out.iter().any(|folder| absolute == folder)
    }

    /// Whether it, or a folder that it lies in, is left out.
    fn is_beneath_left_out(&self, compared: &[u8], absolute: &Path) -> bool {
        let ends =
            compared.iter().enumerate().filter(|(at, byte)| **byte == b'/' && *at > 0).map(|(at, _)| at);
        let depth = compared.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).count();
        let folders: Vec<&Path> = absolute.ancestors().take(depth).collect();
        let ends = ends.chain([compared.len()]);
        ends.zip(folders.into_iter().rev()).any(|(end, lies)| self.is_left_out(&compared[..end], lies))
    }

    /// Takes what was named by its path as globs compare it, if there is anything.
    fn take(&mut self, compared: &[u8], absolute: &Path) {
        let Ok(metadata) = fs::symlink_metadata(absolute) else { return };
        if !self.seen.insert(absolute.to_owned()) || self.is_beneath_left_out(compared, absolute) {
            return;
        }
        let Some(path) = self.artifact_path(compared) else { return };
        match self.kind_of(absolute, &metadata) {
            Ok(Some(Taken::Artifact(kind))) => {
                let found = Found { path: path.clone(), absolute: absolute.to_owned(), kind };
                if self.paths.insert(path.clone(), found).is_some() {
                    self.problem(&path, "two files have this path; the first one is left out", true);
                }
            }
            Ok(Some(Taken::Folder)) => drop(self.folders.insert(path)),
            Ok(Some(Taken::Other(what))) => self.problem(&path, what, false),
            Ok(None) => {}
            Err(error) => self.problem(&path, &error.to_string(), true),
        }
    }

    fn kind_of(&self, absolute: &Path, metadata: &std::fs::Metadata) -> io::Result<Option<Taken>> {
        let policy = self.collection.symlinks;
        if !metadata.is_symlink() {
            return Ok(Some(plain_kind(metadata)));
        }
        match policy {
            SymlinkPolicy::Skip => Ok(None),
            SymlinkPolicy::Keep => {
                let target = fs::read_link(absolute)?;
                let target = target.to_str().ok_or_else(|| io::Error::other("its target is not UTF-8"))?;
                Ok(Some(Taken::Artifact(Kind::Link(target.to_owned(), metadata.mtime()))))
            }
            SymlinkPolicy::Follow => match fs::metadata(absolute) {
                Ok(target) => Ok(Some(plain_kind(&target))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(io::Error::other("it is a symlink that leads nowhere"))
                }
                Err(error) => Err(error),
            },
        }
    }

    /// The path that it has as an artifact; said as a problem, if it can have none.
    fn artifact_path(&mut self, compared: &[u8]) -> Option<String> {
        let bytes = compared.strip_prefix(b"/").unwrap_or(compared);
        if bytes.is_empty() {
            return None;
        }
        let what = match std::str::from_utf8(bytes) {
            Err(_) => "its name is not UTF-8, and an artifact's must be: rename it, or stash it".to_owned(),
            Ok(path) if path.len() > MAX_ARTIFACT_PATH_BYTES => {
                format!("its path is longer than {MAX_ARTIFACT_PATH_BYTES} bytes")
            }
            Ok(path) => return Some(path.to_owned()),
        };
        self.problems.push(Problem { path: printable(bytes), what, is_error: true });
        None
    }

    fn unreadable(&mut self, compared: &[u8], error: &io::Error) {
        let path = match compared.strip_suffix(b"/") {
            Some(b"") | None => self.folder.as_os_str().as_bytes().to_vec(),
            Some(path) => path.to_vec(),
        };
        let what = error.to_string();
        self.problems.push(Problem { path: printable(&path), what, is_error: true });
    }

    fn problem(&mut self, path: &str, what: &str, is_error: bool) {
        let path = printable(path.as_bytes());
        self.problems.push(Problem { path, what: what.to_owned(), is_error });
    }

    fn finish(self) -> Collected {
        let beneath = |folder: &String| {
            let first = format!("{folder}/");
            self.paths.range(first.clone()..).next().is_some_and(|(path, _)| path.starts_with(&first))
        };
        let folders = self.folders.iter().filter(|folder| !beneath(folder)).cloned().collect();
        Collected { folders, found: self.paths.into_values().collect(), problems: self.problems }
    }
}

/// What a name turned out to be.
enum Taken {
    Artifact(Kind),
    Folder,
    Other(&'static str),
}

fn plain_kind(metadata: &std::fs::Metadata) -> Taken {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => Taken::Artifact(Kind::File(metadata.len())),
        () if kind.is_dir() => Taken::Folder,
        () if kind.is_fifo() => Taken::Other("a fifo is no artifact"),
        () if kind.is_socket() => Taken::Other("a socket is no artifact"),
        () => Taken::Other("a device is no artifact"),
    }
}

/// A path as people may read it.
pub(super) fn printable(bytes: &[u8]) -> String {
    Printable(bytes.into()).to_string()
}
