//! What the org holds of the people who are to be sent: read before anything is written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::Mapping;
use super::locate::{self, CONTACT, LEAD, Person, Place, Record, Seen, Step, object_of};
use super::send::Outgoing;
use super::write::{self, get};
use crate::mirror::FIELDS_OF_PERSON;
use crate::salesforce::{ApiError, CallError, Client, Map, quote, to_18};

/// Rounds of reading: what was converted or merged leads to another record.
const MOST_ROUNDS: usize = 8;

/// What was read, and where each of the people lives.
#[derive(Debug)]
pub(super) struct Looked {
    /// By record.
    pub seen: Seen,
    /// In the order of the people.
    pub places: Vec<Place>,
}

/// What a look needs to know.
pub(super) struct Look<'a> {
    pub client: &'a Client,
    pub contact: &'a Mapping,
    pub is_ours: &'a (dyn Fn(&str) -> bool + Sync),
}

impl Look<'_> {
    fn key(&self) -> &str {
        &self.client.config().external_id_field
    }

    /// Finds out where `people` live. `linked` are records that the org's duplicate rules named.
    pub async fn at(
        &self,
        people: &[&Outgoing],
        linked: &BTreeMap<usize, Vec<String>>,
    ) -> Result<Looked, CallError> {
        let mut fields = Fields::of(people, self);
        let mut seen = Seen::new();
        let mut own: Vec<Option<String>> = people
            .iter()
            .map(|lead| lead.salesforce_id.clone())
            .collect();
        self.look_by_key(people, &mut own, &mut seen, &mut fields)
            .await?;
        let mut places: Vec<Option<Place>> = vec![None; people.len()];
        for _ in 0..MOST_ROUNDS {
            let (mut look, mut trace) = (BTreeSet::new(), BTreeSet::new());
            for (index, lead) in people.iter().enumerate() {
                if places[index].is_some() {
                    continue;
                }
                let person = Person {
                    own: own[index].as_deref(),
                    external_id: &lead.external_id,
                    key_field: self.key(),
                    candidates: &lead.candidates,
                    linked: linked.get(&index).map_or(&[], Vec::as_slice),
                    record: &lead.record,
                };
                let policy = &self.client.config().existing;
                match locate::locate(&person, &seen, policy, &|key| (self.is_ours)(key)) {
                    Step::Found(place) => places[index] = Some(place),
                    Step::Look(ids) => look.extend(ids),
                    Step::Trace(ids) => trace.extend(ids),
                }
            }
            if look.is_empty() && trace.is_empty() {
                break;
            }
            self.read(&look, &mut seen, &mut fields).await?;
            self.trace(&trace, &mut seen).await?;
        }
        let places = places
            .into_iter()
            .map(|place| place.unwrap_or_else(unclear));
        Ok(Looked {
            seen,
            places: places.collect(),
        })
    }

    /// Those whose last sending may have been carried out, its answer lost, are looked for by our key.
    async fn look_by_key(
        &self,
        people: &[&Outgoing],
        own: &mut [Option<String>],
        seen: &mut Seen,
        fields: &mut Fields,
    ) -> Result<(), CallError> {
        let unsure = |lead: &&&Outgoing| lead.unsure && lead.salesforce_id.is_none();
        let keys: Vec<&str> = people
            .iter()
            .filter(unsure)
            .map(|lead| &*lead.external_id)
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let key = self.key();
        let rows = fields.read(self.client, LEAD, Asked::Keys(&keys)).await?;
        // Salesforce compares external ids without regard to case.
        let mut by_key: HashMap<String, String> = HashMap::new();
        for row in rows.into_iter().flatten() {
            let (Some(id), Some(found)) = (text(&row, "Id").and_then(to_18), text(&row, key))
            else {
                continue;
            };
            by_key.insert(found.to_ascii_uppercase(), id.clone());
            seen.insert(id, Record::Held(row));
        }
        for (own, lead) in own.iter_mut().zip(people) {
            if own.is_none() && lead.unsure {
                *own = by_key.get(&lead.external_id.to_ascii_uppercase()).cloned();
            }
        }
        Ok(())
    }

    /// Reads records by their ids: a call for each object.
    async fn read(
        &self,
        ids: &BTreeSet<String>,
        seen: &mut Seen,
        fields: &mut Fields,
    ) -> Result<(), CallError> {
        for object in [LEAD, CONTACT] {
            let ids = ids.iter().map(String::as_str);
            let ids: Vec<&str> = ids.filter(|id| object_of(id) == Some(object)).collect();
            if ids.is_empty() {
                continue;
            }
            let rows = match fields.read(self.client, object, Asked::Ids(&ids)).await {
                // Whoever is a Contact waits; the others of the call do not.
                Err(error) if object == CONTACT && is_out_of_sight(&error) => {
                    seen.extend(ids.iter().map(|id| ((*id).to_owned(), Record::Hidden)));
                    continue;
                }
                rows => rows?,
            };
            for (id, row) in ids.iter().zip(rows) {
                let record = row.map_or(Record::Missing, Record::Held);
                seen.insert((*id).to_owned(), record);
            }
        }
        // Whatever else an id may be of, nobody lives there.
        for id in ids.iter().filter(|id| object_of(id).is_none()) {
            seen.insert(id.clone(), Record::Gone { master: None });
        }
        Ok(())
    }

    /// Finds out where records went that cannot be read: merged, or only deleted.
    async fn trace(&self, ids: &BTreeSet<String>, seen: &mut Seen) -> Result<(), CallError> {
        for object in [LEAD, CONTACT] {
            let ids: Vec<&String> = ids
                .iter()
                .filter(|id| object_of(id) == Some(object))
                .collect();
            for ids in ids.chunks(MOST_TRACED) {
                let list: Vec<String> = ids.iter().map(|id| quote(id)).collect();
                let soql = format!(
                    "SELECT Id,IsDeleted,MasterRecordId FROM {object} WHERE Id IN ({})",
                    list.join(",")
                );
                let rows = self.client.query_all(&soql, ids.len()).await?.rows;
                for id in ids {
                    seen.insert((*id).clone(), Record::Gone { master: None });
                }
                for row in rows {
                    let Some(id) = text(&row, "Id").and_then(to_18) else {
                        continue;
                    };
                    let master = text(&row, "MasterRecordId").and_then(to_18);
                    seen.insert(id, Record::Gone { master });
                }
            }
        }
        Ok(())
    }
}

