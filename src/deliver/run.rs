//! The loop: claim, send, settle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::json;
use tracing::{debug, info, warn};

use super::pace::{Pace, ready_at};
use super::retry::{Retry, hold_all, next_try};
use super::salesforce::send::{Blame, Outgoing, Sender, Sent};
use super::salesforce::write::together;
use super::salesforce::{Campaigns, Mapping, cause, join_together};
use crate::config::Priority;
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Shutdown;
use crate::mirror::{Mirror, MirrorError};
use crate::model::{Delivery, EventId, Millis};
use crate::salesforce::{CallError, Class, Client, Explanation, MAX_UPSERT};
use crate::store::{Backlog, Claim, Ended, Node, Outcome, Settlement, Store, StoreError};
use crate::telemetry::{EndLabel, Metrics};

/// The longest that the loop waits without looking: another process may have added work.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How often what became of a batch is written again because another node was in the way.
const MOST_CONFLICTS: u32 = 10;

/// Which go first: demo requests before newsletters.
const PRIORITIES: [i64; 3] = [
    Priority::High as i64,
    Priority::Normal as i64,
    Priority::Low as i64,
];

/// After the store has failed.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// Empties the outbox into Salesforce, one call at a time.
#[derive(Debug)]
pub struct Deliver {
    store: Arc<Store>,
    client: Arc<Client>,
    mapping: Arc<Mapping>,
    contact: Mapping,
    campaigns: Campaigns,
    mirror: Option<Arc<Mirror>>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    pace: Mutex<Pace>,
    /// Whether it has been said that nobody can be looked for.
    told_blind: AtomicBool,
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
        Self {
            store,
            contact: Mapping::of_contact(client.config()),
            client,
            mapping,
            campaigns: Campaigns::default(),
            mirror: None,
            clock,
            metrics,
            pace: Mutex::default(),
            told_blind: AtomicBool::new(false),
        }
    }

    /// The same, which looks for people who are in the org already.
    pub fn with_mirror(mut self, mirror: Arc<Mirror>) -> Self {
        self.mirror = Some(mirror);
        self
    }

    /// Takes back what was being sent and never settled, by an earlier process or because the store
    /// failed. Not while a step is under way.
    pub async fn recover(&self) -> Result<(), StoreError> {
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
        let mut backlog = Backlog::default();
        for priority in PRIORITIES {
            let of_one = write.backlog(now, batch_size, priority).await?;
            backlog = backlog.and(of_one);
        }
        match ready_at(
            &backlog,
            batch_size,
            Duration::from_millis(config.linger_ms),
            last_call,
            now,
        ) {
            Some(ready) if ready <= now => {}
            ready => return Ok(Progress::Idle(ready)),
        }
        let ids = |count| self.store.take_ids(now, count);
        let claims = write
            .claim(node, now, batch_size, &PRIORITIES, &ids)
            .await?;
        self.store.reach("claim.before_commit").await?;
        // The leads' external ids, and that we are sending, must outlive whatever happens now.
        self.store.commit_durably(write).await?;
        self.store.reach("claim.after_commit").await?;
        if claims.is_empty() {
            return Ok(Progress::Idle(Some(now.after(LONGEST_WAIT))));
        }
        let request_id = EventId(ids(1).first()).to_string();
        let mut leads: Vec<Outgoing> = claims.iter().map(|claim| self.outgoing(claim)).collect();
        // Whoever has taken over sends it, and not we as well.
        self.store.confirm(node).await?;
        self.store.reach("deliver.before_send").await?;
        let store = &self.store;
        let may_write = move || -> BoxFuture<'_, bool> {
            Box::pin(async move { store.confirm(node).await.is_ok() })
        };
        let sent = match self.find(&mut leads).await {
            Ok(()) => {
                let sender = Sender {
                    client: &self.client,
                    lead: &self.mapping,
                    contact: &self.contact,
                    campaigns: &self.campaigns,
                    request_id: &request_id,
                    may_write: &may_write,
                    is_ours: &|key| store.is_own_external_id(key),
                    now,
                };
                sender.send(&leads).await
            }
            Err(MirrorError::Store(error)) => return Err(error),
            Err(MirrorError::JobFailed) => Vec::new(),
            // Nothing was written; a Lead that is made without a look may be somebody's second one.
            Err(MirrorError::Call(error)) => leads
                .iter()
                .map(|lead| Sent::failed(&error, lead.unsure))
                .collect(),
        };
        self.store.reach("deliver.after_send").await?;

        let now = self.clock.now();
        debug!(
            leads = claims.len(),
            request.id = %request_id,
            duration_ms = now.since(claims[0].deliveries[0].created_at).as_millis() as u64,
            "sent"
        );
        let first_trouble = self.keep_pace(&sent, now);
        let settlements: Vec<Settlement> = claims
            .iter()
            .zip(sent)
            .map(|(claim, sent)| Settlement {
                lead: claim.lead,
                salesforce_id: sent.salesforce_id().map(str::to_owned),
                deliveries: claim
                    .deliveries
                    .iter()
                    .map(|delivery| delivery.id)
                    .collect(),
                outcome: self.outcome(claim, sent, first_trouble, &request_id, now),
            })
            .collect();
        self.settle(node, &settlements, now).await?;
        Ok(Progress::Settled(settlements.len()))
    }

    /// Steps until told to stop. What is being sent is settled first.
    pub async fn run(&self, mut shutdown: Shutdown) {
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

    /// Finds records that may be of those of `leads` who have none yet.
    async fn find(&self, leads: &mut [Outgoing]) -> Result<(), MirrorError> {
        let Some(mirror) = &self.mirror else {
            return Ok(());
        };
        let mut new: Vec<&mut Outgoing> = leads
            .iter_mut()
            .filter(|lead| lead.salesforce_id.is_none())
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let max_age = Duration::from_secs(self.client.config().mirror.max_age_seconds);
        let records: Vec<_> = new.iter().map(|lead| &lead.record).collect();
        let found = match mirror.candidates(&records, max_age).await {
            // An org that will never answer this is sent to all the same, as it always was.
            Err(MirrorError::Call(CallError::Refused { status, errors }))
                if is_final(&CallError::Refused {
                    status,
                    errors: errors.clone(),
                }) =>
            {
                if !self.told_blind.swap(true, Ordering::Relaxed) {
                    let why = Explanation::of(status, &errors);
                    warn!(error.code = %why.code, hint = %why.hint, "people who are in Salesforce already cannot be looked for: duplicates may come about");
                }
                return Ok(());
            }
            found => found?,
        };
        for (lead, candidates) in new.iter_mut().zip(found.0) {
            lead.candidates = candidates;
        }
        Ok(())
    }

    fn outgoing(&self, claim: &Claim) -> Outgoing {
        let mut campaigns = BTreeMap::new();
        for delivery in &claim.deliveries {
            join_together(&mut campaigns, delivery.campaigns.clone());
        }
        let decided_at = claim.deliveries.iter().map(|delivery| delivery.created_at);
        Outgoing {
            record: claim.record.clone(),
            candidates: Vec::new(),
            campaigns,
            told_of: claim
                .deliveries
                .iter()
                .rev()
                .find_map(|delivery| delivery.told_of.clone()),
            decided_at: decided_at.min().unwrap_or(Millis(0)),
            external_id: self.store.external_id(claim.lead),
            salesforce_id: claim.salesforce_id.clone(),
            unsure: claim.deliveries.iter().any(|delivery| delivery.unsure),
            wanted: together(claim.deliveries.iter().map(|delivery| &delivery.fields)),
            submitted_at: claim
                .deliveries
                .iter()
                .map(|d| d.submitted_at)
                .max()
                .unwrap_or(Millis(0)),
        }
    }

    /// Holds everything back while calls fail as a whole. Returns whether the last one went through,
    /// so that a failure now may be the doing of its own leads.
    fn keep_pace(&self, sent: &[Sent], now: Millis) -> bool {
        let trouble = sent.iter().find_map(|sent| match sent {
            Sent::Failed { why, blame, .. }
                if *blame != Blame::Lead || matches!(why.class, Class::HoldAll | Class::SignIn) =>
            {
                Some((why, *blame))
            }
            _ => None,
        });
        let mut pace = self.pace.lock();
        pace.last_call = Some(now);
        let first = pace.streak == 0;
        match trouble {
            Some((why, blame)) => {
                let wait = hold_all(why.class, pace.streak.max(1), self.store.faults().jitter());
                // One call that fails says little.
                let wait = (!first || blame != Blame::Call).then_some(wait);
                let sign_ins = why.is_of_signing_in().then(|| self.client.sign_ins());
                if pace.failed(now, wait, sign_ins) {
                    let hint = &why.hint;
                    warn!(error.code = %why.code, %hint, "Salesforce takes nothing; leads are kept and wait");
                }
            }
            None => {
                if pace.recovered() {
                    info!("Salesforce takes leads again");
                }
            }
        }
        first
    }

    fn outcome(
        &self,
        claim: &Claim,
        sent: Sent,
        first_trouble: bool,
        request_id: &str,
        now: Millis,
    ) -> Outcome {
        match sent {
            Sent::Done {
                id,
                fields,
                joined,
                notes,
                ..
            } if fields.is_empty() && joined.is_empty() => Outcome::Unchanged {
                salesforce_id: id,
                detail: json!({ "notes": notes }),
            },
            Sent::Done {
                id,
                created,
                fields,
                joined,
                notes,
            } => Outcome::Synced {
                salesforce_id: id,
                created,
                detail: json!({
                    "fields": fields, "joined": joined, "notes": notes, "request_id": request_id,
                }),
            },
            Sent::Failed {
                why, unsure, blame, ..
            } => {
                let counts = match blame {
                    Blame::Lead => true,
                    // In a row of failures it is the org's fault. What no retry cures, but was not
                    // said of one lead, is for a person to mend; then all goes on by itself.
                    Blame::Call => {
                        first_trouble && matches!(why.class, Class::RetrySoon | Class::RetryLater)
                    }
                    Blame::Nobody => false,
                };
                self.failure(claim, why, unsure, counts, now)
            }
        }
    }

    fn failure(
        &self,
        claim: &Claim,
        why: Explanation,
        unsure: bool,
        counts: bool,
        now: Millis,
    ) -> Outcome {
        if cause::is_of_stale_schema(&why.code) {
            self.client.describes().doubt();
        }
        let attempts = claim
            .deliveries
            .iter()
            .map(|delivery: &Delivery| delivery.attempts);
        let attempts = attempts.max().unwrap_or(0) + 1;
        let retry = if counts {
            let most = self.client.config().max_attempts;
            next_try(why.class, attempts, most, self.store.faults().jitter())
        } else {
            // What counts for nobody waits for all alike: see `keep_pace`.
            Retry::After(Duration::ZERO)
        };
        match retry {
            Retry::After(wait) => Outcome::Retry {
                at: now.after(wait),
                unsure,
                counts,
                code: why.code,
            },
            Retry::GiveUp => Outcome::Dead {
                cause: cause::of(&why, self.store.key_secret()),
                code: why.code,
                message: why.message,
                hint: why.hint,
            },
        }
    }

    async fn settle(
        &self,
        node: Node,
        settlements: &[Settlement],
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut tries = 0;
        let ended = loop {
            match self.try_settle(node, settlements, now).await {
                Err(error) if error.is_conflict() && tries < MOST_CONFLICTS => tries += 1,
                ended => break ended?,
            }
        };
        for (source, end) in ended {
            let label = EndLabel {
                source: source.to_string(),
                end: end.name(),
            };
            self.metrics.submissions_ended.get_or_create(&label).inc();
        }
        Ok(())
    }

    async fn try_settle(
        &self,
        node: Node,
        settlements: &[Settlement],
        now: Millis,
    ) -> Result<Ended, StoreError> {
        self.store.reach("settle.before_write").await?;
        let mut write = self.store.write().await?;
        let ids = |count| self.store.take_ids(now, count);
        let ended = write.settle(node, settlements, &ids, now).await?;
        self.store.reach("settle.before_commit").await?;
        write.commit().await?;
        self.store.reach("settle.after_commit").await?;
        Ok(ended)
    }
}

/// Whether a refusal is one that no retry cures: of the request itself, not of the org's state.
fn is_final(error: &CallError) -> bool {
    !matches!(
        error.class(),
        Class::HoldAll | Class::SignIn | Class::RetrySoon | Class::RetryLater
    )
}
