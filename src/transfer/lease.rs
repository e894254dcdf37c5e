//! The URLs of a stash's packs while it is read: renewed once for all of them when one has ended, by whichever thread
//! notices first. Reads nothing itself.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{PackName, SignedUrl};
use crate::protocol::{PackDownload, SessionId};

use super::remote::{Remote, RemoteError};

/// A read session and the URLs that it was given last.
pub struct ReadLease<'a> {
    pub(super) remote: &'a dyn Remote,
    session: SessionId,
    renewed: Mutex<Renewed>,
}

/// URLs that replace those of the packs' own descriptions, and how often they were renewed.
#[derive(Default)]
struct Renewed {
    times: u64,
    urls: HashMap<PackName, SignedUrl>,
}

/// A URL, and after how many renewals it was given.
pub(super) struct LeasedUrl {
    pub(super) url: SignedUrl,
    times: u64,
}

impl<'a> ReadLease<'a> {
    /// The lease under which packs were given.
    pub fn new(remote: &'a dyn Remote, session: SessionId) -> Self {
        Self { remote, session, renewed: Mutex::default() }
    }

    /// The newest URL of a pack.
    pub(super) fn url(&self, pack: &PackDownload) -> LeasedUrl {
        let renewed = self.lock();
        let url = renewed.urls.get(&pack.name).unwrap_or(&pack.get).clone();
        LeasedUrl { url, times: renewed.times }
    }

    /// A newer URL than `ended`. Threads that come while one asks wait for its answer.
    pub(super) fn renew(&self, pack: &PackDownload, ended: &LeasedUrl) -> Result<LeasedUrl, RemoteError> {
        let mut renewed = self.lock();
        if renewed.times == ended.times {
            let packs = self.remote.renew_gets(self.session)?;
            renewed.urls = packs.into_iter().map(|pack| (pack.name, pack.get)).collect();
            renewed.times += 1;
        }
        drop(renewed);
        Ok(self.url(pack))
    }

    fn lock(&self) -> MutexGuard<'_, Renewed> {
        // URLs are replaced at once, after the request.
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
