//! pannier stashes a CI workspace between pipeline steps and moves only what changed.

pub mod agent;
pub mod chunk;
pub mod cli;
pub mod controller;
pub mod http;
pub mod model;
pub mod pack;
pub mod pattern;
pub mod protocol;
pub mod tar;
pub mod transfer;
pub mod workspace;
