//! The budget at work: brings together what the org says of its calls and what we have made
//! ourselves, on all nodes and before a restart; keeps the books of calls.
//!
//! [`Traffic::decide`] makes no call and waits for nothing: a loop asks it before each step. Once a
//! minute [`Traffic::run`] writes down the calls that were made since, and asks the org how it
//! stands if nothing else tells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::budget::{BudgetState, ByPriority, Decision, Governor, Limits, Situation, Told};
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Shutdown;
use crate::model::Millis;
use crate::salesforce::{CallCount, Client};
use crate::store::{HOUR_MS, HourCalls, Store, StoreError, hour_of};
use crate::telemetry::{Metrics, StateLabel};

/// How often calls are written down.
const FLUSH_EVERY: Duration = Duration::from_secs(60);

/// Who may spend calls, and who has.
#[derive(Debug)]
pub struct Traffic {
    store: Arc<Store>,
    client: Arc<Client>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    governor: Governor,
    /// Calls of all nodes by hour, as far as they are written down or about to be.
    written: BTreeMap<Millis, u64>,
    waiting: ByPriority<usize>,
    /// When Salesforce last refused a call for want of them, as far as the governor knows.
    refused_at: Option<Millis>,
    last: Option<Decision>,
}

/// How the budget stands, for people and for commands beside the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetReport {
    /// When this was so.
    pub at: Millis,
    /// `BudgetState::name`.
    pub state: String,
    /// Calls of 24 hours that the org has used, all its integrations together.
    pub used: Option<u64>,
    /// Calls that it may use.
    pub allowed: Option<u64>,
    /// Calls of ours among them.
    pub own: u64,
    /// Calls that we may still make.
    pub remaining: Option<u64>,
    /// When what is left is used up at the rate of the last hour, if it does not last for a day.
    pub empty_at: Option<Millis>,
    /// While something waits for calls: when it is looked at again.
    pub until: Option<Millis>,
}

