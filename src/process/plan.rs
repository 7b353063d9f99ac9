//! What events would become, with nothing written: the same decisions, by what the store knows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::decide::{Known, Prepared, Rules, decide, read};
use super::run::load;
use crate::model::{End, Event, Millis};
use crate::store::{Changes, Store, StoreError};

/// What one event would become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its end, as far as it does not depend on Salesforce.
    pub fate: Fate,
    /// What normalising and matching would note: field, code, sentence. No values.
    pub notes: Vec<String>,
}

/// What would be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// A new lead.
    Create,
    /// Into a lead that is known, or that an earlier one of these events makes.
    Merge,
    /// No lead, or nothing new; why.
    Skip(String),
    /// A dead letter, or a person must look first.
    Blocked {
        /// Stable.
        code: String,
        /// What is wrong.
        message: String,
    },
}

/// What `events` would become one after another. Without a store nobody is known.
pub async fn plan(
    events: Vec<Event>,
    rules: &Rules,
    store: Option<&Store>,
    now: Millis,
) -> Result<Vec<Planned>, StoreError> {
    let prepared: Vec<Prepared> = events
        .into_iter()
        .map(|event| {
            let found = read(&event, rules);
            Prepared::new(event, false, found)
        })
        .collect();
    let mut known = match store {
        Some(store) => {
            let mut write = store.write().await?;
            let known = load(&mut write, &prepared).await;
            write.roll_back().await?;
            known?
        }
        None => Known::new([], [], BTreeSet::new()),
    };
    // Ids that no store has: nothing keeps them.
    let mut id = i64::MAX / 2;
    let mut next_id = || {
        id += 1;
        id
    };
    let mut changes = Changes::default();
    let mut planned = Vec::with_capacity(prepared.len());
    for one in &prepared {
        let (lines, letters) = (changes.timeline.len(), changes.dead_letters.len());
        decide(one, &mut known, rules, now, &mut next_id, &mut changes);
        planned.push(said(&changes, lines, letters));
    }
    Ok(planned)
}

/// What the last event has added.
fn said(changes: &Changes, lines: usize, letters: usize) -> Planned {
    let letter = changes.dead_letters.get(letters);
    let line = changes.timeline.get(lines);
    let row = changes.submissions.last();
    let reason = row.and_then(|row| row.reason.clone()).unwrap_or_default();
    let fate = match (letter, line.map(|line| line.kind)) {
        (Some((_, _, letter)), _) => Fate::Blocked {
            code: letter.code.clone(),
            message: letter.message.clone(),
        },
        (None, Some("created")) => Fate::Create,
        (None, Some("duplicate")) => Fate::Skip("taken before".to_owned()),
        (None, Some(_)) => Fate::Merge,
        (None, None) if row.and_then(|row| row.outcome) == Some(End::Review) => Fate::Blocked {
            code: "review".to_owned(),
            message: reason,
        },
        (None, None) => Fate::Skip(reason),
    };
    let detail = line.and_then(|line| serde_json::from_str::<Value>(&line.detail).ok());
    let notes = detail
        .as_ref()
        .and_then(|detail| detail["notes"].as_array());
    let notes = notes.into_iter().flatten().map(|note| {
        let part = |name: &str| note[name].as_str().unwrap_or_default();
        format!("{}: {} [{}]", part("field"), part("message"), part("code"))
    });
    Planned {
        fate,
        notes: notes.collect(),
    }
}
