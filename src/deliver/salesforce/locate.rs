//! Where a person lives in the org now: pure. Asked before every write.
//!
//! A lead of ours may have been converted into a Contact, deleted, or merged into another record since;
//! one that is new to us may have been there all along, typed in by hand or as a customer's Contact.
//! Each case has its policy in `[salesforce.existing]`.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::write::get;
use crate::config::{DeletedRecord, ExistingConfig, ExistingContact, SeveralRecords};
use crate::mirror::facts_of;
use crate::model::Held;
use crate::salesforce::{Class, Explanation, Map, to_18};

/// The object of people who are not qualified yet.
pub const LEAD: &str = "Lead";

/// The object of people at an account.
pub const CONTACT: &str = "Contact";

/// How many records are followed, one to the next: a merge of merges of a conversion.
const MOST_STEPS: usize = 8;

/// The object of a record, by the first characters of its id.
pub fn object_of(id: &str) -> Option<&'static str> {
    match id.get(..3)? {
        "00Q" => Some(LEAD),
        "003" => Some(CONTACT),
        _ => None,
    }
}

/// A record, as far as it has been read.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// It is there.
    Held(Map),
    /// It cannot be read: deleted, merged, or out of our sight.
    Missing,
    /// The integration user may not read such records at all.
    Hidden,
    /// It is in the recycle bin, or was never there; and the record that it was merged into.
    Gone {
        /// That record.
        master: Option<String>,
    },
}

/// What has been read, by 18-character id.
pub type Seen = HashMap<String, Record>;

/// Whom to locate.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// The record that is known to be theirs, or was before anybody touched it.
    pub own: Option<&'a str>,
    /// Our key of them.
    pub external_id: &'a str,
    /// The field that holds such keys.
    pub key_field: &'a str,
    /// Records that may be theirs.
    pub candidates: &'a [String],
    /// Records that the org's own duplicate rule says are theirs.
    pub linked: &'a [String],
    /// What is known of them.
    pub record: &'a BTreeMap<String, Held>,
}

/// Where they live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: a Lead is to be made.
    New,
    /// A Lead that is open.
    Lead(String),
    /// A Contact.
    Contact {
        /// Its id.
        id: String,
        /// Whether its fields may be written.
        write: bool,
    },
    /// A person has to say.
    Held(Explanation),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is clear.
    Found(Place),
    /// These records have to be read first.
    Look(Vec<String>),
    /// Of these records has to be found out where they went.
    Trace(Vec<String>),
}

/// Where a record led to.
enum End<'s> {
    Lead(String, &'s Map),
    Contact {
        id: String,
        record: &'s Map,
        was_converted: bool,
    },
    Deleted,
    Lost(Explanation),
    Look(String),
    Trace(String),
}

/// Where `person` lives, given what has been `seen` of the org. `is_ours` tells which external ids our
/// own store gave: a record that holds another lead's key is that lead's.
pub fn locate(
    person: &Person<'_>,
    seen: &Seen,
    policy: &ExistingConfig,
    is_ours: &dyn Fn(&str) -> bool,
) -> Step {
    if let Some(own) = person.own {
        return match follow(own, seen) {
            End::Lead(id, _) => Step::Found(Place::Lead(id)),
            End::Contact {
                id, was_converted, ..
            } => {
                let policy = if was_converted {
                    policy.converted.into()
                } else {
                    policy.contact
                };
                Step::Found(Place::Contact {
                    id,
                    write: policy != ExistingContact::CampaignOnly,
                })
            }
            End::Deleted if policy.deleted == DeletedRecord::Recreate => Step::Found(Place::New),
            End::Deleted => Step::Found(Place::Held(record_gone())),
            End::Lost(why) => Step::Found(Place::Held(why)),
            End::Look(id) => Step::Look(vec![id]),
            End::Trace(id) => Step::Trace(vec![id]),
        };
    }
    candidate(person, seen, policy, is_ours)
}

