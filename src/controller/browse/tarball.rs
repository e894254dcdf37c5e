//! A stash as the tarball that it is: the same bytes as `pannier export` gives.

use std::io::Write;

use crate::controller::error::ControllerError;
use crate::model::Entry;
use crate::tar::{self, TarError};

use super::opened::OpenedStash;

/// Why a tarball ends early.
#[derive(Debug, thiserror::Error)]
pub(in crate::controller) enum TarballError {
    /// The stash cannot be read.
    #[error(transparent)]
    Stash(#[from] ControllerError),
    /// It cannot be written as a tar, or nobody takes it any more.
    #[error(transparent)]
    Tar(#[from] TarError),
}

impl OpenedStash<'_> {
    /// Writes the canonical tar to `out`. Fails in the middle where a chunk cannot be read: a tar without its end.
    pub(in crate::controller) fn tarball(&mut self, out: impl Write) -> Result<(), TarballError> {
        let mut tar = tar::Writer::new(out);
        for at in 0..self.root.pages.len() {
            // Copied, since its files may need another place in the manifest.
            for entry in self.page(at)?.to_vec() {
                self.member(&entry, &mut tar)?;
            }
        }
        tar.finish()?;
        Ok(())
    }

    fn member(&mut self, entry: &Entry, tar: &mut tar::Writer<impl Write>) -> Result<(), TarballError> {
        tar.entry(entry)?;
        let Some(content) = entry.content() else { return Ok(()) };
        let mut failed = None;
        self.content(content, 0..content.size, &mut |bytes| {
            failed = tar.content(bytes).err();
            failed.is_none()
        })?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}
