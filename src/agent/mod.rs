//! What an agent does on a CI worker: stash, unstash, export and import.
//!
//! Does: drive the rooms below in the order of the data; each file reads as a table of contents.
//! Does not: hold store credentials, print, or know which controller it talks to.
//! May import: every room of L0 to L3; never `controller` or `cli`.
