//! The loop: ask the org what changed, keep it, tell it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::changes::event;
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Shutdown;
use crate::ingest::{AppendError, Inbox, Page};
use crate::mirror::{LEASE, Mirror, MirrorError, OBJECTS, Part};
use crate::model::{LeadId, Millis, NewEvent};
use crate::store::{Lease, MirrorState, OrgPerson, StoreError};

/// How often the org is asked far back, for rows that were committed later than their stamp says.
const DEEP_EVERY: Duration = Duration::from_secs(5 * 60);

/// How far back then. Source: airbytehq/airbyte#27146 saw minutes.
const DEEP: Duration = Duration::from_secs(10 * 60);

/// After the org or the store has failed, at first and at most.
const FAILED_WAIT: Duration = Duration::from_secs(5);
const FAILED_MOST: Duration = Duration::from_secs(5 * 60);

/// Rows of one object above which it is read by a query job rather than page by page.
const BULK_ABOVE: u64 = 10_000;

/// How often the org may be asked; none while it may not.
pub type Budget = dyn Fn() -> Option<Duration> + Send + Sync;

/// Follows the org.
pub struct Follow {
    mirror: Arc<Mirror>,
    inbox: Inbox,
    clock: SharedClock,
    budget: Arc<Budget>,
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow").finish_non_exhaustive()
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many records were new or changed.
    Read(usize),
    /// Another node follows.
    Elsewhere,
}

/// Why a step came to nothing. It is done again.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The org could not be read.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The inbox did not take what changed.
    #[error(transparent)]
    Inbox(#[from] AppendError),
}

impl Follow {
    /// A loop that keeps `mirror`, and tells `inbox`; it asks no more often than `budget` says.
    pub fn new(mirror: Arc<Mirror>, inbox: Inbox, clock: SharedClock, budget: Arc<Budget>) -> Self {
        Self {
            mirror,
            inbox,
            clock,
            budget,
        }
    }

    /// Asks the org once, and keeps all that has changed.
    pub async fn step(&self, lease: &mut Option<Lease>) -> Result<Progress, FollowError> {
        let store = self.mirror.store();
        if let Some(held) = lease
            && matches!(store.renew(held).await, Err(StoreError::Fenced))
        {
            *lease = None;
        }
        if lease.is_none() {
            *lease = store.acquire(LEASE).await?;
        }
        let Some(lease) = lease else {
            return Ok(Progress::Elsewhere);
        };
        let now = self.clock.now();
        let mut states = self.mirror.states().await?;
        let is_deep = states.iter().any(|state| {
            !state
                .deep_at
                .is_some_and(|at| at.was_within(DEEP_EVERY, now))
        });
        let mut from = [None; 2];
        for (from, state) in from.iter_mut().zip(&states) {
            let back = if is_deep { DEEP.as_millis() as i64 } else { 0 };
            *from = state.read_until.map(|until| Millis(until.0 - back));
        }
        let mut parts = self.mirror.read_since(from, false).await?;
        let mut changed = 0;
        while let Some(part) = parts.pop() {
            let Some(place) = OBJECTS.iter().position(|object| *object == part.object) else {
                continue;
            };
            let state = &mut states[place];
            if !state.is_complete && (state.job.is_some() || part.total > BULK_ABOVE) {
                let told = |_| {};
                let read = self.mirror.import(part.object, state, lease, &told).await?;
                changed += usize::try_from(read).unwrap_or(usize::MAX);
                continue;
            }
            changed += self.keep(&part, state, lease).await?;
            if let Some(next) = &part.next {
                parts.push(self.mirror.read_next(part.object, next).await?);
            } else {
                state.is_complete = true;
                state.asked_at = Some(now);
                if is_deep {
                    state.deep_at = Some(now);
                }
                self.mirror.say(part.object, state, lease).await?;
            }
        }
        self.mirror.is_fresh_now();
        Ok(Progress::Read(changed))
    }

    /// Keeps a part and tells what changed; the events first, for what was kept is not told again.
    async fn keep(
        &self,
        part: &Part,
        state: &mut MirrorState,
        lease: &Lease,
    ) -> Result<usize, FollowError> {
        let store = self.mirror.store();
        let now = self.clock.now();
        let ids: Vec<&str> = part.rows.iter().map(|row| &*row.person.id).collect();
        let known: HashMap<String, OrgPerson> = store.org_people(&ids).await?;
        let leads = store.leads_of_records(&ids).await?;
        let lead_of = |person: &OrgPerson| -> Option<LeadId> {
            let by_key = person.external_id.as_deref();
            let by_key = by_key.and_then(|key| store.lead_of_external_id(key));
            leads.get(&person.id).copied().or(by_key)
        };
        let events: Vec<NewEvent> = part
            .rows
            .iter()
            .filter_map(|row| {
                let before = known.get(&row.person.id);
                let is_new = before.is_none_or(|before| row.person.is_after(before));
                let lead = lead_of(&row.person).filter(|_| is_new && state.is_complete)?;
                event(lead, row, before, now)
            })
            .collect();
        if !events.is_empty() {
            let page = Page {
                events,
                ..Page::default()
            };
            self.inbox.append_page(page).await?;
        }
        let people: Vec<OrgPerson> = part.rows.iter().map(|row| row.person.clone()).collect();
        let newest = people.iter().map(|person| person.changed_at).max();
        state.read_until = state.read_until.max(newest);
        state.rows += people.len() as u64;
        let mut write = store.write().await?;
        write.guard(lease).await?;
        let changed = write.keep_org_people(&people).await?;
        write.put_mirror_state(part.object, state).await?;
        write.commit().await?;
        Ok(changed)
    }

    /// Steps until told to stop.
    pub async fn run(&self, mut shutdown: Shutdown) {
        let interval = self.mirror.client().config().mirror.interval_seconds;
        let interval = Duration::from_secs(interval);
        let mut lease = None;
        let mut failed: u32 = 0;
        while !shutdown.is_stopping() {
            let Some(most) = (self.budget)() else {
                tokio::select! {
                    () = self.clock.sleep(interval) => {}
                    () = shutdown.stopping() => {}
                }
                continue;
            };
            let interval = interval.max(most);
            let step = tokio::select! {
                step = self.step(&mut lease) => step,
                () = shutdown.stopping() => break,
            };
            let wait = match step {
                Ok(_) => {
                    if failed > 1 {
                        info!("Salesforce can be read again");
                    }
                    failed = 0;
                    interval
                }
                Err(error) => {
                    failed = failed.saturating_add(1);
                    if failed == 2 {
                        warn!(%error, "what changes in Salesforce cannot be read; trying again");
                    }
                    (FAILED_WAIT * 2_u32.pow(failed.min(7) - 1)).min(FAILED_MOST)
                }
            };
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = shutdown.stopping() => {}
            }
        }
        if let Some(lease) = lease {
            // Another node need not wait until it is over.
            let _ = self.mirror.store().release(lease).await;
        }
    }
}
