//! Watches what the org's objects are made of, and says where the mapping fits them no longer: once,
//! before leads fail, naming the fields and the leads that are held. When it fits again, what was
//! held goes by itself.
//!
//! One node of all asks the org, by a lease; what it has learnt is in the store, and each node takes
//! it from there. The org is asked whole at the start, daily, and soon after a refusal that says that
//! we know it wrongly; while leads are held for what its fields say, it is asked every quarter of an
//! hour whether anything has changed. An org whose token is not taken is left alone.

mod owners;
mod when;

use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use siphasher::sip::SipHasher24;
use tracing::{error, info, warn};

use self::when::{Look, look};
use crate::config::{Config, ConvertedLead, ExistingContact};
use crate::deliver::salesforce::Mapping;
use crate::deliver::salesforce::cause::{Cause, is_of_schema};
use crate::deliver::salesforce::schema::{self, ExpectedValue, Problem, Written};
use crate::diagnostic::Severity;
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Shutdown;
use crate::model::Millis;
use crate::salesforce::{CallError, Client, Describe, SignInState};
use crate::store::{DeadCause, DescribeMark, Lease, OrgProblem, Store, StoreError};
use crate::telemetry::Metrics;

/// Who asks the org.
const LEASE: &str = "schema";

/// Between two steps.
const BETWEEN_STEPS: Duration = Duration::from_secs(60);

/// The same while nobody is signed in: the first step should follow soon.
const UNSIGNED_WAIT: Duration = Duration::from_secs(2);

/// After a call that failed.
const FAILED_WAIT: Duration = Duration::from_secs(5 * 60);

/// An object that is hidden from the user.
const HIDDEN_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The most events that go again at once; the rest goes with the next step.
const MOST_RELEASED: usize = 100_000;

/// An object that we write to.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its API name.
    pub object: String,
    /// Which lead field goes where.
    pub mapping: Arc<Mapping>,
    /// The field that holds our key, if it has one.
    pub external_id: Option<String>,
    /// Whether records of it are made.
    pub creates: bool,
    /// The values that the configuration names.
    pub expected: Vec<ExpectedValue>,
}

impl Watched {
    /// The objects that `config` writes to.
    pub fn all(config: &Config) -> Vec<Self> {
        let org = &config.salesforce;
        let mapping = Arc::new(Mapping::new(org));
        let mut all = vec![Self {
            object: "Lead".to_owned(),
            expected: schema::expected_values(config, &mapping, "lead"),
            mapping,
            external_id: Some(org.external_id_field.clone()),
            creates: true,
        }];
        let writes_contacts = org.existing.contact == ExistingContact::Update
            || org.existing.converted == ConvertedLead::UpdateContact;
        if writes_contacts {
            let mapping = Arc::new(Mapping::of_contact(org));
            all.push(Self {
                object: "Contact".to_owned(),
                expected: schema::expected_values(config, &mapping, "contact"),
                mapping,
                external_id: None,
                creates: false,
            });
        }
        all
    }

    /// Where it and `object` do not fit together.
    pub fn check(&self, object: &Describe) -> Vec<Problem> {
        let written = Written {
            mapping: &self.mapping,
            external_id: self.external_id.as_deref(),
            creates: self.creates,
            expected: &self.expected,
        };
        schema::check(object, &written)
    }

    /// Tells this mapping from another.
    fn hash(&self) -> String {
        let mut hasher = SipHasher24::new();
        let all = (&self.mapping, &self.external_id, &self.expected);
        hasher.write(format!("{all:?}").as_bytes());
        format!("{:016x}", hasher.finish())
    }
}

/// The loop.
#[derive(Debug)]
pub struct Drift {
    store: Arc<Store>,
    client: Arc<Client>,
    watched: Vec<Watched>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Objects that this process has checked.
    checked: BTreeMap<String, Millis>,
    /// Which reading of them `Client::describes` has.
    loaded: BTreeMap<String, Millis>,
    /// Objects that the org hides from the user, and when they are asked for again.
    hidden: BTreeMap<String, Millis>,
    /// Looks for a doubt that brought nothing new, since the last that did.
    fruitless: u32,
    /// After a call that failed: not before then.
    not_before: Option<Millis>,
    told_failure: bool,
}

