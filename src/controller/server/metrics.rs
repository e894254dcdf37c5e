//! What an operator watches: counters and times in Prometheus's text format. Counts; decides nothing.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::controller::ledger::TransactionObserver;
use crate::protocol::artifact::{ArtifactState, FinishedArtifact};
use crate::protocol::{Committed, PackIntent, Resolved};

/// Upper bounds of the times' buckets, in seconds: a ledger's look-up to a slow store.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Route and status of a request. The route is its pattern, so that names and ids make no new series.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

/// The route of a request's time.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RouteLabels {
    route: String,
}

/// What kind of transaction a time is of.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LedgerLabels {
    kind: &'static str,
}

/// All counters.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram>,
    ledger_seconds: Family<LedgerLabels, Histogram>,
    asked_digests: Counter,
    missing_digests: Counter,
    stashed_bytes: Counter,
    new_pack_bytes: Counter,
    kept_bytes: Gauge,
    commits: Counter,
    resolved_bytes: Counter,
    announced_bytes: Counter,
    finished_artifacts: Counter,
    failed_artifacts: Counter,
    read_bytes: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::default();
        let request_seconds =
            Family::<RouteLabels, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        let mut registry = Registry::with_prefix("pannier");
        registry.register("requests", "Requests answered", requests.clone());
        registry.register("request_seconds", "Time until the answer began", request_seconds.clone());
        let ledger_seconds =
            Family::<LedgerLabels, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register("ledger_seconds", "Time of a ledger's transaction", ledger_seconds.clone());
        let kept_bytes = Gauge::default();
        let help = "Bytes of committed stashes beyond those of all packs announced";
        registry.register("kept_from_moving_bytes", help, kept_bytes.clone());
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        Self {
            requests,
            request_seconds,
            ledger_seconds,
            asked_digests: counter("asked_digests", "Chunks that agents asked about"),
            missing_digests: counter("missing_digests", "Chunks among them that were missing"),
            stashed_bytes: counter("stashed_bytes", "Bytes of the files of committed stashes"),
            new_pack_bytes: counter("new_pack_bytes", "Bytes of the packs that were announced"),
            commits: counter("commits", "Stashes committed"),
            resolved_bytes: counter("resolved_bytes", "Bytes of the files of stashes that were resolved"),
            announced_bytes: counter(
                "announced_artifact_bytes",
                "Bytes of the artifacts that were announced",
            ),
            finished_artifacts: counter("finished_artifacts", "Uploads of artifacts that ended well"),
            failed_artifacts: counter("failed_artifacts", "Uploads of artifacts that did not"),
            read_bytes: counter(
                "read_artifact_bytes",
                "Bytes of artifacts that this controller read, as their store had not compared them",
            ),
            kept_bytes,
            registry,
        }
    }
}

impl Metrics {
    /// A request was answered.
    pub(super) fn answered(&self, method: &str, route: &str, status: u16, time: Duration) {
        let labels = RequestLabels { method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        let labels = RouteLabels { route: route.to_owned() };
        self.request_seconds.get_or_create(&labels).observe(time.as_secs_f64());
    }

    /// What the ledger is to tell of its transactions.
    pub(super) fn ledger_observer(&self) -> TransactionObserver {
        let seconds = self.ledger_seconds.clone();
        Box::new(move |kind, time| seconds.get_or_create(&LedgerLabels { kind }).observe(time.as_secs_f64()))
    }

    /// Chunks were asked about.
    pub(super) fn asked(&self, missing: &[bool]) {
        self.asked_digests.inc_by(missing.len() as u64);
        self.missing_digests.inc_by(missing.iter().filter(|missing| **missing).count() as u64);
    }

    /// A stash was committed.
    pub(super) fn committed(&self, committed: &Committed) {
        self.commits.inc();
        self.stashed_bytes.inc_by(committed.stash.totals.bytes);
    }

    /// Packs were announced and signed.
    pub(super) fn signed(&self, packs: &[PackIntent]) {
        self.new_pack_bytes.inc_by(packs.iter().map(|pack| pack.len).sum());
    }

    /// A stash was resolved.
    pub(super) fn resolved(&self, resolved: &Resolved) {
        self.resolved_bytes.inc_by(resolved.stash.totals.bytes);
    }

    /// Artifacts were announced.
    pub(super) fn announced(&self, bytes: u64) {
        self.announced_bytes.inc_by(bytes);
    }

    /// Uploads of artifacts ended.
    pub(super) fn ended(&self, ended: &[FinishedArtifact]) {
        let count = |state| ended.iter().filter(|upload| upload.state == state).count() as u64;
        let (finished, unread) = (count(ArtifactState::Finished), count(ArtifactState::New));
        self.finished_artifacts.inc_by(finished);
        self.failed_artifacts.inc_by(ended.len() as u64 - finished - unread);
    }

    /// All of it as text, with the bytes of artifacts that were read since the start.
    pub(super) fn text(&self, read_bytes: u64) -> String {
        self.read_bytes.inc_by(read_bytes.saturating_sub(self.read_bytes.get()));
        let kept = self.stashed_bytes.get().saturating_sub(self.new_pack_bytes.get());
        self.kept_bytes.set(i64::try_from(kept).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing to a string fails for no reason but a label that cannot be encoded, and ours all can.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
