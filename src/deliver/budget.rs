//! Who may spend the org's calls. Pure: it is told the time, what the org has said of its calls, and
//! what we have made ourselves.
//!
//! An org has so many calls in any 24 hours, for all its integrations together. We take a share of
//! them at most, and keep the last part of that share for what is urgent:
//!
//! | state | urgent leads | others | the mirror |
//! | --- | --- | --- | --- |
//! | real time | at once | at once | as configured |
//! | batches | at once | gathered, the longer the less is left | less often |
//! | reserve only | gathered for seconds | wait | once an hour |
//! | exhausted | wait | wait | waits |
//!
//! From real time to batches it steps when what is left would not last for the next 24 hours at the
//! rate of the last hour: only then do calls made now come back. Each step up asks for more than the
//! step down, so that a number that trembles at an edge does not make us do so.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::Millis;
use crate::salesforce::Usage;
use crate::store::HOUR_MS;

const MINUTE: Duration = Duration::from_secs(60);

/// Calls come back after this time. Source: Salesforce app limits cheatsheet, API requests.
const WINDOW_HOURS: i64 = 24;

/// Over how long the rate is measured, and how short a look says something.
const RATE_OVER_MS: i64 = HOUR_MS;
const RATE_LEAST_MS: i64 = 10 * 60 * 1000;

/// Between two samples of what is left.
const SAMPLE_MS: i64 = 60 * 1000;

/// Calls to send one batch: to look, and to write.
const CALLS_PER_BATCH: u64 = 2;

/// Leads in one batch at most: what a call of collections takes.
const FULL_BATCH: usize = 200;

/// Calls of one poll of the mirror, which sometimes has a second page.
const CALLS_PER_POLL: f64 = 2.0;

/// Which part of what is left per hour the mirror may have.
const MIRROR_PART: f64 = 0.25;

const NORMAL_LONGEST: Duration = Duration::from_secs(5 * 60);
const LOW_LONGEST: Duration = Duration::from_secs(15 * 60);
const MIRROR_LONGEST: Duration = Duration::from_secs(60 * 60);

/// How long an urgent lead waits for others while there is only the reserve. A steady trickle keeps
/// the oldest waiting four times as long: with a look and a write it still arrives within a minute.
const HIGH_LONGEST: Duration = Duration::from_secs(10);

/// Below this the reserve is for leads alone.
const MIRROR_LEAST: u64 = 200;

/// How often the org is asked whether it has calls again, if nothing else tells.
pub const ASK_EVERY: Duration = Duration::from_secs(10 * 60);

/// How much more a step up needs than the step down.
const STEP_UP: f64 = 1.25;

/// What the governor goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The part of the org's calls that we may make, 0 to 1.
    pub share: f64,
    /// The part of the org's calls, within ours, that is kept for what is urgent.
    pub reserve: f64,
    /// How long a delivery waits for others in real time.
    pub linger: Duration,
    /// Leads in one batch in real time.
    pub batch_size: usize,
    /// How often the mirror is polled in real time.
    pub mirror_every: Duration,
}

/// Something for each priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByPriority<T> {
    /// Of what waits for the others.
    pub low: T,
    /// Of what comes as it comes.
    pub normal: T,
    /// Of what never waits for others.
    pub high: T,
}

impl<T> ByPriority<T> {
    /// That of `priority`: 0 is low, 1 normal, 2 high.
    pub fn of(&self, priority: i64) -> &T {
        match priority {
            ..=0 => &self.low,
            1 => &self.normal,
            _ => &self.high,
        }
    }
}

/// What the org said of its calls, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// What it said.
    pub usage: Usage,
    /// When.
    pub at: Millis,
}

/// What a decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The time.
    pub now: Millis,
    /// What the org last said; nothing before its first answer.
    pub told: Option<Told>,
    /// Our own calls by the hour that they were made in, which is named by its beginning; oldest
    /// first. Hours of more than a day ago do not matter.
    pub own: &'a [(Millis, u64)],
    /// Leads that wait.
    pub waiting: ByPriority<usize>,
}

/// How the budget stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BudgetState {
    /// Leads go as they come.
    RealTime,
    /// Leads are gathered, but for urgent ones.
    Batches,
    /// Only urgent leads go.
    ReserveOnly,
    /// Nothing goes.
    Exhausted,
}

