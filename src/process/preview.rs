//! What would become of events: decided by the same code as the loop's, and not written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::decide::{Known, Prepared, Rules, decide, read};
use super::run::load;
use crate::model::{DeliveryId, End, Event, LeadId, Millis, Note};
use crate::store::{Changes, Store, StoreError};

/// What would become of one submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Previewed {
    /// Which of the events it is in, from 0.
    pub event: usize,
    /// Which of its event's submissions it is, from 0.
    pub ordinal: u32,
    /// What would become of it.
    pub end: Expected,
    /// The lead that it would belong to, if there is one already.
    pub lead: Option<LeadId>,
    /// What the lead would be recognised by.
    pub matched_by: Option<String>,
    /// The vendor's own id of it.
    pub vendor_id: Option<String>,
    /// Its values, normalised, by lead field.
    pub fields: BTreeMap<String, String>,
    /// UTM parameters and click ids.
    pub attribution: BTreeMap<String, String>,
    /// What normalising and mapping changed or dropped.
    pub notes: Vec<Note>,
    /// What would be sent to Salesforce.
    pub salesforce: BTreeMap<String, Value>,
}

/// What would become of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A new lead.
    Created,
    /// It would change a lead that there is.
    Merged,
    /// It says nothing new.
    Unchanged,
    /// No lead, and why.
    Filtered(String),
    /// A person would have to look at it, and why.
    Review(String),
    /// It cannot be used: code, message, hint.
    DeadLetter {
        /// Stable reason.
        code: String,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// It only names a record, which would be fetched.
    Fetched,
}

impl Expected {
    /// One word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created => "create",
            Self::Merged => "merge",
            Self::Unchanged => "unchanged",
            Self::Filtered(_) => "skip",
            Self::Review(_) => "review",
            Self::DeadLetter { .. } => "refuse",
            Self::Fetched => "fetch",
        }
    }
}

/// What would become of `events`, one after the other, beside what `store` holds; without a store, in
/// an empty one. Takes memory for all of them at once.
pub async fn preview(
    store: Option<&Store>,
    rules: &Rules,
    events: Vec<Event>,
    now: Millis,
) -> Result<Vec<Previewed>, StoreError> {
    let prepared: Vec<Prepared> = events
        .into_iter()
        .map(|event| {
            let found = read(&event, rules);
            Prepared::new(event, false, found)
        })
        .collect();
    let known = match store {
        Some(store) => {
            let mut write = store.write().await?;
            let known = load(&mut write, &prepared).await?;
            write.roll_back().await?;
            known
        }
        None => Known::default(),
    };
    Ok(decide_all(&prepared, known, rules, now))
}

fn decide_all(
    prepared: &[Prepared],
    mut known: Known,
    rules: &Rules,
    now: Millis,
) -> Vec<Previewed> {
    let mut changes = Changes::default();
    let mut made = BTreeSet::new();
    let mut all = Vec::new();
    // Ids that nothing is ever stored under.
    let mut next = 0;
    for (index, event) in prepared.iter().enumerate() {
        let (submissions, timeline) = (changes.submissions.len(), changes.timeline.len());
        decide(
            event,
            &mut known,
            rules,
            now,
            &mut || {
                next -= 1;
                made.insert(next);
                next
            },
            &mut changes,
        );
        let mut lines = changes.timeline[timeline..].iter();
        for row in &changes.submissions[submissions..] {
            let line = row
                .lead
                .and_then(|lead| lines.find(|line| line.lead == lead));
            let kind = line.map_or("", |line| line.kind);
            let detail: Value = line
                .and_then(|line| serde_json::from_str(&line.detail).ok())
                .unwrap_or_default();
            let said: Value = serde_json::from_str(&row.fields).unwrap_or_default();
            all.push(Previewed {
                event: index,
                ordinal: row.ordinal,
                end: expected(
                    &changes,
                    event,
                    row.ordinal,
                    row.outcome,
                    row.reason.as_deref(),
                    kind,
                ),
                lead: row.lead.filter(|lead| !made.contains(&lead.0)),
                matched_by: detail["matched_by"].as_str().map(str::to_owned),
                vendor_id: row.vendor_id.clone(),
                fields: texts(&said["fields"]),
                attribution: texts(&said["attribution"]),
                notes: serde_json::from_value(detail["notes"].clone()).unwrap_or_default(),
                salesforce: sent(&changes, row.delivery),
            });
        }
    }
    all
}

fn expected(
    changes: &Changes,
    event: &Prepared,
    ordinal: u32,
    outcome: Option<End>,
    reason: Option<&str>,
    kind: &str,
) -> Expected {
    let reason = reason.unwrap_or_default().to_owned();
    match outcome {
        Some(End::Filtered) => Expected::Filtered(reason),
        Some(End::Review) => Expected::Review(reason),
        Some(End::DeadLetter) => {
            let letters = &changes.dead_letters;
            let letter = letters
                .iter()
                .find(|(_, of, letter)| *of == ordinal && letter.event == event.event.id);
            match letter {
                Some((_, _, letter)) => Expected::DeadLetter {
                    code: letter.code.clone(),
                    message: letter.message.clone(),
                    hint: letter.hint.clone(),
                },
                None => Expected::Filtered(reason),
            }
        }
        Some(_) => Expected::Unchanged,
        None if changes
            .fetches
            .iter()
            .any(|fetch| fetch.event == event.event.id) =>
        {
            Expected::Fetched
        }
        None if kind == "created" => Expected::Created,
        // Sent before: what was lost on its way would only be sent again.
        None if kind == "duplicate" => Expected::Unchanged,
        None => Expected::Merged,
    }
}

fn sent(changes: &Changes, delivery: Option<DeliveryId>) -> BTreeMap<String, Value> {
    let mut deliveries = changes.deliveries.iter();
    let found = deliveries.find(|sent| Some(sent.id) == delivery);
    found.map(|sent| sent.fields.clone()).unwrap_or_default()
}

fn texts(object: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(object.clone()).unwrap_or_default()
}
