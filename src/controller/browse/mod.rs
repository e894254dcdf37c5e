//! Reading a stash for people: one folder of it, one file of it, all of it as a tar. The one place but `server::objects`
//! where content passes a controller, because a browser can put no chunks together.
//!
//! Does: open a stash under a lease (`opened`), list one folder level (`folder`), hand out a file's bytes (`content`)
//! and the canonical tar (`tarball`); every chunk is verified. Memory does not grow with the stash: a page of the
//! manifest and a few frames are held, besides the list of pages.
//! Does not: know HTTP or HTML; follow symlinks.
//! May import: what the controller may; `tarball` alone names `tar`.

mod content;
mod folder;
mod opened;
mod tarball;

pub(super) use folder::{FolderRow, Listing};
pub(super) use opened::{OpenedStash, StashKey};
pub(super) use tarball::TarballError;
