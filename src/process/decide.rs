//! What becomes of an event: pure. The same event, configuration and knowledge always give the
//! same changes; time and ids are arguments. `verdict` decides what is no lead.

mod campaigns;
mod known;
mod org_change;
mod prepared;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::normalise::{NormaliseContext, assess};
use super::resolve::{Changed, KeyHasher, Resolution, contradicts, merge};
use crate::config::{Config, Priority, SourceConfig};
use crate::connector::{Connector, connector_of};
use crate::deliver::salesforce::{Mapping, join_together};
use crate::model::{
    DeadLetter, Delivery, DeliveryId, Destination, End, Event, Followed, KeyKind, Lead, LeadId,
    Millis, Note, SourceName, Submission, Verdict,
};
use crate::store::{
    Changes, KnownLead, LastSubmission, NewKey, RecordHasher, StoredSubmission, TimelineEntry,
    Touch,
};

pub use known::Known;
use prepared::Person;
pub use prepared::{Prepared, read};

/// The most leads that one key leads to. A mailbox that more people share tells nobody from anybody,
/// and each submission from it would have to look at all of them.
const MOST_LEADS_A_KEY: usize = 32;

/// What deciding needs of the configuration. Made once.
#[derive(Debug)]
pub struct Rules {
    /// Lead fields to Salesforce fields.
    pub mapping: Arc<Mapping>,
    /// Whether owners are told by a Task when a Contact comes back.
    pub tells_owners: bool,
    /// By source.
    pub sources: HashMap<SourceName, SourceRules>,
    /// Hashes match keys, and what else is to be recognised but not shown.
    pub keys: KeyHasher,
    /// Hashes what vendors' records are known by.
    pub records: RecordHasher,
    /// The configuration, as leads name it.
    pub config_hash: String,
}

impl Rules {
    /// The rules of a configuration; `key_secret` is the store's.
    pub fn of(config: &Config, mapping: Arc<Mapping>, key_secret: [u8; 16]) -> Self {
        let sources = config.sources.iter();
        Self {
            mapping,
            tells_owners: config.salesforce.existing.contact_task.is_some(),
            sources: sources
                .map(|(name, source)| (name.clone(), SourceRules::of(source)))
                .collect(),
            keys: KeyHasher::new(key_secret),
            records: RecordHasher::new(key_secret),
            config_hash: config.hash.clone(),
        }
    }
}

/// What deciding needs of one source.
#[derive(Debug)]
pub struct SourceRules {
    connector: Arc<dyn Connector>,
    context: NormaliseContext,
    duplicate_window: Duration,
    priority: Priority,
}

impl SourceRules {
    /// The rules of a configured source.
    pub fn of(config: &SourceConfig) -> Self {
        Self {
            context: NormaliseContext::of(config),
            duplicate_window: config.options.duplicate_window(),
            priority: config.priority,
            connector: connector_of(config),
        }
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
    if let Some(change) = &prepared.change {
        let mut decided = Decided {
            known,
            rules,
            now,
            changes,
        };
        org_change::decide(event, change, &mut decided);
        return;
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
                event,
                now,
                error.code,
                error.message.clone(),
                error.hint.clone(),
            );
            changes.dead_letters.push((event.source.clone(), 0, letter));
        }
    }
}

/// What a decision knows, and what it changes.
struct Decided<'a> {
    known: &'a mut Known,
    rules: &'a Rules,
    now: Millis,
    changes: &'a mut Changes,
}

