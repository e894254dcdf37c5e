//! Tar at a workspace's end: canonical bytes out of a manifest's entries, entries out of any tar.
//!
//! Does: `writer` (canonical tar, `docs/format.md`), `reader` (ustar, PAX, GNU long names and sparse files),
//! `seekable` (zstd frames with a seek table).
//! Does not: touch the file system, cut content into chunks, or decide what a stash holds.
//! May import: `model`.