impl BudgetState {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::RealTime,
        Self::Batches,
        Self::ReserveOnly,
        Self::Exhausted,
    ];

    /// Its name in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::RealTime => "real_time",
            Self::Batches => "batches",
            Self::ReserveOnly => "reserve_only",
            Self::Exhausted => "exhausted",
        }
    }
}

/// What becomes of leads of one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// They may go.
    Send {
        /// How long a delivery waits for others to share its call.
        linger: Duration,
        /// Leads in one call at most; so many go without waiting.
        batch_size: usize,
    },
    /// They have to wait.
    Wait,
}

/// What may be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// How the budget stands.
    pub state: BudgetState,
    /// Which leads may go, and how.
    pub lanes: ByPriority<Lane>,
    /// How often the mirror may be polled; none while it may not.
    pub mirror_every: Option<Duration>,
    /// How many calls we may still make, those kept for what is urgent included; nothing before the
    /// org's first answer.
    pub remaining: Option<u64>,
    /// When what is left for leads that go now is used up at the rate of the last hour; none if it
    /// lasts for a day.
    pub empty_at: Option<Millis>,
    /// While something has to wait: when it is worth looking again.
    pub until: Option<Millis>,
    /// Nothing else tells how the org stands: one cheap call should ask.
    pub ask: bool,
}

/// What is left of the calls.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// Of our share.
    ours: u64,
    /// Of the org's, which others use as well.
    orgs: u64,
    allowed: u64,
    /// How many of them are for what is urgent.
    reserve: u64,
}

impl Left {
    fn all(self) -> u64 {
        self.ours.min(self.orgs)
    }

    /// For all but what is urgent.
    fn common(self) -> u64 {
        self.all().saturating_sub(self.reserve)
    }

    /// The org has less left than our share: what we do not see may change it.
    fn is_by_org(self) -> bool {
        self.orgs <= self.ours
    }
}

/// How fast something gets less.
#[derive(Debug, Default)]
struct Decline {
    /// What was left, at most one sample a minute for an hour.
    samples: VecDeque<(Millis, u64)>,
    /// The highest rate in calls an hour, halved for each hour that has passed since.
    peak: f64,
    peak_at: Option<Millis>,
    /// The rate of the last hour, net of calls that came back.
    rate: f64,
}

impl Decline {
    fn note(&mut self, left: u64, now: Millis) {
        let due = self
            .samples
            .back()
            .is_none_or(|(at, _)| now.0 - at.0 >= SAMPLE_MS);
        if due {
            self.samples.push_back((now, left));
        }
        let is_old = |(at, _): &(Millis, u64)| now.0 - at.0 > RATE_OVER_MS;
        while self.samples.front().is_some_and(is_old) {
            self.samples.pop_front();
        }
        let (at, before) = self.samples.front().copied().unwrap_or((now, left));
        let hours = (now.0 - at.0).max(RATE_LEAST_MS) as f64 / HOUR_MS as f64;
        self.rate = before.saturating_sub(left) as f64 / hours;
        let faded = self.peak_at.map_or(0.0, |at| {
            let hours = (now.0 - at.0) as f64 / HOUR_MS as f64;
            self.peak * 0.5_f64.powf(hours)
        });
        self.peak = self.rate.max(faded);
        self.peak_at = Some(now);
    }

    /// A clock that was set back leaves samples of the time to come.
    fn forget_what_is_to_come(&mut self, now: Millis) {
        self.samples.retain(|(at, _)| *at <= now);
        self.peak_at = self.peak_at.map(|at| at.min(now));
    }

    /// Whether `calls` would not last until calls made now come back, or not `times` as long.
    fn outruns(&self, calls: u64, times: f64) -> bool {
        (calls as f64) < self.peak * WINDOW_HOURS as f64 * times
    }

    /// When `calls` are used up, if that is before calls made now come back.
    fn empty_at(&self, calls: u64, now: Millis) -> Option<Millis> {
        let hours_left = calls as f64 / self.rate;
        (self.rate >= 1.0 && hours_left < WINDOW_HOURS as f64).then(|| now.after(hours(hours_left)))
    }
}

/// Decides; remembers what it has to in order not to flap.
#[derive(Debug)]
pub struct Governor {
    limits: Limits,
    state: BudgetState,
    /// Of our share, and of the org's calls.
    ours: Decline,
    orgs: Decline,
    /// The org has refused a call for want of calls.
    refused_at: Option<Millis>,
    asked_at: Option<Millis>,
}

