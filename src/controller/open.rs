//! Opens a data folder: the ledger and the store in it. Answers no request.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::controller::artifacts::ContentSums;
use crate::controller::clock::{Clock, ProcessClock, SystemClock};
use crate::controller::error::ControllerError;
use crate::controller::ledger::{Creation, Ledger, LedgerError, SqliteLedger};
use crate::controller::pack_source::SharedTails;
use crate::controller::store::{DiskStore, Store};

/// The ledger's file in a data folder.
pub const LEDGER_FILE: &str = "ledger.sqlite";
/// How long a session lives without a request, in seconds; also how long a signed URL may.
pub(super) const LEASE_SECONDS: i64 = 15 * 60;
/// How long a reader in this very process may take where nothing renews its lease; its end is seen long before.
const OWN_READER_SECONDS: i64 = 12 * 60 * 60;

/// A ledger and a store, and the rules between them. Shared between threads; other processes may open the same folder.
pub struct Controller {
    pub(super) ledger: Box<dyn Ledger>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    /// For people who look from page to page.
    pub(super) tails: SharedTails,
    /// For artifacts that no store compared.
    pub(super) content_sums: ContentSums,
}

impl Controller {
    /// Opens `folder`, making `ledger.sqlite` in it if it has neither ledger nor packs.
    pub fn open(folder: &Path) -> Result<Self, ControllerError> {
        Self::open_with(folder, false)
    }

    /// Opens `folder` to rebuild it: a damaged ledger is moved aside, a lost one is made anew. The next call should be
    /// [`Controller::verify`] with `rebuild_index`.
    pub fn open_to_rebuild(folder: &Path) -> Result<Self, ControllerError> {
        let opened = Self::open_with(folder, true).and_then(|controller| {
            controller.ledger.check()?;
            Ok(controller)
        });
        match opened {
            Err(ControllerError::Ledger(LedgerError::Corrupt { path, .. })) => {
                move_aside(&path).map_err(|source| ControllerError::Folder { path, source })?;
                Self::open_with(folder, true)
            }
            other => other,
        }
    }

    /// Opens `folder` for a server whose packs lie in `store`, making its ledger if the store holds no packs.
    pub fn open_to_serve(folder: &Path, store: Box<dyn Store>) -> Result<Self, ControllerError> {
        let mut unseen = None;
        let creation = || match store.holds_packs() {
            Ok(false) => Creation::New,
            Ok(true) => Creation::Refuse,
            Err(error) => {
                unseen = Some(error);
                Creation::Refuse
            }
        };
        let opened = SqliteLedger::open_to_stay(&folder.join(LEDGER_FILE), creation);
        // Whether a store that does not answer holds packs nobody knows; that is what has to be mended.
        let ledger = opened.map_err(|error| unseen.map_or_else(|| lost(error), ControllerError::Store))?;
        Ok(Self::with_parts(Box::new(ledger), store, Arc::new(SystemClock)))
    }

    /// A controller of other parts: another store, a clock that tests move.
    pub fn with_parts(ledger: Box<dyn Ledger>, store: Box<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let (tails, content_sums) = Default::default();
        Self { ledger, store: store.into(), clock, tails, content_sums }
    }

    /// A name of this ledger that no other has.
    pub fn identity(&self) -> Result<String, ControllerError> {
        Ok(self.ledger.identity()?)
    }

    fn open_with(folder: &Path, rebuild: bool) -> Result<Self, ControllerError> {
        let failed = |source| ControllerError::Folder { path: folder.to_owned(), source };
        let folder = std::path::absolute(folder).map_err(failed)?;
        if !folder.is_dir() {
            fs_err::create_dir_all(&folder).map_err(failed)?;
        }
        let store = DiskStore::open(&folder.join("store"));
        let creation = || match store.holds_packs() {
            Ok(false) => Creation::New,
            // An unreadable store is no reason to make a ledger.
            _ if rebuild => Creation::BesidePacks,
            _ => Creation::Refuse,
        };
        let ledger = SqliteLedger::open(&folder.join(LEDGER_FILE), creation).map_err(lost)?;
        Ok(Self::with_parts(Box::new(ledger), Box::new(store), Arc::new(ProcessClock::default())))
    }

    /// When a read lease that begins now ends.
    pub(super) fn reader_expires_at(&self, owner: Option<&str>) -> i64 {
        self.clock.now() + if owner.is_some() { OWN_READER_SECONDS } else { LEASE_SECONDS }
    }
}

fn lost(error: LedgerError) -> ControllerError {
    match error {
        LedgerError::Missing(path) => ControllerError::LedgerLost(path),
        other => other.into(),
    }
}

/// The damaged file stays, for whoever can still read names out of it.
fn move_aside(path: &Path) -> std::io::Result<()> {
    let beside = |suffix: &str| -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    };
    for suffix in ["-wal", "-shm"] {
        let side = beside(suffix);
        if side.exists() {
            fs_err::rename(&side, beside(&format!("{suffix}.damaged")))?;
        }
    }
    fs_err::rename(path, beside(".damaged"))
}
