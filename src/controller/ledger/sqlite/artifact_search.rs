//! The search for artifacts of one build, and for the build. Rows come in the order of an index and are left as soon as
//! there are enough; whether a path fits is asked of the caller, row by row.

use rusqlite::{Transaction, named_params};

use crate::controller::ledger::{
    Access, ArtifactRow, ArtifactSearch, FoundRows, LedgerError, SearchPlace, SearchedBuilds,
};
use crate::protocol::BuildId;

use super::artifact_rows::{artifact, artifacts_where, builds_named, state_number};
use super::connection::SqliteLedger;
use super::rows::{all, scope_list};

/// Builds with artifacts that a search for the newest one looks into.
const MOST_BUILDS: usize = 1000;

/// Whether no higher attempt of the same run of a step made artifacts. Where no step is known, the job stands for it.
const LATEST_ATTEMPT: &str =
    "NOT EXISTS (SELECT 1 FROM jobs n WHERE n.build = j.build AND n.attempt > j.attempt
  AND coalesce(n.step, n.job) = coalesce(j.step, j.job) AND coalesce(n.shard, '') = coalesce(j.shard, ''))";

impl SqliteLedger {
    pub(super) fn search_builds(
        &self,
        access: &Access,
        search: &ArtifactSearch<'_>,
    ) -> Result<Option<FoundRows>, LedgerError> {
        self.read(|transaction| match &search.builds {
            SearchedBuilds::Named(build) => {
                let builds = builds_named(transaction, access, build)?;
                search_one(transaction, access, search, build, &builds)
            }
            SearchedBuilds::Newest { .. } => {
                for (number, build) in candidates(transaction, access, search)? {
                    let found = search_one(transaction, access, search, &build, &[number])?;
                    let goes_on = search.after.is_some();
                    if let Some(found) = found.filter(|found| goes_on || !found.artifacts.is_empty()) {
                        return Ok(Some(found));
                    }
                }
                Ok(None)
            }
        })
    }
}

/// Builds that may be the newest one that fits, newest first.
fn candidates(
    transaction: &Transaction<'_>,
    access: &Access,
    search: &ArtifactSearch<'_>,
) -> Result<Vec<(i64, BuildId)>, LedgerError> {
    let SearchedBuilds::Newest { project, not_build, branch, commit, now } = search.builds else {
        return Ok(Vec::new());
    };
    let read =
        |row: &rusqlite::Row<'_>| Ok((row.get(0)?, BuildId { project: row.get(1)?, build: row.get(2)? }));
    let scopes = scope_list(access);
    if let Some(after) = &search.after {
        let sql = format!(
            "SELECT id, project, build FROM builds WHERE id = :build AND project = :project AND scope IN ({scopes})"
        );
        let parameters = named_params! { ":build": after.build, ":project": project };
        return all(transaction, &sql, parameters, read);
    }
    let sql = format!(
        "SELECT b.id, b.project, b.build FROM builds b
         WHERE b.scope IN ({scopes}) AND b.project = :project AND (:not_build IS NULL OR b.build <> :not_build)
           AND (:branch IS NULL OR b.branch = :branch) AND (:commit IS NULL OR b.revision = :commit)
           AND EXISTS (SELECT 1 FROM artifacts a WHERE a.build = b.id)
           AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.build = b.id AND a.state = 0)
           AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.scope = b.scope AND s.project = b.project
             AND s.build = b.build AND s.state = 0 AND s.kind = 0 AND s.expires_at > :now)
         ORDER BY b.id DESC LIMIT {MOST_BUILDS}"
    );
    let parameters = named_params! {
        ":project": project, ":not_build": not_build, ":branch": branch, ":commit": commit, ":now": now,
    };
    all(transaction, &sql, parameters, read)
}

/// What fits in builds of one name; `None` if there is no such build.
fn search_one(
    transaction: &Transaction<'_>,
    access: &Access,
    search: &ArtifactSearch<'_>,
    build: &BuildId,
    builds: &[i64],
) -> Result<Option<FoundRows>, LedgerError> {
    let Some(first) = builds.first() else { return Ok(None) };
    let mut statement = transaction.prepare_cached(&query(search, builds))?;
    // A path that begins with the prefix is not less than it; the first that does not ends the search.
    let from = search.after.as_ref().map_or(search.prefix, |after| after.path.as_str()).max(search.prefix);
    let number = search.after.as_ref().map_or(i64::MAX, |after| after.number);
    let mut rows = statement.query(
        named_params! { ":from": from, ":number": number, ":step": search.step.unwrap_or_default() },
    )?;
    let mut found = FoundRows { build: build.clone(), artifacts: Vec::new(), next: None };
    let mut last: Option<(String, i64)> =
        search.after.as_ref().map(|after| (after.path.clone(), after.number));
    while let Some(row) = rows.next()? {
        let path = row.get_ref(15)?.as_str().map_err(|_| LedgerError::Row("path"))?;
        if !path.starts_with(search.prefix) || (search.exact && path != search.prefix) {
            break;
        }
        let again = !search.include_duplicates && last.as_ref().is_some_and(|(seen, _)| seen == path);
        if again || !(search.fits)(path) {
            continue;
        }
        if found.artifacts.len() == search.most {
            found.next = last.map(|(path, number)| SearchPlace { build: *first, number, path });
            break;
        }
        let row: ArtifactRow = artifact(row, access)?;
        last = Some((row.path.clone(), row.number));
        found.artifacts.push(row);
    }
    Ok(Some(found))
}

fn query(search: &ArtifactSearch<'_>, builds: &[i64]) -> String {
    let list = |numbers: &mut dyn Iterator<Item = i64>| {
        numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
    };
    let builds = list(&mut builds.iter().copied());
    let states = list(&mut search.states.iter().map(|state| state_number(*state)));
    let retried = if search.include_retried { "1" } else { LATEST_ATTEMPT };
    let step = match search.step {
        Some(_) => "(j.step = :step OR j.label = :step OR j.job = :step)",
        None => ":step = ''",
    };
    let place = "a.path >= :from AND (a.path > :from OR a.id < :number)";
    let condition =
        format!("a.build IN ({builds}) AND {place} AND a.state IN ({states}) AND {step} AND {retried}");
    artifacts_where(&format!("{condition} ORDER BY a.path, a.id DESC"))
}
