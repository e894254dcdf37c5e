//! Controllers in a test's own hands: one that does something behind an agent's back, and one that is nothing but its answers, with its content on
//! a scripted server. No test.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pannier::agent::artifact::{DownloadRequest, Found, Kind, Search, UploadRequest};
use pannier::http::{Client, ClientOptions};
use pannier::model::SignedUrl;
use pannier::protocol::BuildId;
use pannier::protocol::artifact::{
    ArtifactId, ArtifactInfo, ArtifactQuery, ArtifactState, BuildFacts, CreatedArtifact, FinishArtifact,
    FinishedArtifact, FoundArtifacts, Job, NewArtifact, NewArtifacts, PartIntent, Upload,
};
use pannier::transfer::{ArtifactRemote, RemoteError, Transport};

/// What every signed URL here carries.
pub(crate) const SIGNATURE: &str = "5ecret51gnature";

/// A controller that calls a function of the test's between its answer and what the agent does with it.
pub(crate) struct Meddling<R> {
    pub(crate) inner: R,
    pub(crate) after_create: Box<dyn Fn() + Send + Sync>,
}

impl<R: ArtifactRemote> ArtifactRemote for Meddling<R> {
    fn transport(&self) -> &Transport {
        self.inner.transport()
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }

    fn create_artifacts(&self, request: &NewArtifacts) -> Result<Vec<CreatedArtifact>, RemoteError> {
        let created = self.inner.create_artifacts(request);
        (self.after_create)();
        created
    }

    fn sign_parts(&self, id: &ArtifactId, parts: &[PartIntent]) -> Result<Vec<SignedUrl>, RemoteError> {
        self.inner.sign_parts(id, parts)
    }

    fn finish_artifacts(&self, uploads: &[FinishArtifact]) -> Result<Vec<FinishedArtifact>, RemoteError> {
        self.inner.finish_artifacts(uploads)
    }

    fn search_artifacts(&self, query: &ArtifactQuery) -> Result<FoundArtifacts, RemoteError> {
        self.inner.search_artifacts(query)
    }

    fn artifact(&self, id: &ArtifactId) -> Result<ArtifactInfo, RemoteError> {
        self.inner.artifact(id)
    }

    fn delete_artifact(&self, id: &ArtifactId) -> Result<bool, RemoteError> {
        self.inner.delete_artifact(id)
    }
}

/// Contents of artifacts by path.
pub(crate) type Together = Box<dyn Fn(&[&str]) -> Result<Vec<Option<Vec<u8>>>, RemoteError> + Send + Sync>;

/// A controller that is its answers: what was announced is found again, whatever became of its content.
pub(crate) struct Answers {
    transport: Transport,
    /// Where the content of the artifact with that number lies.
    url: Box<dyn Fn(&str) -> String + Send + Sync>,
    /// Bytes of a part; one PUT each without.
    pub(crate) part_bytes: Option<u64>,
    /// What it hands out together; nothing without.
    pub(crate) together: Option<Together>,
    pub(crate) announced: Mutex<Vec<NewArtifact>>,
    pub(crate) finished: Mutex<Vec<FinishArtifact>>,
    pub(crate) signed: AtomicUsize,
    /// Whether URLs carry one: those of files have no query.
    has_signature: bool,
}

impl Answers {
    pub(crate) fn without_signature(url: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self { has_signature: false, ..Self::at(url) }
    }

    pub(crate) fn at(url: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let client = Client::new(&ClientOptions::default().hastened(100)).unwrap();
        Self {
            transport: Transport::over(client),
            url: Box::new(url),
            part_bytes: None,
            together: None,
            announced: Mutex::default(),
            finished: Mutex::default(),
            signed: AtomicUsize::new(0),
            has_signature: true,
        }
    }

    fn sign(&self, object: &str) -> SignedUrl {
        let number = self.signed.fetch_add(1, Ordering::Relaxed);
        let url = (self.url)(object);
        SignedUrl::new(if self.has_signature { format!("{url}?sig={SIGNATURE}{number}") } else { url })
    }

