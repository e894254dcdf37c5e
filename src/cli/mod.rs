//! The command line: one file per command.
//!
//! Does: parse, choose the controller, run the agent, print. Data goes to stdout, everything else to stderr.
//! Does not: decide anything about formats or protocol.
//! May import: everything; `embedded` alone names both agent side and controller side.
