//! The org's Leads and Contacts as they were when they were last read: which of them a person may
//! be is found here, and verified on the record's own values by whoever writes.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::dialect::{self, Value, insert, query};
use super::{Store, StoreError, Write};
use crate::model::{KeyHash, LeadId, Millis};

/// A Lead or Contact of the org. The first three characters of its id tell which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrgPerson {
    /// Its 18-character id.
    pub id: String,
    /// What its external id field holds.
    pub external_id: Option<String>,
    /// The Contact that a Lead was converted into.
    pub contact_id: Option<String>,
    /// The record that it was merged into.
    pub master_id: Option<String>,
    /// Whether a Lead was converted.
    pub is_converted: bool,
    /// Whether it is in the recycle bin.
    pub is_deleted: bool,
    /// The status of a Lead.
    pub status: Option<String>,
    /// The id of its owner.
    pub owner_id: Option<String>,
    /// What the person does not want: 1 e-mail, 2 fax, 4 calls, added up.
    pub opted_out: i64,
    /// The org's stamp of its last change.
    pub changed_at: Millis,
    /// What it can be found by.
    pub keys: Vec<KeyHash>,
}

impl OrgPerson {
    /// Whether this is a later state than `known`. Stamps are of whole seconds: of one second is later
    /// what differs, for the other was read before.
    pub fn is_after(&self, known: &Self) -> bool {
        let without_keys = |person: &Self| Self {
            keys: Vec::new(),
            ..person.clone()
        };
        self.changed_at > known.changed_at
            || (self.changed_at == known.changed_at && without_keys(self) != without_keys(known))
    }
}

/// How far an object of the org has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MirrorState {
    /// Whether all that was there has been read once.
    pub is_complete: bool,
    /// All that changed before this has been read, by the org's clock.
    pub read_until: Option<Millis>,
    /// When the org was last asked, by ours.
    pub asked_at: Option<Millis>,
    /// When it was last asked far back, for what was committed later than its stamp says.
    pub deep_at: Option<Millis>,
    /// The query job of a reading that is under way.
    pub job: Option<String>,
    /// Where the next part of its answer begins.
    pub locator: Option<String>,
    /// The moment, by the org's clock, at which that reading began.
    pub job_from: Option<Millis>,
    /// How many rows of it have been read.
    pub rows: u64,
}

type Row = (
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    bool,
    bool,
    Option<String>,
    Option<String>,
    i64,
    i64,
);

pub(super) const BY_KEYS: &str = "SELECT p.id, p.external_id, p.contact_id, p.master_id, p.is_converted, p.is_deleted, \
     p.status, p.owner_id, p.opted_out, p.changed_at FROM org_person p \
     WHERE p.id IN (SELECT k.id FROM org_key k WHERE k.key {in $1}) AND NOT p.is_deleted";

pub(super) const IDS_BY_KEYS: &str = "SELECT k.key, k.id FROM org_key k WHERE k.key {in $1}";

pub(super) const BY_IDS: &str = "SELECT p.id, p.external_id, p.contact_id, p.master_id, p.is_converted, p.is_deleted, \
     p.status, p.owner_id, p.opted_out, p.changed_at FROM {rows $1: id text} AS r JOIN org_person p ON p.id = r.id";

pub(super) const DROP_KEYS: &str =
    "DELETE FROM org_key WHERE id IN (SELECT r.id FROM {rows $1: id text} AS r)";

pub(super) const LEADS: &str = "SELECT l.salesforce_id, l.id FROM {rows $1: id text} AS r \
     JOIN lead l ON l.salesforce_id = r.id";

impl Store {
    /// The records that have one of `keys`, with those of `keys` that they have. A key may have several
    /// records. Those in the recycle bin are left out.
    pub async fn org_people_by_keys(
        &self,
        keys: &[KeyHash],
    ) -> Result<Vec<(KeyHash, OrgPerson)>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut reader = self.database.read().await?;
        let mut connection = reader.connection();
        let hashes = || Value::ids(keys.iter().map(|key| key.0));
        let found: Vec<(i64, String)> = query(IDS_BY_KEYS)
            .bind(hashes())
            .all(&mut connection)
            .await?;
        let rows: Vec<Row> = query(BY_KEYS).bind(hashes()).all(&mut connection).await?;
        let people: HashMap<String, OrgPerson> = rows
            .into_iter()
            .map(person)
            .map(|person| (person.id.clone(), person))
            .collect();
        let with_key = |(key, id): (i64, String)| Some((KeyHash(key), people.get(&id)?.clone()));
        Ok(found.into_iter().filter_map(with_key).collect())
    }

    /// Those of `ids` that are known, by id.
    pub async fn org_people(&self, ids: &[&str]) -> Result<HashMap<String, OrgPerson>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<Row> = query(BY_IDS)
            .bind(texts(ids))
            .all(&mut reader.connection())
            .await?;
        let people = rows.into_iter().map(person);
        Ok(people.map(|person| (person.id.clone(), person)).collect())
    }

    /// The leads whose records are `ids`.
    pub async fn leads_of_records(
        &self,
        ids: &[&str],
    ) -> Result<HashMap<String, LeadId>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<(String, i64)> = query(LEADS)
            .bind(texts(ids))
            .all(&mut reader.connection())
            .await?;
        Ok(rows
            .into_iter()
            .map(|(id, lead)| (id, LeadId(lead)))
            .collect())
    }

    /// How far `object` has been read; from the beginning, if it never was.
    pub async fn mirror_state(&self, object: &str) -> Result<MirrorState, StoreError> {
        let mut reader = self.database.read().await?;
        let row: Option<(String,)> = query("SELECT state FROM org_mirror WHERE object = $1")
            .bind(object)
            .first(&mut reader.connection())
            .await?;
        // What cannot be read back is read anew from the org.
        Ok(row
            .and_then(|(state,)| serde_json::from_str(&state).ok())
            .unwrap_or_default())
    }

    /// How many Leads and Contacts there are, without those in the recycle bin. Ids tell which are
    /// which by their first characters.
    pub async fn org_size(&self) -> Result<[u64; 2], StoreError> {
        let mut reader = self.database.read().await?;
        let (leads, contacts): (i64, i64) = query(
            "SELECT COUNT(CASE WHEN id LIKE '00Q%' THEN 1 END), \
             COUNT(CASE WHEN id LIKE '003%' THEN 1 END) FROM org_person WHERE NOT is_deleted",
        )
        .one(&mut reader.connection())
        .await?;
        Ok([leads as u64, contacts as u64])
    }
}

