//! Values and byte formats: what every other room talks about.
//!
//! Does: names (digests, paths, objects), entries, the manifest's bytes, a pack's footer, limits, signed URLs,
//! secrets and progress counters, each of which cannot exist invalid (parse, don't validate).
//! Does not: touch a file system, a network, a thread or a clock.
//! May import: nothing from this crate.

pub mod checksum;
pub mod digest;
pub mod entry;
pub mod entry_path;
pub mod limits;
pub mod manifest;
pub mod object_name;
pub mod pack_layout;
pub mod progress;
pub mod secret;
pub mod signed_url;
pub mod stop;
pub mod wire;

pub use checksum::{Sha1, Sha256};
pub use digest::Digest;
pub use entry::{ChunkRef, Content, Entry, EntryKind, Owner, Timestamp, Xattr};
pub use entry_path::EntryPath;
pub use object_name::{ObjectKind, ObjectName};
pub use pack_layout::PackName;
pub use secret::Secret;
pub use signed_url::SignedUrl;
pub use stop::Stop;
