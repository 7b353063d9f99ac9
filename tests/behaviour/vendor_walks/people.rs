//! A thousand people, cast in the mould of one sample record.

use std::path::Path;

use jiff::tz::{Offset, TimeZone};
use leadstream::config::SourceConfig;
use leadstream::connector::manifest::{Manifest, Of, Poll};
use leadstream::connector::records::RowsReader;
use leadstream::connector::{connector_of, time};
use leadstream::model::{Door, Event, EventId, EventMeta, Millis, NewEvent, SourceName, Verdict};
use serde_json::Value;

use super::json::{replace, set, steps, value_at};
use super::stand_in::PEOPLE;

/// People of one second, more than stand on a page.
const CROWD: std::ops::Range<usize> = 300..395;

/// One of them, as the vendor has them.
#[derive(Debug, Clone)]
pub struct Person {
    pub email: String,
    pub at: Millis,
    pub record: Value,
    /// Entries of the lists beside the records, in the order of the manifest's joins.
    pub joined: Vec<Vec<Value>>,
}

/// The first record of a poll's samples that is a lead with an e-mail.
#[derive(Debug)]
pub struct Mould {
    record: Value,
    email: String,
    phones: Vec<String>,
    joined: Vec<Vec<Value>>,
}

/// The pages of a poll's samples, in their order.
pub fn pages(samples: &Path, poll: &str) -> Vec<Value> {
    (1..100)
        .map(|number| samples.join(format!("poll-{poll}-{number}.json")))
        .take_while(|file| file.exists())
        .map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
        .collect()
}

impl Mould {
    pub fn find(samples: &Path, poll: &Poll, source: &SourceConfig) -> Option<Self> {
        let connector = connector_of(source);
        for page in pages(samples, &poll.name) {
            // Of rows the header is the first, and cells have no names of their own.
            let list = poll.records.trim_end_matches("[*]");
            let records = leadstream::connector::Path::parse(list).unwrap();
            let mut found: Vec<Value> = Vec::new();
            for value in records.all(&page) {
                match value {
                    Value::Array(items) => found.extend(items.iter().cloned()),
                    other => found.push(other.clone()),
                }
            }
            let header = poll.rows.as_ref().map(|_| found.remove(0));
            for record in found {
                let joined: Vec<Vec<Value>> = (poll.join.iter())
                    .map(|join| {
                        let key = value_at(&record, &join.equals);
                        let entries = page[&join.list].as_array().into_iter().flatten();
                        let own = entries.filter(|entry| value_at(entry, &join.key) == key);
                        own.cloned().collect()
                    })
                    .collect();
                let mut body = match &header {
                    Some(header) => named(header, &record),
                    None => record.clone(),
                };
                for (join, entries) in poll.join.iter().zip(&joined) {
                    body[&join.name] = entries.clone().into();
                }
                let Ok(extracted) = connector.extract(&event(poll, &body)) else {
                    continue;
                };
                let [lead] = &extracted[..] else { continue };
                if let (Verdict::Genuine, Some(email)) = (&lead.verdict, lead.fields.get("email")) {
                    let phones = ["phone", "mobile"];
                    let phones = phones.iter().filter_map(|name| lead.fields.get(*name));
                    return Some(Self {
                        email: email.clone(),
                        phones: phones.cloned().collect(),
                        record,
                        joined,
                    });
                }
            }
        }
        None
    }

