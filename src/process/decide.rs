//! What becomes of an event: pure. The same event, configuration and knowledge always give the
//! same changes; time and ids are arguments.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher as _;
use std::time::Duration;

use serde_json::{Value, json};
use siphasher::sip::SipHasher13;

use super::normalise::{NormaliseContext, Normalised, assess, normalise};
use super::resolve::{self, Resolution, merge};
use crate::config::SourceConfig;
use crate::connector::ExtractError;
use crate::deliver::salesforce::Mapping;
use crate::model::{
    DeadLetter, Delivery, DeliveryId, Destination, End, Event, EventId, KeyHash, Lead, LeadId,
    Millis, Note, SourceName, Submission, Verdict,
};
use crate::store::{Changes, EarlierSubmission, KnownLead, StoredSubmission, TimelineEntry, Touch};

/// What deciding needs of the configuration. Made once.
#[derive(Debug)]
pub struct Rules {
    /// Lead fields to Salesforce fields.
    pub mapping: std::sync::Arc<Mapping>,
    /// By source.
    pub sources: HashMap<SourceName, SourceRules>,
    /// The secret that match keys are hashed with.
    pub key_secret: [u8; 16],
    /// The configuration, as leads name it.
    pub config_hash: String,
}

/// What deciding needs of one source.
#[derive(Debug)]
pub struct SourceRules {
    config: SourceConfig,
    context: NormaliseContext,
    duplicate_window: Duration,
}

impl SourceRules {
    /// The rules of a configured source.
    pub fn of(config: &SourceConfig) -> Self {
        Self {
            context: NormaliseContext::of(config),
            duplicate_window: config.options.duplicate_window(),
            config: config.clone(),
        }
    }
}

/// An event, read: what was found in it, or why it cannot be understood.
#[derive(Debug)]
pub struct Prepared {
    /// The event.
    pub event: Event,
    /// Processed before, and now to be decided anew: its lead is sent whole.
    pub replayed: bool,
    found: Result<Vec<Person>, ExtractError>,
}

#[derive(Debug)]
struct Person {
    normalised: Normalised,
    identity: i64,
    keys: Vec<KeyHash>,
}

impl Prepared {
    /// Reads an event.
    pub fn new(event: Event, replayed: bool, rules: &Rules) -> Self {
        let found = match rules.sources.get(&event.source) {
            Some(source) => source
                .config
                .options
                .connector()
                .extract(&event, &source.config)
                .map(|found| {
                    found
                        .into_iter()
                        .map(|extracted| {
                            Person::new(normalise(&event, extracted, &source.context), rules)
                        })
                        .collect()
                }),
            None => Err(unknown_source(&event)),
        };
        Self {
            event,
            replayed,
            found,
        }
    }

    /// An event that reading has failed on for a fault of ours.
    pub fn crashed(event: Event, replayed: bool) -> Self {
        let error = ExtractError {
            code: "event.crashed",
            message: "reading it failed: this is a fault of leadstream".to_owned(),
            hint: format!(
                "please report it; after an update, run `leadstream replay {}`",
                event.id
            ),
        };
        Self {
            event,
            replayed,
            found: Err(error),
        }
    }

    /// The match keys of all that was found in it.
    pub fn keys(&self) -> impl Iterator<Item = KeyHash> {
        self.people().flat_map(|person| person.keys.iter().copied())
    }

    /// The identities of all that was found in it.
    pub fn identities(&self) -> impl Iterator<Item = i64> {
        self.people().map(|person| person.identity)
    }

    fn people(&self) -> impl Iterator<Item = &Person> {
        self.found.as_deref().unwrap_or_default().iter()
    }
}

fn unknown_source(event: &Event) -> ExtractError {
    ExtractError {
        code: "event.unknown_source",
        message:
            "its source is no longer in the configuration, or was fenced off because of an error"
                .to_owned(),
        hint: format!(
            "bring back or mend [sources.{}], restart, and run `leadstream replay {}`",
            event.source, event.id
        ),
    }
}

impl Person {
    fn new(normalised: Normalised, rules: &Rules) -> Self {
        let submission = &normalised.submission;
        Self {
            identity: identity(submission, &rules.key_secret),
            keys: submission
                .keys
                .iter()
                .map(|key| resolve::hash(key, &rules.key_secret))
                .collect(),
            normalised,
        }
    }
}

