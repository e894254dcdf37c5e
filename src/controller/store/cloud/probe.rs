//! Tries a bucket out with a probe object, as an agent and as the controller would use it, and says what must be
//! mended. Deletes what it made.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::controller::store::check::Finding;
use crate::controller::store::error::StoreError;
use crate::controller::store::{AnswerHeaders, PutIntent, Store, StoredObject};
use crate::model::{ObjectKind, ObjectName, Sha256, SignedUrl};

use super::error::CloudError;
use super::objects::CloudStore;

/// What the probe object holds, and its CRC-32C.
const CONTENT: (&[u8], u32) = (b"123456789", 0xE306_9283);
/// The same length, other bytes.
const OTHER: (&[u8], u32) = (b"987654321", 0xE46B_D790);
/// Clocks further apart than this make URLs end early, or not begin yet. S3 refuses at 15 minutes.
const MAX_SKEW_SECONDS: i64 = 60;
const PATIENCE: Duration = Duration::from_secs(20);

/// One look at a bucket.
pub(super) struct Probe<'a> {
    store: &'a CloudStore,
    client: reqwest::Client,
    findings: Vec<Finding>,
}

/// What an agent would see.
struct Answer {
    status: u16,
    date: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    const fn is_taken(&self) -> bool {
        self.status / 100 == 2
    }
}

impl<'a> Probe<'a> {
    fn new(store: &'a CloudStore) -> reqwest::Result<Self> {
        // A redirect would carry the signature elsewhere.
        let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        Ok(Self { store, client: client.build()?, findings: Vec::new() })
    }

    /// Tries everything; later findings are left out where they would only repeat an earlier one.
    pub(super) fn run(store: &'a CloudStore) -> Vec<Finding> {
        let mut probe = match Self::new(store) {
            Ok(probe) => probe,
            Err(error) => return vec![wrong("no HTTP client could be made", &error.into())],
        };
        let made: Vec<ObjectName> = std::iter::repeat_with(random_name).take(2).flatten().collect();
        if let [object, other] = made[..] {
            probe.look(object, other);
            probe.clean(&made);
        }
        probe.findings
    }

    /// Whether a PUT is refused for its SHA-256, and for nothing else. `None` if it could not be found out.
    pub(super) fn compares_sha256(store: &'a CloudStore) -> Option<bool> {
        let mut probe = Self::new(store).ok()?;
        let object = random_name()?;
        let sha256 = digest(&SHA256, CONTENT.0).as_ref().try_into().ok().map(Sha256);
        let url = store.sign_put(object, &PutIntent { sha256, ..intent(CONTENT) }).ok()?;
        let mut put = |bytes| Some(probe.send(reqwest::Method::PUT, &url, bytes)?.status);
        let compares = match put(OTHER.0)? {
            200..300 => Some(false),
            400 if matches!(put(CONTENT.0)?, 200..300) => Some(true),
            _ => None,
        };
        // Nine bytes that stay, at worst.
        let _ = store.delete(&StoredObject::finished(object));
        compares
    }

    /// Ends at the first thing without which the rest cannot be tried.
    fn look(&mut self, object: ObjectName, other: ObjectName) {
        if let Err(error) = self.store.page(&self.store.keys, ObjectKind::Pack, None, Some(1)) {
            return self.say(wrong(&format!("{} cannot be listed", self.store.place), &error));
        }
        self.say(Finding::fine(format!("{} can be reached and listed", self.store.place)));
        let Some(answer) = self.put(object, CONTENT) else { return };
        self.compare_clocks(answer.date.as_deref());
        if !answer.is_taken() {
            return self.say(Finding::wrong(
                format!("a signed PUT was answered {}", answer.status),
                "allow the controller's credentials to write objects; if they are, see the clocks, and the key of the encryption",
            ));
        }
        self.say(Finding::fine("a signed PUT is taken"));
        let is_kept = if self.store.signing.stages() {
            self.try_staging(object)
        } else {
            self.try_to_overwrite(object)
        };
        if self.store.signing.binds_checksum() {
            self.try_other_bytes(other);
        }
        if self.store.signing.binds_sha256() {
            self.say(Finding::fine(if self.store.checks_sha256() {
                "the store compares the SHA-256 of artifacts"
            } else {
                "the store was not seen to compare the SHA-256 of artifacts: the controller reads each once"
            }));
        }
        if is_kept {
            self.read_back(object);
        }
    }

    fn compare_clocks(&mut self, date: Option<&str>) {
        let Some(theirs) = date.and_then(|date| rfc2822::parse(date).ok()) else { return };
        let apart = theirs.timestamp().as_second() - Timestamp::now().as_second();
        self.say(if apart.abs() <= MAX_SKEW_SECONDS {
            Finding::fine("the store's clock and this machine's agree")
        } else {
            let (seconds, way) = (apart.abs(), if apart > 0 { "ahead of" } else { "behind" });
            Finding::wrong(
                format!("the store's clock is {seconds} s {way} this machine's"),
                "set this machine's clock by NTP: signed URLs begin and end by it",
            )
        });
    }

    /// Whether the object is what it was.
    fn try_to_overwrite(&mut self, object: ObjectName) -> bool {
        let Some(answer) = self.put(object, OTHER) else { return false };
        self.say(if answer.is_taken() {
            Finding::wrong(
                "the store overwrites: it does not honour If-None-Match in a PUT",
                "serve with --staging, at one copy of each object, or use a service with conditional PUTs: an agent must \
                 never be able to change a pack that others read",
            )
        } else {
            Finding::fine(format!("a second PUT of the same object is refused ({})", answer.status))
        });
        !answer.is_taken()
    }

