//! The loop of one source: polls by its schedule and when it is told to, fetches what webhooks named,
//! compares with the vendor, carries out what commands ask for.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{debug, info, warn};

use super::request::{KINDS, StoredOrder};
use super::status::{Held, SourceState};
use super::{Job, Poller, Round, Stop, Trouble};
use crate::edge::shutdown::Shutdown;
use crate::ingest::schedule::{Schedule, ScheduleError};
use crate::model::{Millis, SourceName};
use crate::store::StoreError;
use crate::telemetry::{PollErrorLabel, RecordLabel, SourceLabel};

/// The longest that the loop waits without looking: a command may have left an order.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Waits after a failure: double each time.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const MOST_WAIT: Duration = Duration::from_secs(15 * 60);

/// A vendor that asks for patience and does not say for how long.
const THROTTLED: Duration = Duration::from_secs(60);

/// Another source reads the same account.
const BUSY: Duration = Duration::from_secs(3);

/// What waits for a person is tried again by itself.
const PAUSED: Duration = Duration::from_secs(24 * 60 * 60);

/// A credential that is not used for so long is used for nothing.
const UNUSED: Duration = Duration::from_secs(20 * 60 * 60);

/// Fetches after the vendor has refused one.
const FETCHES_HELD: Duration = Duration::from_secs(5 * 60);

/// Tells sources to poll now: something came in by another way.
#[derive(Debug, Clone, Default)]
pub struct Hints(Arc<BTreeMap<SourceName, Arc<Notify>>>);

impl Hints {
    /// For sources of those names.
    pub fn new(sources: impl IntoIterator<Item = SourceName>) -> Self {
        let hints = sources.into_iter().map(|name| (name, Arc::default()));
        Self(Arc::new(hints.collect()))
    }

    /// A source is to be polled now; one that is not polled minds nothing.
    pub fn poll_now(&self, source: &str) {
        if let Some(hint) = self.0.get(source) {
            hint.notify_one();
        }
    }

    fn of(&self, source: &SourceName) -> Arc<Notify> {
        self.0.get(source).cloned().unwrap_or_default()
    }
}

/// When what is to be done next.
#[derive(Debug)]
struct Times {
    poll: Option<Millis>,
    /// Each poll by its own schedule.
    streams: Vec<StreamTime>,
    reconcile: Option<Millis>,
    fetch: Millis,
    /// More fetches are due than one batch takes.
    more_fetches: bool,
    reconciles: Option<Schedule>,
    /// Records of the last round, which may not be processed yet.
    taken: HashSet<(i64, i64)>,
    /// Something came in by another way: all polls are due.
    hinted: bool,
    failures: u32,
    /// The credential that did not do: what tells it from others, and the version that is stored.
    refused: Option<(Option<String>, Option<i64>)>,
}

/// When one poll is due.
#[derive(Debug)]
struct StreamTime {
    name: String,
    schedule: Option<Schedule>,
    next: Option<Millis>,
    /// When it was last read to the end.
    complete: Option<Millis>,
}

impl Times {
    fn all_due(&mut self, now: Millis) {
        for stream in &mut self.streams {
            stream.next = Some(now);
        }
        self.poll = Some(now);
    }

    fn due(&self, now: Millis) -> BTreeSet<String> {
        let due = self
            .streams
            .iter()
            .filter(|stream| stream.next.is_some_and(|at| at <= now));
        due.map(|stream| stream.name.clone()).collect()
    }

    /// The polls of a round are read: says when they are due again, and since when all are read.
    fn read(
        &mut self,
        only: Option<&BTreeSet<String>>,
        began: Millis,
        now: Millis,
    ) -> Option<Millis> {
        for stream in &mut self.streams {
            if only.is_none_or(|only| only.contains(&stream.name)) {
                stream.complete = Some(began);
                stream.next = stream.schedule.as_ref().and_then(|all| all.next(now));
            }
        }
        self.poll = self.streams.iter().filter_map(|stream| stream.next).min();
        let complete: Option<Vec<Millis>> =
            self.streams.iter().map(|stream| stream.complete).collect();
        complete.and_then(|all| all.into_iter().min())
    }
}

