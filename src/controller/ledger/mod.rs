//! The controller's database: scopes, builds, stashes, packs, the chunk index, sessions.
//!
//! Does: keep rows, each method in one transaction. References are (stash, pack), never (stash, chunk).
//! Does not: read a pack, sign a URL, or tell the time: `now` is the controller's clock, in seconds.
//! May import: `model`, `protocol`.

mod artifact_rows;
mod artifacts;
mod back_end;
mod browse;
mod error;
mod rows;
mod sqlite;

pub use artifact_rows::{
    AnnouncedArtifact, ArtifactRow, ArtifactSearch, BlobRow, BlobState, BlobSweep, EndedUpload, FoundRows,
    SearchPlace, SearchedBuilds, SweptBlobs, UploadEnd,
};
pub use artifacts::{Announcement, ArtifactLedger};
pub use back_end::{Ledger, TransactionObserver};
pub use browse::{BrowseLedger, BuildRow, Part, ProjectRow};
pub use error::{Cause, Fault, LedgerError};
pub use rows::{
    Access, CommitRows, Creation, GonePack, MendedStash, NewReader, NewSession, OpenedReader, OpenedSession,
    PackId, PackRow, PackState, RebuiltPack, ScopeId, SessionRow, StashRow, Sweep, Swept,
};
pub use sqlite::SqliteLedger;