fn candidate(
    person: &Person<'_>,
    seen: &Seen,
    policy: &ExistingConfig,
    is_ours: &dyn Fn(&str) -> bool,
) -> Step {
    let (mut look, mut trace) = (Vec::new(), Vec::new());
    let mut found: Vec<(Place, &Map)> = Vec::new();
    let linked = person.linked.iter().map(|id| (id, true));
    let candidates = person.candidates.iter().map(|id| (id, false));
    for (start, is_linked) in linked.chain(candidates) {
        let (place, record) = match follow(start, seen) {
            End::Lead(id, record) => (Place::Lead(id), record),
            End::Contact {
                id,
                record,
                was_converted,
            } => {
                // A Lead that was converted can only go on as its Contact.
                let policy = if was_converted {
                    policy.converted.into()
                } else {
                    policy.contact
                };
                if policy == ExistingContact::CreateLead {
                    continue;
                }
                let write = policy != ExistingContact::CampaignOnly;
                (Place::Contact { id, write }, record)
            }
            End::Deleted | End::Lost(_) => continue,
            End::Look(id) => {
                look.push(id);
                continue;
            }
            End::Trace(id) => {
                trace.push(id);
                continue;
            }
        };
        let key = get(record, person.key_field).and_then(Value::as_str);
        let is_anothers =
            key.is_some_and(|key| is_ours(key) && !key.eq_ignore_ascii_case(person.external_id));
        let is_theirs = is_linked || facts_of(record).is_person(person.record);
        if is_theirs && !is_anothers && !found.iter().any(|(other, _)| *other == place) {
            found.push((place, record));
        }
    }
    if !look.is_empty() {
        return Step::Look(look);
    }
    if !trace.is_empty() {
        return Step::Trace(trace);
    }
    if found.len() > 1 && policy.several == SeveralRecords::Hold {
        return Step::Found(Place::Held(several(found.len())));
    }
    Step::Found(choose(found, policy.several).unwrap_or(Place::New))
}

/// Of several records a Contact before a Lead: the company knows them best as that. Of several of
/// those the one that was last changed, or was made first.
fn choose(found: Vec<(Place, &Map)>, by: SeveralRecords) -> Option<Place> {
    let text = |record: &Map, name: &str| {
        let value = get(record, name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let rank = |(place, record): &(Place, &Map)| {
        let is_contact = matches!(place, Place::Contact { .. });
        (is_contact, text(record, super::write::LAST_MODIFIED))
    };
    let first = |(place, record): &(Place, &Map)| {
        let is_lead = matches!(place, Place::Lead(_));
        (is_lead, text(record, CREATED))
    };
    let chosen = match by {
        SeveralRecords::Oldest => found.into_iter().min_by_key(first),
        SeveralRecords::Latest | SeveralRecords::Hold => found.into_iter().max_by_key(rank),
    };
    chosen.map(|(place, _)| place)
}

/// When a record was made: to be read along with its fields.
pub const CREATED: &str = "CreatedDate";

/// Follows merges and conversions from `start` to where they end.
fn follow<'s>(start: &str, seen: &'s Seen) -> End<'s> {
    let mut id = start.to_owned();
    let mut was_converted = false;
    for _ in 0..MOST_STEPS {
        match seen.get(&id) {
            None => return End::Look(id),
            Some(Record::Missing) => return End::Trace(id),
            Some(Record::Hidden) => return End::Lost(contact_unknown()),
            Some(Record::Gone { master: None }) => return End::Deleted,
            Some(Record::Gone { master: Some(next) }) => id.clone_from(next),
            Some(Record::Held(record)) => {
                if object_of(&id) == Some(CONTACT) {
                    return End::Contact {
                        id,
                        record,
                        was_converted,
                    };
                }
                if get(record, IS_CONVERTED) != Some(&Value::Bool(true)) {
                    return End::Lead(id, record);
                }
                let contact = get(record, CONVERTED_CONTACT).and_then(Value::as_str);
                match contact.and_then(to_18) {
                    Some(contact) => {
                        was_converted = true;
                        id = contact;
                    }
                    None => return End::Lost(contact_unknown()),
                }
            }
        }
    }
    End::Lost(contact_unknown())
}

/// Whether a Lead was converted: to be read along with its fields.
pub const IS_CONVERTED: &str = "IsConverted";

/// Into which Contact: the same.
pub const CONVERTED_CONTACT: &str = "ConvertedContactId";

fn record_gone() -> Explanation {
    Explanation {
        class: Class::Resolve,
        about: Vec::new(),
        code: "salesforce.record_gone".to_owned(),
        message: "the record was deleted in Salesforce, and not merged into another".to_owned(),
        hint: "it is not made again, because a person removed it: restore it from the recycle bin and replay, \
               or set `deleted = \"recreate\"` in [salesforce.existing]"
            .to_owned(),
    }
}

fn contact_unknown() -> Explanation {
    Explanation {
        class: Class::Resolve,
        about: Vec::new(),
        code: "salesforce.contact_unknown".to_owned(),
        message: "the lead was converted, but the Contact that it became cannot be seen".to_owned(),
        hint: "give the integration user Read on Contact (and View All, if contacts are private), and replay"
            .to_owned(),
    }
}