fn row(event: &Event, rules: &Rules) -> StoredSubmission {
    StoredSubmission {
        event: event.id,
        ordinal: 0,
        source: event.source.clone(),
        received_at: event.received_at,
        at: event.received_at,
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

fn letter(event: &Event, at: Millis, code: &str, message: String, hint: String) -> DeadLetter {
    DeadLetter {
        event: event.id,
        lead: None,
        delivery: None,
        code: code.to_owned(),
        // What ails one source's events is mended in its section.
        cause: format!("{code} {}", event.source),
        message,
        hint,
        at,
    }
}

/// What a submission said, as it is kept.
#[derive(Serialize)]
struct Fields<'a> {
    fields: &'a BTreeMap<String, String>,
    attribution: &'a BTreeMap<String, String>,
}

/// What the timeline says of a submission.
#[derive(Serialize)]
struct Detail<'a> {
    source: &'a str,
    request_id: &'a str,
    matched_by: Option<&'static str>,
    changed: Vec<&'a String>,
    notes: Vec<&'a Note>,
}

/// `value` as JSON.
fn text(value: &impl Serialize) -> String {
    // Texts, and maps from texts to texts, are always JSON.
    serde_json::to_string(value).unwrap_or_default()
}

/// Whether a record is a Contact, by the first characters of its id.
fn is_contact(salesforce_id: &str) -> bool {
    salesforce_id.starts_with("003")
}

