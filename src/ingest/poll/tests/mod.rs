mod crashes;
mod faults;
mod fetches;
mod lists;
mod loops;
mod vendor;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::config::{SourceConfig, StoreConfig};
use crate::connector::manifest::Manifest;
use crate::connector::{ConnectorOptions, ManifestSource};
use crate::edge::clock::{Clock as _, ManualClock};
use crate::edge::shutdown;
use crate::ingest::group_commit;
use crate::model::{EventId, SourceName};
use crate::store::{Access, Changes, SeenRecords};
use vendor::{Row, StandIn, Style};

const NOW: Millis = Millis(1_772_359_200_000);

/// A node that polls a stand-in, over a SQLite store that outlives it.
struct Node {
    poller: Arc<Poller>,
    store: Arc<Store>,
    writer: Option<tokio::task::JoinHandle<()>>,
}

struct Ground {
    folder: tempfile::TempDir,
    vendor: Arc<StandIn>,
    manifest: Arc<Manifest>,
    options: serde_json::Value,
    clock: Arc<ManualClock>,
}

impl Ground {
    fn new(style: Style, size: usize, rows: Vec<Row>) -> Self {
        Self::with(&style.manifest(size), style, rows, serde_json::json!({}))
    }

    fn with(manifest: &str, style: Style, rows: Vec<Row>, options: serde_json::Value) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            vendor: Arc::new(StandIn::new(style, rows)),
            manifest: Arc::new(Manifest::parse(manifest).unwrap()),
            options,
            clock: ManualClock::at(NOW),
        }
    }

    async fn start(&self) -> Node {
        let url = format!("sqlite:{}/test.db", self.folder.path().display());
        let store = Store::open(&StoreConfig::at(&url), Access::Daemon)
            .await
            .unwrap();
        let metrics = Metrics::new();
        let clock: SharedClock = Arc::clone(&self.clock) as _;
        let (inbox, mut commit) = group_commit(
            Arc::clone(&store),
            10,
            Arc::clone(&clock),
            Arc::clone(&metrics),
        )
        .unwrap();
        let writer = tokio::spawn(async move { while commit.step().await > 0 {} });
        let own = ManifestSource::read(&self.manifest, &self.options).unwrap();
        let config = SourceConfig {
            options: ConnectorOptions::Manifest(Box::new(own)),
            ..serde_json::from_value(serde_json::json!({ "connector": "stand-in" })).unwrap()
        };
        let source = PollSource::new(
            SourceName::new("demo"),
            &config,
            Arc::clone(&self.vendor) as _,
            "account".to_owned(),
        );
        Node {
            poller: Arc::new(Poller::new(
                source.unwrap(),
                Arc::clone(&store),
                inbox,
                clock,
                metrics,
            )),
            store,
            writer: Some(writer),
        }
    }
}

impl Node {
    /// One whole round: what is only to be tried again is tried again, at once.
    async fn round(&self, job: Job) -> Tally {
        let (_trigger, shutdown) = shutdown::channel();
        let mut round = Round::new(job);
        for _ in 0..1_000 {
            match self.poller.step(&mut round, &shutdown).await {
                Ok(()) => return round.tally,
                Err(Stop::Turn | Stop::Again { .. }) => {}
                Err(stop) => panic!("{stop:?}"),
            }
        }
        panic!("for ever");
    }

    /// Processes all events, as far as polling is concerned.
    async fn process(&self) {
        loop {
            let claim = self.store.claim_events(1_000).await.unwrap();
            if claim.events.is_empty() {
                return;
            }
            let mut records = SeenRecords::default();
            for event in &claim.events {
                let (id, version) = what(&event.body);
                records.add(
                    self.store.record_hash(&event.source, &id),
                    self.store.version_hash(Some(&version.to_string())),
                );
            }
            let changes = Changes {
                records,
                ..Changes::default()
            };
            let mut write = claim.into_write(&self.store).await.unwrap();
            let ids = self.store.take_ids(NOW, changes.ids_needed());
            write.apply(&changes, ids, NOW).await.unwrap();
            write.commit().await.unwrap();
        }
    }

    /// How often each record has come in, by id and version.
    async fn stored(&self) -> BTreeMap<(String, u64), usize> {
        let mut stored = BTreeMap::new();
        let mut last = EventId(0);
        loop {
            let events = self.store.events_after(last, 1_000).await.unwrap();
            let Some(event) = events.last() else {
                return stored;
            };
            last = event.id;
            for event in events {
                *stored.entry(what(&event.body)).or_default() += 1;
            }
        }
    }

    /// Stops as a process that is killed: nothing is said to anybody.
    async fn die(mut self) {
        drop(self.poller);
        if let Some(writer) = self.writer.take() {
            writer.abort();
            let _ = writer.await;
        }
        self.store.close().await;
    }
}

fn what(body: &[u8]) -> (String, u64) {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap();
    (
        value["id"].as_str().unwrap().to_owned(),
        value["version"].as_u64().unwrap(),
    )
}

/// A vendor with several lists, of which each page has `size` records. The stand-in lists its own
/// records as lists, which is as good as any.
fn forms(size: usize) -> String {
    format!(
        r#"
        name = "stand-in"
        title = "x"
        help = "x"
        [poll]
        path = "/items"
        query = {{ since = "{{cursor}}", form = "{{form}}" }}
        records = "items"
        cursor = {{ from = "at", format = "rfc3339_seconds" }}
        paging = {{ style = "page", query = "page", size = {size}, size_query = "limit" }}
        each = {{ path = "/items", query = {{ list = "forms" }}, records = "items", as = {{ form = "id" }}, changed_by = ["version"], paging = {{ style = "page", query = "page", size = 50, size_query = "limit" }} }}
        [record]
        id = [{{ from = "form", of = "context" }}, {{ from = "id" }}]
        version = "version"
        "#
    )
}

/// Records a few seconds apart, of which many share one second.
fn rows(count: usize, ties: usize) -> Vec<Row> {
    (0..count)
        .map(|number| {
            let second = (number / ties.max(1)) as i64;
            Row::new(number, NOW.0 - 3_600_000 + second * 1_000)
        })
        .collect()
}

/// Each of the vendor's records as it is now is there, and each version once.
fn whole(stored: &BTreeMap<(String, u64), usize>, vendor: &StandIn, why: &str) {
    let state = vendor.state.lock();
    for row in &state.rows {
        let key = (row.id.clone(), u64::from(row.version));
        assert!(stored.contains_key(&key), "{why}: {key:?} is lost");
    }
    for (key, times) in stored {
        assert_eq!(*times, 1, "{why}: {key:?} is doubled");
    }
}