impl Write {
    /// Keeps records as they are in the org now; an older state than the one that is there is left
    /// out. Returns how many were new or changed.
    pub async fn keep_org_people(&mut self, people: &[OrgPerson]) -> Result<usize, StoreError> {
        const KEEP: &str = "INSERT INTO org_person (id, external_id, contact_id, master_id, is_converted, \
             is_deleted, status, owner_id, opted_out, changed_at) VALUES";
        const CHANGED: &str = "ON CONFLICT (id) DO UPDATE SET external_id = excluded.external_id, \
             contact_id = excluded.contact_id, master_id = excluded.master_id, \
             is_converted = excluded.is_converted, is_deleted = excluded.is_deleted, \
             status = excluded.status, owner_id = excluded.owner_id, \
             opted_out = excluded.opted_out, changed_at = excluded.changed_at";
        const KEYS: &str = "INSERT INTO org_key (key, id) VALUES";
        if people.is_empty() {
            return Ok(0);
        }
        let connection = &mut self.connection();
        let ids: Vec<&str> = people.iter().map(|person| &*person.id).collect();
        let rows: Vec<Row> = query(BY_IDS).bind(texts(&ids)).all(connection).await?;
        let known = rows.into_iter().map(person);
        let known: HashMap<String, OrgPerson> =
            known.map(|person| (person.id.clone(), person)).collect();
        // The last state of each, in the order of their ids: nodes then wait in one direction.
        let mut newest: std::collections::BTreeMap<&str, &OrgPerson> =
            std::collections::BTreeMap::new();
        for person in people {
            let known = known
                .get(&person.id)
                .is_some_and(|known| !person.is_after(known));
            let seen = newest
                .get(&*person.id)
                .is_some_and(|other| other.changed_at > person.changed_at);
            if !known && !seen {
                newest.insert(&person.id, person);
            }
        }
        let changed: Vec<&OrgPerson> = newest.into_values().collect();
        if changed.is_empty() {
            return Ok(0);
        }
        insert(connection, KEEP, CHANGED, &changed, |values, person| {
            values.push(&*person.id)?;
            values.push(person.external_id.as_deref())?;
            values.push(person.contact_id.as_deref())?;
            values.push(person.master_id.as_deref())?;
            values.push(person.is_converted)?;
            values.push(person.is_deleted)?;
            values.push(person.status.as_deref())?;
            values.push(person.owner_id.as_deref())?;
            values.push(person.opted_out)?;
            values.push(person.changed_at.0)
        })
        .await?;
        let ids: Vec<&str> = changed.iter().map(|person| &*person.id).collect();
        query(DROP_KEYS).bind(texts(&ids)).run(connection).await?;
        let keys: Vec<(i64, &str)> = changed
            .iter()
            .flat_map(|person| person.keys.iter().map(|key| (key.0, &*person.id)))
            .collect();
        insert(
            connection,
            KEYS,
            "ON CONFLICT DO NOTHING",
            &keys,
            |values, (key, id)| {
                values.push(*key)?;
                values.push(*id)
            },
        )
        .await?;
        Ok(changed.len())
    }

    /// Says how far `object` has been read.
    pub async fn put_mirror_state(
        &mut self,
        object: &str,
        state: &MirrorState,
    ) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO org_mirror (object, state) VALUES ($1, $2) \
             ON CONFLICT (object) DO UPDATE SET state = excluded.state";
        let state = serde_json::to_string(state)
            .map_err(|error| StoreError::Database(sqlx::Error::Encode(error.into())))?;
        query(PUT)
            .bind(object)
            .bind(state)
            .run(&mut self.connection())
            .await?;
        Ok(())
    }
}

fn texts(ids: &[&str]) -> Value<'static> {
    let rows: Vec<serde_json::Value> = ids.iter().map(|id| json!([id])).collect();
    dialect::Value::rows(&rows)
}

fn person(row: Row) -> OrgPerson {
    let (
        id,
        external_id,
        contact_id,
        master_id,
        is_converted,
        is_deleted,
        status,
        owner_id,
        opted_out,
        changed_at,
    ) = row;
    OrgPerson {
        id,
        external_id,
        contact_id,
        master_id,
        is_converted,
        is_deleted,
        status,
        owner_id,
        opted_out,
        changed_at: Millis(changed_at),
        keys: Vec::new(),
    }
}
