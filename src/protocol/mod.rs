//! Requests and responses of the controller's API, version 1 (`docs/protocol.md`): plain values.
//!
//! Does: say what an agent asks and a controller answers, in types that both sides share.
//! Does not: know how they travel (in process today, HTTP beside it) or what either side does with them.
//! May import: `model`.

pub mod artifact;
pub mod build;
pub mod contents;
pub mod listing;
pub mod operate;
pub mod refusal;
pub mod session;
pub mod stash;
pub mod wire;

pub use build::{BuildId, StashName};
pub use operate::{
    DamagedPack, DamagedStash, GcOptions, GcReport, IssuedToken, TokenRequest, VerifyOptions, VerifyReport,
};
pub use refusal::{Refusal, RefusalKind};
pub use session::{Commit, Open, Opened, PackIntent, SessionId, SignedPack};
pub use stash::{Committed, Copied, PackDownload, Resolved, StashInfo};
