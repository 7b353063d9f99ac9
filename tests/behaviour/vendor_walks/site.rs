//! A process that polls a stand-in, and is killed.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use leadstream::config::{self, Config, SourceConfig};
use leadstream::connector::Catalog;
use leadstream::connector::manifest::{AuthType, Manifest};
use leadstream::deliver::salesforce::Mapping;
use leadstream::edge::clock::{Clock, ManualClock};
use leadstream::edge::shutdown;
use leadstream::ingest::group_commit;
use leadstream::ingest::poll::{Job, PollSource, Poller, Round, Stop, Tally};
use leadstream::model::{EventId, Millis, SourceName};
use leadstream::process::{Process, Progress, Rules};
use leadstream::store::{Access, Store};
use leadstream::telemetry::Metrics;
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use super::faults::FIRST;
use super::stand_in::StandIn;
use crate::harness::{Setup, write_config};

/// 2026-03-01T10:00:00Z
pub const START: Millis = Millis(1_772_359_200_000);

/// When the first of the people came: 20 days before.
pub const FIRST_CAME: Millis = Millis(START.0 - 20 * 24 * 3_600_000);

pub const SOURCE: &str = "walked";

/// Waits that a test would not end with.
const MOST_TRIES: u32 = 400;

/// Whoever waits for it moves it on: nobody else does anything meanwhile.
#[derive(Debug)]
pub struct HastyClock(Arc<ManualClock>);

impl Clock for HastyClock {
    fn now(&self) -> Millis {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let clock = Arc::clone(&self.0);
        Box::pin(async move {
            clock.advance(duration);
            tokio::task::yield_now().await;
        })
    }
}

/// What outlives a process: the vendor, the folder, the time.
pub struct Site {
    pub vendor: Arc<StandIn>,
    pub config: Config,
    folder: TempDir,
    clock: Arc<HastyClock>,
}

/// A process.
pub struct Node {
    poller: Poller,
    process: Process,
    store: Arc<Store>,
    writer: tokio::task::JoinHandle<()>,
}

/// When a process is killed.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    /// After the vendor has given so many pages in all,
    pub pages: u64,
    /// and so many steps of what happens then.
    pub steps: u32,
}

/// `[sources.<name>]` as the samples have it, with the vendor at `url` and `more`. Its secrets are
/// written into `folder`. Where a connector can be given access that ends, it is.
pub fn source_section(
    folder: &Path,
    name: &str,
    manifest: &Manifest,
    samples: &Path,
    url: &str,
    more: &str,
) -> String {
    let text = std::fs::read_to_string(samples.join("source.toml")).unwrap_or_default();
    let mut table: toml::Table = toml::from_str(&text).unwrap();
    table.insert("connector".to_owned(), manifest.name.clone().into());
    table.insert("base_url".to_owned(), url.to_owned().into());
    for (_, value) in &mut table {
        if let Some(file) = value.get("file").and_then(toml::Value::as_str) {
            let text = std::fs::read_to_string(samples.join(file)).unwrap();
            *value = secret(folder, &file.replace('/', "-"), &text);
        }
    }
    if let Some(way) = way_with_tokens(manifest) {
        table.insert("auth".to_owned(), way.into());
        table.insert("token_url".to_owned(), format!("{url}/token").into());
        table
            .entry("client_id")
            .or_insert_with(|| "a-client".into());
        table
            .entry("client_secret")
            .or_insert_with(|| secret(folder, "client-secret", "s3cr3t-of-the-client"));
        if manifest.auth[way].kind == AuthType::Oauth2 {
            let token = secret(folder, "refresh-token", FIRST);
            table.insert("refresh_token".to_owned(), token);
        }
    }
    let more: toml::Table = toml::from_str(more).unwrap();
    table.extend(more);
    let source = toml::Table::from_iter([(name.to_owned(), toml::Value::Table(table))]);
    toml::to_string(&toml::Table::from_iter([(
        "sources".to_owned(),
        toml::Value::Table(source),
    )]))
    .unwrap()
}

/// The way to sign in that asks for tokens, if there is one that needs no key of Google's.
pub fn way_with_tokens(manifest: &Manifest) -> Option<&str> {
    let mut ways = manifest.auth.iter();
    let way = ways.find(|(_, auth)| {
        matches!(
            auth.kind,
            AuthType::Oauth2 | AuthType::AccountCredentials | AuthType::ClientCredentials
        )
    });
    way.map(|(name, _)| name.as_str())
}

/// Writes a secret's file; what a configuration says of it.
fn secret(folder: &Path, name: &str, text: &str) -> toml::Value {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, owner_only).unwrap();
    toml::Table::from_iter([("file".to_owned(), file.to_str().unwrap().into())]).into()
}