impl Governor {
    /// One that has seen nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: BudgetState::RealTime,
            ours: Decline::default(),
            orgs: Decline::default(),
            refused_at: None,
            asked_at: None,
        }
    }

    /// Notes that Salesforce has refused a call because the org's calls are used up.
    pub fn refused(&mut self, now: Millis) {
        self.refused_at = Some(now);
    }

    /// Notes that the org has been asked, as a decision wanted.
    pub fn asked(&mut self, now: Millis) {
        self.asked_at = Some(now);
    }

    /// Decides what may be done now.
    pub fn decide(&mut self, situation: &Situation<'_>) -> Decision {
        let now = situation.now;
        self.forget_what_is_to_come(now);
        if let (Some(refused), Some(told)) = (self.refused_at, situation.told)
            && told.at > refused
            && told.usage.used < told.usage.allowed
        {
            self.refused_at = None;
        }
        let left = situation.told.map(|told| self.left(told.usage, situation));
        if let Some(left) = left {
            self.ours.note(left.ours, now);
            self.orgs.note(left.orgs, now);
        }
        self.state = self.next_state(left);
        let mut decision = Decision {
            state: self.state,
            lanes: self.lanes(left, &situation.waiting),
            mirror_every: self.mirror_every(left),
            remaining: left.map(|left| match self.refused_at {
                Some(_) => 0,
                None => left.all(),
            }),
            empty_at: left.and_then(|left| self.empty_at(left, now)),
            until: None,
            ask: false,
        };
        if self.state >= BudgetState::ReserveOnly {
            let by_org = self.refused_at.is_some() || left.is_none_or(Left::is_by_org);
            if by_org {
                let known_at = [
                    situation.told.map(|told| told.at),
                    self.asked_at,
                    self.refused_at,
                ];
                let last = known_at.into_iter().flatten().max().unwrap_or(now);
                let next = last.after(ASK_EVERY);
                decision.ask = next <= now;
                decision.until = Some(next.max(now.after(MINUTE)));
            } else {
                decision.until = self.comes_back_at(situation, left);
            }
        }
        decision
    }

    /// A clock that was set back leaves moments of the time to come.
    fn forget_what_is_to_come(&mut self, now: Millis) {
        self.ours.forget_what_is_to_come(now);
        self.orgs.forget_what_is_to_come(now);
        self.refused_at = self.refused_at.map(|at| at.min(now));
        self.asked_at = self.asked_at.map(|at| at.min(now));
    }

    fn left(&self, usage: Usage, situation: &Situation<'_>) -> Left {
        let part = |part: f64| (usage.allowed as f64 * part.clamp(0.0, 1.0)).floor() as u64;
        Left {
            ours: part(self.limits.share).saturating_sub(own(situation)),
            orgs: usage.allowed.saturating_sub(usage.used),
            allowed: usage.allowed,
            reserve: part(self.limits.reserve),
        }
    }

    fn next_state(&self, left: Option<Left>) -> BudgetState {
        use BudgetState::{Batches, Exhausted, RealTime, ReserveOnly};
        if self.refused_at.is_some() {
            return Exhausted;
        }
        let Some(left) = left else {
            // Before the first answer nobody knows: to ask is to make a call.
            return RealTime;
        };
        let margin = |of: u64| (left.allowed / of).max(1);
        let was = self.state;
        if left.all() == 0 || (was == Exhausted && left.all() < margin(200)) {
            return Exhausted;
        }
        if left.common() == 0 || (was >= ReserveOnly && left.common() < margin(100)) {
            return ReserveOnly;
        }
        let times = if was == RealTime { 1.0 } else { STEP_UP };
        let common = |left_of: u64| left_of.saturating_sub(left.reserve);
        if self.ours.outruns(common(left.ours), times)
            || self.orgs.outruns(common(left.orgs), times)
        {
            Batches
        } else {
            RealTime
        }
    }

    fn lanes(&self, left: Option<Left>, waiting: &ByPriority<usize>) -> ByPriority<Lane> {
        let linger = self.limits.linger;
        let at_once = Lane::Send {
            linger,
            batch_size: self.limits.batch_size,
        };
        let gathered = |longest: Duration, times: u32, calls: u64| Lane::Send {
            linger: (gather(calls) * times).min(longest).max(linger),
            batch_size: FULL_BATCH,
        };
        let common = left.map_or(u64::MAX, Left::common);
        let (low, normal, high) = match self.state {
            BudgetState::RealTime => (at_once, at_once, at_once),
            BudgetState::Batches => {
                let before = calls_for(waiting.high) + calls_for(waiting.normal);
                let low = if before < common {
                    gathered(LOW_LONGEST, 4, common)
                } else {
                    // What is left is for those.
                    Lane::Wait
                };
                (low, gathered(NORMAL_LONGEST, 1, common), at_once)
            }
            BudgetState::ReserveOnly => {
                let all = left.map_or(0, Left::all);
                (Lane::Wait, Lane::Wait, gathered(HIGH_LONGEST, 1, all))
            }
            BudgetState::Exhausted => (Lane::Wait, Lane::Wait, Lane::Wait),
        };
        ByPriority { low, normal, high }
    }

    fn mirror_every(&self, left: Option<Left>) -> Option<Duration> {
        let base = self.limits.mirror_every;
        match (self.state, left) {
            (BudgetState::RealTime, _) => Some(base),
            (BudgetState::Batches, Some(left)) => {
                let calls_an_hour = per_hour(left.common()) * MIRROR_PART;
                let wait = hours(CALLS_PER_POLL / calls_an_hour);
                Some(wait.min(MIRROR_LONGEST).max(base))
            }
            (BudgetState::ReserveOnly, Some(left)) if left.all() >= MIRROR_LEAST => {
                Some(MIRROR_LONGEST.max(base))
            }
            _ => None,
        }
    }

    fn empty_at(&self, left: Left, now: Millis) -> Option<Millis> {
        let kept = match self.state {
            BudgetState::RealTime | BudgetState::Batches => left.reserve,
            BudgetState::ReserveOnly => 0,
            BudgetState::Exhausted => return None,
        };
        let ours = self.ours.empty_at(left.ours.saturating_sub(kept), now);
        let orgs = self.orgs.empty_at(left.orgs.saturating_sub(kept), now);
        ours.into_iter().chain(orgs).min()
    }

    /// When enough of our own calls are a day old for the next step up.
    fn comes_back_at(&self, situation: &Situation<'_>, left: Option<Left>) -> Option<Millis> {
        let left = left?;
        let allowed = left.allowed as f64;
        let wanted = match self.state {
            BudgetState::Exhausted => left.allowed / 200,
            _ => left.reserve + left.allowed / 100,
        };
        let ours = (allowed * self.limits.share.clamp(0.0, 1.0)).floor() as u64;
        let most = ours.saturating_sub(wanted.max(1));
        let mut own = own(situation);
        for (hour, calls) in situation
            .own
            .iter()
            .filter(|(hour, _)| counts(*hour, situation.now))
        {
            if own <= most {
                break;
            }
            own -= calls;
            if own <= most {
                return Some(Millis(hour.0 + (WINDOW_HOURS + 1) * HOUR_MS));
            }
        }
        Some(situation.now.after(MINUTE))
    }
}

/// Our calls of the rolling 24 hours. An hour counts for as long as one of its calls may.
fn own(situation: &Situation<'_>) -> u64 {
    let hours = situation.own.iter();
    hours
        .filter(|(hour, _)| counts(*hour, situation.now))
        .map(|(_, calls)| calls)
        .sum()
}

fn counts(hour: Millis, now: Millis) -> bool {
    hour.0 + (WINDOW_HOURS + 1) * HOUR_MS > now.0
}

/// Calls an hour that last until they come back.
fn per_hour(calls: u64) -> f64 {
    calls.max(1) as f64 / WINDOW_HOURS as f64
}

/// How long to gather, so that sending does not take more calls an hour than that.
fn gather(calls: u64) -> Duration {
    hours(CALLS_PER_BATCH as f64 / per_hour(calls))
}

fn calls_for(leads: usize) -> u64 {
    leads.div_ceil(FULL_BATCH) as u64 * CALLS_PER_BATCH
}

fn hours(hours: f64) -> Duration {
    let seconds = hours * 60.0 * 60.0;
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(WINDOW_HOURS as u64 * 3600))
}

#[cfg(test)]
mod tests;
