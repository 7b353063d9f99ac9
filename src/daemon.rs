//! Builds all from a `Config`, runs it, stops it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};
use tracing::{info, warn};

use crate::admin::{self, AdminState};
use crate::config::{Config, SourceConfig};
use crate::connector::ConnectorOptions;
use crate::deliver::Deliver;
use crate::deliver::salesforce::Mapping;
use crate::deliver::traffic::Traffic;
use crate::edge::background::Background;
use crate::edge::clock::{Clock as _, SharedClock, SystemClock};
use crate::edge::http::{Http, ReqwestHttp};
use crate::edge::serve::serve;
use crate::edge::shutdown::{self, Shutdown, Trigger};
use crate::edge::supervise::Supervisor;
use crate::follow::Follow;
use crate::follow::drift::{Drift, Watched};
use crate::ingest::file::Folder;
use crate::ingest::poll::{Hints, PollSource, Poller};
use crate::ingest::{self, Door, HooksState, Inbox, captcha_endpoint};
use crate::mirror::Mirror;
use crate::model::SourceName;
use crate::org_tokens;
use crate::process::{Process, Rules};
use crate::retention::Retention;
use crate::salesforce::{Client, SignInState, allowed_hosts};
use crate::store::{Access, Store, StoreError};
use crate::telemetry::Metrics;

/// How often a sign-in that failed is tried again, so that `/readyz` comes right by itself.
const SIGN_IN_WAIT: Duration = Duration::from_secs(30);

/// How often the inbox's log is looked after: so often that its writer, which finishes what is left
/// to copy when the log is full, finds little left.
const HOUSE_WAIT: Duration = Duration::from_millis(100);

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// `[server] listen`.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no more threads.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    address: SocketAddr,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    stop_server: Trigger,
    server: JoinHandle<()>,
    group_commit: std::thread::JoinHandle<()>,
    stop_readers: Trigger,
    readers: Vec<JoinHandle<()>>,
    stop_loops: Trigger,
    process: JoinHandle<()>,
    deliver: JoinHandle<()>,
    traffic: Arc<Traffic>,
    background: Background,
    patience: Duration,
    clock: SharedClock,
}

impl Daemon {
    /// Starts all of `config`. When this returns, events are taken.
    pub async fn start(config: &Config, clock: SharedClock) -> Result<Self, StartError> {
        let background = Background::start().map_err(StartError::Thread)?;
        // Opened there, so that its threads give way like those that use it.
        let at = config.store.clone();
        let opened = background.spawn(async move { Store::open(&at, Access::Daemon).await });
        let store = opened
            .await
            .map_err(|error| StartError::Thread(error.into()))??;
        let address = config.server.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| StartError::Listen { address, source })?;
        let address = listener
            .local_addr()
            .map_err(|source| StartError::Listen { address, source })?;
        let metrics = Metrics::new();
        let http = http(config);
        let client = Client::new(
            Arc::clone(&http),
            Arc::clone(&clock),
            config.salesforce.clone(),
            Arc::clone(&metrics),
        );
        let client = client.keeping(org_tokens::keep(Arc::clone(&store), &config.store));
        let client = Arc::new(client);
        let traffic = Arc::new(Traffic::new(
            Arc::clone(&store),
            Arc::clone(&client),
            Arc::clone(&clock),
            Arc::clone(&metrics),
        ));
        let mapping = Arc::new(Mapping::new(&config.salesforce));
        let (stop_server, server_stopping) = shutdown::channel();
        let (stop_loops, loops_stopping) = shutdown::channel();
        let patience = Duration::from_secs(config.server.shutdown_timeout_seconds);

