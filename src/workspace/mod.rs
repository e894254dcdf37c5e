//! A workspace on disk: choosing, walking, remembering and giving back its entries.
//!
//! Does: Ant and gitignore patterns (`select`), the parallel walk (`walk`), what is known of unchanged files
//! (`stat_cache`), and writing files beneath one directory handle, never outside it (`beneath`, `restore`).
//! Does not: cut, compress or move content; write or read tar.
//! May import: `model`, `pattern`.

pub mod beneath;
pub mod restore;
pub mod select;
pub mod stat;
pub mod stat_cache;
pub mod walk;