/// What a look at the org has brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Objects that the org was asked for.
    pub asked: usize,
    /// Those of them that were found changed.
    pub changed: usize,
    /// Events that go again because what held them is over.
    pub released: u64,
}

impl Drift {
    /// A loop over the org that `client` talks to.
    pub fn new(
        store: Arc<Store>,
        client: Arc<Client>,
        watched: Vec<Watched>,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            store,
            client,
            watched,
            clock,
            metrics,
            state: Mutex::default(),
        }
    }

    /// Takes over what other nodes have learnt, and looks at the org if that is due. Returns how long
    /// to wait for the next step.
    pub async fn step(&self) -> Result<Duration, StoreError> {
        let marks = self.load().await?;
        if self.client.sign_in_state() != SignInState::SignedIn {
            return Ok(UNSIGNED_WAIT);
        }
        let now = self.clock.now();
        if self
            .state
            .lock()
            .not_before
            .is_some_and(|until| now < until)
        {
            return Ok(BETWEEN_STEPS);
        }
        let causes = self.schema_causes().await?;
        let looks: Vec<(&Watched, Look)> = self
            .watched
            .iter()
            .map(|watched| (watched, self.due(watched, &marks, !causes.is_empty(), now)))
            .filter(|(_, look)| *look != Look::No)
            .collect();
        if looks.is_empty() {
            return Ok(BETWEEN_STEPS);
        }
        match self.look(&looks, &marks, &causes).await? {
            Some(Ok(_)) | None => Ok(BETWEEN_STEPS),
            Some(Err(error)) => {
                let mut state = self.state.lock();
                state.not_before = Some(now.after(FAILED_WAIT));
                if !state.told_failure {
                    state.told_failure = true;
                    let why = error.explain();
                    warn!(error.code = %why.code, hint = %why.hint, "what the org's objects are made of cannot be read; trying again");
                }
                Ok(BETWEEN_STEPS)
            }
        }
    }

    /// Looks at the org now, whatever is due. None if another node is at it.
    pub async fn refresh(&self) -> Result<Option<Result<Looked, CallError>>, StoreError> {
        let marks = self.load().await?;
        let causes = self.schema_causes().await?;
        let looks: Vec<(&Watched, Look)> = self
            .watched
            .iter()
            .map(|watched| (watched, Look::Whole))
            .collect();
        self.look(&looks, &marks, &causes).await
    }

    /// Steps until told to stop.
    pub async fn run(&self, mut shutdown: Shutdown) {
        while !shutdown.is_stopping() {
            let wait = match self.step().await {
                Ok(wait) => wait,
                Err(error) => {
                    warn!(%error, "what is known of the org cannot be read or written; trying again");
                    BETWEEN_STEPS
                }
            };
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = self.client.describes().doubt_came() => {}
                () = shutdown.stopping() => {}
            }
        }
    }

    /// What the store has of the org goes to whoever writes to it, and into the metrics.
    async fn load(&self) -> Result<BTreeMap<String, DescribeMark>, StoreError> {
        let marks = self.store.describe_marks().await?;
        for mark in &marks {
            let known = self.state.lock().loaded.get(&mark.object).copied();
            if known == Some(mark.changed_at) {
                continue;
            }
            let described = self.store.described(&mark.object).await?;
            // What another version wrote may not be readable: it is asked for anew.
            if let Some(object) = described.and_then(|json| serde_json::from_str(&json).ok()) {
                self.client.describes().put(object);
                let mut state = self.state.lock();
                state.loaded.insert(mark.object.clone(), mark.changed_at);
            }
        }
        self.count(&self.store.org_problems().await?);
        let marks = marks.into_iter().map(|mark| (mark.object.clone(), mark));
        Ok(marks.collect())
    }

    fn count(&self, problems: &[OrgProblem]) {
        let drifted = problems.iter().filter(|problem| problem.drifted).count();
        self.metrics.mapping_problems.set(problems.len() as i64);
        self.metrics.salesforce_drift.set(drifted as i64);
    }

    async fn schema_causes(&self) -> Result<Vec<DeadCause>, StoreError> {
        let mut causes = self.store.dead_causes(None).await?;
        causes.retain(|cause| is_of_schema(&cause.code));
        Ok(causes)
    }

    fn due(
        &self,
        watched: &Watched,
        marks: &BTreeMap<String, DescribeMark>,
        held: bool,
        now: Millis,
    ) -> Look {
        let state = self.state.lock();
        if state
            .hidden
            .get(&watched.object)
            .is_some_and(|until| now < *until)
        {
            return Look::No;
        }
        let readable = state.loaded.contains_key(&watched.object);
        let mark = marks.get(&watched.object).filter(|_| readable);
        look(
            mark,
            &when::Need {
                first: !state.checked.contains_key(&watched.object),
                other_mapping: mark.is_some_and(|mark| mark.mapping != watched.hash()),
                doubt: self
                    .client
                    .describes()
                    .is_doubted()
                    .then_some(state.fruitless),
                held,
            },
            now,
        )
    }

    async fn look(
        &self,
        looks: &[(&Watched, Look)],
        marks: &BTreeMap<String, DescribeMark>,
        causes: &[DeadCause],
    ) -> Result<Option<Result<Looked, CallError>>, StoreError> {
        let Some(lease) = self.store.acquire(LEASE).await? else {
            return Ok(None);
        };
        let mut all = Looked::default();
        let mut failed = None;
        let known = self.store.org_problems().await?;
        for (watched, look) in looks {
            let mark = marks.get(&watched.object);
            match self
                .look_at(watched, *look, mark, &known, causes, &lease)
                .await?
            {
                Ok(looked) => {
                    all.asked += looked.asked;
                    all.changed += looked.changed;
                    all.released += looked.released;
                }
                Err(error) if !watched.creates && is_hidden(&error) => {
                    self.hide(&watched.object);
                    all.asked += 1;
                }
                Err(error) => failed = Some(error),
            }
        }
        if looks.iter().any(|(_, look)| *look == Look::Whole) && failed.is_none() {
            self.look_at_owners(&known, causes, &lease, &mut all)
                .await?;
        }
        self.store.release(lease).await?;
        self.count(&self.store.org_problems().await?);
        if let Some(error) = failed {
            return Ok(Some(Err(error)));
        }
        let mut state = self.state.lock();
        state.not_before = None;
        state.told_failure = false;
        if all.asked > 0 && self.client.describes().is_doubted() {
            self.client.describes().settle_doubt();
            state.fruitless = if all.changed > 0 {
                0
            } else {
                state.fruitless + 1
            };
        }
        Ok(Some(Ok(all)))
    }

    /// An object that only some leads need is hidden: they are told so by Salesforce itself.
    fn hide(&self, object: &str) {
        let until = self.clock.now().after(HIDDEN_WAIT);
        if self
            .state
            .lock()
            .hidden
            .insert(object.to_owned(), until)
            .is_none()
        {
            warn!(
                "{object} is hidden from the integration user: it cannot be written, nor its fields checked"
            );
        }
    }

    /// Asks for one object, checks it, keeps it, says what is new about it, and lets go what it holds
    /// no longer.
    async fn look_at(
        &self,
        watched: &Watched,
        look: Look,
        mark: Option<&DescribeMark>,
        known: &[OrgProblem],
        causes: &[DeadCause],
        lease: &Lease,
    ) -> Result<Result<Looked, CallError>, StoreError> {
        let before = self.client.describes().get(&watched.object);
        let since = match look {
            Look::Whole => None,
            _ => mark.and_then(|mark| mark.last_modified.as_deref()),
        };
        let answer = match (look, &before) {
            (Look::Recheck, Some(_)) => None,
            _ => match self
                .client
                .describe_if_changed(&watched.object, since)
                .await
            {
                Ok(answer) => answer,
                Err(error) => return Ok(Err(error)),
            },
        };
        let now = self.clock.now();
        let asked = usize::from(look != Look::Recheck);
        let is_whole = answer.is_some();
        let (object, last_modified) = match (answer, &before) {
            (Some(answer), _) => (Arc::new(answer.object), answer.last_modified),
            (None, Some(before)) => (
                Arc::clone(before),
                mark.and_then(|mark| mark.last_modified.clone()),
            ),
            // Not changed since what we do not have: it is asked for whole the next time.
            (None, None) => return Ok(Ok(Looked::default())),
        };
        let changed = before.as_deref() != Some(&*object);
        let other_mapping = mark.is_some_and(|mark| mark.mapping != watched.hash());
        let problems = judge(watched, before.as_deref(), &object, known, now);
        let mark = DescribeMark {
            object: watched.object.clone(),
            last_modified,
            mapping: watched.hash(),
            read_at: match mark {
                Some(mark) if !is_whole => mark.read_at,
                _ => now,
            },
            checked_at: match mark {
                Some(mark) if asked == 0 => mark.checked_at,
                _ => now,
            },
            changed_at: match mark {
                Some(mark) if !changed => mark.changed_at,
                _ => now,
            },
        };
        let json = if changed {
            serde_json::to_string(&*object).ok()
        } else {
            None
        };
        let mut write = self.store.write().await?;
        write.guard(lease).await?;
        write.put_describe(&mark, json.as_deref()).await?;
        write.put_org_problems(&watched.object, &problems).await?;
        write.commit().await?;
        if changed {
            self.client.describes().put(Describe::clone(&object));
        }
        let is_first = {
            let mut state = self.state.lock();
            state.loaded.insert(watched.object.clone(), mark.changed_at);
            state.checked.insert(watched.object.clone(), now).is_none()
        };
        tell(&watched.object, known, &problems, is_first, causes);
        let mut released = 0;
        if changed || other_mapping {
            for cause in causes {
                let parsed = Cause::parse(&cause.cause);
                let of_this = parsed.object.is_none_or(|object| object == watched.object);
                let goes =
                    other_mapping || parsed.may_go(before.as_deref(), &object, &watched.mapping);
                if of_this && goes {
                    released += self.release(&cause.cause).await?;
                }
            }
        }
        Ok(Ok(Looked {
            asked,
            changed: usize::from(changed),
            released,
        }))
    }

    /// Lets what stopped for `cause` go again.
    async fn release(&self, cause: &str) -> Result<u64, StoreError> {
        let events = self.store.dead_events(cause, None, MOST_RELEASED).await?;
        if events.is_empty() {
            return Ok(0);
        }
        let released = self.store.replay(&events, self.clock.now()).await?;
        info!(
            events = released,
            cause, "what was held goes again: its cause may be over"
        );
        Ok(released)
    }
}

