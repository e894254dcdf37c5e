//! Rows to values. The one place that knows the order of columns and the numbers of states.

use rusqlite::{Row, Transaction, named_params};

use crate::controller::ledger::{Access, LedgerError, PackId, PackRow, PackState, ScopeId, StashRow};
use crate::model::manifest::Totals;
use crate::model::{Digest, PackName};
use crate::protocol::{BuildId, SessionId, StashInfo, StashName};

/// Columns that [`pack`] reads, from `packs AS p`.
pub(super) const PACK: &str =
    "p.id, p.name, p.scope, p.state, p.len, p.tail_len, p.footer_digest, p.has_manifest, p.session";

/// A stash with its build and packs, for [`stash`]; a WHERE clause follows, over `s` (stashes) and `b` (builds).
pub(super) const STASH: &str =
    "SELECT s.id, b.project, b.build, s.name, s.root, s.entries, s.files, s.directories,
  s.symlinks, s.hard_links, s.bytes, s.committed_at,
  (SELECT count(*) FROM stash_packs r WHERE r.stash = s.id),
  (SELECT coalesce(sum(p.len), 0) FROM stash_packs r JOIN packs p ON p.id = r.pack WHERE r.stash = s.id), b.scope, s.patches
  FROM stashes s JOIN builds b ON b.id = s.build ";

pub(super) fn state_number(state: PackState) -> i64 {
    match state {
        PackState::Pending => 0,
        PackState::Live => 1,
        PackState::Condemned => 2,
        PackState::Quarantined => 3,
        PackState::Deleted => 4,
    }
}

fn state(number: i64) -> Option<PackState> {
    use PackState::{Condemned, Deleted, Live, Pending, Quarantined};
    [Pending, Live, Condemned, Quarantined, Deleted].get(usize::try_from(number).ok()?).copied()
}

pub(super) fn pack(row: &Row<'_>) -> Result<PackRow, LedgerError> {
    Ok(PackRow {
        id: PackId(row.get(0)?),
        name: PackName(row.get(1)?),
        scope: ScopeId(row.get(2)?),
        state: state(row.get(3)?).ok_or(LedgerError::Row("pack state"))?,
        len: unsigned(row, 4)?,
        tail_len: unsigned(row, 5)?,
        footer_digest: digest(row, 6)?,
        has_manifest: row.get(7)?,
        session: SessionId(unsigned(row, 8)?),
    })
}

pub(super) fn stash(row: &Row<'_>) -> Result<StashRow, LedgerError> {
    let name: String = row.get(3)?;
    let info = StashInfo {
        build: BuildId { project: row.get(1)?, build: row.get(2)? },
        name: StashName::try_from(name).map_err(|_| LedgerError::Row("stash name"))?,
        id: digest(row, 4)?,
        patches: row.get::<_, Option<[u8; Digest::LEN]>>(15)?.map(Digest::from_bytes),
        totals: Totals {
            entries: unsigned(row, 5)?,
            files: unsigned(row, 6)?,
            directories: unsigned(row, 7)?,
            symlinks: unsigned(row, 8)?,
            hard_links: unsigned(row, 9)?,
            bytes: unsigned(row, 10)?,
        },
        committed_at: row.get(11)?,
        packs: unsigned(row, 12)?,
        pack_bytes: unsigned(row, 13)?,
    };
    Ok(StashRow { id: row.get(0)?, scope: ScopeId(row.get(14)?), info })
}

pub(super) fn digest(row: &Row<'_>, column: usize) -> Result<Digest, LedgerError> {
    Ok(Digest::from_bytes(row.get(column)?))
}

/// Counts fit 63 bits: nothing larger is ever stored.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> Result<u64, LedgerError> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|_| LedgerError::Row("count"))
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// All rows of a query, each read by `read`.
pub(super) fn all<T>(
    transaction: &Transaction<'_>,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, LedgerError>,
) -> Result<Vec<T>, LedgerError> {
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        values.push(read(row)?);
    }
    Ok(values)
}

/// The read scopes as a list inside SQL's parentheses; numbers alone, so nothing can be injected.
pub(super) fn scope_list(access: &Access) -> String {
    access.read.iter().map(|scope| scope.0.to_string()).collect::<Vec<_>>().join(",")
}

/// The stash of a name in the first read scope that has it.
pub(super) fn find_stash(
    transaction: &Transaction<'_>,
    access: &Access,
    build: &BuildId,
    name: &StashName,
) -> Result<Option<StashRow>, LedgerError> {
    let sql = format!(
        "{STASH} WHERE b.scope = :scope AND b.project = :project AND b.build = :build AND s.name = :name"
    );
    for scope in &access.read {
        let mut statement = transaction.prepare_cached(&sql)?;
        let mut rows = statement.query(named_params! {
            ":scope": scope.0, ":project": build.project, ":build": build.build, ":name": name.as_str(),
        })?;
        if let Some(row) = rows.next()? {
            return stash(row).map(Some);
        }
    }
    Ok(None)
}
