//! The lists that people look through. Reads alone.

use rusqlite::{Row, params};

use crate::controller::ledger::{Access, BrowseLedger, BuildRow, LedgerError, Part, ProjectRow};
use crate::protocol::BuildId;

use super::connection::SqliteLedger;
use super::rows::{all, scope_list, signed, unsigned};

impl BrowseLedger for SqliteLedger {
    fn projects(
        &self,
        access: &Access,
        only: Option<&str>,
        part: Part,
    ) -> Result<Vec<ProjectRow>, LedgerError> {
        let scopes = scope_list(access);
        let sql = format!(
            "SELECT b.project, count(DISTINCT b.build), count(s.id), {}, max(s.committed_at), {}
             FROM builds b LEFT JOIN stashes s ON s.build = b.id
             WHERE b.scope IN ({scopes}) AND (?1 IS NULL OR b.project = ?1)
             GROUP BY b.project ORDER BY b.project LIMIT ?2 OFFSET ?3",
            of_artifacts("count(*)", &scopes, "o.project = b.project"),
            of_artifacts("max(a.created_at)", &scopes, "o.project = b.project"),
        );
        let parameters = params![only, signed(part.most), signed(part.skip)];
        self.read(|transaction| all(transaction, &sql, parameters, project))
    }

    fn builds(&self, access: &Access, project: &str, part: Part) -> Result<Vec<BuildRow>, LedgerError> {
        self.read(|transaction| {
            let sql = builds_where(access, "b.project = ?1");
            all(transaction, &sql, params![project, signed(part.most), signed(part.skip)], build)
        })
    }

    fn build(&self, access: &Access, at: &BuildId) -> Result<Option<BuildRow>, LedgerError> {
        self.read(|transaction| {
            let sql = builds_where(access, "b.project = ?1 AND b.build = ?4");
            Ok(all(transaction, &sql, params![at.project, 1, 0, at.build], build)?.pop())
        })
    }
}

/// Builds, each with the bytes of the packs that its stashes need in any of the scopes. A build of one name may stand
/// in several scopes: to those who read them all it is one.
fn builds_where(access: &Access, condition: &str) -> String {
    let scopes = scope_list(access);
    let same = "o.project = b.project AND o.build = b.build";
    let artifacts = ["count(*)", "coalesce(sum(a.len), 0)", "max(a.created_at)"];
    let [count, bytes, last_at] = artifacts.map(|value| of_artifacts(value, &scopes, same));
    format!(
        "SELECT b.project, b.build, count(s.id), coalesce(sum(s.bytes), 0),
           (SELECT coalesce(sum(p.len), 0) FROM packs p WHERE p.id IN (
              SELECT r.pack FROM builds o JOIN stashes t ON t.build = o.id JOIN stash_packs r ON r.stash = t.id
              WHERE o.scope IN ({scopes}) AND {same})),
           {count}, {bytes}, max(s.committed_at) AS stash_at, {last_at} AS artifact_at
         FROM builds b LEFT JOIN stashes s ON s.build = b.id
         WHERE b.scope IN ({scopes}) AND {condition}
         GROUP BY b.project, b.build
         ORDER BY nullif(max(ifnull(stash_at, -1), ifnull(artifact_at, -1)), -1) DESC NULLS LAST, b.build DESC
         LIMIT ?2 OFFSET ?3"
    )
}

/// A value over the finished artifacts of builds `o`.
fn of_artifacts(value: &str, scopes: &str, builds: &str) -> String {
    format!(
        "(SELECT {value} FROM builds o JOIN artifacts a ON a.build = o.id
          WHERE o.scope IN ({scopes}) AND {builds} AND a.state = 2)"
    )
}

fn project(row: &Row<'_>) -> Result<ProjectRow, LedgerError> {
    Ok(ProjectRow {
        project: row.get(0)?,
        builds: unsigned(row, 1)?,
        stashes: unsigned(row, 2)?,
        artifacts: unsigned(row, 3)?,
        last_at: row.get::<_, Option<i64>>(4)?.max(row.get(5)?),
    })
}

fn build(row: &Row<'_>) -> Result<BuildRow, LedgerError> {
    Ok(BuildRow {
        build: BuildId { project: row.get(0)?, build: row.get(1)? },
        stashes: unsigned(row, 2)?,
        bytes: unsigned(row, 3)?,
        pack_bytes: unsigned(row, 4)?,
        artifacts: unsigned(row, 5)?,
        artifact_bytes: unsigned(row, 6)?,
        last_at: row.get::<_, Option<i64>>(7)?.max(row.get(8)?),
    })
}
