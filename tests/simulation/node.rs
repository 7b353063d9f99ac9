//! One process: its loops over the store, its hooks, its clock, and the tasks that it has under way.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use leadstream::config::StoreConfig;
use leadstream::deliver::salesforce::Mapping;
use leadstream::deliver::{self, Deliver};
use leadstream::edge::clock::{Clock as _, SharedClock};
use leadstream::edge::fault::FaultPoints;
use leadstream::edge::http::Http;
use leadstream::ingest::{self, Append, AppendError, GroupCommit, HooksState, Inbox};
use leadstream::mirror::Mirror;
use leadstream::model::{EventId, Millis, NewEvent};
use leadstream::process::{self, Process, Rules};
use leadstream::salesforce::Client;
use leadstream::store::{Access, Store, StoreError};
use leadstream::telemetry::Metrics;

use super::clock::SkewedClock;
use super::network::Network;
use super::points::{self, Handle, Points, RECEIVED};
use super::schedule::{Fault, Post, Schedule};

/// A node, which may be down.
#[derive(Debug)]
pub struct Node {
    pub clock: Arc<SkewedClock>,
    pub alive: Option<Alive>,
    /// It is down, or stands still, before this turn.
    pub until: u64,
}

/// A process that runs.
#[derive(Debug)]
pub struct Alive {
    pub store: Arc<Store>,
    process: Arc<Process>,
    deliver: Arc<Deliver>,
    group_commit: Option<GroupCommit>,
    hooks: HooksState<Door>,
    pub tasks: Vec<Task>,
    /// Whether processing has a reason to look.
    pub process_ready: bool,
    /// Whether delivering has a reason to look.
    pub deliver_ready: bool,
    /// When delivering has one, by the node's clock, if that is known.
    pub deliver_at: Option<Millis>,
    /// Whether what an earlier step left has been taken back.
    pub recovered: bool,
    /// Whether its lease is to be renewed, and those of others looked at.
    pub keep_ready: bool,
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Ingest,
    Process,
    Recover,
    Deliver,
    /// Of the lease.
    Keep,
    /// A request with that post, by its number; for the so manyth time.
    Request(usize, u32),
}

/// What a task came to.
#[derive(Debug)]
pub enum Done {
    Ingest(GroupCommit),
    Process(Result<process::Progress, StoreError>),
    Recover(Result<(), StoreError>),
    Deliver(Result<deliver::Progress, StoreError>),
    Keep(Result<(), StoreError>),
    /// The status, and the receipt.
    Request(u16, Option<EventId>),
}

/// A step, or a request, on its way.
pub struct Task {
    pub id: u64,
    pub work: Work,
    pub future: Pin<Box<dyn Future<Output = Done> + Send>>,
    /// The point where it is parked, and what is to go wrong there. Nowhere: a request whose event
    /// waits for its group.
    pub at: Option<&'static str>,
    pub fault: Option<Fault>,
}

impl Task {
    /// Whether it is on its way to a point: it waits for the database, or for whoever has locked
    /// there what it needs.
    pub fn is_running(&self) -> bool {
        self.at.is_none() && !matches!(self.work, Work::Request(..))
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at {:?}", self.work, self.at)
    }
}

/// The inbox behind a point, so that events come in other orders than their requests.
#[derive(Debug)]
struct Door {
    inbox: Inbox,
    points: Arc<Points>,
}

impl Append for Door {
    async fn append(&self, event: NewEvent) -> Result<EventId, AppendError> {
        self.points.arrive(RECEIVED).await;
        self.inbox.append(event).await
    }
}

impl Alive {
    /// Starts a process on the store at `url`.
    pub async fn start(
        url: &str,
        config: &leadstream::config::Config,
        schedule: &Schedule,
        clock: &Arc<SkewedClock>,
        network: &Arc<Network>,
        points: &Arc<Points>,
    ) -> Result<Self, StoreError> {
        let faults = FaultPoints::decided_by(Arc::new(Handle(Arc::clone(points))));
        let config_of_store = StoreConfig {
            // Its end comes by hand only.
            lease_seconds: 3_600,
            ..StoreConfig::at(url)
        };
        let store = Store::open_with(&config_of_store, Access::Daemon, faults).await?;
        let clock: SharedClock = Arc::clone(clock) as SharedClock;
        let http = Arc::clone(network) as Arc<dyn Http>;
        let metrics = Metrics::new();
        let mut salesforce = config.salesforce.clone();
        salesforce.batch_size = schedule.batch_size;
        salesforce.linger_ms = schedule.linger_ms;
        if schedule.assigns_on_create {
            salesforce.assignment_rule = leadstream::config::AssignmentRule::OnCreate;
        }
        let mapping = Arc::new(Mapping::new(&salesforce));
        let client = Client::new(
            Arc::clone(&http),
            Arc::clone(&clock),
            salesforce,
            Arc::clone(&metrics),
        );
        let (inbox, group_commit) = ingest::group_commit(
            Arc::clone(&store),
            1_000,
            Arc::clone(&clock),
            Arc::clone(&metrics),
        )?;
        let door = Door {
            inbox,
            points: Arc::clone(points),
        };
        let hooks = HooksState::new(config, door, Arc::clone(&clock), http, Arc::clone(&metrics));
        let rules = Rules::of(config, Arc::clone(&mapping), store.key_secret());
        let process = Process::new(
            Arc::clone(&store),
            rules,
            Arc::clone(&clock),
            Arc::clone(&metrics),
        );
        let client = Arc::new(client);
        let mirror = Mirror::new(Arc::clone(&store), Arc::clone(&client), Arc::clone(&clock));
        let deliver = Deliver::new(Arc::clone(&store), client, mapping, clock, metrics)
            .with_mirror(Arc::new(mirror));
        Ok(Self {
            store,
            process: Arc::new(process),
            deliver: Arc::new(deliver),
            group_commit: Some(group_commit),
            hooks,
            tasks: Vec::new(),
            process_ready: true,
            deliver_ready: true,
            deliver_at: None,
            recovered: false,
            keep_ready: false,
        })
    }