        let (inbox, mut group_commit) = ingest::group_commit(
            Arc::clone(&store),
            config.server.max_waiting_events,
            Arc::clone(&clock),
            Arc::clone(&metrics),
        )?;
        let supervisor = Supervisor::new(Arc::clone(&clock), Arc::clone(&metrics));
        let (kept, runtime) = (supervisor.clone(), Handle::current());
        let group_commit = thread("group-commit", move || {
            kept.keep_thread("group commit", &runtime, || group_commit.run(&runtime));
        })?;
        let (stop_readers, readers_stopping) = shutdown::channel();
        let mut readers = Vec::new();
        for folder in folders(config, &inbox, &store, &clock, &metrics) {
            readers.push(background.spawn(supervisor.clone().keep(
                "files",
                readers_stopping.clone(),
                async move |stopping| folder.run(stopping).await,
            )));
        }
        let pollers = pollers(config, &inbox, &store, &clock, &metrics);
        let hints = Hints::new(pollers.iter().map(|(name, _)| name.clone()));
        for (name, poller) in pollers {
            let hints = hints.clone();
            readers.push(background.spawn(supervisor.clone().keep(
                "poll",
                readers_stopping.clone(),
                async move |stopping| {
                    if let Err(error) = poller.run(&hints, stopping).await {
                        warn!(source = %name, %error, "the source is not polled");
                    }
                },
            )));
        }
        let mirror = config.salesforce.mirror.enabled.then(|| {
            let (store, client) = (Arc::clone(&store), Arc::clone(&client));
            Arc::new(Mirror::new(store, client, Arc::clone(&clock)))
        });
        if let Some(mirror) = &mirror {
            let budget = Arc::clone(&traffic);
            let follow = Follow::new(
                Arc::clone(mirror),
                inbox.clone(),
                Arc::clone(&clock),
                Arc::new(move || budget.mirror_every()),
            );
            readers.push(background.spawn(supervisor.clone().keep(
                "follow",
                readers_stopping.clone(),
                async move |stopping| follow.run(stopping).await,
            )));
        }
        let hooks = HooksState::new(
            config,
            inbox,
            Arc::clone(&clock),
            http,
            Arc::clone(&metrics),
        );
        hooks.on_poll_hint(Arc::new(move |source: &SourceName| hints.poll_now(source)));
        let admin = AdminState::new(
            Arc::clone(&store),
            Arc::clone(&client),
            Arc::clone(&metrics),
            Arc::clone(&clock),
            supervisor.clone(),
            config.fenced.clone(),
        );
        let door = Door::new(hooks, admin::router(admin));
        let server = tokio::spawn(serve(
            listener,
            door,
            Arc::clone(&clock),
            server_stopping,
            patience,
        ));

