//! Whether all that a vendor holds has come in: lists it, compares, fetches what is missing.
//!
//! The walk is a poll's (`poll::walk`), from further back and by a cursor of its own. What is missing
//! is appended like anything that is new; here it is told from what is only too young to be known.

use std::time::Duration;

use tracing::{info, warn};

use super::poll::status::{Reconciled, SourceState};
use super::poll::{Job, Poller, Round, Stop, Tally};
use crate::model::Millis;

/// A record is missing only once it should have come in long ago.
const YOUNG: Duration = Duration::from_secs(15 * 60);

/// How long events that wait to be processed are waited for before what they may hold counts as
/// missing.
const PATIENCE: u32 = 60;
/// Looks at which the first event is still the same: nobody processes them.
const NOBODY: u32 = 3;
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How far back at most, where the vendor keeps longer.
const MOST_DAYS: u32 = 90;

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// The days before the vendor deletes what was not read at which that is told.
const WARNINGS: [u32; 3] = [14, 7, 1];

impl Poller {
    /// The job that compares all that the vendor holds with what has come in.
    pub fn reconciliation(&self) -> Job {
        let plan = &self.source.plan;
        let days = plan.streams.iter().map(|stream| {
            let first = stream
                .poll
                .cursor
                .as_ref()
                .and_then(|cursor| cursor.first_days);
            let kept = stream.poll.retention_days;
            [first, kept]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(MOST_DAYS)
        });
        let days = days.max().unwrap_or(MOST_DAYS).min(MOST_DAYS);
        let since = Millis(self.clock.now().0 - i64::from(days) * DAY);
        // What came before the source was to begin is not missing.
        let since = plan.start.map_or(since, |start| start.max(since));
        Job::Reconcile { since: Some(since) }
    }

    /// How many of the records that are not known are missing: neither young, nor in an event that only
    /// waits to be processed. With each is when it was sent.
    pub(super) async fn missing(
        &self,
        unknown: &[(i64, Option<Millis>)],
        waited: &mut bool,
    ) -> Result<u64, Stop> {
        let mut expected = Millis(self.clock.now().0 - YOUNG.as_millis() as i64);
        if !self.takes_webhooks() {
            // Nothing brings them before the next poll.
            let state = SourceState::load(&self.store, &self.source.name).await?;
            expected = expected.min(state.complete.unwrap_or(Millis(0)));
        }
        let old: Vec<i64> = unknown
            .iter()
            .filter(|(_, at)| at.is_none_or(|at| at < expected))
            .map(|(id, _)| *id)
            .collect();
        if old.is_empty() {
            return Ok(0);
        }
        if !std::mem::replace(waited, true) {
            self.until_processed().await?;
        }
        let known = self.store.known_records(&self.source.name, &old).await?;
        Ok(old.iter().filter(|id| !known.contains_key(id)).count() as u64)
    }

    /// Waits, for a while, until what came in before has been processed; not if nobody does that.
    async fn until_processed(&self) -> Result<(), Stop> {
        let (mut last, mut same) = (None, 0);
        for _ in 0..PATIENCE {
            let claim = self.store.claim_events(1).await?;
            let Some(event) = claim.events.first().map(|event| event.id) else {
                break;
            };
            same = if last == Some(event) { same + 1 } else { 0 };
            if same >= NOBODY {
                break;
            }
            last = Some(event);
            drop(claim);
            self.clock.sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// The same, by a command: stores it.
    pub async fn note_reconciled(&self, round: &Round) {
        let (store, name) = (&self.store, &self.source.name);
        let mut state = SourceState::load(store, name).await.unwrap_or_default();
        let now = self.clock.now();
        self.reconciled(&mut state, round, round.began);
        if let Err(error) = state.save(store, name, now).await {
            warn!(source = %name, %error, "what the comparison has found cannot be stored");
        }
    }

    fn takes_webhooks(&self) -> bool {
        let config = &self.source.config;
        config.manifest.webhook.as_ref().is_some_and(|webhook| {
            let mut keys = webhook.signature.iter().map(|signature| &signature.key);
            webhook.signature.is_empty() || keys.any(|key| config.options.is_set(key))
        })
    }

    /// A reconciliation is done: says what it found. One alarm, however many are missing.
    pub(super) fn reconciled(&self, state: &mut SourceState, round: &Round, began: Millis) {
        let Job::Reconcile { since } = round.job else {
            return;
        };
        let source = &self.source.name;
        let tally: Tally = round.tally;
        if tally.missing > 0 {
            warn!(
                %source, missing = tally.missing, listed = tally.read,
                "records that the vendor holds had not come in; they are fetched now. Look at the vendor's webhook: is it on, and does it reach this address?"
            );
        } else {
            info!(%source, listed = tally.read, "all that the vendor holds has come in");
        }
        self.note_gap(tally.missing);
        state.complete = state.complete.max(Some(began));
        state.warned_days = None;
        state.reconciled = Some(Reconciled {
            at: began,
            since,
            tally,
        });
    }

    /// Warns before the vendor deletes what has not been read.
    pub(super) fn warn_of_deletion(&self, state: &mut SourceState) {
        let streams = &self.source.plan.streams;
        let kept = streams
            .iter()
            .filter_map(|stream| stream.poll.retention_days);
        let (Some(kept), Some(complete)) = (kept.min(), state.complete) else {
            return;
        };
        let days_ago = self.clock.now().since(Millis(complete.0)).as_secs() / 86_400;
        let left = u64::from(kept).saturating_sub(days_ago);
        // The closest warning that is due.
        let due = WARNINGS
            .into_iter()
            .filter(|days| left <= u64::from(*days) && u64::from(*days) < u64::from(kept))
            .min();
        let Some(due) = due else {
            state.warned_days = None;
            return;
        };
        if state.warned_days.is_none_or(|warned| due < warned) {
            warn!(
                source = %self.source.name, days_left = left, last_read = %complete,
                "the vendor deletes records after {kept} days: what has not been read by then is lost. `leadstream cursors` and the log say why it is not read"
            );
            state.warned_days = Some(due);
        }
    }
}
