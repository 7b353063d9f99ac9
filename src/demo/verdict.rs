//! Compares what became of the leads with what must. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::leads::{Expect, Wanted};
use crate::model::{End, EventId, SourceName};
use crate::store::AuditLine;

/// Everything that is not as it must be; nothing if all is well.
///
/// `sent` are the receipts with what must become of them, `ends` what did, `records` the Leads in
/// Salesforce.
pub fn judge(
    sent: &[(EventId, Expect)],
    ends: &BTreeMap<EventId, End>,
    wanted: &[Wanted],
    records: &[Map<String, Value>],
    books: &BTreeMap<SourceName, AuditLine>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (event, expect) in sent {
        match ends.get(event) {
            None => wrong.push(format!("{event} is not at its end")),
            Some(end) if !expect.allows(*end) => {
                wrong.push(format!("{event} must not end as {end}: {expect:?}"));
            }
            Some(_) => {}
        }
    }
    wrong.extend(judge_records(wanted, records));
    for (source, line) in books {
        if line.difference() != 0 {
            let difference = line.difference();
            wrong.push(format!(
                "the books of {source} do not balance: {difference:+}"
            ));
        }
    }
    let accepted: u64 = books.values().map(|line| line.accepted).sum();
    if accepted < sent.len() as u64 {
        wrong.push(format!(
            "{} receipts were given, but only {accepted} events are in the books",
            sent.len()
        ));
    }
    wrong
}

/// Everybody wanted once, and nobody else.
fn judge_records(wanted: &[Wanted], records: &[Map<String, Value>]) -> Vec<String> {
    let mut by_contact: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, person) in wanted.iter().enumerate() {
        for contact in person.emails.iter().chain(&person.phone) {
            by_contact.insert(contact, index);
        }
    }
    let mut found = vec![0; wanted.len()];
    let mut wrong = Vec::new();
    for record in records {
        let text = |field: &str| record.get(field).and_then(Value::as_str);
        let contacts = ["Email", "Phone", "MobilePhone"].into_iter().map(&text);
        match contacts
            .flatten()
            .find_map(|contact| by_contact.get(contact))
        {
            Some(index) => {
                found[*index] += 1;
                wrong.extend(differences(&wanted[*index], &text));
            }
            None => wrong.push(format!(
                "{} is in Salesforce, but is nobody who should be",
                text("Id").unwrap_or("a record without an id")
            )),
        }
    }
    for (person, count) in wanted.iter().zip(found) {
        match count {
            1 => {}
            0 => wrong.push(format!("{} is not in Salesforce", person.name)),
            more => wrong.push(format!("{} is in Salesforce {more} times", person.name)),
        }
    }
    wrong
}

/// What a record does not hold as the person gave it. `text` reads a field of the record.
fn differences<'r>(person: &Wanted, text: &impl Fn(&str) -> Option<&'r str>) -> Vec<String> {
    let mut wrong = Vec::new();
    let names = ["FirstName", "LastName"].into_iter().filter_map(text);
    let name = names.collect::<Vec<_>>().join(" ");
    if name != person.name {
        wrong.push(format!("{} is called {name} in Salesforce", person.name));
    }
    let email_fits = match text("Email") {
        Some(email) => person.emails.iter().any(|given| given == email),
        None => person.emails.is_empty(),
    };
    if !email_fits {
        wrong.push(format!("the e-mail of {} is not theirs", person.name));
    }
    let mut phones = ["Phone", "MobilePhone"].into_iter().filter_map(text);
    let phone_fits = match &person.phone {
        Some(given) => phones.any(|phone| phone == given),
        None => phones.next().is_none(),
    };
    if !phone_fits {
        wrong.push(format!("the phone of {} is not theirs", person.name));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted() -> Vec<Wanted> {
        vec![
            Wanted {
                name: "Anna Miller".to_owned(),
                emails: vec!["anna@acme.example".to_owned(), "a@home.example".to_owned()],
                phone: Some("+4915112345678".to_owned()),
            },
            Wanted {
                name: "Bernd".to_owned(),
                emails: Vec::new(),
                phone: Some("+4915187654321".to_owned()),
            },
        ]
    }

    const ANNA: &[(&str, &str)] = &[
        ("Id", "00Q1"),
        ("FirstName", "Anna"),
        ("LastName", "Miller"),
        ("Email", "a@home.example"),
        ("Phone", "+4915112345678"),
    ];
    const BERND: &[(&str, &str)] = &[
        ("Id", "00Q2"),
        ("LastName", "Bernd"),
        ("MobilePhone", "+4915187654321"),
    ];

    fn check(records: &[&[(&str, &str)]], expect: &[&str]) {
        let record = |fields: &&[(&str, &str)]| {
            let fields = fields.iter();
            fields
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect()
        };
        let records: Vec<Map<String, Value>> = records.iter().map(record).collect();
        assert_eq!(judge_records(&wanted(), &records), expect);
    }

    #[test]
    fn everybody_is_there_once_and_nobody_else() {
        check(&[ANNA, BERND], &[]);
        check(&[BERND], &["Anna Miller is not in Salesforce"]);
        check(
            &[ANNA, ANNA, BERND],
            &["Anna Miller is in Salesforce 2 times"],
        );
        check(
            &[
                ANNA,
                BERND,
                &[("Id", "00Q3"), ("Email", "eve@acme.example")],
            ],
            &["00Q3 is in Salesforce, but is nobody who should be"],
        );
    }

    #[test]
    fn everybody_is_there_as_they_said() {
        let anna = |field: &'static str, value: &'static str| {
            let mut anna = ANNA.to_vec();
            anna.retain(|(name, _)| *name != field);
            anna.extend((!value.is_empty()).then_some((field, value)));
            anna
        };
        for (field, value, says) in [
            (
                "FirstName",
                "",
                "Anna Miller is called Miller in Salesforce",
            ),
            (
                "FirstName",
                "Hanna",
                "Anna Miller is called Hanna Miller in Salesforce",
            ),
            ("Email", "", "the e-mail of Anna Miller is not theirs"),
            (
                "Email",
                "eve@acme.example",
                "the e-mail of Anna Miller is not theirs",
            ),
            ("Phone", "", "the phone of Anna Miller is not theirs"),
            (
                "Phone",
                "0151 12345678",
                "the phone of Anna Miller is not theirs",
            ),
        ] {
            check(&[&anna(field, value), BERND], &[says]);
        }
    }

    #[test]
    fn events_are_at_the_end_that_they_must_come_to() {
        let sent = [
            (EventId(1), Expect::Lead(0)),
            (EventId(2), Expect::Filtered),
            (EventId(3), Expect::DeadLetter),
        ];
        let ends = BTreeMap::from([(EventId(1), End::Merged), (EventId(2), End::Synced)]);
        let line = AuditLine {
            accepted: 3,
            ends: BTreeMap::from([(End::Merged, 1)]),
            waiting: 1,
            delivering: 0,
            fetching: 0,
        };
        let books = BTreeMap::from([(SourceName::new("demo"), line)]);
        assert_eq!(
            judge(&sent, &ends, &[], &[], &books),
            [
                "0000000000002 must not end as synced: Filtered",
                "0000000000003 is not at its end",
                "the books of demo do not balance: +1",
            ]
        );
    }
}