impl Traffic {
    /// The budget of `client`'s org, by its configuration.
    pub fn new(
        store: Arc<Store>,
        client: Arc<Client>,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Self {
        let config = client.config();
        let governor = Governor::new(Limits {
            share: config.budget.share,
            reserve: config.budget.reserve,
            linger: Duration::from_millis(config.linger_ms),
            batch_size: config.batch_size,
            mirror_every: Duration::from_secs(config.mirror.interval_seconds),
        });
        Self {
            store,
            client,
            clock,
            metrics,
            state: Mutex::new(State {
                governor,
                written: BTreeMap::new(),
                waiting: ByPriority::default(),
                refused_at: None,
                last: None,
            }),
        }
    }

    /// What may be done now, while so many leads wait.
    pub fn decide(&self, waiting: ByPriority<usize>) -> Decision {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.waiting = waiting;
        let refused = self.client.out_of_calls_at();
        if let Some(at) = refused
            && refused != state.refused_at
        {
            // When it was, not when we hear of it: a good answer since then outweighs it.
            state.governor.refused(at);
        }
        state.refused_at = refused;
        let told = self.told();
        let own: Vec<(Millis, u64)> = self.own(&state.written).into_iter().collect();
        let decision = state.governor.decide(&Situation {
            now,
            told,
            own: &own,
            waiting,
        });
        let before = state.last.replace(decision).map(|last| last.state);
        drop(state);
        self.show(&decision, before);
        decision
    }

    /// How often the org may be asked what changed; none while it may not.
    pub fn mirror_every(&self) -> Option<Duration> {
        let last = self.state.lock().last;
        last.map_or(Some(Duration::ZERO), |last| last.mirror_every)
    }

    /// What was last decided, and what from.
    pub fn report(&self) -> BudgetReport {
        let state = self.state.lock();
        let usage = self.client.usage();
        let now = self.clock.now();
        let first = now.0 - 25 * HOUR_MS;
        let own = self.own(&state.written);
        BudgetReport {
            at: now,
            state: state
                .last
                .map_or(BudgetState::RealTime, |last| last.state)
                .name()
                .to_owned(),
            used: usage.map(|usage| usage.used),
            allowed: usage.map(|usage| usage.allowed),
            own: own
                .iter()
                .filter(|(hour, _)| hour.0 > first)
                .map(|(_, calls)| calls)
                .sum(),
            remaining: state.last.and_then(|last| last.remaining),
            empty_at: state.last.and_then(|last| last.empty_at),
            until: state.last.and_then(|last| last.until),
        }
    }

    /// Writes down the calls that were made since the last time, and reads what all nodes have made.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let made = {
            let mut state = self.state.lock();
            let made = self.client.calls_made().take();
            // They count meanwhile as well.
            for (hour, _, calls) in &made {
                *state.written.entry(*hour).or_default() += calls;
            }
            made
        };
        let lines: Vec<HourCalls> = made.iter().map(line).collect();
        if let Err(error) = self.store.add_calls(&lines).await {
            let mut state = self.state.lock();
            for (hour, _, calls) in &made {
                if let Some(written) = state.written.get_mut(hour) {
                    *written = written.saturating_sub(*calls);
                }
            }
            self.client.calls_made().give_back(&made);
            return Err(error);
        }
        let since = Millis(hour_of(self.clock.now()).0 - 24 * HOUR_MS);
        let mut written = BTreeMap::new();
        for line in self.store.calls_since(since).await? {
            *written.entry(line.hour).or_default() += line.calls;
        }
        self.state.lock().written = written;
        let report = self.report();
        if report.allowed.is_some()
            && let Ok(text) = serde_json::to_string(&report)
        {
            self.store.put_budget(&text).await?;
        }
        Ok(())
    }

    /// Looks how the budget stands, asks the org if nothing else tells, and writes down the calls.
    pub async fn step(&self) -> Result<(), StoreError> {
        let waiting = self.state.lock().waiting;
        if self.decide(waiting).ask {
            self.ask().await;
        }
        self.flush().await
    }

    /// Steps once a minute until told to stop. The last calls are for whoever stops the daemon to
    /// [`flush`](Self::flush), once nobody makes any more.
    pub async fn run(&self, mut shutdown: Shutdown) {
        while !shutdown.is_stopping() {
            if let Err(error) = self.step().await {
                warn!(%error, "calls to Salesforce cannot be written down; trying again");
            }
            tokio::select! {
                () = self.clock.sleep(FLUSH_EVERY) => {}
                () = shutdown.stopping() => {}
            }
        }
    }

    /// Makes the cheapest call there is: whatever it says otherwise, its answer tells how many calls
    /// the org has left.
    async fn ask(&self) {
        self.state.lock().governor.asked(self.clock.now());
        if let Err(error) = self.client.limits().await {
            tracing::debug!(%error, "the org does not say how many calls it has left");
        }
        let waiting = self.state.lock().waiting;
        self.decide(waiting);
    }

    fn told(&self) -> Option<Told> {
        let (usage, at) = (self.client.usage()?, self.client.usage_told_at()?);
        Some(Told { usage, at })
    }

    /// Our calls by hour: those written down, and those made since.
    fn own(&self, written: &BTreeMap<Millis, u64>) -> BTreeMap<Millis, u64> {
        let mut own = written.clone();
        for (hour, calls) in self.client.calls_made().by_hour() {
            *own.entry(hour).or_default() += calls;
        }
        own
    }

    fn show(&self, decision: &Decision, before: Option<BudgetState>) {
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        if let Some(remaining) = decision.remaining {
            self.metrics
                .salesforce_budget_remaining
                .set(gauge(remaining));
        }
        for state in BudgetState::ALL {
            let label = StateLabel {
                state: state.name(),
            };
            let is = i64::from(state == decision.state);
            self.metrics
                .salesforce_budget_state
                .get_or_create(&label)
                .set(is);
        }
        let before = before.unwrap_or(BudgetState::RealTime);
        if before == decision.state {
            return;
        }
        let (state, remaining) = (decision.state.name(), decision.remaining);
        let until = decision.until.map(tracing::field::display);
        let empty_at = decision.empty_at.map(tracing::field::display);
        match decision.state {
            BudgetState::RealTime => info!(state, remaining, "leads go to Salesforce as they come"),
            BudgetState::Batches => info!(
                state,
                remaining, empty_at, "leads are gathered, so that the org's calls last"
            ),
            BudgetState::ReserveOnly => warn!(
                state,
                remaining, until, "only leads of high priority are sent: the org's calls run short"
            ),
            BudgetState::Exhausted => warn!(
                state,
                until, "nothing is sent: the org's calls, or our share of them, are used up"
            ),
        }
    }
}

