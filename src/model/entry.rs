//! One path of a workspace with its metadata. Not how it is read from or written to a disk.

use super::digest::Digest;
use super::entry_path::EntryPath;

/// One path of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands, relative to the workspace.
    pub path: EntryPath,
    /// Permission bits, set-id and sticky bits included: `mode & 0o7777`.
    pub mode: u32,
    /// When the content (or, for a folder, its list of names) last changed.
    pub mtime: Timestamp,
    /// Who owns it; `None` unless ownership was asked for.
    pub owner: Option<Owner>,
    /// Extended attributes, sorted by name; empty unless they were asked for.
    pub xattrs: Box<[Xattr]>,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is. Sockets and devices are never entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link; the target is any bytes without NUL, kept as they are, dangling or not.
    Symlink {
        /// What the link says; 1 to 4,095 bytes.
        target: Box<[u8]>,
    },
    /// Another name of an entry that stands earlier in the manifest and is no folder and no hard link itself.
    /// Mode, mtime, owner and xattrs equal the target's.
    HardLink {
        /// The first path of the same inode.
        target: EntryPath,
    },
    /// A named pipe.
    Fifo,
}

/// The bytes of a file, as the chunks that hold them in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Content {
    /// Bytes of the file.
    pub size: u64,
    /// Whether `chunks` names chunk lists (see [`super::manifest::chunk_list`]) rather than the file's bytes.
    pub listed: bool,
    /// When not `listed`: chunks whose lengths add up to `size`. When `listed`: chunk lists, in order.
    pub chunks: Box<[ChunkRef]>,
}

impl Content {
    /// The chunks, but for those that are the same as the one before them: in a hole of many TiB that is all but one.
    pub fn runs(&self) -> impl Iterator<Item = &ChunkRef> {
        self.chunks.chunk_by(|one, next| one == next).filter_map(|run| run.first())
    }
}

/// A chunk by name and plaintext length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkRef {
    /// BLAKE3-256 of the plaintext.
    pub digest: Digest,
    /// Bytes of plaintext; at least 1.
    pub len: u32,
}

/// Seconds and nanoseconds since 1970-01-01 UTC; `nanos < 1_000_000_000` also before 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub secs: i64,
    /// Nanoseconds on top of them.
    pub nanos: u32,
}

/// Numeric owner and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// One extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xattr {
    /// Name with its namespace (`user.mime_type`); no NUL.
    pub name: Box<[u8]>,
    /// Value, any bytes.
    pub value: Box<[u8]>,
}

impl EntryKind {
    /// The word for people: `file`, `directory`, `symlink`, `hard link`, `fifo`.
    pub const fn noun(&self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::File(_) => "file",
            Self::Symlink { .. } => "symlink",
            Self::HardLink { .. } => "hard link",
            Self::Fifo => "fifo",
        }
    }
}

impl Entry {
    /// The content, if this is a regular file.
    pub fn content(&self) -> Option<&Content> {
        match &self.kind {
            EntryKind::File(content) => Some(content),
            _ => None,
        }
    }
}

/// `rwxr-sr-t`, as `ls` writes it.
pub fn permissions(mode: u32) -> String {
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    let mut text = String::with_capacity(9);
    for (class, (bit, with, without)) in special.into_iter().enumerate() {
        let bits = mode >> (6 - 3 * class) & 0o7;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & bit != 0, bits & 1 != 0) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_read_as_ls_writes_them() {
        let texts =
            [(0o755, "rwxr-xr-x"), (0o640, "rw-r-----"), (0o6755, "rwsr-sr-x"), (0o1644, "rw-r--r-T")];
        texts.into_iter().for_each(|(mode, text)| assert_eq!(permissions(mode), text));
    }
}
