//! The chunk index and the pages' packs.
//!
//! Lookups are prepared point queries, one a digest, in the order of the tree: neighbours share its inner pages. The
//! states of the few packs that they lead to are kept for the length of a request.

use std::collections::{HashMap, HashSet};

use rusqlite::{OptionalExtension, Transaction, params};

use crate::controller::ledger::{Access, LedgerError, PackId, ScopeId};
use crate::model::Digest;
use crate::protocol::SessionId;

use super::connection::{SqliteLedger, Sync};
use super::index::Finder;
use super::rows::signed;

const LIVE: i64 = 1;
const CONDEMNED: i64 = 2;

impl SqliteLedger {
    pub(super) fn pin_present_chunks(
        &self,
        access: &Access,
        session: SessionId,
        digests: &[Digest],
    ) -> Result<Vec<bool>, LedgerError> {
        let (packs, new) = self.read(|transaction| {
            let packs = lookup(transaction, access, digests, &[LIVE])?;
            let mut new: HashSet<PackId> = packs.iter().flatten().copied().collect();
            let mut pinned =
                transaction.prepare_cached("SELECT 1 FROM pins WHERE session = ?1 AND pack = ?2")?;
            for pack in new.clone() {
                if pinned.exists([signed(session.0), pack.0])? {
                    new.remove(&pack);
                }
            }
            Ok((packs, new))
        })?;
        let lost = if new.is_empty() { HashSet::new() } else { self.pin(session, &new)? };
        Ok(packs.into_iter().map(|pack| pack.is_some_and(|pack| !lost.contains(&pack))).collect())
    }

    /// Pins those of `packs` that are still live; answers the others.
    fn pin(&self, session: SessionId, packs: &HashSet<PackId>) -> Result<HashSet<PackId>, LedgerError> {
        self.write(Sync::Ordered, |transaction| {
            let open = transaction
                .prepare_cached("SELECT 1 FROM sessions WHERE id = ?1 AND state = 0")?
                .exists([signed(session.0)])?;
            if !open {
                return Err(LedgerError::SessionEnded(session));
            }
            let mut live = transaction.prepare_cached("SELECT 1 FROM packs WHERE id = ?1 AND state = 1")?;
            let mut pin = transaction.prepare_cached("INSERT OR IGNORE INTO pins VALUES (?1, ?2)")?;
            let mut lost = HashSet::new();
            for pack in packs {
                match live.exists([pack.0])? {
                    true => drop(pin.execute([signed(session.0), pack.0])?),
                    false => drop(lost.insert(*pack)),
                }
            }
            Ok(lost)
        })
    }

    pub(super) fn locate_chunks(
        &self,
        access: &Access,
        digests: &[Digest],
    ) -> Result<Vec<Option<PackId>>, LedgerError> {
        self.read(|transaction| lookup(transaction, access, digests, &[LIVE, CONDEMNED]))
    }

    pub(super) fn known_pages(
        &self,
        access: &Access,
        pages: &[Digest],
    ) -> Result<Vec<Option<Vec<PackId>>>, LedgerError> {
        self.read(|transaction| {
            let mut states = PackStates::default();
            pages.iter().map(|page| known_page(transaction, access, page, &mut states)).collect()
        })
    }
}

fn lookup(
    transaction: &Transaction<'_>,
    access: &Access,
    digests: &[Digest],
    wanted: &[i64],
) -> Result<Vec<Option<PackId>>, LedgerError> {
    let mut finder = Finder::new(transaction)?;
    let mut states = PackStates::default();
    let mut found = vec![None; digests.len()];
    let mut unknown: Vec<(&Digest, &mut Option<PackId>)> = digests.iter().zip(&mut found).collect();
    unknown.sort_unstable_by_key(|(digest, _)| *digest);
    for scope in &access.read {
        let mut still = Vec::new();
        for (digest, pack) in unknown {
            match finder.pack(*scope, digest)? {
                Some(candidate) if states.is_one_of(transaction, candidate, wanted)? => {
                    *pack = Some(candidate);
                }
                _ => still.push((digest, pack)),
            }
        }
        unknown = still;
    }
    Ok(found)
}

fn known_page(
    transaction: &Transaction<'_>,
    access: &Access,
    page: &Digest,
    states: &mut PackStates,
) -> Result<Option<Vec<PackId>>, LedgerError> {
    let mut statement = transaction
        .prepare_cached("SELECT pack FROM page_packs WHERE scope = ?1 AND page = ?2 ORDER BY pack")?;
    for ScopeId(scope) in &access.read {
        let rows = statement.query_map(params![scope, page.as_bytes()], |row| row.get(0).map(PackId))?;
        let packs = rows.collect::<Result<Vec<PackId>, _>>()?;
        let mut whole = !packs.is_empty();
        for pack in &packs {
            whole &= matches!(states.of(transaction, *pack)?, Some(LIVE | CONDEMNED));
        }
        if whole {
            return Ok(Some(packs));
        }
    }
    Ok(None)
}

/// States of packs as one transaction sees them.
#[derive(Default)]
struct PackStates(HashMap<PackId, Option<i64>>);

impl PackStates {
    fn is_one_of(
        &mut self,
        transaction: &Transaction<'_>,
        pack: PackId,
        wanted: &[i64],
    ) -> Result<bool, LedgerError> {
        Ok(self.of(transaction, pack)?.is_some_and(|state| wanted.contains(&state)))
    }

    fn of(&mut self, transaction: &Transaction<'_>, pack: PackId) -> Result<Option<i64>, LedgerError> {
        if let Some(state) = self.0.get(&pack) {
            return Ok(*state);
        }
        let mut statement = transaction.prepare_cached("SELECT state FROM packs WHERE id = ?1")?;
        let state = statement.query_row([pack.0], |row| row.get(0)).optional()?;
        self.0.insert(pack, state);
        Ok(state)
    }
}
