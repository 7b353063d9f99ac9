//! The loop's edge: claim events, load what is known, decide, apply in one transaction.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error, warn};

use super::decide::{Known, Prepared, Rules, decide, read};
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Shutdown;
use crate::model::{End, Event, LeadId, Millis, SourceName};
use crate::store::{Changes, Store, StoreError, Write};
use crate::telemetry::{EndLabel, Metrics};

/// The most events in one transaction.
const MOST_EVENTS: usize = 256;

/// How often a batch is done again because another node was quicker.
const MOST_CONFLICTS: u32 = 10;

/// The longest that the loop waits without looking: another process may have asked for a replay.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// After the store has failed.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// Turns events into leads and deliveries.
#[derive(Debug)]
pub struct Process {
    store: Arc<Store>,
    rules: Rules,
    clock: SharedClock,
    metrics: Arc<Metrics>,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many events were processed; there may be more.
    Processed(usize),
    /// There are none.
    Idle,
}

impl Process {
    /// A loop over `store`.
    pub fn new(store: Arc<Store>, rules: Rules, clock: SharedClock, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            rules,
            clock,
            metrics,
        }
    }

    /// Processes one batch of events: those that are to be replayed first, then new ones in order.
    pub async fn step(&self) -> Result<Progress, StoreError> {
        let mut tries = 0;
        loop {
            match self.try_step().await {
                // Another node is done by now, and what it did is known this time.
                Err(error) if error.is_conflict() && tries < MOST_CONFLICTS => tries += 1,
                result => return result,
            }
        }
    }

    async fn try_step(&self) -> Result<Progress, StoreError> {
        let mut claim = self.store.claim_events(MOST_EVENTS).await?;
        let replayed = claim.replayed;
        let events = std::mem::take(&mut claim.events);
        if events.is_empty() {
            return Ok(Progress::Idle);
        }
        let mut prepared: Vec<Prepared> = events
            .into_iter()
            .map(|event| {
                if claim.damaged.contains(&event.id) {
                    Prepared::damaged(event, replayed)
                } else {
                    self.prepare(event, replayed)
                }
            })
            .collect();

        let now = self.clock.now();
        self.store.reach("process.before_write").await?;
        let mut write = claim.into_write(&self.store).await?;
        let changes = loop {
            let known = load(&mut write, &prepared).await?;
            // What is decided for a lead now must come after what another node decided before.
            self.store.raise_ids(known.highest_delivery());
            match self.decide(&prepared, known, now) {
                Ok(changes) => break changes,
                Err(crashed) => {
                    let event = prepared[crashed].event.clone();
                    error!(event.id = %event.id, source = %event.source, "deciding an event crashed; it is a dead letter now");
                    prepared[crashed] = Prepared::crashed(event, replayed);
                }
            }
        };
        let ids = self.store.take_ids(now, changes.ids_needed());
        if let Err(error) = write.apply(&changes, ids, now).await {
            // At once, so that the events are free again when this is tried once more.
            write.roll_back().await?;
            return Err(error);
        }
        self.store.reach("process.before_commit").await?;
        write.commit().await?;
        self.store.reach("process.after_commit").await?;

        if !changes.deliveries.is_empty() {
            self.store.outbox_changed.notify_one();
        }
        if !changes.fetches.is_empty() {
            // Those who wait now, and one who is about to.
            self.store.fetch_changed.notify_waiters();
            self.store.fetch_changed.notify_one();
        }
        self.count(&changes);
        debug!(
            events = prepared.len(),
            deliveries = changes.deliveries.len(),
            "processed"
        );
        Ok(Progress::Processed(prepared.len()))
    }

    /// What a batch changes; or the place of the event that deciding has crashed on.
    fn decide(
        &self,
        prepared: &[Prepared],
        mut known: Known,
        now: Millis,
    ) -> Result<Changes, usize> {
        let mut changes = Changes::default();
        let mut next_id = || self.store.take_ids(now, 1).first();
        for (index, event) in prepared.iter().enumerate() {
            let one = || {
                decide(
                    event,
                    &mut known,
                    &self.rules,
                    now,
                    &mut next_id,
                    &mut changes,
                );
            };
            // What was half decided is dropped with all that the batch was to change.
            catch_unwind(AssertUnwindSafe(one)).map_err(|_| index)?;
        }
        changes.leads = known.into_changed_leads();
        Ok(changes)
    }

    /// Steps until told to stop.
    pub async fn run(&self, mut shutdown: Shutdown) {
        while !shutdown.is_stopping() {
            let started = self.clock.now();
            let wait = match self.step().await {
                Ok(Progress::Processed(_)) => {
                    let now = self.clock.now();
                    let rest = self.store.rest(now.since(started), now);
                    if !rest.is_zero() {
                        self.clock.sleep(rest).await;
                    }
                    continue;
                }
                Ok(Progress::Idle) => LONGEST_WAIT,
                Err(error) => {
                    warn!(%error, "events cannot be processed; trying again");
                    STORE_WAIT
                }
            };
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = self.store.inbox_changed.notified() => {}
                () = shutdown.stopping() => {}
            }
        }
    }

    /// Reads an event. Should that ever crash, it becomes a dead letter and the others go on.
    fn prepare(&self, event: Event, replayed: bool) -> Prepared {
        if let Ok(found) = catch_unwind(AssertUnwindSafe(|| read(&event, &self.rules))) {
            Prepared::new(event, replayed, found)
        } else {
            error!(event.id = %event.id, source = %event.source, "reading an event crashed; it is a dead letter now");
            Prepared::crashed(event, replayed)
        }
    }

    fn count(&self, changes: &Changes) {
        let ended = changes
            .submissions
            .iter()
            .filter_map(|row| Some((&row.source, row.outcome?)));
        let mut counts: std::collections::HashMap<(&SourceName, End), u64> =
            std::collections::HashMap::new();
        for ended in ended {
            *counts.entry(ended).or_default() += 1;
        }
        for ((source, end), count) in counts {
            let label = EndLabel {
                source: source.to_string(),
                end: end.name(),
            };
            self.metrics
                .submissions_ended
                .get_or_create(&label)
                .inc_by(count);
        }
    }
}

/// What the store knows of the people in `prepared`.
pub(super) async fn load(write: &mut Write, prepared: &[Prepared]) -> Result<Known, StoreError> {
    let keys: BTreeSet<_> = prepared.iter().flat_map(Prepared::keys).collect();
    let keys = write
        .leads_by_keys(&keys.into_iter().collect::<Vec<_>>())
        .await?;
    let named = prepared.iter().filter_map(Prepared::lead);
    let ids: BTreeSet<LeadId> = keys.iter().map(|(_, lead)| *lead).chain(named).collect();
    let (leads, damaged) = write.leads(ids).await?;
    Ok(Known::new(leads, keys, damaged))
}