impl Poller {
    /// Reads the source until told to stop. Fails at once if its schedules cannot be read.
    pub async fn run(&self, hints: &Hints, mut shutdown: Shutdown) -> Result<(), ScheduleError> {
        let mut times = self.times()?;
        let hint = hints.of(&self.source.name);
        let mut state = self.stored_state().await;
        let mut rounds: Vec<(&'static str, Round)> = Vec::new();
        while !shutdown.is_stopping() {
            let turn = self.turn(&mut times, &mut state, &mut rounds, &shutdown);
            let wait = Box::pin(turn).await;
            if wait.is_zero() {
                continue;
            }
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = hint.notified() => times.hinted = true,
                () = self.store.fetch_changed.notified() => times.fetch = self.clock.now(),
                () = shutdown.stopping() => {}
            }
        }
        Ok(())
    }

    fn times(&self) -> Result<Times, ScheduleError> {
        let common = &self.source.config.common;
        let zone = common.timezone.as_deref();
        let name = &*self.source.name;
        let streams = &self.source.plan.streams;
        let has_more_to_do = self.source.config.manifest.webhook.is_some()
            || streams
                .iter()
                .any(|stream| stream.poll.retention_days.is_some());
        let reconcile = common.reconcile.as_deref();
        let reconciles = match reconcile.or(has_more_to_do.then_some(DAILY)) {
            Some(text) if !streams.is_empty() => Schedule::parse(text, zone, name)?,
            _ => None,
        };
        let now = self.clock.now();
        let mut times = Vec::new();
        for stream in streams {
            let written = common.schedule.as_deref();
            let written = written.or(stream.poll.schedule.as_deref());
            let schedule = Schedule::parse(written.unwrap_or(USUAL), zone, name)?;
            times.push(StreamTime {
                name: stream.name().to_owned(),
                // At once: what came while we were away is waited for.
                next: schedule.as_ref().map(|_| now),
                schedule,
                complete: None,
            });
        }
        Ok(Times {
            poll: times.iter().filter_map(|stream| stream.next).min(),
            streams: times,
            reconcile: reconciles.as_ref().and_then(|schedule| schedule.next(now)),
            fetch: now,
            more_fetches: false,
            reconciles,
            taken: HashSet::new(),
            hinted: false,
            failures: 0,
            refused: None,
        })
    }

    async fn stored_state(&self) -> SourceState {
        let loaded = SourceState::load(&self.store, &self.source.name).await;
        loaded.unwrap_or_default()
    }