    /// Person number `n` of the list `list`.
    pub fn cast(
        &self,
        manifest: &Manifest,
        poll: &Poll,
        list: usize,
        n: usize,
        begin: Millis,
    ) -> Person {
        let mut person = Person {
            email: format!("person-{list}-{n:04}@walk.example"),
            at: Millis(begin.0 + later(n)),
            record: self.record.clone(),
            joined: self.joined.clone(),
        };
        let record = &mut person.record;
        replace(record, &self.email, &person.email);
        // Else they were one household.
        for phone in &self.phones {
            replace(record, phone, "");
        }
        let of_record = poll.record.as_ref().unwrap_or(&manifest.record);
        for take in of_record.id.iter().filter(|take| take.of == Of::Record) {
            let path = take
                .from
                .iter()
                .find(|path| value_at(record, path).is_some());
            if let Some(path) = path {
                let old = value_at(record, path).unwrap().clone();
                set(record, &steps(path), numbered(&old, list * PEOPLE + n));
            }
        }
        if let Some(cursor) = &poll.cursor {
            let mut paths = cursor.from.0.iter();
            let path = paths.find(|path| value_at(record, path).is_some()).unwrap();
            let old = value_at(record, path).unwrap().clone();
            set(record, &steps(path), written_like(&old, person.at));
        }
        for (join, entries) in poll.join.iter().zip(&mut person.joined) {
            let key = value_at(record, &join.equals).unwrap();
            for entry in entries {
                set(entry, &steps(&join.key), key.clone());
            }
        }
        person
    }
}

/// After the first: seven in a second each three hours, so that no overlap covers them all; and once
/// many more than a page in one second.
fn later(n: usize) -> i64 {
    let is_crowd = CROWD.contains(&n);
    let place = if n < CROWD.start {
        n
    } else if is_crowd {
        CROWD.start
    } else {
        n - CROWD.len()
    };
    let millis = if is_crowd {
        n - CROWD.start
    } else {
        (place % 7) * 130
    };
    (place / 7) as i64 * 3 * 3_600_000 + millis as i64
}

fn named(header: &Value, row: &Value) -> Value {
    let header = header.to_string();
    let row = row.to_string();
    let records = RowsReader { header_row: 1 }.records(&[&header, &row]);
    serde_json::from_str(&records.unwrap()[0]).unwrap()
}

fn event(poll: &Poll, body: &Value) -> Event {
    Event {
        id: EventId(1),
        received: NewEvent {
            source: SourceName::new("walked"),
            received_at: Millis(0),
            content_type: "application/json".to_owned(),
            meta: EventMeta {
                door: Door::Poll,
                stream: Some(poll.name.clone()),
                ..EventMeta::default()
            },
            body: body.to_string().into(),
        },
    }
}

/// Another id of the same kind.
fn numbered(old: &Value, n: usize) -> Value {
    match old {
        Value::Number(number) => (number.as_u64().unwrap() + n as u64).into(),
        Value::String(text) => match text.parse::<u64>() {
            Ok(number) => (number + n as u64).to_string().into(),
            Err(_) => format!("{text}-{n:04}").into(),
        },
        other => panic!("{other} is no id"),
    }
}

/// The moment as the vendor writes it.
fn written_like(old: &Value, at: Millis) -> Value {
    let text = match old {
        Value::Number(number) if number.as_i64().unwrap() > 100_000_000_000 => return at.0.into(),
        Value::Number(_) => return at.0.div_euclid(1_000).into(),
        Value::String(text) => text,
        other => panic!("{other} is no time"),
    };
    let date = &text[..10];
    let rest = &text[10..];
    assert!(
        date.bytes().filter(|byte| *byte == b'-').count() == 2,
        "{text}"
    );
    let end = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(end);
    let hours = |zone: &str| zone[1..3].parse::<i8>().unwrap();
    let offset = match zone.chars().next() {
        Some('+') => hours(zone),
        Some('-') => -hours(zone),
        _ => 0,
    };
    let zone_of = TimeZone::fixed(Offset::constant(offset));
    let plain = time::format(
        at,
        leadstream::connector::manifest::TimeFormat::DateTime,
        &zone_of,
    );
    let separator = &clock[..1];
    let fraction = clock.split_once('.').map_or(String::new(), |(_, digits)| {
        let micros = format!("{:03}000", at.0.rem_euclid(1_000));
        format!(".{}", &micros[..digits.len().min(6)])
    });
    format!("{}{fraction}{zone}", plain.replacen(' ', separator, 1)).into()
}
