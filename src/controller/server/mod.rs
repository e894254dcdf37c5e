//! The controller behind HTTP: `docs/protocol.md` says what each route takes and gives.
//!
//! Does: listen (`listen`), tell callers by their tokens (`tokens`, `authenticated`), answer (`routes` lists them all),
//! say failures (`answer`), count (`metrics`), hand out the disk store's objects (`objects`), show people pages (`ui`), speak as Buildkite
//! does (`buildkite`), sweep from time to time.
//! Does not: decide anything about sessions, stashes or packs; that is the controller's, which knows no HTTP.
//! May import: what the controller may.

mod answer;
mod artifacts;
mod authenticated;
mod buildkite;
mod contents;
mod files;
mod key;
mod listen;
mod metrics;
mod objects;
mod operate;
mod routes;
mod sessions;
mod stashes;
mod state;
mod streamed;
mod tokens;
mod ui;

pub use key::{KEY_FILE, ServerKey};
pub use listen::{Listen, ServeError, Serving, Tls, check_tls, serve};
pub use tokens::Tokens;