/// Two submissions of one identity are one: the sender's own id says so, or the content does.
fn identity(submission: &Submission, secret: &[u8; 16]) -> i64 {
    let mut hasher = SipHasher13::new_with_key(secret);
    let mut add = |text: &str| {
        hasher.write(text.as_bytes());
        hasher.write_u8(0xFF);
    };
    add(&submission.source);
    match &submission.vendor_id {
        Some(id) => {
            add("id");
            add(id);
        }
        None => {
            for (name, value) in &submission.fields {
                add(name);
                add(value);
            }
        }
    }
    hasher.finish() as i64
}

/// What is known of the people whom a batch of events may concern; grows as the batch is decided.
#[derive(Debug, Default)]
pub struct Known {
    leads: HashMap<LeadId, KnownLead>,
    by_key: HashMap<KeyHash, Vec<LeadId>>,
    earlier: HashMap<i64, Vec<EarlierSubmission>>,
    /// Leads whose delivery was decided in this batch, and where it stands among the changes.
    decided: HashMap<LeadId, usize>,
    changed: BTreeMap<LeadId, ()>,
}

impl Known {
    /// What the store says.
    pub fn new(
        leads: impl IntoIterator<Item = KnownLead>,
        keys: impl IntoIterator<Item = (KeyHash, LeadId)>,
        earlier: impl IntoIterator<Item = EarlierSubmission>,
    ) -> Self {
        let mut known = Self::default();
        known
            .leads
            .extend(leads.into_iter().map(|lead| (lead.lead.id, lead)));
        for (key, lead) in keys {
            known.by_key.entry(key).or_default().push(lead);
        }
        for submission in earlier {
            known
                .earlier
                .entry(submission.identity)
                .or_default()
                .push(submission);
        }
        known
    }

    /// The leads that changed, as they are now.
    pub fn into_changed_leads(mut self) -> Vec<Lead> {
        let leads = &mut self.leads;
        self.changed
            .keys()
            .filter_map(|id| leads.remove(id))
            .map(|known| known.lead)
            .collect()
    }

    fn lead_of_duplicate(
        &self,
        person: &Person,
        source: &SourceRules,
        received_at: Millis,
    ) -> Option<LeadId> {
        let submission = &person.normalised.submission;
        let before = self.earlier.get(&person.identity)?;
        before
            .iter()
            .filter(|earlier| match &submission.vendor_id {
                Some(id) => earlier.vendor_id.as_ref() == Some(id),
                None => received_at.since(earlier.received_at) <= source.duplicate_window,
            })
            .find_map(|earlier| earlier.lead.filter(|lead| self.leads.contains_key(lead)))
    }

    fn resolve(&self, submission: &Submission, keys: &[KeyHash]) -> Resolution {
        let candidates = keys.iter().flat_map(|key| {
            self.by_key
                .get(key)
                .into_iter()
                .flatten()
                .filter_map(|id| self.leads.get(id))
                .map(|known| &known.lead)
        });
        resolve::resolve(submission, candidates)
    }
}

/// Decides one event: adds what it changes to `changes`, and to `known` for those that follow.
pub fn decide(
    prepared: &Prepared,
    known: &mut Known,
    rules: &Rules,
    now: Millis,
    next_id: &mut dyn FnMut() -> i64,
    changes: &mut Changes,
) {
    let event = &prepared.event;
    if prepared.replayed {
        changes.replayed.push(event.id);
    }
    match &prepared.found {
        Ok(people) if people.is_empty() => {
            changes
                .submissions
                .push(row(event, rules).ended(End::Filtered, "empty"));
        }
        Ok(people) => {
            for person in people {
                Decision {
                    event,
                    force: prepared.replayed,
                    person,
                    known,
                    rules,
                    now,
                    changes,
                }
                .decide(next_id);
            }
        }
        Err(error) => {
            changes
                .submissions
                .push(row(event, rules).ended(End::DeadLetter, error.code));
            let letter = letter(
                event.id,
                now,
                error.code,
                error.message.clone(),
                error.hint.clone(),
            );
            changes.dead_letters.push((event.source.clone(), 0, letter));
        }
    }
}

