//! Reads the org: who has come or changed since.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tracing::warn;

use super::rows::{Read, read};
use super::{Mirror, MirrorError, OBJECTS};
use crate::model::{Held, KeyHash, Millis};
use crate::process::resolve::keys_of_record;
use crate::salesforce::{ApiError, CallError, QueryPage, quote};
use crate::store::{MirrorState, OrgPerson};

const MIRROR: &str = "mirror";

/// Rows commit later than their stamp says. Source: measured in airbytehq/airbyte#27146.
const OVERLAP: Duration = Duration::from_secs(60);

/// Pages of who has come since, before a record is made. More have changed than it is worth to read at
/// once: the loop that reads all of them does.
const MOST_PAGES: usize = 5;

/// People in one query.
const MOST_PEOPLE: usize = 200;

/// A part of what has changed of one object.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// The object.
    pub object: &'static str,
    /// Its rows, by their stamps.
    pub rows: Vec<Read>,
    /// How many there are in all parts.
    pub total: u64,
    /// Where the next part is.
    pub next: Option<String>,
}

/// The records that each of some people may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found(pub Vec<Vec<String>>);

impl Mirror {
    /// The first part of what has changed of each object since `from`, or of all that there is; only
    /// what others have changed, if `of_others`. One call.
    pub async fn read_since(
        &self,
        from: [Option<Millis>; 2],
        of_others: bool,
    ) -> Result<Vec<Part>, MirrorError> {
        let us = self.client.user_id().filter(|_| of_others);
        let when = |from: Option<Millis>| {
            let since = from.map(|from| format!("SystemModstamp >= {}", literal(from)));
            let others = us
                .as_deref()
                .map(|us| format!("LastModifiedById != {}", quote(us)));
            let all: Vec<String> = since.into_iter().chain(others).collect();
            all.join(" AND ")
        };
        self.read_where(MIRROR, from.map(when), true).await
    }

    /// The first part of the rows of each object that `when` is true of. One call.
    async fn read_where(
        &self,
        purpose: &'static str,
        when: [String; 2],
        with_deleted: bool,
    ) -> Result<Vec<Part>, MirrorError> {
        // Each round leaves out a field that the user may not see, so it ends.
        loop {
            let queries: Vec<String> = {
                let mut columns = self.columns.lock();
                let query = |(object, when): (&&'static str, &String)| {
                    let fields = columns.list(object);
                    let when = if when.is_empty() {
                        String::new()
                    } else {
                        format!(" WHERE {when}")
                    };
                    format!("SELECT {fields} FROM {object}{when} ORDER BY SystemModstamp, Id")
                };
                OBJECTS.iter().zip(&when).map(query).collect()
            };
            let answers = self
                .client
                .query_together(purpose, &queries, with_deleted)
                .await?;
            let mut left_out = false;
            let mut parts = Vec::new();
            for (object, answer) in OBJECTS.into_iter().zip(answers) {
                match answer {
                    Ok(page) => parts.push(self.part(object, page)),
                    Err(errors) => {
                        left_out |= self.leave_out(object, &errors)?;
                    }
                }
            }
            if !left_out {
                return Ok(parts);
            }
        }
    }

    /// The part at `next`. One call.
    pub async fn read_next(&self, object: &'static str, next: &str) -> Result<Part, MirrorError> {
        let page = self.client.query_next(MIRROR, next).await?;
        Ok(self.part(object, page))
    }

    /// Rows as they were read, of any answer.
    pub fn part(&self, object: &'static str, page: QueryPage) -> Part {
        let us = self.client.user_id();
        let key = &self.client.config().external_id_field;
        let rows = page.rows.iter();
        Part {
            object,
            rows: rows
                .filter_map(|row| read(row, key, &self.keys, us.as_deref()))
                .collect(),
            total: page.total,
            next: page.next,
        }
    }

    /// The query that reads all of an object, for a job.
    pub fn query_of_all(&self, object: &str) -> String {
        let fields = self.columns.lock().list(object);
        format!("SELECT {fields} FROM {object}")
    }

    /// Whether a field could be left out; an object that is out of sight altogether is passed over. An
    /// error for anything else.
    fn leave_out(&self, object: &'static str, errors: &[ApiError]) -> Result<bool, MirrorError> {
        let mut columns = self.columns.lock();
        let left_out = errors
            .iter()
            .filter(|error| columns.leave_out(object, &error.message))
            .count();
        if left_out > 0 {
            return Ok(true);
        }
        let is_hidden = errors.iter().any(|error| error.code == "INVALID_TYPE");
        if is_hidden {
            warn!(
                object,
                "the integration user may not read this object: people who are one are not recognised"
            );
            return Ok(false);
        }
        let refused = CallError::Refused {
            status: 400,
            errors: errors.to_vec(),
        };
        Err(refused.into())
    }