    /// Does what is due. Returns how long there is nothing to do.
    async fn turn(
        &self,
        times: &mut Times,
        state: &mut SourceState,
        rounds: &mut Vec<(&'static str, Round)>,
        shutdown: &Shutdown,
    ) -> Duration {
        let now = self.clock.now();
        if times.fetch <= now {
            let wait = Box::pin(self.fetches(state, shutdown)).await;
            times.more_fetches = wait.is_zero();
            times.fetch = self.clock.now().after(wait);
        }
        if state.paused.is_some() && self.has_new_credential(times).await {
            info!(source = %self.source.name, "there is a new credential; the source is tried again");
            times.all_due(now);
        }
        self.take_orders(rounds, state, now).await;
        let is_polling = rounds.iter().any(|(kind, _)| *kind == POLL);
        // What is held waits for its time, whatever hints come.
        if times.hinted && !is_polling && state.paused.is_none() && times.failures == 0 {
            times.hinted = false;
            times.all_due(now);
        }
        if let Some(slot) = times.poll.filter(|at| *at <= now && !is_polling) {
            let due = times.due(now);
            if self.was_read_elsewhere(slot, &due, times, state).await {
                times.read(Some(&due), slot, now);
            } else {
                let mut round = Round::of(Job::Poll, due);
                round.taken = std::mem::take(&mut times.taken);
                rounds.insert(0, (POLL, round));
            }
        }
        if times.reconcile.is_some_and(|at| at <= now) {
            times.reconcile = times.reconciles.as_ref().and_then(|all| all.next(now));
            let is_known = rounds.iter().any(|(kind, _)| *kind == "reconcile");
            if !is_known && state.paused.is_none() {
                rounds.push(("reconcile", Round::new(self.reconciliation())));
            }
            self.warn_of_deletion(state);
        }
        let held = state.paused.as_ref().or(state.failing.as_ref());
        let is_held =
            held.is_some_and(|held| held.next > now) && times.poll.is_none_or(|at| at > now);
        if is_held {
            return self.wait(times, state, now);
        }
        if rounds.is_empty() {
            self.use_credential(times, state, now).await;
            return self.wait(times, state, now);
        }
        // One turn of each, so that a long one holds up no other.
        let (kind, mut round) = rounds.remove(0);
        let ended = Box::pin(self.step(&mut round, shutdown)).await;
        let now = self.clock.now();
        let wait = match ended {
            Ok(()) => {
                self.well(kind, &round, times, state).await;
                if round.job == Job::Poll {
                    times.taken = round.taken;
                }
                Duration::ZERO
            }
            Err(Stop::Turn) => {
                self.report(kind, &round, None).await;
                rounds.push((kind, round));
                return Duration::ZERO;
            }
            Err(Stop::Stopping) => return Duration::ZERO,
            Err(Stop::Overtaken) => {
                debug!(source = %self.source.name, "somebody else has moved on; begun anew");
                rounds.insert(0, (kind, round.anew()));
                return BUSY;
            }
            Err(Stop::Busy) => {
                self.report(
                    kind,
                    &round,
                    Some("another source or node reads this account"),
                )
                .await;
                rounds.insert(0, (kind, round));
                return BUSY;
            }
            Err(Stop::Store(error)) => {
                warn!(source = %self.source.name, %error, "what was read cannot be stored; trying again");
                rounds.insert(0, (kind, round));
                return FIRST_WAIT;
            }
            Err(Stop::Again {
                wait,
                is_throttle,
                trouble,
            }) => {
                let wait = self.failed(wait, is_throttle, &trouble, times, state, now);
                self.report(kind, &round, Some(&trouble.sentence())).await;
                times.poll = times.poll.map(|at| at.max(now.after(wait)));
                rounds.insert(0, (kind, round));
                wait.min(LONGEST_WAIT)
            }
            // What was asked for beside the polls may be the reason, and must not hold them.
            Err(Stop::Pause(trouble)) if round.job != Job::Poll => {
                warn!(source = %self.source.name, code = trouble.code, hint = trouble.hint, "{kind} is given up: {}", trouble.message);
                self.end_order(kind, &round, Err(trouble.sentence())).await;
                Duration::ZERO
            }
            Err(Stop::Pause(trouble)) => {
                let sentence = trouble.sentence();
                self.pause(trouble, times, state, now).await;
                self.end_order(kind, &round, Err(sentence)).await;
                LONGEST_WAIT
            }
        };
        self.save_state(state).await;
        wait
    }

    /// How long there is nothing to do.
    fn wait(&self, times: &Times, state: &SourceState, now: Millis) -> Duration {
        self.note_lag(state);
        if times.more_fetches {
            return Duration::ZERO;
        }
        let next = [times.poll, times.reconcile, Some(times.fetch)];
        let next = next.into_iter().flatten().filter(|at| *at > now).min();
        next.map_or(LONGEST_WAIT, |at| at.since(now).min(LONGEST_WAIT))
    }

    async fn well(
        &self,
        kind: &'static str,
        round: &Round,
        times: &mut Times,
        state: &mut SourceState,
    ) {
        let now = self.clock.now();
        let before = state.failing.take();
        let is_well = round.trouble.is_none();
        if (state.paused.take().is_some() || before.is_some()) && is_well {
            info!(source = %self.source.name, "the source is read again");
        }
        times.failures = 0;
        times.refused = None;
        state.used = Some(now);
        self.note_credential(state, now).await;
        self.note_paused(false);
        match round.job {
            Job::Poll => {
                let complete = times.read(round.only.as_ref(), round.began, now);
                state.last = Some(round.tally);
                state.next = times.poll;
                if let Some(trouble) = &round.trouble {
                    state.failing = Some(self.of_a_part(trouble, before, times, now));
                } else if complete.is_some() {
                    state.complete = complete;
                    state.warned_days = None;
                }
                if round.tally.new > 0 {
                    info!(source = %self.source.name, new = round.tally.new, known = round.tally.known, pages = round.tally.pages, "polled");
                }
            }
            Job::Reconcile { .. } => self.reconciled(state, round, round.began),
            Job::Backfill { .. } => {
                info!(source = %self.source.name, new = round.tally.new, known = round.tally.known, pages = round.tally.pages, "backfilled");
            }
        }
        self.end_order(kind, round, Ok(())).await;
    }

    /// Warns once at each of 14, 7 and 1 days before a person has to renew the credential.
    async fn note_credential(&self, state: &mut SourceState, now: Millis) {
        let Some(facts) = self.source.vendor.credential().await else {
            return;
        };
        if let Some(days) = facts.days_left(now) {
            let label = SourceLabel {
                source: self.source.name.to_string(),
            };
            let metric = &self.metrics.credential_days_left;
            metric.get_or_create(&label).set(days);
        }
        match facts.warning(now) {
            None => state.credential_warned_days = None,
            Some(due)
                if state
                    .credential_warned_days
                    .is_none_or(|warned| due < warned) =>
            {
                warn!(
                    source = %self.source.name,
                    days_left = facts.days_left(now),
                    "the credential ends soon; run `leadstream connect {}`, or set a new one",
                    self.source.name
                );
                state.credential_warned_days = Some(due);
            }
            Some(_) => {}
        }
        state.credential = Some(facts);
    }

    /// Some of the lists could not be read: the others go on. Told when it begins.
    fn of_a_part(
        &self,
        trouble: &Trouble,
        before: Option<Held>,
        times: &Times,
        now: Millis,
    ) -> Held {
        let before = before.filter(|held| held.trouble == *trouble);
        if before.is_none() {
            warn!(source = %self.source.name, code = trouble.code, hint = trouble.hint, "a part of the source cannot be read, the rest is: {}", trouble.message);
        }
        Held {
            trouble: trouble.clone(),
            since: before.as_ref().map_or(now, |held| held.since),
            next: times.poll.unwrap_or(now),
            times: before.map_or(1, |held| held.times.saturating_add(1)),
        }
    }

    /// Whether another node has read all polls since the moment at which they were due.
    async fn was_read_elsewhere(
        &self,
        slot: Millis,
        due: &BTreeSet<String>,
        times: &Times,
        state: &mut SourceState,
    ) -> bool {
        if self.store.lease_interval().is_none() || due.len() < times.streams.len() {
            return false;
        }
        let others = self.stored_state().await;
        let is_read = others.complete.is_some_and(|complete| complete > slot);
        if is_read {
            *state = others;
        }
        is_read
    }

    fn failed(
        &self,
        wait: Option<Duration>,
        is_throttle: bool,
        trouble: &Trouble,
        times: &mut Times,
        state: &mut SourceState,
        now: Millis,
    ) -> Duration {
        times.failures += 1;
        let doubled = FIRST_WAIT
            .saturating_mul(1 << times.failures.min(10).saturating_sub(1))
            .min(MOST_WAIT)
            .mul_f64(self.store.faults().jitter());
        let wait = match wait {
            Some(wait) => wait.max(if is_throttle { Duration::ZERO } else { doubled }),
            None if is_throttle => THROTTLED.max(doubled),
            None => doubled,
        };
        let since = state.failing.as_ref().map_or(now, |held| held.since);
        if state.failing.is_none() && !is_throttle {
            warn!(source = %self.source.name, code = trouble.code, hint = trouble.hint, "the vendor cannot be read: {}; trying again, later and later", trouble.message);
        }
        state.failing = Some(Held {
            trouble: trouble.clone(),
            since,
            next: now.after(wait),
            times: times.failures,
        });
        wait
    }

    async fn pause(
        &self,
        trouble: Trouble,
        times: &mut Times,
        state: &mut SourceState,
        now: Millis,
    ) {
        let before = state.paused.take();
        if before.as_ref().is_none_or(|held| held.trouble != trouble) {
            warn!(source = %self.source.name, code = trouble.code, hint = trouble.hint, "the source is paused: {}; it goes on where it was once that is mended", trouble.message);
        }
        times.failures += 1;
        times.refused = Some((
            self.source.vendor.account(),
            self.credential_version().await,
        ));
        times.poll = times.poll.map(|_| now.after(PAUSED));
        state.failing = None;
        state.paused = Some(Held {
            trouble,
            since: before.map_or(now, |held| held.since),
            next: now.after(PAUSED),
            times: times.failures,
        });
        state.next = times.poll;
        self.note_paused(true);
    }

    /// Makes the fetches that are due. Returns how long to wait before the next ones.
    async fn fetches(&self, state: &mut SourceState, shutdown: &Shutdown) -> Duration {
        match self.fetch_due(shutdown).await {
            Ok(true) => Duration::ZERO,
            Ok(false) | Err(Stop::Turn | Stop::Stopping) => LONGEST_WAIT,
            Err(Stop::Busy | Stop::Overtaken | Stop::Store(_)) => BUSY,
            Err(Stop::Again { wait, .. }) => wait.unwrap_or(THROTTLED),
            Err(Stop::Pause(trouble)) => {
                if state.failing.is_none() && state.paused.is_none() {
                    warn!(source = %self.source.name, code = trouble.code, hint = trouble.hint, "what webhooks name cannot be fetched: {}", trouble.message);
                }
                FETCHES_HELD
            }
        }
    }

    async fn has_new_credential(&self, times: &Times) -> bool {
        let now = (
            self.source.vendor.account(),
            self.credential_version().await,
        );
        times
            .refused
            .as_ref()
            .is_some_and(|refused| *refused != now)
    }

    async fn credential_version(&self) -> Option<i64> {
        let stored = self.store.credential(&self.source.account).await.ok()?;
        stored.map(|stored| stored.version)
    }

    /// Uses a credential that nothing has used for long.
    async fn use_credential(&self, times: &mut Times, state: &mut SourceState, now: Millis) {
        let used = *state.used.get_or_insert(now);
        if now.since(used) < UNUSED || self.source.plan.streams.is_empty() {
            return;
        }
        state.used = Some(now);
        match self.keep_alive().await {
            Ok(()) => debug!(source = %self.source.name, "the credential works"),
            Err(Stop::Pause(trouble)) => self.pause(trouble, times, state, now).await,
            // The next poll tells.
            Err(_) => {}
        }
        self.save_state(state).await;
    }

    async fn save_state(&self, state: &SourceState) {
        let now = self.clock.now();
        if let Err(error) = state.save(&self.store, &self.source.name, now).await {
            debug!(source = %self.source.name, %error, "how the source is doing cannot be stored");
        }
    }

    /// Takes up what commands have asked for.
    async fn take_orders(
        &self,
        rounds: &mut Vec<(&'static str, Round)>,
        state: &mut SourceState,
        now: Millis,
    ) {
        for kind in KINDS {
            let Ok(Some(mut stored)) =
                StoredOrder::load(&self.store, &self.source.name, kind).await
            else {
                continue;
            };
            let is_known = rounds.iter().any(|(known, _)| *known == kind);
            if !stored.order.is_open(now) || (is_known && stored.order.begun) {
                continue;
            }
            stored.order.begun = true;
            let saved = stored.save(&self.store, &self.source.name, kind, now);
            if saved.await.is_err() {
                continue;
            }
            let job = stored.order.job(kind, self.reconciliation());
            rounds.retain(|(known, _)| *known != kind);
            rounds.push((kind, Round::new(job)));
            // A person has asked: no waiting.
            if let Some(held) = state.paused.as_mut().or(state.failing.as_mut()) {
                held.next = now;
            }
        }
    }

    /// Says how far an order has come.
    async fn report(&self, kind: &str, round: &Round, waits: Option<&str>) {
        let now = self.clock.now();
        self.change_order(kind, |order| {
            order.tally = round.tally;
            order.asked = now.0;
            order.waits = waits.map(str::to_owned);
        })
        .await;
    }

    async fn end_order(&self, kind: &str, round: &Round, ended: Result<(), String>) {
        self.change_order(kind, |order| {
            order.tally = round.tally;
            order.waits = None;
            order.ended = Some(ended.clone());
        })
        .await;
    }

    async fn change_order(&self, kind: &str, change: impl FnOnce(&mut super::request::Order)) {
        let now = self.clock.now();
        let stored = StoredOrder::load(&self.store, &self.source.name, kind).await;
        if let Ok(Some(mut stored)) = stored
            && stored.order.begun
            && stored.order.is_open(now)
        {
            change(&mut stored.order);
            match stored.save(&self.store, &self.source.name, kind, now).await {
                // The command has given another order: that is taken up next.
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error) => {
                    debug!(source = %self.source.name, %error, "how far an order has come cannot be stored");
                }
            }
        }
    }

    fn label(&self) -> SourceLabel {
        SourceLabel {
            source: self.source.name.to_string(),
        }
    }

    pub(in crate::ingest) fn note_taken(&self, count: u64) {
        let label = RecordLabel {
            source: self.source.name.to_string(),
            what: "taken",
        };
        self.metrics
            .poll_records
            .get_or_create(&label)
            .inc_by(count);
        self.metrics
            .events_accepted
            .get_or_create(&self.label())
            .inc_by(count);
    }

    pub(super) fn note_page(&self, known: u64) {
        let label = RecordLabel {
            source: self.source.name.to_string(),
            what: "known",
        };
        self.metrics
            .poll_records
            .get_or_create(&label)
            .inc_by(known);
        self.metrics.poll_pages.get_or_create(&self.label()).inc();
    }

    pub(in crate::ingest) fn note_error(&self, code: &str) {
        let label = PollErrorLabel {
            source: self.source.name.to_string(),
            code: code.to_owned(),
        };
        self.metrics.poll_errors.get_or_create(&label).inc();
    }

    pub(in crate::ingest) fn note_gap(&self, missing: u64) {
        let gauge = self
            .metrics
            .reconcile_missing
            .get_or_create(&self.label())
            .clone();
        gauge.set(i64::try_from(missing).unwrap_or(i64::MAX));
    }

    fn note_paused(&self, is_paused: bool) {
        let gauge = self
            .metrics
            .poll_paused
            .get_or_create(&self.label())
            .clone();
        gauge.set(i64::from(is_paused));
    }

    fn note_lag(&self, state: &SourceState) {
        if let Some(complete) = state.complete {
            let lag = self.clock.now().since(complete).as_secs();
            let gauge = self
                .metrics
                .poll_lag_seconds
                .get_or_create(&self.label())
                .clone();
            gauge.set(i64::try_from(lag).unwrap_or(i64::MAX));
        }
    }
}

const POLL: &str = "poll";

/// When a source is polled, if neither it nor its connector says.
const USUAL: &str = "*/15 * * * *";

/// When a source is compared with its vendor, if it does not say.
const DAILY: &str = "23 3 * * *";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_poll_has_its_own_times() {
        let every = |name: &str, written: &str| StreamTime {
            name: name.to_owned(),
            schedule: Schedule::parse(written, None, "demo").unwrap(),
            next: Some(Millis(0)),
            complete: None,
        };
        let mut times = Times {
            poll: Some(Millis(0)),
            streams: vec![
                every("often", "*/15 * * * *"),
                every("rarely", "30 4 * * *"),
            ],
            reconcile: None,
            fetch: Millis(0),
            more_fetches: false,
            reconciles: None,
            taken: HashSet::new(),
            hinted: false,
            failures: 0,
            refused: None,
        };
        let minute = 60_000;
        // At its start, all of them; until all were read, nothing is complete.
        assert_eq!(times.due(Millis(1)).len(), 2);
        let often = BTreeSet::from(["often".to_owned()]);
        assert_eq!(times.read(Some(&often), Millis(1), Millis(minute)), None);
        assert_eq!(times.poll, Some(Millis(0)), "the other one is still due");
        assert_eq!(times.read(None, Millis(2), Millis(minute)), Some(Millis(2)));
        let next = times.poll.unwrap();
        assert!((15 * minute..16 * minute).contains(&next.0), "{next}");
        assert_eq!(times.due(next), often);
        // What was read last is as old as the oldest of them.
        assert_eq!(times.read(Some(&often), next, next), Some(Millis(2)));
        times.all_due(next);
        assert_eq!(times.due(next).len(), 2, "whatever their schedules say");
    }
}
