//! The loop: claim, send, settle.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use super::budget::{ByPriority, Lane};
use super::bulk::BulkLoader;
use super::concurrency::Concurrency;
use super::pace::{Pace, ready_at};
use super::salesforce::{Campaigns, Mapping};
use super::traffic::Traffic;
use crate::config::Priority;
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Shutdown;
use crate::mirror::Mirror;
use crate::model::{EventId, Millis};
use crate::salesforce::{Client, MAX_UPSERT};
use crate::store::{Backlog, Store, StoreError, Write};
use crate::telemetry::Metrics;

/// The longest that the loop waits without looking: another process may have added work.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Which go first: demo requests before newsletters.
const PRIORITIES: [i64; 3] = [
    Priority::High as i64,
    Priority::Normal as i64,
    Priority::Low as i64,
];

/// After the store has failed.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// Empties the outbox into Salesforce.
pub struct Deliver {
    pub(super) store: Arc<Store>,
    pub(super) client: Arc<Client>,
    pub(super) mapping: Arc<Mapping>,
    pub(super) contact: Mapping,
    pub(super) campaigns: Campaigns,
    pub(super) mirror: Option<Arc<Mirror>>,
    pub(super) traffic: Option<Arc<Traffic>>,
    pub(super) loader: BulkLoader,
    pub(super) clock: SharedClock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) pace: Mutex<Pace>,
    pub(super) concurrency: Mutex<Concurrency>,
    /// Which external ids our own store gave.
    pub(super) is_ours: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// Whether it has been said that nobody can be looked for.
    pub(super) told_blind: AtomicBool,
    /// Held while a big backlog is loaded: what it has claimed is not to be taken back meanwhile.
    pub(super) loading: tokio::sync::Mutex<()>,
    /// There is a big backlog to load.
    pub(super) big_backlog: Notify,
}

impl std::fmt::Debug for Deliver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deliver").finish_non_exhaustive()
    }
}

/// Whose turn it is.
enum Turn {
    /// That of these priorities, the first first; so many leads are due.
    Now(Vec<i64>, usize),
    /// Nobody's before this time, if it is known.
    At(Option<Millis>),
}

fn earliest(one: Option<Millis>, other: Option<Millis>) -> Option<Millis> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many deliveries were sent and settled; there may be more.
    Settled(usize),
    /// Nothing to do before this time, if it is known, unless something new is decided.
    Idle(Option<Millis>),
}