        let rules = Rules::of(config, Arc::clone(&mapping), store.key_secret());
        let process = Process::new(
            Arc::clone(&store),
            rules,
            Arc::clone(&clock),
            Arc::clone(&metrics),
        );
        let process = background.spawn(supervisor.clone().keep(
            "process",
            loops_stopping.clone(),
            async move |stopping| process.run(stopping).await,
        ));
        let deliver = Deliver::new(
            Arc::clone(&store),
            Arc::clone(&client),
            mapping,
            Arc::clone(&clock),
            Arc::clone(&metrics),
        );
        let deliver = deliver.with_traffic(Arc::clone(&traffic));
        let deliver = match mirror {
            Some(mirror) => deliver.with_mirror(mirror),
            None => deliver,
        };
        let deliver = background.spawn(supervisor.clone().keep(
            "deliver",
            loops_stopping.clone(),
            async move |stopping| Box::pin(deliver.run(stopping)).await,
        ));
        let drift = Drift::new(
            Arc::clone(&store),
            Arc::clone(&client),
            Watched::all(config),
            Arc::clone(&clock),
            Arc::clone(&metrics),
        );
        background.spawn(supervisor.clone().keep(
            "drift",
            loops_stopping.clone(),
            async move |stopping| drift.run(stopping).await,
        ));
        let counting = Arc::clone(&traffic);
        background.spawn(supervisor.clone().keep(
            "traffic",
            loops_stopping.clone(),
            async move |stopping| counting.run(stopping).await,
        ));
        let leaser = Arc::clone(&store);
        background.spawn(supervisor.clone().keep(
            "lease",
            loops_stopping.clone(),
            async move |stopping| keep_lease(&leaser, stopping).await,
        ));
        let retention =
            Retention::new(Arc::clone(&store), config.store.clone(), Arc::clone(&clock));
        background.spawn(supervisor.clone().keep(
            "retention",
            loops_stopping.clone(),
            async move |stopping| retention.run(stopping).await,
        ));
        let (house, time) = (Arc::clone(&store), Arc::clone(&clock));
        background.spawn(supervisor.clone().keep(
            "house keeping",
            loops_stopping.clone(),
            async move |stopping| keep_house(&house, &time, stopping).await,
        ));
        let time = Arc::clone(&clock);
        background.spawn(
            supervisor.keep("sign-in", loops_stopping, async move |stopping| {
                keep_signed_in(&client, &time, stopping).await;
            }),
        );
        Ok(Self {
            address,
            store,
            metrics,
            stop_server,
            server,
            group_commit,
            stop_readers,
            readers,
            stop_loops,
            process,
            deliver,
            traffic,
            background,
            patience,
            clock,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its store.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Stops: takes no more requests, answers those in hand, commits, and finishes what is being
    /// sent. What waits in the inbox and the outbox is on disk, and goes on at the next start.
    pub async fn stop(self) {
        self.stop_server.stop();
        finished("server", self.server).await;
        self.stop_readers.stop();
        // What a vendor is slow to answer is asked again after the next start. Whoever is given up must
        // let go of the inbox, or its writer would wait for them.
        let slow: Vec<_> = self.readers.iter().map(JoinHandle::abort_handle).collect();
        let all = async {
            for reader in self.readers {
                finished("reader", reader).await;
            }
        };
        tokio::select! {
            () = all => {}
            () = self.clock.sleep(self.patience) => slow.iter().for_each(AbortHandle::abort),
        }
        // With the server, files and polls the ways into the inbox are gone, so the group commit ends by
        // itself.
        let committed = tokio::task::spawn_blocking(move || self.group_commit.join());
        let (stop_loops, process, deliver) = (self.stop_loops, self.process, self.deliver);
        let traffic = self.traffic;
        let all = async {
            if !matches!(committed.await, Ok(Ok(()))) {
                warn!("group commit ended by a crash");
            }
            stop_loops.stop();
            finished("process", process).await;
            finished("deliver", deliver).await;
            // From here on nobody makes any call.
            if let Err(error) = traffic.flush().await {
                warn!(%error, "the last calls to Salesforce could not be written down");
            }
        };
        tokio::select! {
            () = all => info!("stopped"),
            () = self.clock.sleep(self.patience) => {
                warn!("stopped before all work in hand was finished; it goes on at the next start");
            }
        }
        self.store.close().await;
        drop(self.background);
    }
}

/// The loops over the folders that files are put into.
fn folders(
    config: &Config,
    inbox: &Inbox,
    store: &Arc<Store>,
    clock: &SharedClock,
    metrics: &Arc<Metrics>,
) -> Vec<Folder> {
    let folder = |(name, source): (&SourceName, &SourceConfig)| match &source.options {
        ConnectorOptions::FileDrop(options) => Some(Folder::new(
            name.clone(),
            source.clone(),
            (**options).clone(),
            inbox.clone(),
            Arc::clone(store),
            Arc::clone(clock),
            Arc::clone(metrics),
        )),
        _ => None,
    };
    config.sources.iter().filter_map(folder).collect()
}

/// The loops over the sources whose vendors are asked.
fn pollers(
    config: &Config,
    inbox: &Inbox,
    store: &Arc<Store>,
    clock: &SharedClock,
    metrics: &Arc<Metrics>,
) -> Vec<(SourceName, Arc<Poller>)> {
    let mut pollers = Vec::new();
    for (name, source) in PollSource::all(config, store, clock) {
        match source {
            Ok(source) => {
                let poller = Poller::new(
                    source,
                    Arc::clone(store),
                    inbox.clone(),
                    Arc::clone(clock),
                    Arc::clone(metrics),
                );
                pollers.push((name, Arc::new(poller)));
            }
            Err(error) => {
                warn!(source = %name, %error, hint = %error.hint, "the source cannot be polled");
            }
        }
    }
    pollers
}

/// The way out: to the org, and to what the sources' connectors name.
fn http(config: &Config) -> Arc<dyn Http> {
    let captchas = config.sources.values().filter_map(captcha_endpoint);
    let hosts = captchas.fold(allowed_hosts(&config.salesforce), |hosts, url| {
        hosts.url(&url)
    });
    Arc::new(ReqwestHttp::new(hosts))
}

fn thread(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, StartError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(StartError::Thread)
}

async fn finished(name: &'static str, task: JoinHandle<()>) {
    if let Err(error) = task.await {
        warn!(%error, "{name} ended by a crash");
    }
}

/// Tells the other nodes that this one is alive. By the machine's clock, whatever time it is for
/// leads: leases are by the database's.
async fn keep_lease(store: &Store, mut shutdown: Shutdown) {
    let Some(interval) = store.lease_interval() else {
        return;
    };
    while !shutdown.is_stopping() {
        tokio::select! {
            () = SystemClock.sleep(interval) => {}
            () = shutdown.stopping() => return,
        }
        if let Err(error) = store.keep_node().await {
            warn!(%error, "the lease of this node cannot be renewed; trying again");
        }
    }
}

/// Keeps the store in good order.
async fn keep_house(store: &Store, clock: &SharedClock, mut shutdown: Shutdown) {
    let mut told = false;
    while !shutdown.is_stopping() {
        match store.keep_house().await {
            Ok(()) => told = false,
            // Said when it begins, not ten times a second: the log may be on the same full disk.
            Err(error) if !told => {
                warn!(%error, "the inbox's log could not be copied into its file; it grows until that works");
                told = true;
            }
            Err(_) => {}
        }
        tokio::select! {
            () = clock.sleep(HOUSE_WAIT) => {}
            () = shutdown.stopping() => {}
        }
    }
}

/// Signs in at the start, so that the first lead finds a token and `/readyz` tells the truth, and
/// whenever that has failed: what waits for it goes on as soon as it goes well.
async fn keep_signed_in(client: &Client, clock: &SharedClock, mut shutdown: Shutdown) {
    let mut told = false;
    while !shutdown.is_stopping() {
        if client.sign_in_state() == SignInState::SignedIn {
            told = false;
        } else if let Err(error) = client.sign_in_again().await
            && !told
        {
            warn!(error.code = %error.code, hint = %error.hint, "cannot sign in to Salesforce; leads are kept and wait");
            told = true;
        }
        tokio::select! {
            () = clock.sleep(SIGN_IN_WAIT) => {}
            () = shutdown.stopping() => {}
        }
    }
}
