//! The entries of a workspace as they stand on disk: every path with its `stat`, in the order of a manifest.
//!
//! Does: list folders in parallel beneath one directory handle, ask the [`crate::workspace::select`] room what is
//! wanted, read symlinks' targets and (if asked) extended attributes, and say what it left out and why.
//! Does not: open a file, follow a symlink, or remember anything between two runs.
//! May import: `model`.
//!
//! Each folder is opened by its path from the workspace's handle, so that one descriptor a thread is open however
//! wide or deep the tree is, and is a task of its own, so that no stack grows with the depth.

mod assemble;
mod calls;
mod error;
mod fingerprint;
mod folder;
mod found;
#[cfg(target_os = "linux")]
mod linux;
mod names;
mod portable;
mod skipped;
#[cfg(test)]
mod tests;
mod walker;
mod xattrs;

pub use error::WalkError;
pub use found::{Found, Walk, WalkOptions};
pub use skipped::{SkipReason, Skipped};
pub use walker::walk;
