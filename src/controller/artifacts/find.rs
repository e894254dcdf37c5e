//! Finds artifacts: by query, by name; deletes one. Signs a URL only for what is finished and for who may read it.

use crate::controller::caller::Caller;
use crate::controller::error::ControllerError;
use crate::controller::ledger::{ArtifactRow, ArtifactSearch, BlobState, SearchPlace, SearchedBuilds};
use crate::controller::open::Controller;
use crate::controller::store::AnswerHeaders;
use crate::model::{ObjectName, SignedUrl};
use crate::pattern::Wildcard;
use crate::protocol::BuildId;
use crate::protocol::artifact::{
    ArtifactId, ArtifactInfo, ArtifactQuery, ArtifactState, FoundArtifacts, MAX_ARTIFACTS,
};

use super::check::unfit;
use super::disposition::disposition;

impl Controller {
    /// Finds artifacts of one build, by path; one page of them.
    pub fn search_artifacts(
        &self,
        caller: &Caller,
        query: &ArtifactQuery,
    ) -> Result<FoundArtifacts, ControllerError> {
        let named =
            BuildId { project: query.project.clone(), build: query.build.clone().unwrap_or_default() };
        caller.require_read(&named)?;
        let builds = match &query.build {
            Some(_) => SearchedBuilds::Named(&named),
            None => SearchedBuilds::Newest {
                project: &query.project,
                not_build: query.not_build.as_deref(),
                branch: query.branch.as_deref(),
                commit: query.commit.as_deref(),
                now: self.clock.now(),
            },
        };
        let wildcard = Wildcard::new(&query.path);
        let search = ArtifactSearch {
            builds,
            prefix: wildcard.prefix,
            exact: wildcard.is_exact(),
            fits: &|path| wildcard.fits(path),
            step: query.step.as_deref(),
            include_retried: query.include_retried,
            include_duplicates: query.include_duplicates,
            states: if query.states.is_empty() { &[ArtifactState::Finished] } else { &query.states },
            after: query.after.as_deref().map(place_of).transpose()?,
            most: MAX_ARTIFACTS,
        };
        let Some(found) = self.ledger.search_artifacts(&caller.access, &search)? else {
            return Ok(FoundArtifacts { build: None, artifacts: Vec::new(), next: None });
        };
        let artifacts = found.artifacts.into_iter().map(|row| self.info(row, query.signed));
        Ok(FoundArtifacts {
            build: Some(found.build),
            artifacts: artifacts.collect::<Result<_, _>>()?,
            next: found.next.as_ref().map(text_of),
        })
    }

    /// One artifact, with a URL to read it if it is finished.
    pub fn artifact(&self, caller: &Caller, id: &ArtifactId) -> Result<ArtifactInfo, ControllerError> {
        self.info(self.readable_artifact(caller, id)?, true)
    }

    /// A build by its id, or else by the number that people call it.
    pub fn build_called(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
    ) -> Result<BuildId, ControllerError> {
        let named = BuildId { project: project.to_owned(), build: name.to_owned() };
        caller.require_read(&named)?;
        if self.ledger.build(&caller.access, &named)?.is_some() {
            return Ok(named);
        }
        let numbered = self.ledger.build_numbered(&caller.access, project, name)?;
        numbered.ok_or(ControllerError::NoBuild(named))
    }

    /// A GET of an artifact's content for a browser that is to show it (`inline`) or keep it (`attachment`); `None` unless it
    /// is all there.
    pub(in crate::controller) fn sign_for_browser(
        &self,
        caller: &Caller,
        id: &ArtifactId,
        kind: &str,
    ) -> Result<Option<SignedUrl>, ControllerError> {
        self.sign_artifact(&self.readable_artifact(caller, id)?, kind)
    }

    /// Deletes an artifact; `false` if it was deleted or over before.
    pub fn delete_artifact(&self, caller: &Caller, id: &ArtifactId) -> Result<bool, ControllerError> {
        self.own_artifact(caller, id)?;
        let deleted = self.ledger.delete_artifact(&caller.access, id)?;
        deleted.ok_or_else(|| ControllerError::NoArtifact(id.clone()))
    }

    /// An artifact that the caller may write to: it stands in a build of theirs, made by their job if they have but one.
    pub(super) fn own_artifact(
        &self,
        caller: &Caller,
        id: &ArtifactId,
    ) -> Result<ArtifactRow, ControllerError> {
        let row = self.readable_artifact(caller, id)?;
        caller.require_write(&row.build)?;
        caller.require_job(&row.job)?;
        // Of another scope it can be read alone.
        if row.own { Ok(row) } else { Err(ControllerError::ForeignBuild(row.build)) }
    }

    fn readable_artifact(&self, caller: &Caller, id: &ArtifactId) -> Result<ArtifactRow, ControllerError> {
        let row = self.ledger.artifact(&caller.access, id)?;
        let row = row.filter(|row| caller.require_read(&row.build).is_ok());
        row.ok_or_else(|| ControllerError::NoArtifact(id.clone()))
    }

    pub(super) fn info(&self, row: ArtifactRow, signed: bool) -> Result<ArtifactInfo, ControllerError> {
        let get = if signed { self.sign_artifact(&row, "inline")? } else { None };
        Ok(ArtifactInfo {
            id: row.id,
            build: row.build,
            job: row.job,
            path: row.path,
            absolute_path: row.absolute_path,
            len: row.len,
            mode: row.mode,
            modified: row.modified,
            link: row.link,
            content_type: row.content_type,
            sha1: row.sha1,
            sha256: row.sha256,
            blake3: row.blake3,
            state: row.state,
            created_at: row.created_at,
            get,
        })
    }

    /// A GET of an artifact's content, with its own name and type for browsers; `None` unless it is all there.
    pub(super) fn sign_artifact(
        &self,
        row: &ArtifactRow,
        kind: &str,
    ) -> Result<Option<SignedUrl>, ControllerError> {
        let blob = row.blob.as_ref().filter(|blob| blob.state == BlobState::Live);
        let Some(blob) = blob.filter(|_| row.state == ArtifactState::Finished) else { return Ok(None) };
        let name = row.path.rsplit('/').next().unwrap_or_default();
        let answer = AnswerHeaders {
            content_type: Some(row.content_type.clone()),
            disposition: Some(disposition(kind, name.as_bytes())),
        };
        Ok(Some(self.store.sign_get(ObjectName::blob(blob.name), &answer)?))
    }
}

/// Where a search goes on, as its answer spells it: build, artifact, path.
pub(super) fn text_of(place: &SearchPlace) -> String {
    format!("{}:{}:{}", place.build, place.number, place.path)
}

/// Leads back from [`text_of`].
pub(super) fn place_of(text: &str) -> Result<SearchPlace, ControllerError> {
    let place = || {
        let mut fields = text.splitn(3, ':');
        let build = fields.next()?.parse().ok()?;
        let number = fields.next()?.parse().ok()?;
        Some(SearchPlace { build, number, path: fields.next()?.to_owned() })
    };
    place().ok_or_else(|| unfit("`after` is not the `next` of an answer".to_owned()))
}