    fn info(&self, index: usize, new: &NewArtifact) -> ArtifactInfo {
        ArtifactInfo {
            id: ArtifactId(index.to_string()),
            build: build(),
            job: Job { id: "j".to_owned(), ..Job::default() },
            path: new.path.clone(),
            absolute_path: None,
            len: new.len,
            mode: new.mode,
            modified: None,
            link: new.link.clone(),
            content_type: new.content_type.clone(),
            sha1: new.sha1,
            sha256: new.sha256,
            blake3: new.blake3,
            state: ArtifactState::Finished,
            created_at: 0,
            get: Some(self.sign(&format!("x{index}"))),
        }
    }
}

impl ArtifactRemote for Answers {
    fn transport(&self) -> &Transport {
        &self.transport
    }

    fn identity(&self) -> String {
        "answers".to_owned()
    }

    fn create_artifacts(&self, request: &NewArtifacts) -> Result<Vec<CreatedArtifact>, RemoteError> {
        let mut announced = self.announced.lock().unwrap();
        let create = |new: &NewArtifact| {
            let index = announced.len();
            announced.push(new.clone());
            let upload = match self.part_bytes {
                Some(part_bytes) => Upload::Parts { part_bytes },
                None => Upload::Whole { put: self.sign(&format!("x{index}")) },
            };
            CreatedArtifact { id: ArtifactId(index.to_string()), upload }
        };
        Ok(request.artifacts.iter().map(create).collect())
    }

    fn sign_parts(&self, id: &ArtifactId, parts: &[PartIntent]) -> Result<Vec<SignedUrl>, RemoteError> {
        let object = |part: &PartIntent| match self.part_bytes {
            Some(_) => format!("x{}-{}", id.0, part.number),
            None => format!("x{}", id.0),
        };
        Ok(parts.iter().map(|part| self.sign(&object(part))).collect())
    }

    fn finish_artifacts(&self, uploads: &[FinishArtifact]) -> Result<Vec<FinishedArtifact>, RemoteError> {
        self.finished.lock().unwrap().extend(uploads.iter().cloned());
        let end = |upload: &FinishArtifact| FinishedArtifact {
            id: upload.id.clone(),
            state: if upload.failed { ArtifactState::Error } else { ArtifactState::Finished },
            why: None,
        };
        Ok(uploads.iter().map(end).collect())
    }

    fn search_artifacts(&self, _: &ArtifactQuery) -> Result<FoundArtifacts, RemoteError> {
        let announced = self.announced.lock().unwrap();
        let artifacts = announced.iter().enumerate().map(|(index, new)| self.info(index, new)).collect();
        Ok(FoundArtifacts { build: Some(build()), artifacts, next: None })
    }

    fn artifact(&self, id: &ArtifactId) -> Result<ArtifactInfo, RemoteError> {
        let index = id.0.parse().unwrap();
        Ok(self.info(index, &self.announced.lock().unwrap()[index]))
    }

    fn delete_artifact(&self, _: &ArtifactId) -> Result<bool, RemoteError> {
        Ok(true)
    }

    fn hands_out(&self, artifact: &ArtifactInfo) -> bool {
        self.together.is_some() && artifact.len < 1_000_000
    }

    fn contents(&self, artifacts: &[&ArtifactInfo]) -> Result<Vec<Option<Vec<u8>>>, RemoteError> {
        let paths: Vec<&str> = artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
        self.together.as_ref().unwrap()(&paths)
    }
}

fn build() -> BuildId {
    BuildId { project: "p".to_owned(), build: "b".to_owned() }
}

/// The upload of files that lie below `folder`.
pub(crate) fn upload_of(folder: &Path, paths: &[&str]) -> UploadRequest {
    let found = |path: &&str| {
        let absolute = folder.join(path);
        let kind = Kind::File(std::fs::metadata(&absolute).unwrap().len());
        Found { path: (*path).to_owned(), absolute, kind }
    };
    UploadRequest {
        build: build(),
        facts: BuildFacts::default(),
        job: Job { id: "j".to_owned(), ..Job::default() },
        found: paths.iter().map(found).collect(),
        content_type: None,
        keep_days: None,
        concurrency: Some(1),
        threads: 1,
        journals: Some(folder.join("journals")),
    }
}

/// The download of everything into `folder`.
pub(crate) fn download_to(folder: &Path) -> DownloadRequest {
    let query = ArtifactQuery { project: "p".to_owned(), path: "*".to_owned(), ..ArtifactQuery::default() };
    let search = Search { query, job: None };
    DownloadRequest { search, folder: folder.to_owned(), links: true, concurrency: Some(1) }
}
