//! Every number that a format or a budget depends on, with its source. Nothing here is computed.

/// Longest path of an entry, and longest symlink target: Linux's `PATH_MAX` without its NUL.
pub const MAX_PATH_BYTES: usize = 4095;

/// Largest file that a tar may hold: 16 TiB, the most that ext4 can hold with its blocks of 4 KiB (Linux,
/// `Documentation/filesystems/ext4`, "Blocks"). A sparse tar of a kilobyte may claim a hole of any size.
pub const MAX_FILE_BYTES: u64 = 16 << 40;

/// A file of at most this many bytes is one chunk.
pub const WHOLE_FILE_CHUNK_BYTES: u64 = 64 << 10;
/// Smallest chunk that the chunker cuts, but for a file's last.
pub const MIN_CHUNK_BYTES: usize = 16 << 10;
/// What the chunker aims at.
pub const AVERAGE_CHUNK_BYTES: usize = 64 << 10;
/// Largest chunk that the chunker cuts.
pub const MAX_CHUNK_BYTES: usize = 256 << 10;

/// A file of more chunks than this keeps them in chunk lists, so that a page stays small whatever the file.
pub const MAX_INLINE_CHUNKS: usize = 1024;

/// Plaintext that a frame is filled to.
pub const FRAME_BYTES: usize = 1 << 20;
/// Plaintext that a reader accepts in one frame (a root of ten million entries is one chunk of about 10 MiB).
pub const MAX_FRAME_BYTES: usize = 16 << 20;
/// Chunks that a reader accepts in one frame: 1 MiB of one-byte files.
pub const MAX_FRAME_CHUNKS: usize = 1 << 20;
/// Chunks that a frame is filled to, so that a pack that is one frame short of full cannot pass its limit.
pub const FRAME_CHUNKS: usize = 1 << 16;
/// Size at which a pack is closed.
pub const PACK_BYTES: u64 = 32 << 20;
/// Size that a reader accepts of a pack; also what one pre-signed PUT carries.
pub const MAX_PACK_BYTES: u64 = 64 << 20;
/// Chunks at which a pack is closed, whatever its size, so that its footer stays small (72 MiB would be 2 M).
pub const PACK_CHUNKS: usize = 1 << 18;

/// Entries of a page: the average, and the bounds between which a path's hash may cut.
pub const PAGE_MIN_ENTRIES: usize = 256;
/// See [`PAGE_MIN_ENTRIES`].
pub const PAGE_AVERAGE_ENTRIES: usize = 1024;
/// See [`PAGE_MIN_ENTRIES`].
pub const PAGE_MAX_ENTRIES: usize = 4096;
/// A page is also cut once its entries weigh this much (paths, targets, xattrs, chunk references).
pub const PAGE_MAX_WEIGHT_BYTES: usize = 512 << 10;
/// Extended attributes of one entry, names and values together.
pub const MAX_XATTR_BYTES: usize = 256 << 10;

/// Digests in one `missing` request.
pub const MAX_MISSING_DIGESTS: usize = 16_384;
