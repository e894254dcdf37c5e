//! The chunk index's own layout: which row a digest stands in. Not what a pack's state means for an answer.
//!
//! A row's key is an integer made of the first eight bytes of the digest, which SQLite compares and packs far cheaper
//! than a 32-byte blob; the row holds the other 24 and the scope, so nothing is ever taken for another chunk. Digests
//! are uniform, so two chunks hardly ever want one key, unless somebody searches for such a pair: the second then
//! stands in `displaced_chunks`, an ordinary tree that is empty otherwise.

use std::ops::RangeInclusive;

use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};

use crate::controller::ledger::{LedgerError, PackId, ScopeId};
use crate::model::Digest;

/// Spreads the scopes over the keys (2⁶⁴ divided by the golden ratio, odd): one chunk has another key in each scope.
const SCOPE_SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// The key of a digest in a scope, and what the row holds of it. Keys of sorted digests ascend, but for one step in other
/// scopes than the first, where they begin anew.
fn split(ScopeId(scope): ScopeId, digest: &Digest) -> (i64, &[u8]) {
    let (first, rest) = digest.as_bytes().split_at(8);
    let first = first.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let spread = SCOPE_SPREAD.wrapping_mul((scope as u64).wrapping_sub(1));
    // SQLite's integers have a sign: the smallest is the first.
    ((first.wrapping_add(spread) ^ (1 << 63)) as i64, rest)
}

/// Looks chunks up.
pub(super) struct Finder<'t> {
    by_key: CachedStatement<'t>,
    displaced: Option<CachedStatement<'t>>,
}

impl<'t> Finder<'t> {
    pub(super) fn new(transaction: &'t Transaction<'_>) -> Result<Self, LedgerError> {
        let any = transaction.prepare_cached("SELECT 1 FROM displaced_chunks LIMIT 1")?.exists([])?;
        let sql = "SELECT pack FROM displaced_chunks WHERE scope = ?1 AND digest = ?2";
        Ok(Self {
            by_key: transaction.prepare_cached("SELECT scope, rest, pack FROM chunks WHERE key = ?1")?,
            displaced: if any { Some(transaction.prepare_cached(sql)?) } else { None },
        })
    }

    /// The pack that the index names for a chunk.
    pub(super) fn pack(&mut self, scope: ScopeId, digest: &Digest) -> Result<Option<PackId>, LedgerError> {
        if let Some((pack, true)) = held(&mut self.by_key, scope, digest)? {
            return Ok(Some(pack));
        }
        let Some(displaced) = &mut self.displaced else { return Ok(None) };
        let parameters = params![scope.0, digest.as_bytes()];
        Ok(displaced.query_row(parameters, |row| row.get(0).map(PackId)).optional()?)
    }
}

/// The pack in the row of that key, and whether the row is this chunk's own.
fn held(
    by_key: &mut CachedStatement<'_>,
    scope: ScopeId,
    digest: &Digest,
) -> Result<Option<(PackId, bool)>, LedgerError> {
    let (key, rest) = split(scope, digest);
    by_key.raw_bind_parameter(1, key)?;
    let mut rows = by_key.raw_query();
    let Some(row) = rows.next()? else { return Ok(None) };
    let own = row.get::<_, i64>(0)? == scope.0 && row.get_ref(1)?.as_blob().is_ok_and(|held| held == rest);
    Ok(Some((PackId(row.get(2)?), own)))
}

/// Writes chunks down.
pub(super) struct Indexer<'t> {
    scope: ScopeId,
    insert: CachedStatement<'t>,
    by_key: CachedStatement<'t>,
    state: CachedStatement<'t>,
    update: CachedStatement<'t>,
    displaced: CachedStatement<'t>,
    displace: CachedStatement<'t>,
}

/// States of packs whose rows in the index stand, or are healed; as the schema numbers them.
const LIVE: i64 = 1;
const QUARANTINED: i64 = 3;

