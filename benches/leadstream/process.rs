//! Events to leads a second, and memory, by how many leads are known and how many nodes share the
//! work. In this process: the loop's own step over a store, with nothing else at work.

use std::io::{Error, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leadstream::config;
use leadstream::deliver::salesforce::Mapping;
use leadstream::edge::clock::{Clock as _, SystemClock};
use leadstream::model::{EventId, EventMeta, NewEvent, SourceName};
use leadstream::process::{Process, Progress, Rules};
use leadstream::store::{Access, Store};
use leadstream::telemetry::Metrics;

use crate::load::body;
use crate::place::{Place, Stores};
use crate::say;

/// Events in a group, as in a burst.
const GROUP: usize = 256;

/// Runs each combination in a process of its own, so that one's memory is not another's.
pub fn run_all(events: u64) -> Result<()> {
    say(&format!(
        "\n## process, {events} events, every second one of a person who is known"
    ));
    for (place, known, nodes) in [
        (Place::Sqlite, 10_000, 1),
        (Place::Sqlite, 1_000_000, 1),
        (Place::Postgres, 10_000, 1),
        (Place::Postgres, 1_000_000, 1),
        (Place::Postgres, 10_000, 2),
        (Place::Postgres, 10_000, 4),
    ] {
        let status = std::process::Command::new(std::env::current_exe()?)
            .args(["process-one", place.name(), &known.to_string()])
            .args([nodes.to_string(), events.to_string()])
            .status()?;
        if !status.success() {
            return Err(Error::other("a run failed"));
        }
    }
    Ok(())
}

/// One combination: `known` leads, then `events` events by `nodes` nodes.
pub async fn run_one(place: Place, known: u64, nodes: usize, events: u64) -> Result<()> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let stores = Stores::of(place)?;
    let url = stores.url(directory.path());
    let first = Node::open(directory.path(), &url).await?;
    first.append(0, known).await?;
    drain(std::slice::from_ref(&first)).await?;
    settle(&url).await?;
    let mut all = vec![first];
    for _ in 1..nodes {
        all.push(Node::open(directory.path(), &url).await?);
    }

    // Half of them are new, half were known.
    for start in (0..events).step_by(2 * GROUP) {
        all[0].append(known + start, GROUP as u64).await?;
        let older = start * 7919 % known.saturating_sub(GROUP as u64).max(1);
        all[0].append(older, GROUP as u64).await?;
    }
    let before = processor_seconds()?;
    let started = Instant::now();
    let done = drain(&all).await?;
    let seconds = started.elapsed().as_secs_f64();
    say(&format!(
        "{}, {known} known, {nodes} node(s): {:.0} events/s, {:.1} µs of processor an event in this process, \
         {:.1} MiB resident, {:.1} at most",
        place.name(),
        done as f64 / seconds,
        (processor_seconds()? - before) * 1e6 / done as f64,
        memory_mib("VmRSS")?,
        memory_mib("VmHWM")?
    ));
    for node in all {
        node.store.close().await;
    }
    Ok(())
}

struct Node {
    store: Arc<Store>,
    process: Process,
}

impl Node {
    async fn open(directory: &Path, url: &str) -> Result<Self> {
        let file = directory.join("leadstream.toml");
        std::fs::write(
            &file,
            format!(
                "[store]\nurl = \"{url}\"\n[salesforce]\nlogin_url = \"http://127.0.0.1:1\"\nclient_id = \"bench\"\n\
                 client_secret = {{ env = \"BENCH_SECRET\" }}\n[sources.bench]\nconnector = \"web-form\"\n\
                 default_country = \"DE\"\n"
            ),
        )?;
        let secret = |name: &str| (name == "BENCH_SECRET").then(|| "secret".to_owned());
        let config = config::load(&file, &secret)
            .config
            .ok_or_else(|| Error::other("the bench's configuration is wrong"))?;
        let store = Store::open(&config.store, Access::Daemon)
            .await
            .map_err(Error::other)?;
        let mapping = Arc::new(Mapping::new(&config.salesforce));
        let rules = Rules::of(&config, mapping, store.key_secret());
        let clock = Arc::new(SystemClock);
        let process = Process::new(Arc::clone(&store), rules, clock, Metrics::new());
        Ok(Self { store, process })
    }

    /// Puts events of `count` persons into the inbox, from number `first` on.
    async fn append(&self, first: u64, count: u64) -> Result<()> {
        let mut writer = self.store.inbox_writer().map_err(Error::other)?;
        let persons: Vec<u64> = (first..first + count).collect();
        for group in persons.chunks(GROUP) {
            let now = SystemClock.now();
            let rows = group.iter().map(|person| {
                let event = NewEvent {
                    source: SourceName::new("bench"),
                    received_at: now,
                    content_type: "application/x-www-form-urlencoded".to_owned(),
                    meta: EventMeta::default(),
                    body: body(*person).into(),
                };
                event.into()
            });
            let id = self.store.take_ids(now, group.len()).first();
            writer
                .append(EventId(id), &rows.collect::<Vec<_>>())
                .await
                .map_err(Error::other)?;
        }
        Ok(())
    }
}

/// Steps all nodes until nothing waits; returns how many events that were.
async fn drain(nodes: &[Node]) -> Result<usize> {
    let steps = nodes.iter().map(|node| async move {
        let mut done = 0;
        let mut idle = 0;
        // Idle once may mean that another node has the last groups in hand.
        while idle < 3 {
            match node.process.step().await.map_err(Error::other)? {
                Progress::Processed(events) => {
                    done += events;
                    idle = 0;
                }
                Progress::Idle => {
                    idle += 1;
                    SystemClock.sleep(Duration::from_millis(1)).await;
                }
            }
        }
        Ok::<_, Error>(done)
    });
    let done = futures_util::future::try_join_all(steps).await?;
    Ok(done.into_iter().sum())
}

/// As if all had been delivered: known leads are in Salesforce, and the outbox is empty.
async fn settle(url: &str) -> Result<()> {
    const SETTLED: &str = "UPDATE delivery SET state = 'done'; \
         UPDATE lead SET salesforce_id = '00Q000000000001'; \
         UPDATE submission SET outcome = 'synced' WHERE outcome IS NULL;";
    if let Some(file) = url.strip_prefix("sqlite:") {
        let connection = rusqlite::Connection::open(file).map_err(Error::other)?;
        return connection.execute_batch(SETTLED).map_err(Error::other);
    }
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(url)
        .await
        .map_err(Error::other)?;
    for statement in [SETTLED, "VACUUM ANALYZE"] {
        sqlx::raw_sql(statement)
            .execute(&mut connection)
            .await
            .map_err(Error::other)?;
    }
    Ok(())
}

fn processor_seconds() -> Result<f64> {
    crate::server::processor_seconds_of("self")
}

fn memory_mib(what: &str) -> Result<f64> {
    crate::server::memory_mib_of("self", what)
}