fn row(event: &Event, rules: &Rules) -> StoredSubmission {
    StoredSubmission {
        event: event.id,
        ordinal: 0,
        source: event.source.clone(),
        received_at: event.received_at,
        at: event.received_at,
        identity: None,
        vendor_id: None,
        lead: None,
        delivery: None,
        outcome: None,
        reason: None,
        config_hash: rules.config_hash.clone(),
        fields: "{}".to_owned(),
    }
}

impl StoredSubmission {
    fn ended(mut self, end: End, reason: &str) -> Self {
        self.outcome = Some(end);
        self.reason = Some(reason.to_owned());
        self
    }
}

fn letter(event: EventId, at: Millis, code: &str, message: String, hint: String) -> DeadLetter {
    DeadLetter {
        event,
        lead: None,
        delivery: None,
        code: code.to_owned(),
        message,
        hint,
        at,
    }
}

struct Decision<'a> {
    event: &'a Event,
    force: bool,
    person: &'a Person,
    known: &'a mut Known,
    rules: &'a Rules,
    now: Millis,
    changes: &'a mut Changes,
}

impl Decision<'_> {
    fn submission(&self) -> &Submission {
        &self.person.normalised.submission
    }

    fn decide(mut self, next_id: &mut dyn FnMut() -> i64) {
        let row = self.row();
        let reason = match &self.person.normalised.verdict {
            Verdict::Genuine => None,
            Verdict::Test(why) => Some((End::Filtered, format!("test: {why}"))),
            Verdict::Spam(why) => Some((End::Filtered, format!("spam: {why}"))),
            Verdict::Review(why) => Some((End::Review, why.clone())),
        };
        // A replay is a person's word that it is a lead after all.
        if let Some((end, reason)) = reason.filter(|(end, _)| *end == End::Filtered || !self.force)
        {
            self.changes.submissions.push(row.ended(end, &reason));
            return;
        }
        if let Err(problem) = assess(self.submission()) {
            self.changes
                .submissions
                .push(row.ended(End::DeadLetter, problem.code));
            let letter = letter(
                self.event.id,
                self.now,
                problem.code,
                problem.message.to_owned(),
                problem.hint,
            );
            self.changes.dead_letters.push((
                self.event.source.clone(),
                self.submission().ordinal,
                letter,
            ));
            return;
        }
        self.attach(row, next_id);
    }

    fn row(&self) -> StoredSubmission {
        let submission = self.submission();
        StoredSubmission {
            ordinal: submission.ordinal,
            at: submission.at,
            identity: Some(self.person.identity),
            vendor_id: submission.vendor_id.clone(),
            fields: json!({ "fields": submission.fields, "attribution": submission.attribution })
                .to_string(),
            ..row(self.event, self.rules)
        }
    }

    /// Finds or makes the lead, merges, and decides what is to be sent.
    fn attach(&mut self, mut row: StoredSubmission, next_id: &mut dyn FnMut() -> i64) {
        let source = self.rules.sources.get(&self.event.source);
        let duplicate_of = source.and_then(|source| {
            self.known
                .lead_of_duplicate(self.person, source, self.event.received_at)
        });
        let resolution = match duplicate_of {
            Some(lead) => Resolution {
                lead: Some(lead),
                by: None,
                notes: Vec::new(),
            },
            None => self.known.resolve(self.submission(), &self.person.keys),
        };
        let (id, is_new) = match resolution.lead {
            Some(id) => (id, false),
            None => (self.new_lead(LeadId(next_id())), true),
        };
        let Some(known) = self.known.leads.get_mut(&id) else {
            // Resolving only answers with leads that are known.
            return;
        };
        let mapping = &self.rules.mapping;
        let before = if is_new {
            BTreeMap::new()
        } else {
            mapping.fields(&known.lead.record).fields
        };
        let changed = merge::merge(&mut known.lead.record, &self.person.normalised.submission);
        let mapped = mapping.fields(&known.lead.record);
        let whole = known.lead.salesforce_id.is_none() || self.force;
        let wanted: BTreeMap<String, Value> = mapped
            .fields
            .iter()
            .filter(|(name, value)| whole || before.get(*name) != Some(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let on_its_way = known.delivering || self.known.decided.contains_key(&id);
        let tells_something = mapped.fields != before || self.force;
        let needed = tells_something || (known.lead.salesforce_id.is_none() && !on_its_way);

        if !changed.is_empty() || is_new {
            self.known.changed.insert(id, ());
        }
        for key in &self.person.keys {
            let leads = self.known.by_key.entry(*key).or_default();
            if !leads.contains(&id) {
                leads.push(id);
                self.changes.keys.push((*key, id));
            }
        }
        row.lead = Some(id);
        if needed && !wanted.is_empty() {
            row.delivery = Some(self.deliver(id, wanted, next_id));
        } else {
            row.outcome = Some(End::Merged);
            row.reason = Some(
                if duplicate_of.is_some() {
                    "duplicate"
                } else {
                    "nothing to change"
                }
                .to_owned(),
            );
        }
        let kind = match (is_new, duplicate_of) {
            (true, _) => "created",
            (false, Some(_)) => "duplicate",
            (false, None) => "merged",
        };
        self.write_down(id, kind, &resolution, &changed, &mapped.notes);
        if duplicate_of.is_none() {
            self.touch(id);
        }
        self.remember(id);
        self.changes.submissions.push(row);
    }

    fn new_lead(&mut self, id: LeadId) -> LeadId {
        let lead = Lead {
            id,
            created_at: self.now,
            record: BTreeMap::new(),
            salesforce_id: None,
        };
        self.known.leads.insert(
            id,
            KnownLead {
                lead,
                delivering: false,
            },
        );
        id
    }

    /// Adds to the delivery that this batch has decided for the lead already, or decides one.
    fn deliver(
        &mut self,
        lead: LeadId,
        wanted: BTreeMap<String, Value>,
        next_id: &mut dyn FnMut() -> i64,
    ) -> DeliveryId {
        let at = self.submission().at;
        if let Some(delivery) = self
            .known
            .decided
            .get(&lead)
            .and_then(|index| self.changes.deliveries.get_mut(*index))
        {
            delivery.fields.extend(wanted);
            delivery.submitted_at = delivery.submitted_at.max(at);
            return delivery.id;
        }
        let id = DeliveryId(next_id());
        self.known
            .decided
            .insert(lead, self.changes.deliveries.len());
        self.changes.deliveries.push(Delivery {
            id,
            lead,
            destination: Destination::SalesforceLead,
            fields: wanted,
            attempts: 0,
            unsure: false,
            submitted_at: at,
            created_at: self.now,
        });
        id
    }

    fn write_down(
        &mut self,
        lead: LeadId,
        kind: &'static str,
        by: &Resolution,
        changed: &[String],
        mapped: &[Note],
    ) {
        let submission = self.submission();
        let notes: Vec<&Note> = submission
            .notes
            .iter()
            .chain(&by.notes)
            .chain(mapped)
            .collect();
        let detail = json!({
            "source": &*submission.source,
            "request_id": self.event.meta.request_id,
            "matched_by": by.by.map(|kind| kind.name()),
            "changed": changed,
            "notes": notes,
        });
        self.changes.timeline.push(TimelineEntry {
            lead,
            event: Some(self.event.id),
            at: self.now,
            kind,
            detail: detail.to_string(),
        });
    }

    fn touch(&mut self, lead: LeadId) {
        let submission = &self.person.normalised.submission;
        self.changes.touches.push(Touch {
            lead,
            event: self.event.id,
            source: submission.source.clone(),
            at: submission.at,
            campaign: submission.fields.get("campaign").cloned(),
            attribution: json!(submission.attribution).to_string(),
        });
    }

    fn remember(&mut self, lead: LeadId) {
        let submission = &self.person.normalised.submission;
        self.known
            .earlier
            .entry(self.person.identity)
            .or_default()
            .push(EarlierSubmission {
                identity: self.person.identity,
                event: self.event.id,
                received_at: self.event.received_at,
                vendor_id: submission.vendor_id.clone(),
                lead: Some(lead),
            });
    }
}