/// A chain of merges and conversions that does not end.
pub fn unclear() -> Explanation {
    Explanation {
        class: Class::RetrySoon,
        about: Vec::new(),
        code: "salesforce.unclear".to_owned(),
        message: "where the person lives in Salesforce changed while it was looked for".to_owned(),
        hint: "it is looked for again by itself".to_owned(),
    }
}

fn several(count: usize) -> Explanation {
    Explanation {
        class: Class::Resolve,
        about: Vec::new(),
        code: "salesforce.several_records".to_owned(),
        message: format!("the person may be any of {count} records in Salesforce"),
        hint: "merge them there and replay, or set `several = \"latest\"` in [salesforce.existing]"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::ConvertedLead;
    use crate::model::{EventId, Millis};

    const LEAD_1: &str = "00Q000000000001AAA";
    const LEAD_2: &str = "00Q000000000002AAA";
    const LEAD_3: &str = "00Q000000000003AAA";
    const CONTACT_1: &str = "003000000000001AAA";
    const KEY: &str = "MINE-TAG";

    fn lead(fields: Value) -> Record {
        let mut record = json!({ "IsConverted": false, "Email": "jane@acme.example" });
        for (name, value) in fields.as_object().unwrap() {
            record[name] = value.clone();
        }
        Record::Held(record.as_object().unwrap().clone())
    }

    fn converted(contact: &str) -> Record {
        lead(json!({ "IsConverted": true, "ConvertedContactId": contact }))
    }

    fn merged(master: &str) -> Record {
        Record::Gone {
            master: Some(master.to_owned()),
        }
    }

    fn seen(records: &[(&str, Record)]) -> Seen {
        let records = records.iter();
        records
            .map(|(id, record)| ((*id).to_owned(), record.clone()))
            .collect()
    }

    fn jane() -> BTreeMap<String, Held> {
        let held = |value: &str| Held {
            value: value.to_owned(),
            at: Millis(0),
            event: EventId(1),
        };
        BTreeMap::from([
            ("email".to_owned(), held("jane@acme.example")),
            ("first_name".to_owned(), held("Jane")),
            ("last_name".to_owned(), held("Lee")),
        ])
    }

    fn step(
        own: Option<&str>,
        candidates: &[&str],
        records: &[(&str, Record)],
        policy: &ExistingConfig,
    ) -> Step {
        let candidates: Vec<String> = candidates.iter().map(|id| (*id).to_owned()).collect();
        let record = jane();
        let person = Person {
            own,
            external_id: KEY,
            key_field: "Leadstream_Id__c",
            candidates: &candidates,
            linked: &[],
            record: &record,
        };
        locate(&person, &seen(records), policy, &|key| {
            key.ends_with("-TAG")
        })
    }

    fn own(records: &[(&str, Record)]) -> Step {
        step(Some(LEAD_1), &[], records, &ExistingConfig::default())
    }

    fn contact(write: bool) -> Step {
        let id = CONTACT_1.to_owned();
        Step::Found(Place::Contact { id, write })
    }

    fn code(step: Step) -> String {
        match step {
            Step::Found(Place::Held(why)) => why.code,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_record_of_ours_is_followed_through_merges_and_conversion() {
        let open = lead(json!({}));
        assert_eq!(own(&[]), Step::Look(vec![LEAD_1.to_owned()]));
        assert_eq!(
            own(&[(LEAD_1, open.clone())]),
            Step::Found(Place::Lead(LEAD_1.to_owned()))
        );
        assert_eq!(
            own(&[(LEAD_1, Record::Missing)]),
            Step::Trace(vec![LEAD_1.to_owned()])
        );
        let winner = [(LEAD_1, merged(LEAD_2)), (LEAD_2, open.clone())];
        assert_eq!(own(&winner), Step::Found(Place::Lead(LEAD_2.to_owned())));
        let mut all = vec![
            (LEAD_1, merged(LEAD_2)),
            (LEAD_2, merged(LEAD_3)),
            (LEAD_3, converted(CONTACT_1)),
        ];
        assert_eq!(own(&all), Step::Look(vec![CONTACT_1.to_owned()]));
        all.push((CONTACT_1, lead(json!({}))));
        assert_eq!(own(&all), contact(true));
    }

    #[test]
    fn merges_in_a_ring_end() {
        let ring = [(LEAD_1, merged(LEAD_2)), (LEAD_2, merged(LEAD_1))];
        assert_eq!(code(own(&ring)), "salesforce.contact_unknown");
    }

    #[test]
    fn a_deleted_record_waits_unless_it_may_be_made_again() {
        let gone = [(LEAD_1, Record::Gone { master: None })];
        assert_eq!(code(own(&gone)), "salesforce.record_gone");
        let policy = ExistingConfig {
            deleted: DeletedRecord::Recreate,
            ..ExistingConfig::default()
        };
        assert_eq!(
            step(Some(LEAD_1), &[], &gone, &policy),
            Step::Found(Place::New)
        );
    }

    #[test]
    fn a_converted_lead_whose_contact_is_out_of_sight_waits() {
        let hidden = lead(json!({ "IsConverted": true, "ConvertedContactId": null }));
        assert_eq!(code(own(&[(LEAD_1, hidden)])), "salesforce.contact_unknown");
        let both = [(LEAD_1, converted(CONTACT_1)), (CONTACT_1, Record::Hidden)];
        assert_eq!(code(own(&both)), "salesforce.contact_unknown");
    }

    #[test]
    fn each_case_has_its_policy() {
        let both = [(LEAD_1, converted(CONTACT_1)), (CONTACT_1, lead(json!({})))];
        let policy = ExistingConfig {
            converted: ConvertedLead::CampaignOnly,
            contact: ExistingContact::CreateLead,
            ..ExistingConfig::default()
        };
        assert_eq!(step(Some(LEAD_1), &[], &both, &policy), contact(false));
        assert_eq!(
            step(None, &[CONTACT_1], &both, &policy),
            Step::Found(Place::New)
        );
        let policy = ExistingConfig {
            contact: ExistingContact::CampaignOnly,
            ..ExistingConfig::default()
        };
        assert_eq!(step(None, &[CONTACT_1], &both, &policy), contact(false));
    }

    #[test]
    fn a_candidate_has_to_be_the_person_and_no_other_leads() {
        let check = |fields: Value, expect: &Place| {
            let records = [(LEAD_1, lead(fields.clone()))];
            let found = step(None, &[LEAD_1], &records, &ExistingConfig::default());
            assert_eq!(found, Step::Found(expect.clone()), "{fields}");
        };
        let theirs = Place::Lead(LEAD_1.to_owned());
        check(json!({}), &theirs);
        check(json!({ "Email": "tom@acme.example" }), &Place::New);
        check(json!({ "Leadstream_Id__c": "OTHER-TAG" }), &Place::New);
        check(json!({ "Leadstream_Id__c": "mine-tag" }), &theirs);
        check(json!({ "Leadstream_Id__c": "of another store" }), &theirs);
        let none = step(None, &[], &[], &ExistingConfig::default());
        assert_eq!(none, Step::Found(Place::New));
    }

    #[test]
    fn of_several_records_the_contact_then_the_latest_or_the_first() {
        let at = |created: &str, modified: &str| {
            lead(json!({ "CreatedDate": created, "LastModifiedDate": modified }))
        };
        let records = [
            (LEAD_1, at("2026-01-01", "2026-02-02")),
            (LEAD_2, at("2026-01-02", "2026-02-01")),
            (CONTACT_1, at("2026-01-03", "2026-01-03")),
        ];
        let leads = [LEAD_2, LEAD_1];
        let by = |several| ExistingConfig {
            several,
            ..ExistingConfig::default()
        };
        let latest = by(SeveralRecords::Latest);
        let found = step(None, &leads, &records, &latest);
        assert_eq!(found, Step::Found(Place::Lead(LEAD_1.to_owned())));
        let found = step(None, &[LEAD_1, CONTACT_1, LEAD_2], &records, &latest);
        assert_eq!(found, contact(true));
        let oldest = by(SeveralRecords::Oldest);
        let found = step(None, &leads, &records, &oldest);
        assert_eq!(found, Step::Found(Place::Lead(LEAD_1.to_owned())));
        assert_eq!(
            step(None, &[LEAD_1, CONTACT_1], &records, &oldest),
            contact(true)
        );
        let hold = by(SeveralRecords::Hold);
        assert_eq!(
            code(step(None, &leads, &records, &hold)),
            "salesforce.several_records"
        );
    }

    #[test]
    fn what_the_orgs_own_rule_found_is_believed() {
        let record = jane();
        let linked = [LEAD_1.to_owned()];
        let person = Person {
            own: None,
            external_id: KEY,
            key_field: "Leadstream_Id__c",
            candidates: &[],
            linked: &linked,
            record: &record,
        };
        let records = seen(&[(LEAD_1, lead(json!({ "Email": "j.lee@acme.example" })))]);
        let found = locate(&person, &records, &ExistingConfig::default(), &|_| false);
        assert_eq!(found, Step::Found(Place::Lead(LEAD_1.to_owned())));
    }
}