fn line((hour, purpose, calls): &CallCount) -> HourCalls {
    HourCalls {
        hour: *hour,
        purpose: (*purpose).to_owned(),
        calls: *calls,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::super::budget::Lane;
    use super::*;
    use crate::config::StoreConfig;
    use crate::salesforce::testing::{Answer, NOW, Org, json_answer};
    use crate::store::Access;

    struct Place {
        folder: tempfile::TempDir,
        org: Org,
    }

    impl Place {
        async fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
                org: Org::signed_in().await,
            }
        }

        async fn traffic(&self) -> Traffic {
            let url = format!("sqlite:{}/leads.db", self.folder.path().display());
            let store = Store::open(&StoreConfig::at(&url), Access::Daemon)
                .await
                .unwrap();
            Traffic::new(
                store,
                Arc::clone(&self.org.client),
                self.org.clock.clone(),
                Arc::clone(&self.org.metrics),
            )
        }

        /// A call that is answered by `usage`.
        async fn call(&self, usage: &'static str) {
            self.org.http.then(limits(200, json!({}), usage));
            self.org.client.limits().await.unwrap();
        }
    }

    fn limits(status: u16, body: serde_json::Value, usage: &'static str) -> Answer {
        let mut answer = json_answer(status, body)?;
        let usage = HeaderValue::from_static(usage);
        answer.headers_mut().insert("sforce-limit-info", usage);
        Ok(answer)
    }

    fn nothing() -> ByPriority<usize> {
        ByPriority::default()
    }

    #[tokio::test]
    async fn calls_are_known_across_a_restart() {
        let place = Place::new().await;
        let traffic = place.traffic().await;
        place.call("api-usage=18/5000").await;
        place.call("api-usage=19/5000").await;
        assert_eq!(traffic.report().own, 2);
        let decision = traffic.decide(nothing());
        assert_eq!(decision.remaining, Some(3_998));
        traffic.flush().await.unwrap();
        assert_eq!(traffic.report().own, 2);
        let told: BudgetReport =
            serde_json::from_str(&traffic.store.budget().await.unwrap().unwrap()).unwrap();
        assert_eq!(
            told,
            BudgetReport {
                at: NOW,
                state: "real_time".to_owned(),
                used: Some(19),
                allowed: Some(5_000),
                own: 2,
                remaining: Some(3_998),
                empty_at: None,
                until: None,
            }
        );
        traffic.store.close().await;
        drop(traffic);

        let after = place.traffic().await;
        assert_eq!(after.report().own, 0);
        after.flush().await.unwrap();
        assert_eq!(after.report().own, 2);
        place.org.clock.advance(Duration::from_secs(26 * 60 * 60));
        after.flush().await.unwrap();
        assert_eq!(after.report().own, 0);
        after.store.close().await;
    }

    #[tokio::test]
    async fn calls_that_cannot_be_written_down_are_not_forgotten() {
        let place = Place::new().await;
        let traffic = place.traffic().await;
        place.call("api-usage=18/5000").await;
        traffic.store.close().await;
        assert!(traffic.flush().await.is_err());
        assert_eq!(traffic.report().own, 1);
        assert_eq!(place.org.client.calls_made().take().len(), 1);
    }

    #[tokio::test]
    async fn a_good_answer_after_a_refusal_outweighs_it() {
        let place = Place::new().await;
        let traffic = place.traffic().await;
        let refused = json!([{ "errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded." }]);
        place
            .org
            .http
            .then(limits(403, refused, "api-usage=5000/5000"));
        assert!(place.org.client.limits().await.is_err());
        place.org.clock.advance(Duration::from_secs(1));
        place.call("api-usage=1000/5000").await;
        assert_ne!(traffic.decide(nothing()).lanes.high, Lane::Wait);
        traffic.store.close().await;
    }

    #[tokio::test]
    async fn an_org_without_calls_is_asked_again_by_itself_until_it_has_some() {
        let place = Place::new().await;
        let traffic = place.traffic().await;
        let refused = json!([{ "errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded." }]);
        place
            .org
            .http
            .then(limits(403, refused.clone(), "api-usage=5000/5000"));
        assert!(place.org.client.limits().await.is_err());
        let decision = traffic.decide(nothing());
        assert_eq!(decision.lanes.high, Lane::Wait);
        let until = NOW.after(super::super::budget::ASK_EVERY);
        assert_eq!(decision.until, Some(until));
        let state = |state| {
            let label = StateLabel { state };
            let family = &place.org.metrics.salesforce_budget_state;
            family.get_or_create(&label).get()
        };
        assert_eq!((state("exhausted"), state("real_time")), (1, 0));
        assert_eq!(place.org.metrics.salesforce_budget_remaining.get(), 0);

        let before = place.org.http.sent().len();
        place
            .org
            .http
            .then(limits(403, refused, "api-usage=5000/5000"));
        place
            .org
            .http
            .then(limits(200, json!({}), "api-usage=4000/5000"));
        let mut minutes = 0;
        while traffic.decide(nothing()).lanes.high == Lane::Wait {
            place.org.clock.advance(Duration::from_secs(60));
            minutes += 1;
            traffic.step().await.unwrap();
        }
        assert_eq!(place.org.http.sent().len() - before, 2);
        assert_eq!(minutes, 20);
        traffic.store.close().await;
    }
}
