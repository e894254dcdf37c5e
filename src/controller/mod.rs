//! The controller: ledger, store, sessions, sweeping. Holds the credentials; no content passes through it.
//!
//! Does: answer the protocol's requests (`controller`), keep the ledger (`ledger`), name and sign objects (`store`,
//! `sign`), sweep what nothing refers to (`sweep`), re-read packs (`verify`).
//! Does not: read or write a workspace; know the agent.
//! May import: `model`, `protocol`, `http`, `pack` (the reader).