impl Site {
    /// A connector of ours whose vendor is a stand-in.
    pub async fn of(connector: &str) -> Self {
        let manifest = Arc::clone(Catalog::embedded().get(connector).unwrap());
        let samples = samples_of(connector);
        let gets_tokens = way_with_tokens(&manifest).is_some();
        let (vendor, url) = StandIn::start(Arc::clone(&manifest), &samples, gets_tokens).await;
        let folder = tempfile::tempdir().unwrap();
        let more = source_section(folder.path(), SOURCE, &manifest, &samples, &url, "");
        let setup = Setup {
            more: &more,
            ..Setup::default()
        };
        write_config(folder.path(), "http://127.0.0.1:9", &setup);
        let file = folder.path().join("leadstream.toml");
        // Some vendors sign the address that they call.
        let text = std::fs::read_to_string(&file).unwrap();
        let public = "[server]\npublic_url = \"https://leads.example.com\"";
        std::fs::write(&file, text.replacen("[server]", public, 1)).unwrap();
        let loaded = config::load(&file, &|_| None);
        assert!(
            loaded.diagnostics.is_empty(),
            "{connector}: {:?}",
            loaded.diagnostics
        );
        let config = loaded
            .config
            .unwrap_or_else(|| panic!("{connector}: {:?}", loaded.diagnostics));
        Self {
            vendor,
            config,
            folder,
            clock: Arc::new(HastyClock(ManualClock::at(START))),
        }
    }

    pub fn source(&self) -> &SourceConfig {
        &self.config.sources[&SourceName::new(SOURCE)]
    }

    pub fn wait(&self, duration: Duration) {
        self.clock.0.advance(duration);
    }

    pub async fn start(&self) -> Node {
        let store = Store::open(&self.config.store, Access::Daemon)
            .await
            .unwrap();
        let metrics = Metrics::new();
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let (inbox, mut commit) = group_commit(
            Arc::clone(&store),
            10_000,
            Arc::clone(&clock),
            Arc::clone(&metrics),
        )
        .unwrap();
        let writer = tokio::spawn(async move { while commit.step().await > 0 {} });
        let sources = PollSource::all(&self.config, &store, &clock);
        let (_, source) = sources.into_iter().next().unwrap();
        let mapping = Arc::new(Mapping::new(&self.config.salesforce));
        let rules = Rules::of(&self.config, mapping, store.key_secret());
        Node {
            process: Process::new(
                Arc::clone(&store),
                rules,
                Arc::clone(&clock),
                Arc::clone(&metrics),
            ),
            poller: Poller::new(source.unwrap(), Arc::clone(&store), inbox, clock, metrics),
            store,
            writer,
        }
    }

    /// A file of the store, when nobody else has it.
    pub fn database(&self) -> Connection {
        Connection::open(self.folder.path().join("leads.db")).unwrap()
    }
}

pub fn samples_of(connector: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("connectors/{connector}/samples"))
}

impl Node {
    /// One round, tried again for as long as the vendor fails; what it came to, if it was not cut off.
    pub async fn round(&self, site: &Site, crash: Option<Crash>) -> Option<Tally> {
        let (_trigger, shutdown) = shutdown::channel();
        let mut round = Round::new(Job::Poll);
        let mut left = crash.map_or(0, |crash| crash.steps);
        for _ in 0..MOST_TRIES {
            let ended = {
                let mut step = pin!(self.poller.step(&mut round, &shutdown));
                poll_fn(|context| {
                    if let Some(crash) = crash
                        && site.vendor.state.lock().pages >= crash.pages
                    {
                        if left == 0 {
                            return Poll::Ready(None);
                        }
                        left -= 1;
                    }
                    step.as_mut().poll(context).map(Some)
                })
                .await
            };
            match ended {
                None => return None,
                Some(Ok(())) => return Some(round.tally),
                Some(Err(Stop::Turn)) => {}
                Some(Err(Stop::Again { wait, .. })) => {
                    site.wait(wait.unwrap_or(Duration::from_secs(5)));
                }
                // A busy machine lets leases run out, as a slow one does.
                Some(Err(Stop::Busy)) => tokio::task::yield_now().await,
                Some(Err(Stop::Overtaken)) => round = Round::new(Job::Poll),
                Some(Err(stop)) => panic!("{stop:?}"),
            }
        }
        panic!("for ever: {:?}", round.tally);
    }

    /// Processes all that has come in.
    pub async fn process(&self) {
        while self.process.step().await.unwrap() != Progress::Idle {}
    }

    /// How often something has come in, by what `of` makes of an event's body.
    pub async fn came_in(&self, of: impl Fn(&Value) -> String) -> BTreeMap<String, usize> {
        let mut came = BTreeMap::new();
        let mut last = EventId(0);
        loop {
            let events = self.store.events_after(last, 1_000).await.unwrap();
            let Some(event) = events.last() else {
                return came;
            };
            last = event.id;
            for event in events {
                let body = serde_json::from_slice(&event.body).unwrap();
                *came.entry(of(&body)).or_default() += 1;
            }
        }
    }

    /// The books balance.
    pub async fn balanced(&self) {
        for (source, line) in self.store.audit().await.unwrap() {
            assert_eq!(line.difference(), 0, "{source}: {line:?}");
            assert_eq!(line.waiting, 0, "{source}: {line:?}");
        }
    }

    /// Stops as a process that is killed: nothing is said to anybody.
    pub async fn die(self) {
        drop(self.poller);
        self.writer.abort();
        let _ = self.writer.await;
        self.store.close().await;
    }
}