/// Whose a submission is.
struct Found {
    resolution: Resolution,
    /// By the sender's own id of it: the lead had it before.
    is_sent_before: bool,
    /// That id is of a lead which this one contradicts.
    is_id_reused: bool,
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
        let person = self.person;
        self.note_record();
        match &person.normalised.verdict {
            Verdict::Genuine => {}
            Verdict::Test(why) => return self.filter(row, &format!("test: {why}")),
            Verdict::Spam(why) => return self.filter(row, &format!("spam: {why}")),
            Verdict::Skipped(why) => return self.filter(row, &format!("skipped: {why}")),
            // A replay is a person's word that it is a lead after all.
            Verdict::Review(_) if self.force => {}
            Verdict::Review(why) => {
                self.changes.submissions.push(row.ended(End::Review, why));
                return;
            }
            Verdict::OptOut(_) => return self.opt_out(row, next_id),
            Verdict::Withdrawn(why) => return self.withdraw(row, why),
            Verdict::Fetch(bindings) => return self.fetch(row, bindings),
        }
        if let Err(problem) = assess(self.submission()) {
            self.bury(row, problem.code, problem.message, problem.hint);
            return;
        }
        if self.known.is_damaged(person) {
            self.bury_damaged(row);
            return;
        }
        self.attach(row, next_id);
    }

    fn bury_damaged(&mut self, row: StoredSubmission) {
        let hint = format!(
            "restore the store from a backup, or delete that lead there, and run `leadstream replay {}`",
            self.event.id
        );
        self.bury(
            row,
            "lead.damaged",
            "the lead that it may belong to cannot be read back from the store",
            hint,
        );
    }

    fn bury(&mut self, row: StoredSubmission, code: &str, message: &str, hint: String) {
        let letter = letter(self.event, self.now, code, message.to_owned(), hint);
        let (source, ordinal) = (self.event.source.clone(), self.submission().ordinal);
        self.changes.dead_letters.push((source, ordinal, letter));
        self.changes
            .submissions
            .push(row.ended(End::DeadLetter, code));
    }

    fn row(&self) -> StoredSubmission {
        let submission = self.submission();
        StoredSubmission {
            ordinal: submission.ordinal,
            at: submission.at,
            vendor_id: submission.vendor_id.clone(),
            fields: text(&Fields {
                fields: &submission.fields,
                attribution: &submission.attribution,
            }),
            ..row(self.event, self.rules)
        }
    }

    /// Whose the submission is.
    fn find(&self) -> Found {
        let named = self.known.leads_of_vendor_id(self.person);
        let sent_before = named.iter().copied().find(|lead| {
            let known = self.known.leads.get(lead);
            known.is_some_and(|known| !contradicts(&known.lead, self.submission()))
        });
        let resolution = match sent_before {
            Some(lead) => Resolution {
                lead: Some(lead),
                ..Resolution::default()
            },
            None => self.known.resolve(self.submission(), &self.rules.keys),
        };
        Found {
            resolution,
            is_sent_before: sent_before.is_some(),
            is_id_reused: sent_before.is_none() && !named.is_empty(),
        }
    }

    /// Finds or makes the lead, merges, and decides what is to be sent.
    fn attach(&mut self, mut row: StoredSubmission, next_id: &mut dyn FnMut() -> i64) {
        let person = self.person;
        let Found {
            mut resolution,
            is_sent_before,
            is_id_reused,
        } = self.find();
        if is_id_reused {
            resolution.note_reused_id();
        }
        let (id, is_new) = match resolution.lead {
            Some(id) => (id, false),
            None => (self.new_lead(LeadId(next_id())), true),
        };
        let window = self
            .rules
            .sources
            .get(&self.event.source)
            .map(|source| source.duplicate_window);
        let Some(known) = self.known.leads.get_mut(&id) else {
            // Resolving only answers with leads that are known.
            return;
        };
        let duplicate = is_sent_before
            || ((row.vendor_id.is_none() || is_id_reused)
                && known.last.content == person.content
                && Some(self.event.received_at.since(known.last.received_at)) <= window);
        known.last = LastSubmission {
            content: person.content,
            received_at: self.event.received_at,
        };

        // An id that others have had says nothing of who this is.
        let vendor_key = person.vendor_key.filter(|_| !is_id_reused);
        for key in person.keys.iter().copied().chain(vendor_key) {
            let leads = self.known.by_key.entry(key).or_default();
            if !leads.contains(&id) && leads.len() < MOST_LEADS_A_KEY {
                let nth = leads.len();
                self.changes.keys.push(NewKey { key, nth, lead: id });
                leads.push(id);
            }
        }
        let said = &person.normalised.submission;
        let told = (!duplicate && self.rules.tells_owners).then(|| said.source.to_string());
        let Some((changed, notes)) = self.fold(id, is_new, said, told, &mut row, next_id) else {
            return;
        };
        if duplicate && row.outcome == Some(End::Merged) {
            row.reason = Some("duplicate".to_owned());
        }
        let kind = match (is_new, duplicate) {
            (true, _) => "created",
            (false, true) => "duplicate",
            (false, false) => "merged",
        };
        self.write_down(id, kind, &resolution, &changed, &notes);
        if !duplicate {
            self.touch(id);
        }
        self.changes.submissions.push(row);
    }

    /// Merges what was said into a lead that is known, and decides what is to be sent of it. `told_of`
    /// is the source that the owner of a Contact is to be told of. Says in `row` what becomes of it;
    /// gives what changed, and what mapping notes.
    fn fold(
        &mut self,
        id: LeadId,
        is_new: bool,
        said: &Submission,
        told_of: Option<String>,
        row: &mut StoredSubmission,
        next_id: &mut dyn FnMut() -> i64,
    ) -> Option<(Changed, Vec<Note>)> {
        let known = self.known.leads.get_mut(&id)?;
        let mapping = &self.rules.mapping;
        let changed = merge(&mut known.lead, said);
        let joined = campaigns::join(&mut known.lead, said);
        let record = &known.lead.record;
        let mut mapped = mapping.fields(record);
        // What Salesforce was to hold before; `None` if that is what it is to hold now.
        let before = if is_new {
            Some(BTreeMap::new())
        } else if changed.is_empty() {
            None
        } else {
            let earlier = |name: &str| match changed.get(name) {
                Some(earlier) => earlier.as_deref(),
                None => record.get(name).map(|held| held.value.as_str()),
            };
            Some(mapping.fields_of(earlier).fields)
        };
        let before = before.filter(|before| *before != mapped.fields);
        let is_other = before.is_some();
        let whole = known.lead.salesforce_id.is_none() || self.force;
        let mut wanted = std::mem::take(&mut mapped.fields);
        if !whole {
            match &before {
                Some(before) => wanted.retain(|name, value| before.get(name) != Some(value)),
                None => wanted.clear(),
            }
        }
        let in_salesforce = known.lead.salesforce_id.is_some();
        let on_its_way = known.delivering.is_some() || self.known.decided.contains_key(&id);
        let tells =
            told_of.is_some() && known.lead.salesforce_id.as_deref().is_some_and(is_contact);
        let needed =
            self.force || is_other || joined.is_some() || tells || (!in_salesforce && !on_its_way);
        let joining = if whole {
            campaigns::all(&known.lead, self.force)
        } else {
            joined.into_iter().collect()
        };

        self.known.changed.insert(id);
        row.lead = Some(id);
        if needed && (tells || !wanted.is_empty() || !joining.is_empty()) {
            // An earlier delivery has ended, perhaps with its answer lost.
            let unsure = !is_new && !on_its_way && !in_salesforce;
            let delivery = Delivery {
                id: DeliveryId(0),
                lead: id,
                destination: Destination::SalesforceLead,
                fields: wanted,
                campaigns: joining,
                told_of,
                priority: self.priority(),
                attempts: 0,
                unsure,
                submitted_at: self.submission().at,
                created_at: self.now,
            };
            row.delivery = Some(self.deliver(delivery, next_id));
        } else {
            row.outcome = Some(End::Merged);
            row.reason = Some("nothing to change".to_owned());
        }
        Some((changed, mapped.notes))
    }

    fn new_lead(&mut self, id: LeadId) -> LeadId {
        let lead = Lead {
            id,
            created_at: self.now,
            record: BTreeMap::new(),
            campaigns: BTreeMap::new(),
            salesforce_id: None,
            followed: Followed::default(),
        };
        self.known.leads.insert(
            id,
            KnownLead {
                lead,
                last: LastSubmission {
                    content: 0,
                    received_at: Millis(0),
                },
                delivering: None,
                is_stored: false,
            },
        );
        id
    }

    /// Adds to the delivery that this batch has decided for the lead already, or decides one, with an
    /// id of its own.
    fn deliver(&mut self, mut new: Delivery, next_id: &mut dyn FnMut() -> i64) -> DeliveryId {
        if let Some(delivery) = self
            .known
            .decided
            .get(&new.lead)
            .and_then(|index| self.changes.deliveries.get_mut(*index))
        {
            delivery.fields.extend(new.fields);
            join_together(&mut delivery.campaigns, new.campaigns);
            delivery.told_of = new.told_of.or(delivery.told_of.take());
            delivery.priority = delivery.priority.max(new.priority);
            delivery.submitted_at = delivery.submitted_at.max(new.submitted_at);
            return delivery.id;
        }
        new.id = DeliveryId(next_id());
        self.known
            .decided
            .insert(new.lead, self.changes.deliveries.len());
        let id = new.id;
        self.changes.deliveries.push(new);
        id
    }

    /// Which goes first when calls run short: the higher.
    fn priority(&self) -> i64 {
        let source = self.rules.sources.get(&self.event.source);
        source.map_or(Priority::Normal, |source| source.priority) as i64
    }

    fn write_down(
        &mut self,
        lead: LeadId,
        kind: &'static str,
        by: &Resolution,
        changed: &Changed,
        mapped: &[Note],
    ) {
        let submission = self.submission();
        let notes = submission.notes.iter().chain(&by.notes).chain(mapped);
        let detail = text(&Detail {
            source: &submission.source,
            request_id: &self.event.meta.request_id,
            matched_by: by.by.map(KeyKind::name),
            changed: changed.keys().collect(),
            notes: notes.collect(),
        });
        self.changes.timeline.push(TimelineEntry {
            lead,
            event: Some(self.event.id),
            at: self.now,
            kind,
            detail,
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
            attribution: text(&submission.attribution),
        });
    }
}
