//! Logs and metrics. Labels come from the configuration only, never from payloads.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Label of what belongs to one source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceLabel {
    /// The source's name.
    pub source: String,
}

/// Labels of what was refused at the door.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabel {
    /// The source's name; `unknown` if there is none of that name.
    pub source: String,
    /// The stable reason code.
    pub reason: &'static str,
}

/// Labels of how submissions ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndLabel {
    /// The source's name.
    pub source: String,
    /// `End::name`.
    pub end: &'static str,
}

/// Label of what a Salesforce call was for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PurposeLabel {
    /// `token`, `upsert`, `retrieve`, `query`, `describe`, `limits`, `bulk_ingest`, `bulk_query`.
    pub purpose: &'static str,
}

/// Label of a state that a gauge is 1 for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabel {
    /// `real_time`, `batches`, `reserve_only`, `exhausted`.
    pub state: &'static str,
}

/// Label of one of the daemon's loops.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LoopLabel {
    /// `process`, `deliver`, `group commit`, `house keeping`, `sign-in`, `traffic`.
    pub name: &'static str,
}

/// Labels of records that a vendor listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RecordLabel {
    /// The source's name.
    pub source: String,
    /// `taken`, or `known`: they had come in before.
    pub what: &'static str,
}

/// Labels of calls to a vendor that brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PollErrorLabel {
    /// The source's name.
    pub source: String,
    /// The stable code.
    pub code: String,
}

/// All metrics. Counters live as long as the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Events committed to the inbox.
    pub events_accepted: Family<SourceLabel, Counter>,
    /// Requests refused at the door.
    pub requests_refused: Family<RefusalLabel, Counter>,
    /// Webhooks that were answered and not kept, as the connector says.
    pub webhooks_ignored: Family<SourceLabel, Counter>,
    /// Seconds from the arrival of a request's body to the commit of its event.
    pub acknowledge_seconds: Histogram,
    /// Events in one commit.
    pub events_per_commit: Histogram,
    /// Submissions that came to their end.
    pub submissions_ended: Family<EndLabel, Counter>,
    /// Deliveries that are not at their end.
    pub outbox_pending: Gauge,
    /// Seconds since the oldest of them was decided.
    pub oldest_pending_seconds: Gauge,
    /// Crashes of the daemon's loops, after which they started again.
    pub loop_crashes: Family<LoopLabel, Counter>,
    /// Pages read from vendors.
    pub poll_pages: Family<SourceLabel, Counter>,
    /// Records on them.
    pub poll_records: Family<RecordLabel, Counter>,
    /// Calls to vendors that brought nothing, and answers that could not be read.
    pub poll_errors: Family<PollErrorLabel, Counter>,
    /// Seconds since the last poll that read all there was began.
    pub poll_lag_seconds: Family<SourceLabel, Gauge>,
    /// Whether the source waits for a person (1).
    pub poll_paused: Family<SourceLabel, Gauge>,
    /// Days until a person must renew the source's credential, if that is known.
    pub credential_days_left: Family<SourceLabel, Gauge>,
    /// Records that the last comparison with the vendor found missing.
    pub reconcile_missing: Family<SourceLabel, Gauge>,
    /// Calls made to Salesforce.
    pub salesforce_calls: Family<PurposeLabel, Counter>,
    /// Calls that the org has used of its rolling 24 hours, as it last said.
    pub salesforce_api_used: Gauge,
    /// Calls that the org may use in 24 hours, as it last said.
    pub salesforce_api_allowed: Gauge,
    /// Places where the mapping and the org do not fit together.
    pub mapping_problems: Gauge,
    /// Those of them that came by a change of the org.
    pub salesforce_drift: Gauge,
    /// Calls that we may still make in these 24 hours, by our share and by what the org has left.
    pub salesforce_budget_remaining: Gauge,
    /// How the budget stands: 1 for its state, 0 for the others.
    pub salesforce_budget_state: Family<StateLabel, Gauge>,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("leadstream");
        let metrics = Self {
            events_accepted: Family::default(),
            requests_refused: Family::default(),
            webhooks_ignored: Family::default(),
            acknowledge_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            events_per_commit: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            submissions_ended: Family::default(),
            outbox_pending: Gauge::default(),
            oldest_pending_seconds: Gauge::default(),
            loop_crashes: Family::default(),
            poll_pages: Family::default(),
            poll_records: Family::default(),
            poll_errors: Family::default(),
            poll_lag_seconds: Family::default(),
            poll_paused: Family::default(),
            credential_days_left: Family::default(),
            reconcile_missing: Family::default(),
            salesforce_calls: Family::default(),
            salesforce_api_used: Gauge::default(),
            salesforce_api_allowed: Gauge::default(),
            mapping_problems: Gauge::default(),
            salesforce_drift: Gauge::default(),
            salesforce_budget_remaining: Gauge::default(),
            salesforce_budget_state: Family::default(),
            registry: Registry::default(),
        };
        registry.register(
            "events_accepted",
            "Events committed to the inbox",
            metrics.events_accepted.clone(),
        );
        registry.register(
            "requests_refused",
            "Requests refused at the door",
            metrics.requests_refused.clone(),
        );
        registry.register(
            "webhooks_ignored",
            "Webhooks that were answered and not kept",
            metrics.webhooks_ignored.clone(),
        );
        registry.register_with_unit(
            "acknowledge",
            "From the arrival of a request's body to the commit of its event",
            Unit::Seconds,
            metrics.acknowledge_seconds.clone(),
        );
        registry.register(
            "events_per_commit",
            "Events in one commit",
            metrics.events_per_commit.clone(),
        );
        registry.register(
            "submissions_ended",
            "Submissions that came to their end",
            metrics.submissions_ended.clone(),
        );
        registry.register(
            "outbox_pending",
            "Deliveries that are not at their end",
            metrics.outbox_pending.clone(),
        );
        registry.register(
            "oldest_pending_seconds",
            "Age of the oldest delivery that is not at its end",
            metrics.oldest_pending_seconds.clone(),
        );
        registry.register(
            "loop_crashes",
            "Crashes of loops, after which they started again",
            metrics.loop_crashes.clone(),
        );
        metrics.register_polls(&mut registry);
        registry.register(
            "salesforce_calls",
            "Calls made to Salesforce",
            metrics.salesforce_calls.clone(),
        );
        registry.register(
            "salesforce_api_used",
            "Calls that the org has used of its rolling 24 hours",
            metrics.salesforce_api_used.clone(),
        );
        registry.register(
            "salesforce_api_allowed",
            "Calls that the org may use in 24 hours",
            metrics.salesforce_api_allowed.clone(),
        );
        registry.register(
            "mapping_problems",
            "Places where the mapping and the org do not fit together",
            metrics.mapping_problems.clone(),
        );
        registry.register(
            "salesforce_drift",
            "Places where the org was changed so that the mapping fits no longer",
            metrics.salesforce_drift.clone(),
        );
        registry.register(
            "salesforce_budget_remaining",
            "Calls that leadstream may still make in these 24 hours",
            metrics.salesforce_budget_remaining.clone(),
        );
        registry.register(
            "salesforce_budget_state",
            "How the budget for calls stands: 1 for its state",
            metrics.salesforce_budget_state.clone(),
        );
        Arc::new(Self {
            registry,
            ..metrics
        })
    }

    fn register_polls(&self, registry: &mut Registry) {
        registry.register(
            "poll_pages",
            "Pages read from vendors",
            self.poll_pages.clone(),
        );
        registry.register(
            "poll_records",
            "Records on pages of vendors, taken or known before",
            self.poll_records.clone(),
        );
        registry.register(
            "poll_errors",
            "Calls to vendors that brought nothing, and answers that could not be read",
            self.poll_errors.clone(),
        );
        registry.register(
            "poll_lag_seconds",
            "Time since the last poll that read all there was began",
            self.poll_lag_seconds.clone(),
        );
        registry.register(
            "poll_paused",
            "Whether the source waits for a person",
            self.poll_paused.clone(),
        );
        registry.register(
            "credential_days_left",
            "Days until a person must renew the source's credential",
            self.credential_days_left.clone(),
        );
        registry.register(
            "reconcile_missing",
            "Records that the last comparison with the vendor found missing",
            self.reconcile_missing.clone(),
        );
    }

    /// The exposition text (OpenMetrics, which Prometheus reads).
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// The variable that sets what is logged, e.g. `debug` or `leadstream::deliver=debug`.
const LOG_VARIABLE: &str = "LEADSTREAM_LOG";