/// The problems of an object now, with what is known of each.
fn judge(
    watched: &Watched,
    before: Option<&Describe>,
    object: &Describe,
    known: &[OrgProblem],
    now: Millis,
) -> Vec<OrgProblem> {
    let old: Vec<Problem> = before
        .map(|before| watched.check(before))
        .unwrap_or_default();
    let mut problems: Vec<OrgProblem> = Vec::new();
    for mut problem in watched.check(object) {
        let is_same = |other: &Problem| other.code == problem.code && other.about == problem.about;
        let mut drifted = before.is_some() && !old.iter().any(is_same);
        let field = problem.about.split_once('.').map(|(_, field)| field);
        if drifted
            && problem.code == "doctor.field_missing"
            && let (Some(before), Some(field)) = (before, field)
            && let Some(renamed) = schema::renamed(before, object, field)
        {
            problem.hint = format!(
                "it seems that it is called `{}` (\"{}\") now: {}",
                renamed.name, renamed.label, problem.hint
            );
        }
        let mut since = now;
        let mut problem = OrgProblem {
            object: watched.object.clone(),
            code: problem.code.to_owned(),
            about: problem.about,
            // A field that is gone holds every lead that brings a value for it.
            is_error: problem.severity == Severity::Error || drifted,
            drifted,
            message: problem.message,
            hint: problem.hint,
            since,
        };
        if let Some(known) = known.iter().find(|known| same(known, &problem)) {
            since = known.since;
            drifted |= known.drifted;
            if known.drifted {
                problem.hint.clone_from(&known.hint);
            }
            problem.is_error |= known.drifted;
        }
        problem.since = since;
        problem.drifted = drifted;
        if !problems.iter().any(|other| same(other, &problem)) {
            problems.push(problem);
        }
    }
    problems
}

