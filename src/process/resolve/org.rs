//! Whether a Lead or Contact of the org is a person whom we know.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::candidates::resolve;
use super::merge::{KNOWN_EMAILS, KNOWN_PHONES};
use crate::model::{
    Event, EventId, EventMeta, Extracted, Followed, Held, Lead, LeadId, MatchKey, Millis, NewEvent,
    SourceName, Submission,
};
use crate::process::normalise::{NormaliseContext, match_keys, normalise};

/// A person as a record of the org tells of them.
#[derive(Debug, Clone)]
pub struct OrgFacts {
    submission: Submission,
}

impl OrgFacts {
    /// Of a record's values by lead field: e-mail, phones, names, company, country. They are read as
    /// those of a submission are.
    pub fn of(fields: BTreeMap<String, String>) -> Self {
        let event = Event {
            id: EventId(0),
            received: NewEvent {
                source: SourceName::new("salesforce"),
                received_at: Millis(0),
                content_type: String::new(),
                meta: EventMeta::default(),
                body: Bytes::new(),
            },
        };
        let extracted = Extracted {
            fields,
            ..Extracted::default()
        };
        Self {
            submission: normalise(&event, extracted, &NormaliseContext::default()).submission,
        }
    }

    /// What the record can be found by.
    pub fn keys(&self) -> &[MatchKey] {
        &self.submission.keys
    }

    /// Whether this is the person of `record`, by the rules that say whose a submission is.
    pub fn is_person(&self, record: &BTreeMap<String, Held>) -> bool {
        let lead = Lead {
            id: LeadId(1),
            created_at: Millis(0),
            record: record.clone(),
            campaigns: BTreeMap::new(),
            salesforce_id: None,
            followed: Followed::default(),
        };
        resolve(&self.submission, |_| [&lead]).lead.is_some()
    }
}

/// What a lead can be found by in the org: by all addresses and numbers that it has had.
pub fn keys_of_record(record: &BTreeMap<String, Held>) -> Vec<MatchKey> {
    let value = |name: &str| record.get(name).map(|held| held.value.clone());
    let current = record
        .iter()
        .map(|(name, held)| (name.clone(), held.value.clone()))
        .collect();
    let mut keys = match_keys(&current, &[]);
    for (known, field) in [(KNOWN_EMAILS, "email"), (KNOWN_PHONES, "phone")] {
        for earlier in value(known).unwrap_or_default().split(';') {
            let mut fields = BTreeMap::from([(field.to_owned(), earlier.to_owned())]);
            fields.extend(value("last_name").map(|name| ("last_name".to_owned(), name)));
            fields.retain(|_, value| !value.is_empty());
            for key in match_keys(&fields, &[]) {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
        let fields = fields.iter();
        fields
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn record(fields: &[(&str, &str)]) -> BTreeMap<String, Held> {
        let held = |value: String| Held {
            value,
            at: Millis(0),
            event: EventId(1),
        };
        let fields = texts(fields).into_iter();
        fields.map(|(name, value)| (name, held(value))).collect()
    }

    fn check(org: &[(&str, &str)], ours: &[(&str, &str)], expect: bool) {
        let facts = OrgFacts::of(texts(org));
        let record = record(ours);
        let keys = keys_of_record(&record);
        let shared = facts.keys().iter().any(|key| keys.contains(key));
        let is_person = facts.is_person(&record);
        assert_eq!(is_person, expect, "{org:?} {ours:?}");
        // Who is to be recognised has to be found first.
        assert!(shared || !is_person, "{org:?} {ours:?}");
    }

    #[test]
    fn a_record_is_a_person_by_address_or_by_number_and_name() {
        let jane = [
            ("email", "jane@acme.example"),
            ("first_name", "Jane"),
            ("last_name", "Lee"),
            ("phone", "+4930901820"),
        ];
        check(
            &[("email", " JANE@acme.example "), ("last_name", "Lee")],
            &jane,
            true,
        );
        check(
            &[
                ("phone", "+49 30 901820"),
                ("last_name", "Lee"),
                ("first_name", "Jane"),
            ],
            &jane,
            true,
        );
        check(
            &[
                ("phone", "030 901820"),
                ("country", "Germany"),
                ("last_name", "Lee"),
            ],
            &jane,
            true,
        );
        check(
            &[
                ("phone", "+49 30 901820"),
                ("last_name", "Lee"),
                ("first_name", "Tom"),
            ],
            &jane,
            false,
        );
        check(
            &[("phone", "+49 30 901820"), ("last_name", "Meyer")],
            &jane,
            false,
        );
        check(
            &[("last_name", "Lee"), ("first_name", "Jane")],
            &jane,
            false,
        );
    }

    #[test]
    fn a_lead_is_found_by_an_address_that_it_had_before() {
        let ours = [
            ("email", "jane@new.example"),
            ("known_emails", "jane@acme.example;jane@new.example"),
            ("last_name", "Lee"),
        ];
        check(&[("email", "jane@acme.example")], &ours, true);
    }

    #[test]
    fn two_people_at_a_roles_mailbox_stay_apart() {
        let ours = [
            ("email", "info@acme.example"),
            ("first_name", "Jane"),
            ("last_name", "Lee"),
        ];
        check(
            &[
                ("email", "info@acme.example"),
                ("first_name", "Tom"),
                ("last_name", "Meyer"),
            ],
            &ours,
            false,
        );
    }
}
