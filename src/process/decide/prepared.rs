//! An event, read: whom it holds, and what they are recognised by.

use super::Rules;
use crate::connector::ExtractError;
use crate::model::{Event, Extracted, KeyHash, LeadId, ORG_CHANGES, OrgChange, Submission};
use crate::process::normalise::{NormaliseContext, Normalised, normalise};
use crate::process::resolve::KeyHasher;

/// An event, read: what was found in it, or why it cannot be understood.
#[derive(Debug)]
pub struct Prepared {
    /// The event.
    pub event: Event,
    /// Processed before, and now to be decided anew: its lead is sent whole.
    pub replayed: bool,
    pub(super) found: Result<Vec<Person>, ExtractError>,
    /// What somebody changed in Salesforce, if it is that.
    pub(super) change: Option<OrgChange>,
}

/// A submission that was found in an event, and what it is recognised by.
#[derive(Debug)]
pub struct Person {
    pub(super) normalised: Normalised,
    pub(super) content: i64,
    pub(super) keys: Vec<KeyHash>,
    /// The sender's own id of the submission, as a key.
    pub(super) vendor_key: Option<KeyHash>,
    /// What the vendor's record and its version are known by.
    pub(super) record: Option<(i64, i64)>,
}

/// Reads an event: what was found in it, or why it cannot be understood.
pub fn read(event: &Event, rules: &Rules) -> Result<Vec<Person>, ExtractError> {
    if is_org_change(event) {
        return match org_change(event) {
            Some(_) => Ok(Vec::new()),
            None => Err(unreadable_change()),
        };
    }
    let Some(source) = rules.sources.get(&event.source) else {
        return Err(unknown_source(event));
    };
    let found = source.connector.extract(event)?;
    let people = found
        .into_iter()
        .map(|extracted| Person::new(event, extracted, &source.context, rules));
    Ok(people.collect())
}

impl Prepared {
    /// An event, and what [`read`] found in it.
    pub fn new(event: Event, replayed: bool, found: Result<Vec<Person>, ExtractError>) -> Self {
        Self {
            change: org_change(&event).filter(|_| found.is_ok()),
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
            change: None,
        }
    }

    /// An event that the store cannot read back whole.
    pub fn damaged(event: Event, replayed: bool) -> Self {
        let error = ExtractError {
            code: "event.damaged",
            message: "what was received with it cannot be read back from the store".to_owned(),
            hint: format!(
                "restore the store from a backup and run `leadstream replay {}`; check the disk",
                event.id
            ),
        };
        Self {
            event,
            replayed,
            found: Err(error),
            change: None,
        }
    }

    /// The match keys of all that was found in it, and the sender's own ids.
    pub fn keys(&self) -> impl Iterator<Item = KeyHash> {
        self.people().flat_map(Person::all_keys)
    }

    /// The lead that it names by itself.
    pub fn lead(&self) -> Option<LeadId> {
        self.change.as_ref().map(|change| change.lead)
    }

    fn people(&self) -> impl Iterator<Item = &Person> {
        self.found.as_deref().unwrap_or_default().iter()
    }
}

fn is_org_change(event: &Event) -> bool {
    &*event.source == ORG_CHANGES
}

fn org_change(event: &Event) -> Option<OrgChange> {
    is_org_change(event)
        .then(|| serde_json::from_slice(&event.body).ok())
        .flatten()
}

fn unreadable_change() -> ExtractError {
    ExtractError {
        code: "event.damaged",
        message: "what changed in Salesforce cannot be read back from the store".to_owned(),
        hint: "check the disk; run `leadstream salesforce import` to read the org anew".to_owned(),
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
    pub(super) fn new(
        event: &Event,
        mut extracted: Extracted,
        context: &NormaliseContext,
        rules: &Rules,
    ) -> Self {
        let version = extracted.version.take();
        let normalised = normalise(event, extracted, context);
        let submission = &normalised.submission;
        Self {
            content: content(submission, &rules.keys),
            keys: submission
                .keys
                .iter()
                .map(|key| rules.keys.hash(key))
                .collect(),
            vendor_key: submission.vendor_id.as_deref().map(|id| {
                let texts = ["vendor_id", &*submission.source, id];
                KeyHash(rules.keys.hash_texts(texts.into_iter()))
            }),
            record: submission.vendor_id.as_deref().map(|id| {
                let id = rules.records.id(&submission.source, id);
                (id, rules.records.version(version.as_deref()))
            }),
            normalised,
        }
    }

    pub(super) fn all_keys(&self) -> impl Iterator<Item = KeyHash> {
        self.keys.iter().copied().chain(self.vendor_key)
    }
}

/// Keyed hash of source and values: what two clicks on one button have in common.
fn content(submission: &Submission, keys: &KeyHasher) -> i64 {
    let values = submission.fields.iter().chain(&submission.attribution);
    let texts = values.flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    keys.hash_texts(std::iter::once(&*submission.source).chain(texts))
}
