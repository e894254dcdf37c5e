//! A build's finished artifacts as a tree of files: one folder, or everything below it that fits. Of a path that several
//! artifacts have, the newest counts.

use std::cell::RefCell;

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::{ArtifactRow, ArtifactSearch, FoundRows, SearchPlace, SearchedBuilds};
use crate::controller::open::Controller;
use crate::pattern::{SelectOptions, Selection};
use crate::protocol::BuildId;
use crate::protocol::artifact::{ArtifactState, MAX_ARTIFACTS};
use crate::protocol::listing::{FileInfo, FileKind, ListFiles, Listing};

use super::check::{self, unfit};
use super::find::{place_of, text_of};

impl Controller {
    /// Lists a folder of a build, or all files below it.
    pub fn list_files(&self, caller: &Caller, request: &ListFiles) -> Result<Listing, ControllerError> {
        caller.require_read(&request.build)?;
        let prefix = folder_prefix(&request.path)?;
        let after = request.after.as_deref().map(place_of).transpose()?;
        let selection = selection(request)?;
        let listed = Listed::new(&prefix, after.as_ref());
        let fits = |path: &str| {
            let below = path.get(prefix.len()..).unwrap_or_default();
            if request.recursive { takes(&selection, below) } else { listed.is_new(below) }
        };
        let found = self.search_tree(caller, &request.build, &prefix, &fits, after, MAX_ARTIFACTS)?;
        let Some(found) = found else { return Err(ControllerError::NoBuild(request.build.clone())) };
        let files = found.artifacts.into_iter().map(|row| {
            let below = row.path.get(prefix.len()..).unwrap_or_default();
            match below.split_once('/').filter(|_| !request.recursive) {
                Some((name, _)) => Ok(folder(format!("{prefix}{name}"))),
                None => self.file_info(row, request.signed),
            }
        });
        Ok(Listing { files: files.collect::<Result<_, _>>()?, next: found.next.as_ref().map(text_of) })
    }

    /// A file or folder of a build, with a URL to read it if it is a file.
    pub fn file(&self, caller: &Caller, build: &BuildId, path: &str) -> Result<FileInfo, ControllerError> {
        caller.require_read(build)?;
        let prefix = folder_prefix(path)?;
        let missing = || ControllerError::NoFile { path: path.to_owned(), build: build.clone() };
        if !path.is_empty() {
            let exact = self.search_tree(caller, build, path, &|found| found == path, None, 1)?;
            if let Some(row) = exact.and_then(|mut found| found.artifacts.pop()) {
                return self.file_info(row, true);
            }
        }
        match self.search_tree(caller, build, &prefix, &|_| true, None, 1)? {
            Some(found) if !found.artifacts.is_empty() || path.is_empty() => Ok(folder(path.to_owned())),
            _ => Err(missing()),
        }
    }

    /// Deletes a file, or everything below a folder; of all files of a build for an empty path. How many there were.
    pub fn delete_files(&self, caller: &Caller, build: &BuildId, path: &str) -> Result<u64, ControllerError> {
        caller.require_write(build)?;
        folder_prefix(path)?;
        if let Some(job) = &caller.job {
            // What other jobs made is not this one's to delete.
            return Err(ControllerError::ForeignJob(format!("other than {job}")));
        }
        Ok(self.ledger.delete_below(&caller.access, build, path)?)
    }

    fn search_tree(
        &self,
        caller: &Caller,
        build: &BuildId,
        prefix: &str,
        fits: &dyn Fn(&str) -> bool,
        after: Option<SearchPlace>,
        most: usize,
    ) -> Result<Option<FoundRows>, ControllerError> {
        let search = ArtifactSearch {
            builds: SearchedBuilds::Named(build),
            prefix,
            exact: false,
            fits,
            step: None,
            include_retried: false,
            include_duplicates: false,
            states: &[ArtifactState::Finished],
            after,
            most,
        };
        Ok(self.ledger.search_artifacts(&caller.access, &search)?)
    }

    fn file_info(&self, row: ArtifactRow, signed: bool) -> Result<FileInfo, ControllerError> {
        let get = if signed { self.sign_artifact(&row, "inline")? } else { None };
        Ok(FileInfo {
            path: row.path,
            kind: if row.link.is_some() { FileKind::Link } else { FileKind::File },
            id: Some(row.id),
            len: row.len,
            modified: row.modified.or(Some(row.created_at)),
            mode: row.mode,
            link: row.link,
            get,
        })
    }
}

/// Names of one folder that were listed: paths come sorted, so those of one folder stand together.
struct Listed {
    last: RefCell<Option<String>>,
}

impl Listed {
    /// What an earlier answer listed last is not listed again.
    fn new(prefix: &str, after: Option<&SearchPlace>) -> Self {
        let last = after.and_then(|after| after.path.strip_prefix(prefix)?.split_once('/'));
        Self { last: RefCell::new(last.map(|(name, _)| name.to_owned())) }
    }

    /// Whether a path below the folder is a file in it, or the first one seen of a folder in it.
    fn is_new(&self, below: &str) -> bool {
        let Some((name, _)) = below.split_once('/') else { return true };
        let mut last = self.last.borrow_mut();
        if last.as_deref() == Some(name) {
            return false;
        }
        *last = Some(name.to_owned());
        true
    }
}

fn takes(selection: &Selection, below: &str) -> bool {
    selection.takes(&below.split('/').map(str::as_bytes).collect::<Vec<_>>())
}

fn selection(request: &ListFiles) -> Result<Selection, ControllerError> {
    let options = SelectOptions {
        includes: vec![request.includes.clone()],
        excludes: vec![request.excludes.clone()],
        default_excludes: request.default_excludes,
        gitignore: false,
    };
    Selection::new(&options).map_err(|error| unfit(error.to_string()))
}

/// What the paths of a folder's files begin with.
fn folder_prefix(path: &str) -> Result<String, ControllerError> {
    if path.is_empty() {
        return Ok(String::new());
    }
    check::path(path)?;
    Ok(format!("{path}/"))
}

const fn folder(path: String) -> FileInfo {
    FileInfo {
        path,
        kind: FileKind::Folder,
        id: None,
        len: 0,
        modified: None,
        mode: None,
        link: None,
        get: None,
    }
}
