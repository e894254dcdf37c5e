//! What can go wrong with a tar. Not a decision on what to do about it.

use std::io;

use crate::model::EntryPath;
use crate::model::entry_path::{EntryPathError, Printable};
use crate::model::limits::MAX_FILE_BYTES;

/// Why a tar could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The input failed.
    #[error("cannot read the tar at byte {offset}")]
    Read {
        /// Bytes read before.
        offset: u64,
        /// What the input said.
        #[source]
        source: io::Error,
    },
    /// The output failed.
    #[error("cannot write the tar")]
    Write(#[source] io::Error),
    /// Not one byte; an archive of nothing is at least one block.
    #[error("the input is empty: not even an end-of-archive block")]
    Empty,
    /// The first bytes are those of another format.
    #[error("the input is {format}, not a tar")]
    Foreign {
        /// The format with its article.
        format: &'static str,
        /// What to do, for a `hint:` line.
        hint: Option<&'static str>,
    },
    /// A header's sum does not fit its bytes: damage, or no tar at all.
    #[error("the block at byte {offset} is not a tar header: its checksum is wrong")]
    Checksum {
        /// Where the block starts.
        offset: u64,
    },
    /// A header's field is not a number, or one that cannot be.
    #[error("the tar header of `{name}` at byte {offset} has a bad {field}")]
    Field {
        /// The name in the header itself, which an extended header may override.
        name: Printable,
        /// Where the header starts.
        offset: u64,
        /// Name of the field.
        field: &'static str,
    },
    /// An extended header that cannot be read.
    #[error("the extended header of `{name}` at byte {offset} has {reason}")]
    Record {
        /// The name in the header block.
        name: Printable,
        /// Where the header block starts.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// Multi-volume parts and other records that hold no whole entry.
    #[error("the record at byte {offset} is {what}, which pannier does not read")]
    Unsupported {
        /// Where the header block starts.
        offset: u64,
        /// What it is.
        what: &'static str,
    },
    /// One zero block, then something else: an end that is none.
    #[error("a single zero block at byte {offset} is followed by more data: the tar is damaged")]
    LoneZeroBlock {
        /// Where the zero block starts.
        offset: u64,
    },
    /// The input ends within a header, or between an extended header and its entry.
    #[error("the tar ends within the header at byte {offset}: it is truncated")]
    TruncatedHeader {
        /// Where the incomplete header starts.
        offset: u64,
    },
    /// The input ends within an entry's content.
    #[error("the tar ends within `{path}`, {missing_bytes} bytes early: it is truncated")]
    Truncated {
        /// The entry.
        path: EntryPath,
        /// Bytes of content and padding that are not there.
        missing_bytes: u64,
    },
    /// A name that no entry may have.
    #[error("the tar header at byte {offset} has a name that a workspace cannot hold")]
    Name {
        /// Where the header starts.
        offset: u64,
        /// The name and what is wrong with it.
        #[source]
        source: EntryPathError,
    },
    /// A hard link's target that no entry may have.
    #[error("`{path}` is a hard link to a name that a workspace cannot hold")]
    HardLinkTarget {
        /// The link.
        path: EntryPath,
        /// The target and what is wrong with it.
        #[source]
        source: EntryPathError,
    },
    /// A symlink that says nothing, a NUL byte or more than a path can be.
    #[error("`{path}` is a symlink whose target is empty, too long or holds a NUL byte")]
    SymlinkTarget {
        /// The link.
        path: EntryPath,
    },
    /// Metadata of an entry that is out of range.
    #[error("`{path}` has {reason}")]
    Entry {
        /// The entry.
        path: EntryPath,
        /// What is wrong.
        reason: &'static str,
    },
    /// A size that no file has: damage, or a sparse map that means harm.
    #[error("`{path}` claims to be {size} bytes long, more than the {} TiB that a file may have", MAX_FILE_BYTES >> 40)]
    FileSize {
        /// The file.
        path: EntryPath,
        /// Bytes, holes included.
        size: u64,
    },
    /// The writer was given other content than the entry announced.
    #[error("`{path}` was announced with {announced_bytes} bytes and given {given_bytes}")]
    ContentSize {
        /// The file.
        path: EntryPath,
        /// Size in its header.
        announced_bytes: u64,
        /// Bytes given.
        given_bytes: u64,
    },
    /// The writer was given content before any entry.
    #[error("content of {} bytes was given before any file", given_bytes)]
    NoFile {
        /// Bytes given.
        given_bytes: u64,
    },
    /// The writer was given metadata that the format cannot say.
    #[error("`{path}` has an extended attribute `{name}` that a tar cannot hold: empty or with a NUL byte")]
    XattrName {
        /// The entry.
        path: EntryPath,
        /// The attribute.
        name: Printable,
    },
}

impl TarError {
    /// What the user may do next, for a `hint:` line.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Foreign { hint, .. } => *hint,
            _ => None,
        }
    }
}