    /// The records that each of `people` may be, as far as the index is no older than `max_age`: else the
    /// org is asked first who has come since. Before the org has been read once, it is asked for these
    /// addresses.
    pub async fn candidates(
        &self,
        people: &[&BTreeMap<String, Held>],
        max_age: Duration,
    ) -> Result<Found, MirrorError> {
        let keys: Vec<Vec<KeyHash>> = people
            .iter()
            .map(|record| {
                let keys = keys_of_record(record);
                keys.iter().map(|key| self.keys.hash(key)).collect()
            })
            .collect();
        let states = self.states().await?;
        let by_key = if states.iter().all(|state| state.is_complete) {
            self.freshen(&states, max_age).await?;
            self.found_here(&keys).await?
        } else {
            self.look_up(people).await?
        };
        let of = |keys: &Vec<KeyHash>| {
            let mut ids: Vec<String> = Vec::new();
            for id in keys.iter().filter_map(|key| by_key.get(key)).flatten() {
                if !ids.contains(id) && ids.len() < MOST_CANDIDATES {
                    ids.push(id.clone());
                }
            }
            ids
        };
        Ok(Found(keys.iter().map(of).collect()))
    }

    /// How far each object has been read.
    pub async fn states(&self) -> Result<Vec<MirrorState>, MirrorError> {
        let mut states = Vec::new();
        for object in OBJECTS {
            states.push(self.store.mirror_state(object).await?);
        }
        Ok(states)
    }

    /// Notes that the org has just been asked.
    pub fn is_fresh_now(&self) {
        *self.fresh_at.lock() = Some(self.clock.now());
    }

    /// Reads who has come or changed by anybody else's doing. Records that leads of ours have are left to
    /// the loop that tells what changed of them.
    async fn freshen(&self, states: &[MirrorState], age: Duration) -> Result<(), MirrorError> {
        let _one = self.asking.lock().await;
        if self.is_fresh(age) {
            return Ok(());
        }
        let mut from = [None; 2];
        for (from, state) in from.iter_mut().zip(states) {
            *from = state
                .read_until
                .map(|until| Millis(until.0 - OVERLAP.as_millis() as i64));
        }
        let asked_at = self.clock.now();
        let mut parts = self.read_since(from, true).await?;
        for _ in 0..MOST_PAGES {
            let mut more = Vec::new();
            for part in parts {
                self.keep_unknown(&part).await?;
                if let Some(next) = &part.next {
                    more.push(self.read_next(part.object, next).await?);
                }
            }
            if more.is_empty() {
                break;
            }
            parts = more;
        }
        *self.fresh_at.lock() = Some(asked_at);
        Ok(())
    }

    async fn keep_unknown(&self, part: &Part) -> Result<(), MirrorError> {
        let ids: Vec<&str> = part.rows.iter().map(|row| &*row.person.id).collect();
        let known = self.store.leads_of_records(&ids).await?;
        let is_unknown = |person: &&OrgPerson| {
            let key = person.external_id.as_deref();
            !known.contains_key(&person.id)
                && !key.is_some_and(|key| self.store.is_own_external_id(key))
        };
        let people = part.rows.iter().map(|row| &row.person);
        let people: Vec<OrgPerson> = people.filter(is_unknown).cloned().collect();
        let mut write = self.store.write().await?;
        write.keep_org_people(&people).await?;
        write.commit().await?;
        Ok(())
    }

    /// The records in the index that have one of `keys`.
    async fn found_here(&self, keys: &[Vec<KeyHash>]) -> Result<ByKey, MirrorError> {
        let all: Vec<KeyHash> = keys.iter().flatten().copied().collect();
        let mut by_key = ByKey::new();
        for (key, person) in self.store.org_people_by_keys(&all).await? {
            by_key.entry(key).or_default().push(person.id);
        }
        Ok(by_key)
    }

    /// Asks the org itself for the addresses and numbers of `people`: a call for each 200. Numbers as we
    /// write them, for that is how they can be asked for.
    async fn look_up(&self, people: &[&BTreeMap<String, Held>]) -> Result<ByKey, MirrorError> {
        let mut by_key = ByKey::new();
        for people in people.chunks(MOST_PEOPLE) {
            let list = |names: &[&str]| {
                let values = people.iter().flat_map(|record| {
                    let held = names.iter().filter_map(|name| record.get(*name));
                    held.map(|held| quote(&held.value))
                });
                let values: BTreeSet<String> = values.collect();
                values.into_iter().collect::<Vec<_>>().join(",")
            };
            let (addresses, numbers) = (list(&["email"]), list(&["phone", "mobile"]));
            let is_in = |field: &str, list: &str| {
                (!list.is_empty()).then(|| format!("{field} IN ({list})"))
            };
            let which: Vec<String> = [
                is_in("Email", &addresses),
                is_in("Phone", &numbers),
                is_in("MobilePhone", &numbers),
            ]
            .into_iter()
            .flatten()
            .collect();
            if which.is_empty() {
                continue;
            }
            let when = which.join(" OR ");
            let parts = self
                .read_where(LOOK_UP, [when.clone(), when], false)
                .await?;
            for person in parts.into_iter().flat_map(|part| part.rows) {
                for key in person.person.keys {
                    let ids = by_key.entry(key).or_default();
                    ids.push(person.person.id.clone());
                }
            }
        }
        Ok(by_key)
    }
}

/// Ids of records by what they can be found by.
type ByKey = HashMap<KeyHash, Vec<String>>;

const LOOK_UP: &str = "look_up";

/// Records that are looked at for one person: a mailbox that more share tells nobody from anybody.
const MOST_CANDIDATES: usize = 20;

/// A moment in a query.
fn literal(at: Millis) -> String {
    at.to_string()
}