fn same(one: &OrgProblem, other: &OrgProblem) -> bool {
    one.object == other.object && one.code == other.code && one.about == other.about
}

/// Says what is new: a change of the org in one line, other problems each in its own. At the first
/// look of a process all are said, but no alarm is raised again.
fn tell(
    object: &str,
    known: &[OrgProblem],
    problems: &[OrgProblem],
    is_first: bool,
    causes: &[DeadCause],
) {
    let is_known = |problem: &OrgProblem| known.iter().any(|known| same(known, problem));
    for problem in problems {
        let (code, about) = (&problem.code, &problem.about);
        let (message, hint) = (&problem.message, &problem.hint);
        if is_known(problem) && !is_first || problem.drifted && !is_known(problem) {
            continue;
        }
        if problem.is_error {
            error!(error.code = %code, about, hint, "{message}");
        } else {
            warn!(error.code = %code, about, hint, "{message}");
        }
    }
    let drifted: Vec<&OrgProblem> = problems
        .iter()
        .filter(|problem| problem.drifted && !is_known(problem))
        .collect();
    if !drifted.is_empty() {
        let fields: Vec<&str> = drifted
            .iter()
            .map(|problem| problem.about.as_str())
            .collect();
        let messages: Vec<&str> = drifted
            .iter()
            .map(|problem| problem.message.as_str())
            .collect();
        let hints: Vec<&str> = drifted
            .iter()
            .map(|problem| problem.hint.as_str())
            .collect();
        let held: u64 = drifted
            .iter()
            .map(|problem| held_by(&problem.about, causes))
            .sum();
        error!(
            error.code = DRIFT,
            mappings = fields.join(", "),
            leads_held = held,
            hint = hints.join("; "),
            "{object} was changed in Salesforce and the mapping fits it no longer: {}",
            messages.join("; ")
        );
    }
    for over in known.iter().filter(|known| known.object == object) {
        if !problems.iter().any(|problem| same(problem, over)) {
            info!(error.code = %over.code, about = %over.about, "over: mapping and org fit together here again");
        }
    }
}

/// Whether the org does not show the object that was asked for.
fn is_hidden(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Refused {
            status: 403 | 404,
            ..
        }
    )
}

/// Code of the alarm.
pub const DRIFT: &str = "salesforce.drift";

/// How many dead letters there are about the field of a problem (`Lead.Plan__c`, or with a value).
pub fn held_by(about: &str, causes: &[DeadCause]) -> u64 {
    let field = about.split_once(" = ").map_or(about, |(field, _)| field);
    let is_about = |cause: &&DeadCause| {
        let cause = Cause::parse(&cause.cause);
        let (object, name) = field.split_once('.').unwrap_or(("", field));
        cause
            .field
            .is_some_and(|field| field.eq_ignore_ascii_case(name))
            && cause.object.is_none_or(|known| known == object)
    };
    causes
        .iter()
        .filter(is_about)
        .map(|cause| cause.letters)
        .sum()
}

#[cfg(test)]
mod tests;