    /// The steps that could be begun now: each loop has one at a time, and a reason for it.
    pub fn beginnings(&self) -> Vec<Work> {
        let mut works = Vec::new();
        let is_idle = |works: &[Work]| !self.tasks.iter().any(|task| works.contains(&task.work));
        let waits = |task: &Task| matches!(task.work, Work::Request(..)) && task.at.is_none();
        if self.group_commit.is_some() && self.tasks.iter().any(waits) {
            works.push(Work::Ingest);
        }
        if self.process_ready && is_idle(&[Work::Process]) {
            works.push(Work::Process);
        }
        if self.keep_ready && is_idle(&[Work::Keep]) {
            works.push(Work::Keep);
        }
        if is_idle(&[Work::Recover, Work::Deliver]) {
            if !self.recovered {
                works.push(Work::Recover);
            } else if self.deliver_ready {
                works.push(Work::Deliver);
            }
        }
        works
    }

    /// Whether something is on its way to Salesforce that was confirmed before.
    pub fn is_sending(&self) -> bool {
        let mut points = self.tasks.iter().filter_map(|task| task.at);
        points.any(points::is_sending)
    }

    /// Whether a task is in the database rather than at a point.
    pub fn is_in_database(&self) -> bool {
        self.tasks.iter().any(Task::is_running)
    }

    /// Begins a step.
    pub fn begin(&mut self, id: u64, work: Work) {
        let process = Arc::clone(&self.process);
        let deliver = Arc::clone(&self.deliver);
        let store = Arc::clone(&self.store);
        let group_commit = match work {
            Work::Ingest => self.group_commit.take(),
            _ => None,
        };
        self.push(id, work, async move {
            match work {
                Work::Process => Done::Process(process.step().await),
                Work::Recover => Done::Recover(deliver.recover().await),
                Work::Deliver => Done::Deliver(deliver.step().await),
                Work::Keep => Done::Keep(store.keep_node().await),
                Work::Ingest | Work::Request(..) => {
                    let mut group_commit = group_commit.unwrap();
                    group_commit.step().await;
                    Done::Ingest(group_commit)
                }
            }
        });
    }

    /// Sends a post to the hook.
    pub fn request(&mut self, id: u64, number: usize, time: u32, post: &Post) {
        let mut request = Request::post("/hooks/demo").header("content-type", "application/json");
        if let Some(key) = &post.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let body = serde_json::to_vec(&post.body).unwrap();
        let request = request.body(Bytes::from(body)).unwrap();
        let hooks = self.hooks.clone();
        self.push(id, Work::Request(number, time), async move {
            let peer = (Ipv4Addr::LOCALHOST, 1).into();
            let answer = hooks.hook_whole(request, peer).await;
            let receipt = answer.headers().get("x-leadstream-event");
            let receipt = receipt.map(|id| id.to_str().unwrap().parse().unwrap());
            Done::Request(answer.status().as_u16(), receipt)
        });
    }

    /// The step has ended, and its writer is free again.
    pub fn give_back(&mut self, group_commit: GroupCommit) {
        self.group_commit = Some(group_commit);
    }

    fn push(&mut self, id: u64, work: Work, future: impl Future<Output = Done> + Send + 'static) {
        self.tasks.push(Task {
            id,
            work,
            // Tokio's budget would make a task wait that has nothing to wait for.
            future: Box::pin(tokio::task::unconstrained(future)),
            at: None,
            fault: None,
        });
    }
}

impl Node {
    pub fn new(clock: Arc<SkewedClock>) -> Self {
        Self {
            clock,
            alive: None,
            until: 0,
        }
    }

    /// A second has passed in which nobody was told anything.
    pub fn look_at_all(&mut self) {
        if let Some(alive) = &mut self.alive {
            alive.process_ready = true;
            alive.deliver_ready = true;
        }
    }

    /// The same, where others may have left something.
    pub fn look_at_others(&mut self) {
        self.look_at_all();
        if let Some(alive) = &mut self.alive {
            alive.recovered = false;
            alive.keep_ready = true;
        }
    }

    /// Time has passed, or the clock was set: a delivery may have become due.
    pub fn look_at_clock(&mut self) {
        let now = self.clock.now();
        if let Some(alive) = &mut self.alive
            && alive.deliver_at.is_some_and(|at| at <= now)
        {
            alive.deliver_ready = true;
        }
    }
}
