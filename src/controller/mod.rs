//! The controller: ledger, store, sessions, sweeping. Holds the credentials; no content passes through it but what people browse.
//!
//! Does: answer the protocol's requests (`writing`, `commit`, `reading`; of single files `artifacts`), keep the ledger (`ledger`), name and sign
//! objects (`store`), follow a manifest's references (`references`), sweep what nothing refers to (`sweep`),
//! re-read packs (`verify`), read stashes for people's browsers (`browse`).
//! Does not: read or write a workspace; know the agent.
//! May import: `model`, `protocol`, `http`, `pattern`, `pack` (the reader), `tar` (the writer).

mod artifacts;
mod browse;
mod caller;
pub mod clock;
mod commit;
mod error;
mod heal;
pub mod ledger;
mod open;
mod pack_source;
mod process;
mod read_ahead;
mod reading;
mod rebuild;
mod references;
mod salvage;
pub mod server;
pub mod store;
mod sweep;
mod verify;
mod writing;

pub use caller::Caller;
pub use clock::{Clock, ProcessClock, SystemClock};
pub use error::{ControllerError, ErrorKind};
pub use open::{Controller, LEDGER_FILE};