/// Libraries that log what they are given: whatever is asked for, they stay silent.
const SILENCED: [&str; 1] = ["rlibphonenumber=off"];

/// Has a crash tell where it happened and not what it says, which may quote a lead: a slice that is
/// out of bounds prints the text that it was to be cut from.
fn hide_what_crashes_say() {
    std::panic::set_hook(Box::new(|crash| {
        let at = crash.location().map(ToString::to_string);
        let thread = std::thread::current();
        let backtrace = std::backtrace::Backtrace::capture();
        let backtrace = (backtrace.status() == std::backtrace::BacktraceStatus::Captured)
            .then(|| backtrace.to_string());
        tracing::error!(
            at,
            thread = thread.name(),
            backtrace,
            "crashed: this is a fault of leadstream; please report it"
        );
    }));
}

/// Starts logging to standard error: to be read on a terminal, as JSON otherwise.
pub fn start_logging() {
    start_logging_from("info");
}

/// The same, from `level` up unless the variable says otherwise.
pub fn start_logging_from(level: &str) {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    hide_what_crashes_say();
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(level));
    let silenced = SILENCED
        .iter()
        .filter_map(|directive| directive.parse().ok());
    let filter = silenced.fold(filter, EnvFilter::add_directive);
    let registry = tracing_subscriber::registry().with(filter);
    // Whoever has started logging before us wants it their way.
    let _ = if std::io::stderr().is_terminal() {
        registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_target(false)
                    .with_writer(std::io::stderr),
            )
            .try_init()
    } else {
        registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .with_writer(std::io::stderr),
            )
            .try_init()
    };
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_crash_says_where_it_was_and_quotes_nobody() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let before = std::panic::take_hook();
        hide_what_crashes_say();
        let email = std::hint::black_box("jané@acme.example");
        let crash = tracing::subscriber::with_default(subscriber, || {
            std::panic::catch_unwind(|| email[..4].len())
        });
        std::panic::set_hook(before);
        assert!(crash.is_err());
        let log = String::from_utf8(log.0.lock().clone()).unwrap();
        assert!(log.contains("src/telemetry.rs"), "{log}");
        assert!(!log.contains("acme"), "{log}");
    }
}