impl Deliver {
    /// A loop over `store` into the org of `client`.
    pub fn new(
        store: Arc<Store>,
        client: Arc<Client>,
        mapping: Arc<Mapping>,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Self {
        let ids = Arc::clone(&store);
        Self {
            loader: BulkLoader::new(Arc::clone(&store), Arc::clone(&client), Arc::clone(&clock)),
            is_ours: Box::new(move |key| ids.is_own_external_id(key)),
            store,
            contact: Mapping::of_contact(client.config()),
            client,
            mapping,
            campaigns: Campaigns::default(),
            mirror: None,
            traffic: None,
            clock,
            metrics,
            pace: Mutex::default(),
            concurrency: Mutex::default(),
            told_blind: AtomicBool::new(false),
            loading: tokio::sync::Mutex::new(()),
            big_backlog: Notify::new(),
        }
    }

    /// The same, which looks for people who are in the org already.
    pub fn with_mirror(mut self, mirror: Arc<Mirror>) -> Self {
        self.mirror = Some(mirror);
        self
    }

    /// The same, which spends no more of the org's calls than `traffic` allows.
    pub fn with_traffic(mut self, traffic: Arc<Traffic>) -> Self {
        self.traffic = Some(traffic);
        self
    }

    /// Takes back what was being sent and never settled, by an earlier process or because the store
    /// failed. Not while a step is under way.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let Ok(_not_loading) = self.loading.try_lock() else {
            return Ok(());
        };
        // A job that was left goes on by itself: its rows are not to come after newer ones. Its leads
        // stay claimed until its end is known, so nobody else has to wait for it.
        if self.loader.finish_left().await?.is_some() {
            return Ok(());
        }
        self.store.reach("recover.before_write").await?;
        let node = self.store.node()?;
        let mut write = self.store.write().await?;
        let released = write.release_claims(node).await?;
        let now = self.clock.now();
        write.bring_forward(now).await?;
        self.store.reach("recover.before_commit").await?;
        write.commit().await?;
        self.store.reach("recover.after_commit").await?;
        if released > 0 {
            info!(
                deliveries = released,
                "looking again for what was being sent and not settled"
            );
        }
        Ok(())
    }

    /// Sends one batch, if one is ready.
    pub async fn step(&self) -> Result<Progress, StoreError> {
        let now = self.clock.now();
        let config = self.client.config();
        let (until, last_call, batch_size) = {
            let mut pace = self.pace.lock();
            pace.signed_in(self.client.sign_ins());
            let batch_size = pace.batch_size(config.batch_size.clamp(1, MAX_UPSERT));
            let last_call = pace.last_call.unwrap_or(Millis(0));
            (pace.held_until(now), last_call, batch_size)
        };
        if let Some(until) = until {
            return Ok(Progress::Idle(Some(until)));
        }
        let node = self.store.node()?;
        self.store.reach("claim.before_write").await?;
        let mut write = self.store.write().await?;
        let turn = self.turn(&mut write, now, batch_size, last_call).await?;
        let (priorities, due) = match turn {
            Turn::Now(priorities, due) => (priorities, due),
            Turn::At(ready) => return Ok(Progress::Idle(ready)),
        };
        let ids = |count| self.store.take_ids(now, count);
        // As many calls at once as the org bears, and as can be filled: what is left over fills the next.
        let calls = self.concurrency.lock().limit().min(due / batch_size).max(1);
        let most = batch_size * calls;
        let claims = write.claim(node, now, most, &priorities, &ids).await?;
        self.store.reach("claim.before_commit").await?;
        // The leads' external ids, and that we are sending, must outlive whatever happens now.
        self.store.commit_durably(write).await?;
        self.store.reach("claim.after_commit").await?;
        if claims.is_empty() {
            return Ok(Progress::Idle(Some(now.after(LONGEST_WAIT))));
        }
        let request_id = EventId(ids(1).first()).to_string();
        // Whoever has taken over sends it, and not we as well.
        self.store.confirm(node).await?;
        self.store.reach("deliver.before_send").await?;
        let sent = self.send(node, &claims, &request_id, batch_size).await?;
        self.store.reach("deliver.after_send").await?;

        let now = self.clock.now();
        debug!(
            leads = claims.len(),
            request.id = %request_id,
            duration_ms = now.since(claims[0].deliveries[0].created_at).as_millis() as u64,
            "sent"
        );
        let settled = self.settle_all(node, &claims, sent, &request_id).await?;
        Ok(Progress::Settled(settled))
    }

    /// Whose turn it is: leads of those priorities, now, or when to look again.
    async fn turn(
        &self,
        write: &mut Write,
        now: Millis,
        batch_size: usize,
        last_call: Millis,
    ) -> Result<Turn, StoreError> {
        let config = self.client.config();
        let most = batch_size.max(self.bulk_threshold());
        let mut backlogs = ByPriority::<Backlog>::default();
        for (priority, backlog) in [
            (Priority::High, &mut backlogs.high),
            (Priority::Normal, &mut backlogs.normal),
            (Priority::Low, &mut backlogs.low),
        ] {
            *backlog = write.backlog(now, most, priority as i64).await?;
        }
        let waiting = ByPriority {
            high: backlogs.high.due,
            normal: backlogs.normal.due,
            low: backlogs.low.due,
        };
        let lanes = self.lanes(waiting);
        // A big backlog goes by bulk jobs, beside this; what is urgent does not wait for it, nor it
        // for a time when nothing is urgent.
        let is_big = self.is_big(&waiting, &lanes.0);
        if is_big {
            self.big_backlog.notify_one();
        }
        let mut ready: Option<Millis> = lanes.1;
        let mut now_due = Vec::new();
        let mut together = Backlog::default();
        let mut linger = Duration::from_millis(config.linger_ms);
        for priority in PRIORITIES {
            let Lane::Send {
                linger: of_lane, ..
            } = lanes.0.of(priority)
            else {
                continue;
            };
            if is_big && priority != Priority::High as i64 {
                continue;
            }
            linger = if together.due == 0 {
                *of_lane
            } else {
                linger.min(*of_lane)
            };
            together = together.and(*backlogs.of(priority));
            now_due.push(priority);
        }
        match ready_at(&together, batch_size, linger, last_call, now) {
            Some(at) if at <= now && !now_due.is_empty() => {
                return Ok(Turn::Now(now_due, together.due));
            }
            at => ready = earliest(ready, at),
        }
        Ok(Turn::At(ready))
    }

    /// How each priority may go, and when to look again if one of them may not.
    pub(super) fn lanes(&self, waiting: ByPriority<usize>) -> (ByPriority<Lane>, Option<Millis>) {
        if let Some(traffic) = &self.traffic {
            let decision = traffic.decide(waiting);
            return (decision.lanes, decision.until);
        }
        let config = self.client.config();
        let all = Lane::Send {
            linger: Duration::from_millis(config.linger_ms),
            batch_size: config.batch_size,
        };
        let lanes = ByPriority {
            high: all,
            normal: all,
            low: all,
        };
        (lanes, None)
    }

    /// Steps until told to stop. What is being sent is settled first. A big backlog goes beside that.
    pub async fn run(&self, shutdown: Shutdown) {
        tokio::join!(self.run_steps(shutdown.clone()), self.run_loads(shutdown));
    }

    async fn run_steps(&self, mut shutdown: Shutdown) {
        let mut recovered = false;
        while !shutdown.is_stopping() {
            let started = self.clock.now();
            let step = if recovered {
                self.step().await
            } else {
                self.recover().await.map(|()| Progress::Settled(0))
            };
            // Whatever failed, claims may be left that nobody settles.
            recovered = step.is_ok();
            let wait = match step {
                Ok(Progress::Settled(_)) => {
                    let now = self.clock.now();
                    let rest = self.store.rest(now.since(started), now);
                    if !rest.is_zero() {
                        self.clock.sleep(rest).await;
                    }
                    continue;
                }
                Ok(Progress::Idle(until)) => until
                    .map_or(LONGEST_WAIT, |until| until.since(self.clock.now()))
                    .min(LONGEST_WAIT),
                Err(error) => {
                    warn!(%error, "the outbox cannot be read or written; trying again");
                    STORE_WAIT
                }
            };
            tokio::select! {
                // A database that crashed may have taken back what became of a batch: that did not
                // wait for the disk, and nothing fails here that would tell.
                () = self.clock.sleep(wait) => recovered = false,
                () = self.store.outbox_changed.notified() => {}
                () = shutdown.stopping() => {}
            }
        }
    }
}
