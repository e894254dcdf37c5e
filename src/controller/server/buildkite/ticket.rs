//! Tickets: what lets an agent send the content of some artifacts through this server, for a while. They say whose they are.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::controller::caller::Caller;
use crate::controller::ledger::{Access, ScopeId};
use crate::protocol::artifact::ArtifactId;

/// How long an agent may take until it has sent all of a batch, in seconds: thirty files, and its retries.
const LIFE_SECONDS: i64 = 60 * 60;
const TAG_BYTES: usize = 32;

/// What a ticket says.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Said {
    ends_at: i64,
    write: i64,
    read: Vec<i64>,
    project: Option<String>,
    build: Option<String>,
    job: Option<String>,
    step: Option<String>,
    artifacts: Vec<ArtifactId>,
}

/// Signs tickets; what signs them never leaves the server.
pub(in crate::controller::server) struct TicketKey(hmac::Key);

impl TicketKey {
    pub(in crate::controller::server) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// What lets whoever has it send the content of `artifacts` as `caller`, from `now` on.
    pub(super) fn ticket(&self, caller: &Caller, artifacts: &[ArtifactId], now: i64) -> String {
        let said = Said {
            ends_at: now.saturating_add(LIFE_SECONDS),
            write: caller.access.write.0,
            read: caller.access.read.iter().map(|scope| scope.0).collect(),
            project: caller.project.clone(),
            build: caller.build.clone(),
            job: caller.job.clone(),
            step: caller.step.clone(),
            artifacts: artifacts.to_vec(),
        };
        // A struct of texts and numbers always has such a form.
        let mut bytes = serde_json::to_vec(&said).unwrap_or_default();
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whose ticket it is, and for which artifacts; `None` if it is altered or has ended.
    pub(super) fn read(&self, ticket: &str, now: i64) -> Option<(Caller, Vec<ArtifactId>)> {
        let bytes = URL_SAFE_NO_PAD.decode(ticket).ok()?;
        let (said, tag) = bytes.split_last_chunk::<TAG_BYTES>()?;
        hmac::verify(&self.0, said, tag).ok()?;
        let said: Said = serde_json::from_slice(said).ok()?;
        let access =
            Access { write: ScopeId(said.write), read: said.read.into_iter().map(ScopeId).collect() };
        let Said { project, build, job, step, artifacts, .. } = said;
        let caller = Caller { access, project, build, job, step, operator: false };
        (now < said.ends_at).then_some((caller, artifacts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_speaks_for_its_caller_until_it_ends_and_no_letter_of_it_can_change() {
        let key = TicketKey::new(&[7; 32]);
        let caller = Caller { job: Some("j".into()), operator: true, ..Caller::local() };
        let artifacts = vec![ArtifactId("a".into()), ArtifactId("b".into())];
        let ticket = key.ticket(&caller, &artifacts, 1000);
        let meant = (Caller { operator: false, ..caller }, artifacts);
        assert_eq!(key.read(&ticket, 1000 + LIFE_SECONDS - 1), Some(meant));
        assert_eq!(key.read(&ticket, 1000 + LIFE_SECONDS), None);
        assert_eq!(TicketKey::new(&[8; 32]).read(&ticket, 1000), None);
        for at in 0..ticket.len() {
            let mut altered = ticket.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.read(std::str::from_utf8(&altered).unwrap(), 1000), None, "letter {at}");
        }
    }
}
