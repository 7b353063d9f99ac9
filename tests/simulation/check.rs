//! What must hold after every run.

use std::collections::{BTreeMap, BTreeSet};

use leadstream::model::{End, Event, EventId, Millis, SourceName};
use leadstream::sandbox::Sandbox;
use leadstream::store::AuditLine;
use serde_json::{Map, Value};

use super::history::{Followed, History, TYPED};
use super::schedule::Post;

/// The books of all sources together.
#[derive(Debug, Default)]
pub struct Books {
    pub accepted: u64,
    pub in_flight: u64,
    pub dead_letters: u64,
}

/// Accepted is all ends and what is in flight.
pub fn books_balance(lines: &BTreeMap<SourceName, AuditLine>) -> Result<Books, String> {
    let mut books = Books::default();
    for (source, line) in lines {
        if line.difference() != 0 {
            return Err(format!("the books of {source} do not balance: {line:?}"));
        }
        books.accepted += line.accepted;
        books.in_flight += line.in_flight();
        let ends = line.ends.iter();
        books.dead_letters += ends
            .filter(|(end, _)| !matches!(end, End::Synced | End::Merged))
            .map(|(_, count)| count)
            .sum::<u64>();
    }
    Ok(books)
}

/// An event of the inbox, read by the harness itself.
#[derive(Debug)]
pub struct Kept {
    id: EventId,
    received_at: Millis,
    form: Map<String, Value>,
}

impl Kept {
    pub fn read(event: &Event) -> Result<Self, String> {
        Ok(Self {
            id: event.id,
            received_at: event.received_at,
            form: serde_json::from_slice(&event.body)
                .map_err(|error| format!("{} is damaged: {error}", event.id))?,
        })
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.form.get(field)?.as_str()
    }

    fn person(&self) -> &str {
        self.text("last_name").unwrap_or_default()
    }
}

/// Every receipt names an event of its own, which holds what was posted.
pub fn acknowledged_is_kept(
    acknowledged: &[(usize, EventId)],
    posts: &[Post],
    events: &[Kept],
) -> Result<(), String> {
    let distinct: BTreeSet<EventId> = acknowledged.iter().map(|(_, id)| *id).collect();
    if distinct.len() < acknowledged.len() {
        return Err(format!("a receipt was given twice: {acknowledged:?}"));
    }
    let kept: BTreeMap<EventId, &Kept> = events.iter().map(|event| (event.id, event)).collect();
    for (number, id) in acknowledged {
        if kept.get(id).map(|event| &event.form) != Some(&posts[*number].body) {
            return Err(format!(
                "post {number} was acknowledged as {id}, and is lost"
            ));
        }
    }
    Ok(())
}

/// Each person whose events are stored has one record in the org, and nobody else has. The org's
/// values are those of the newest submission, and came in the order of the submissions.
pub fn everyone_is_there_once_and_in_order(
    sandbox: &Sandbox,
    history: &History,
    events: &[Kept],
) -> Result<(), String> {
    let mut expected: BTreeMap<&str, Vec<&Kept>> = BTreeMap::new();
    for event in events {
        expected.entry(event.person()).or_default().push(event);
    }
    for record in sandbox.records("Lead") {
        let name = record["LastName"].as_str().unwrap_or_default();
        let was_typed = record.get("Description").is_some_and(|text| text == TYPED);
        if was_typed && record.get("Leadstream_Id__c").is_none() && !expected.contains_key(name) {
            // Their form was never taken.
            continue;
        }
        let Some(mut events) = expected.remove(name) else {
            return Err(format!(
                "{name} is there twice, or has never posted: {record:?}"
            ));
        };
        // As leads are merged: by when they were received, then by id.
        events.sort_unstable_by_key(|event| (event.received_at, event.id));
        let key = record.get("Leadstream_Id__c").and_then(Value::as_str);
        let key = key.ok_or_else(|| format!("{name} has no key of ours: {record:?}"))?;
        campaigns_are_joined_once(sandbox, &record, &events)?;
        for field in Followed::ALL {
            let held = history.values(key, field);
            if held.last().map(String::as_str) != field.of(&record) {
                return Err(format!("{name}: the harness saw {held:?} of {record:?}"));
            }
            let given = events.iter().filter_map(|event| event.text(field.form()));
            let given: Vec<&str> = given.collect();
            let verdict = match field {
                Followed::Title | Followed::Company => follows(held, &given),
                Followed::City => stays(held, &given),
            };
            verdict.map_err(|what| {
                format!("{name} ({key}): {field:?} {what}; given as {given:?}, in the org {held:?}")
            })?;
        }
    }
    if expected.is_empty() {
        Ok(())
    } else {
        Err(format!("the org has no record of {:?}", expected.keys()))
    }
}

/// What a rep typed stays: that of a person who was typed in, by the turn at which the world began.
pub fn what_was_typed_stays(sandbox: &Sandbox, typed: usize) -> Result<(), String> {
    let records = sandbox.records("Lead");
    let is_typed =
        |record: &&Map<String, Value>| record.get("Description").is_some_and(|text| text == TYPED);
    let left = records.iter().filter(is_typed).count();
    if left == typed {
        return Ok(());
    }
    Err(format!(
        "a rep typed in {typed} people, and {left} are as they were left"
    ))
}

/// Someone is in each campaign of their submissions once, and in no other.
fn campaigns_are_joined_once(
    sandbox: &Sandbox,
    record: &Map<String, Value>,
    events: &[&Kept],
) -> Result<(), String> {
    let wanted: BTreeSet<&str> = events
        .iter()
        .filter_map(|event| event.text("campaign"))
        .collect();
    let campaigns = sandbox.records("Campaign");
    let name_of = |id: &Value| {
        let campaign = campaigns.iter().find(|campaign| campaign["Id"] == *id);
        campaign.and_then(|campaign| campaign["Name"].as_str())
    };
    let members = sandbox.records("CampaignMember");
    let mut joined: Vec<&str> = members
        .iter()
        .filter(|member| member.get("LeadId") == record.get("Id"))
        .filter_map(|member| name_of(&member["CampaignId"]))
        .collect();
    joined.sort_unstable();
    let wanted: Vec<&str> = wanted.into_iter().collect();
    if joined == wanted {
        return Ok(());
    }
    let name = &record["LastName"];
    Err(format!("{name} asked for {wanted:?} and is in {joined:?}"))
}

/// `held` is a part of `given` in its order, up to its end.
fn follows(held: &[String], given: &[&str]) -> Result<(), String> {
    let mut rest = given.iter();
    for value in held {
        if !rest.any(|given| given == value) {
            return Err(format!("went back to {value}"));
        }
    }
    match (held.last(), given.last()) {
        (held, Some(newest)) if held.map(String::as_str) != Some(*newest) => {
            Err(format!("is not the newest, {newest}"))
        }
        _ => Ok(()),
    }
}

/// `held` is one of `given`, and was set once.
fn stays(held: &[String], given: &[&str]) -> Result<(), String> {
    match held {
        [] if given.is_empty() => Ok(()),
        [one] if given.contains(&one.as_str()) => Ok(()),
        [] => Err("was lost".to_owned()),
        _ => Err("was written over, though it was not blank".to_owned()),
    }
}