/// Whether the org refuses to show such records to us, which no retry cures.
fn is_out_of_sight(error: &CallError) -> bool {
    let CallError::Refused { errors, .. } = error else {
        return false;
    };
    errors.iter().any(|error| {
        matches!(
            error.code.as_str(),
            "INVALID_TYPE" | "NOT_FOUND" | "INSUFFICIENT_ACCESS"
        )
    })
}

/// Ids in one query: each takes about 30 bytes of its address.
const MOST_TRACED: usize = 200;

/// A chain of conversions and merges that did not end: looked at again later.
fn unclear() -> Place {
    Place::Held(locate::unclear())
}

/// The fields to read of each object. One that the org does not know reads as blank: writing it then
/// fails for the leads that carry it, and for no others.
struct Fields {
    lead: BTreeSet<String>,
    contact: BTreeSet<String>,
    unknown: Vec<(&'static str, String)>,
    key: String,
}

impl Fields {
    fn of(people: &[&Outgoing], look: &Look<'_>) -> Self {
        let always = [
            "Id",
            look.key(),
            write::LAST_MODIFIED,
            write::LAST_MODIFIED_BY,
            locate::CREATED,
            "OwnerId",
        ];
        let mut lead: BTreeSet<String> = always.into_iter().map(str::to_owned).collect();
        let mut contact = lead.clone();
        lead.extend([locate::IS_CONVERTED, locate::CONVERTED_CONTACT].map(str::to_owned));
        let candidates = people.iter().any(|lead| lead.salesforce_id.is_none());
        if candidates {
            lead.extend(FIELDS_OF_PERSON.iter().map(|name| (*name).to_owned()));
            contact.extend(FIELDS_OF_PERSON.iter().map(|name| (*name).to_owned()));
        }
        let add = |fields: &mut BTreeSet<String>, name: &str| {
            if !fields.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                fields.insert(name.to_owned());
            }
        };
        for one in people {
            for name in one.wanted.keys() {
                add(&mut lead, name);
            }
        }
        for field in look.contact.all() {
            add(&mut contact, &field.salesforce);
        }
        Self {
            lead,
            contact,
            unknown: Vec::new(),
            key: look.key().to_owned(),
        }
    }

    /// Reads the records that are `asked` for; again without the fields that are refused as unknown.
    async fn read(
        &mut self,
        client: &Client,
        object: &'static str,
        asked: Asked<'_>,
    ) -> Result<Vec<Option<Map>>, CallError> {
        // Each round leaves a field out, so it ends.
        loop {
            let fields = if object == LEAD {
                &self.lead
            } else {
                &self.contact
            };
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            let held = match asked {
                Asked::Ids(ids) => client.retrieve(object, ids, &fields).await,
                Asked::Keys(keys) => client
                    .find_by_external_ids(object, &self.key, keys, &fields)
                    .await
                    .map(|rows| rows.into_iter().map(Some).collect()),
            };
            match held {
                Ok(mut held) => {
                    self.blank_unknown(object, &mut held);
                    return Ok(held);
                }
                Err(CallError::Refused {
                    status: 400,
                    errors,
                }) if self.leave_out(object, &errors) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A key that is not there cannot be set, so it is no blank.
    fn blank_unknown(&self, object: &str, held: &mut [Option<Map>]) {
        for record in held.iter_mut().flatten() {
            for (of, name) in &self.unknown {
                if *of == object && *name != self.key {
                    record.insert(name.clone(), Value::Null);
                }
            }
        }
    }

    /// Whether a field was meant that can be left out.
    fn leave_out(&mut self, object: &'static str, errors: &[ApiError]) -> bool {
        let meant: Vec<&str> = errors.iter().flat_map(fields_meant).collect();
        let fields = if object == LEAD {
            &mut self.lead
        } else {
            &mut self.contact
        };
        let before = fields.len();
        let unknown = &mut self.unknown;
        fields.retain(|name| {
            let is_meant = meant.iter().any(|field| field.eq_ignore_ascii_case(name));
            if is_meant {
                unknown.push((object, name.clone()));
            }
            !is_meant
        });
        fields.len() < before
    }
}

/// Which records are read.
#[derive(Clone, Copy)]
enum Asked<'a> {
    /// Those of these ids.
    Ids(&'a [&'a str]),
    /// Those that hold these keys of ours.
    Keys(&'a [&'a str]),
}

pub(super) fn text<'a>(record: &'a Map, field: &str) -> Option<&'a str> {
    get(record, field).and_then(Value::as_str)
}

/// The fields that an error means: those it lists, else the one in "No such column 'X' on …".
pub(super) fn fields_meant(error: &ApiError) -> Vec<&str> {
    if !error.fields.is_empty() {
        return error.fields.iter().map(String::as_str).collect();
    }
    error
        .message
        .split_once("No such column '")
        .and_then(|(_, rest)| rest.split_once('\''))
        .map(|(field, _)| vec![field])
        .unwrap_or_default()
}