    /// Whether the object is what it was, in spite of a PUT that came after it was settled.
    fn try_staging(&mut self, object: ObjectName) -> bool {
        let settled = self.store.settle(object);
        if self.put(object, OTHER).is_none() {
            return false;
        }
        match settled.and_then(|()| self.store.settle(object)).and_then(|()| self.store.read(object, 0..9)) {
            Ok(bytes) if bytes == CONTENT.0 => {
                self.say(Finding::fine(
                    "staging was chosen: what was put is copied, and a second PUT does not change the copy",
                ));
                true
            }
            Ok(_) => {
                self.say(Finding::wrong(
                    "a second PUT changed an object that had been copied",
                    "use another service: an agent must never be able to change a pack that others read",
                ));
                false
            }
            Err(error) => {
                self.say(wrong_store("what was put cannot be copied out of the staging area", &error));
                false
            }
        }
    }

    fn try_other_bytes(&mut self, object: ObjectName) {
        let Ok(url) = self.store.sign_put(object, &intent(CONTENT)) else { return };
        let Some(answer) = self.send(reqwest::Method::PUT, &url, OTHER.0) else { return };
        self.say(if answer.is_taken() {
            Finding::fine(
                "the store does not compare checksums: a pack damaged on its way is found when it is read",
            )
        } else {
            Finding::fine(format!("other bytes than announced are refused ({})", answer.status))
        });
    }

    fn read_back(&mut self, object: ObjectName) {
        match self.store.sign_get(object, &AnswerHeaders::default()) {
            Ok(url) => {
                let Some(answer) = self.send(reqwest::Method::GET, &url, b"") else { return };
                self.say(if (answer.status, answer.body.as_slice()) == (206, &CONTENT.0[2..5]) {
                    Finding::fine("a signed GET reads ranges")
                } else {
                    Finding::wrong(
                        format!("a signed GET of a range was answered {}", answer.status),
                        "allow the controller's credentials to read objects; a proxy before the store must pass Range on",
                    )
                });
            }
            Err(error) => self.say(wrong_store("no GET can be signed", &error)),
        }
        self.say(match (self.store.head(object), self.store.read(object, 0..3)) {
            (Ok(Some(9)), Ok(bytes)) if bytes == CONTENT.0[..3] => {
                Finding::fine("the controller reads what was put")
            }
            (Err(error), _) | (_, Err(error)) => {
                wrong_store("the controller cannot read what was put", &error)
            }
            (found, _) => Finding::wrong(
                format!("the probe object of 9 bytes is found as {found:?}"),
                "use a store that is consistent: what was written must be read at once",
            ),
        });
    }

    fn clean(&mut self, made: &[ObjectName]) {
        let mut deleted = 0;
        for &object in made {
            let staged = self.store.delete_below(&self.store.keys.staged(), object);
            let object = self.store.delete(&StoredObject::finished(object));
            match staged.and_then(|staged| Ok(staged + object?)) {
                Ok(bytes) => deleted += bytes,
                Err(error) => return self.say(wrong_store("the probe object cannot be deleted", &error)),
            }
        }
        if deleted > 0 {
            self.say(Finding::fine("objects can be deleted"));
        }
    }

    /// Signs for `content` and sends it; what fails before an answer is said.
    fn put(&mut self, object: ObjectName, content: (&[u8], u32)) -> Option<Answer> {
        match self.store.sign_put(object, &intent(content)) {
            Ok(url) => self.send(reqwest::Method::PUT, &url, content.0),
            Err(error) => {
                self.say(wrong_store("no PUT can be signed", &error));
                None
            }
        }
    }

    fn send(&mut self, method: reqwest::Method, url: &SignedUrl, bytes: &[u8]) -> Option<Answer> {
        let is_get = method == reqwest::Method::GET;
        let mut request = self.client.request(method, url.expose());
        for (name, value) in &url.headers {
            request = request.header(name, value);
        }
        request = if is_get { request.header("range", "bytes=2-4") } else { request.body(bytes.to_vec()) };
        let answer = self.store.bridge.wait(async {
            let response = request.send().await?;
            let date = response.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
            Ok(Answer { status: response.status().as_u16(), date, body: response.bytes().await?.to_vec() })
        });
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                let error: reqwest::Error = error;
                self.say(wrong("a signed URL cannot be followed from here", &error.into()));
                None
            }
        }
    }

    fn say(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

fn intent((bytes, crc32c): (&[u8], u32)) -> PutIntent {
    PutIntent { len: bytes.len() as u64, crc32c: Some(crc32c), sha256: None }
}

fn random_name() -> Option<ObjectName> {
    let mut name = [0; 16];
    getrandom::fill(&mut name).ok().map(|()| ObjectName { kind: ObjectKind::Pack, name })
}

fn wrong(what: &str, error: &CloudError) -> Finding {
    Finding::wrong(format!("{what}: {error}"), error.hint().unwrap_or("see the store's own log"))
}

fn wrong_store(what: &str, error: &StoreError) -> Finding {
    let why = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    Finding::wrong(format!("{what}: {why}"), error.hint().unwrap_or("see the store's own log"))
}