impl<'t> Indexer<'t> {
    pub(super) fn new(transaction: &'t Transaction<'_>, scope: ScopeId) -> Result<Self, LedgerError> {
        let statement = |sql| transaction.prepare_cached(sql);
        Ok(Self {
            scope,
            insert: statement("INSERT INTO chunks VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?,
            by_key: statement("SELECT scope, rest, pack FROM chunks WHERE key = ?1")?,
            state: statement("SELECT state FROM packs WHERE id = ?1")?,
            update: statement("UPDATE chunks SET pack = ?2 WHERE key = ?1")?,
            displaced: statement("SELECT pack FROM displaced_chunks WHERE scope = ?1 AND digest = ?2")?,
            displace: statement("INSERT OR REPLACE INTO displaced_chunks VALUES (?1, ?2, ?3)")?,
        })
    }

    /// Indexes a chunk of a live pack unless the index names another live one for it already. The pack that it stood
    /// in, if that was set aside.
    pub(super) fn add(&mut self, digest: &Digest, pack: PackId) -> Result<Option<PackId>, LedgerError> {
        let (key, rest) = split(self.scope, digest);
        // Most chunks are new: one descent into the tree, and no more.
        self.insert.raw_bind_parameter(1, key)?;
        self.insert.raw_bind_parameter(2, self.scope.0)?;
        self.insert.raw_bind_parameter(3, pack.0)?;
        self.insert.raw_bind_parameter(4, rest)?;
        if self.insert.raw_execute()? == 1 {
            return Ok(None);
        }
        let own =
            held(&mut self.by_key, self.scope, digest)?.filter(|(_, own)| *own).map(|(before, _)| before);
        let parameters = params![self.scope.0, digest.as_bytes()];
        let before = match own {
            Some(before) => Some(before),
            None => self.displaced.query_row(parameters, |row| row.get(0).map(PackId)).optional()?,
        };
        let state = match before {
            Some(before) => self.state.query_row([before.0], |row| row.get::<_, i64>(0)).optional()?,
            None => None,
        };
        if state == Some(LIVE) {
            return Ok(None);
        }
        match own {
            Some(_) => self.update.execute([key, pack.0])?,
            None => self.displace.execute(params![self.scope.0, digest.as_bytes(), pack.0])?,
        };
        Ok(before.filter(|_| state == Some(QUARANTINED)))
    }
}

/// Takes chunks of a scope out of the index where it names that pack.
pub(super) fn remove(
    transaction: &Transaction<'_>,
    scope: ScopeId,
    pack: PackId,
    digests: &[Digest],
) -> Result<(), LedgerError> {
    let mut by_key = transaction.prepare_cached("DELETE FROM chunks WHERE key = ?1 AND pack = ?2")?;
    let mut displaced = transaction
        .prepare_cached("DELETE FROM displaced_chunks WHERE scope = ?1 AND digest = ?2 AND pack = ?3")?;
    for digest in digests {
        by_key.execute([split(scope, digest).0, pack.0])?;
        displaced.execute(params![scope.0, digest.as_bytes(), pack.0])?;
    }
    Ok(())
}

/// Parts of a slice's keys: a slice of a ledger of ten million chunks has about 40,000.
const SLICE_BITS: u32 = 8;

/// All keys, in ranges of the same size.
pub(super) fn slices() -> impl Iterator<Item = RangeInclusive<i64>> {
    let size = 1 << (64 - SLICE_BITS);
    (0..1i64 << SLICE_BITS).map(move |slice| {
        let first = i64::MIN.wrapping_add(slice.wrapping_mul(size));
        first..=first.wrapping_add(size - 1)
    })
}

/// Takes every chunk of a slice out of the index that it names one of those packs for; displaced chunks whatever
/// their slice.
pub(super) fn remove_slice(
    transaction: &Transaction<'_>,
    slice: &RangeInclusive<i64>,
    packs: &[PackId],
) -> Result<(), LedgerError> {
    // Numbers alone: nothing can be injected.
    let list = packs.iter().map(|pack| pack.0.to_string()).collect::<Vec<_>>().join(",");
    let sql = format!("DELETE FROM chunks WHERE key BETWEEN ?1 AND ?2 AND pack IN ({list})");
    transaction.prepare_cached(&sql)?.execute([slice.start(), slice.end()])?;
    transaction.execute(&format!("DELETE FROM displaced_chunks WHERE pack IN ({list})"), [])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves that no key is left out of the slices, and none is in two.
    #[test]
    fn slices_are_all_keys_once() {
        let all: Vec<_> = slices().collect();
        assert_eq!((*all[0].start(), *all[all.len() - 1].end()), (i64::MIN, i64::MAX));
        assert!(all.windows(2).all(|pair| pair[0].end() + 1 == *pair[1].start()));
    }

    /// Proves that sorted digests of the first scope are inserted in the tree's order, and those of another scope in
    /// two runs at most: that is what makes a commit cheap.
    #[test]
    fn keys_ascend_with_digests() {
        let mut digests: Vec<Digest> = (0..1000u32).map(|n| Digest::of(&n.to_le_bytes())).collect();
        digests.sort_unstable();
        for scope in 1..20 {
            let keys: Vec<i64> = digests.iter().map(|digest| split(ScopeId(scope), digest).0).collect();
            let steps_back = keys.windows(2).filter(|pair| pair[0] > pair[1]).count();
            assert!(steps_back <= usize::from(scope > 1), "scope {scope}: {steps_back}");
        }
    }
}
