//! The ledger in one SQLite file, shared by every process that opens it.
//!
//! Does: all of the SQL. WAL; a write is BEGIN IMMEDIATE; what a promise rests on is synced (`synchronous=FULL`),
//! sessions and pins are not: after a power cut their agents are gone too, or are told that the session ended.
//! Does not: decide when to sweep or what a chunk is.
//! May import: `model`, `protocol`.

mod artifact_rows;
mod artifact_search;
mod artifacts;
mod back_end;
mod blobs;
mod browse;
mod chunks;
mod commit;
mod connection;
mod copy;
mod error;
mod index;
mod pool;
mod rows;
mod schema;
mod sessions;
mod stashes;
mod sweep;

pub use connection::SqliteLedger;
