//! What the file system says of one inode, in the fields that the walk, the stat cache and the restore compare.

use crate::model::Timestamp;

/// The part of `statx` that pannier uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Device that holds the inode.
    pub dev: u64,
    /// Inode number on that device.
    pub ino: u64,
    /// Bytes of a regular file, or of a symlink's target.
    pub size: u64,
    /// Blocks of 512 bytes that are allocated; fewer than `size` needs where there are holes.
    pub blocks: u64,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Last change of the inode; no program can set it.
    pub ctime: Timestamp,
    /// Type and permission bits, as `st_mode`.
    pub mode: u32,
    /// Names of this inode.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The type bits of [`Stat::mode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A folder.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket, a device: what a stash never holds.
    Other,
}

impl Stat {
    /// The type bits.
    pub const fn file_type(&self) -> FileType {
        match self.mode & 0o170_000 {
            0o040_000 => FileType::Directory,
            0o100_000 => FileType::File,
            0o120_000 => FileType::Symlink,
            0o010_000 => FileType::Fifo,
            _ => FileType::Other,
        }
    }

    /// Whether nothing was written between this and `other`: no write leaves all of these as they were.
    pub fn is_same_state(&self, other: &Self) -> bool {
        let state = |stat: &Self| (stat.dev, stat.ino, stat.size, stat.mtime, stat.ctime);
        state(self) == state(other)
    }

    /// Bytes of content: a regular file's size, nothing for anything else.
    pub const fn content_bytes(&self) -> u64 {
        match self.file_type() {
            FileType::File => self.size,
            _ => 0,
        }
    }

    /// Permission, set-id and sticky bits: `mode & 0o7777`.
    pub const fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}
