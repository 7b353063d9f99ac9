use std::borrow::Cow;
use std::collections::BTreeSet;

use tracing::error;

use super::dialect::{Connection, Kind, Value, insert, query};
use super::timeline::{self, TimelineEntry};
use super::{
    NewFetch, SeenRecords, StoreError, Write, dead_letters, fetches, outbox, record, records,
};
use crate::edge::random::Ids;
use crate::model::{
    DeadLetter, Delivery, DeliveryId, End, EventId, KeyHash, Lead, LeadId, Millis, SourceName,
};

/// What one submission held and what became of it, as the store keeps it.
#[derive(Debug, Clone)]
pub struct StoredSubmission {
    /// The event.
    pub event: EventId,
    /// Which one of its event's submissions this is.
    pub ordinal: u32,
    /// The event's source.
    pub source: SourceName,
    /// When the event was received.
    pub received_at: Millis,
    /// When the person sent it.
    pub at: Millis,
    /// The sender's own id of it.
    pub vendor_id: Option<String>,
    /// Whose it is.
    pub lead: Option<LeadId>,
    /// What carries it to its end.
    pub delivery: Option<DeliveryId>,
    /// Its end, if it came to one at once.
    pub outcome: Option<End>,
    /// Why it came to that end: a stable code.
    pub reason: Option<String>,
    /// The configuration that it was processed with.
    pub config_hash: String,
    /// Its normalised values, as JSON.
    pub fields: String,
}

/// One interaction, with attribution.
#[derive(Debug, Clone)]
pub struct Touch {
    /// Whose.
    pub lead: LeadId,
    /// The event.
    pub event: EventId,
    /// Its source.
    pub source: SourceName,
    /// When.
    pub at: Millis,
    /// The campaign, by name or id.
    pub campaign: Option<String>,
    /// UTM parameters, click ids, referrer, landing page, as JSON.
    pub attribution: String,
}

/// What processing a batch of events changes, all in one transaction.
#[derive(Debug, Default)]
pub struct Changes {
    /// Leads as they are after the batch, new ones and changed ones.
    pub leads: Vec<KnownLead>,
    /// New match keys.
    pub keys: Vec<NewKey>,
    /// What the events held.
    pub submissions: Vec<StoredSubmission>,
    /// New touches.
    pub touches: Vec<Touch>,
    /// New deliveries.
    pub deliveries: Vec<Delivery>,
    /// New lines of timelines.
    pub timeline: Vec<TimelineEntry>,
    /// Events that stopped, by ordinal.
    pub dead_letters: Vec<(SourceName, u32, DeadLetter)>,
    /// Events that were to be processed once more, and now have been.
    pub replayed: Vec<EventId>,
    /// Vendors' records that the events held.
    pub records: SeenRecords,
    /// Vendors' records that the events only named.
    pub fetches: Vec<NewFetch>,
}

/// A lead as processing needs to know it.
#[derive(Debug, Clone)]
pub struct KnownLead {
    /// The lead.
    pub lead: Lead,
    /// Keyed hash of the last submission's source and content, and when that was received.
    pub last: LastSubmission,
    /// The last of its deliveries that are on their way.
    pub delivering: Option<DeliveryId>,
    /// Whether the store has it already.
    pub is_stored: bool,
}

/// A match key that a lead has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewKey {
    /// The key.
    pub key: KeyHash,
    /// How many leads had it before, as far as is known: should another node have given it to one
    /// more meanwhile, the store refuses ([`StoreError::Conflict`]).
    pub nth: usize,
    /// Whose it is now.
    pub lead: LeadId,
}

/// What tells a double click from a second submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSubmission {
    /// Keyed hash of source and content.
    pub content: i64,
    /// When it was received.
    pub received_at: Millis,
}

pub(super) const BY_KEYS: &str =
    "SELECT key, lead_id FROM match_key WHERE key {in $1} ORDER BY key, nth";

/// In the order of their ids, as everyone locks them, so that nobody waits in a ring.
pub(super) const LOCK: &str = "SELECT id FROM lead WHERE id {in $1} ORDER BY id {lock}";

pub(super) const LEADS: &str = "SELECT id, created_at, record, last_content, last_received_at, salesforce_id, campaigns, followed, \
     (SELECT MAX(d.id) FROM delivery d WHERE d.lead_id = lead.id AND d.state IN ('pending', 'sending')) \
     FROM lead WHERE id {in $1}";

impl Write {
    /// Which leads have one of `keys`; those that had a key first stand first.
    pub async fn leads_by_keys(
        &mut self,
        keys: &[KeyHash],
    ) -> Result<Vec<(KeyHash, LeadId)>, StoreError> {
        let rows: Vec<(i64, i64)> = query(BY_KEYS)
            .bind(Value::ids(keys.iter().map(|key| key.0)))
            .all(&mut self.connection())
            .await?;
        Ok(rows
            .into_iter()
            .map(|(key, lead)| (KeyHash(key), LeadId(lead)))
            .collect())
    }

    /// The leads of those ids, as nobody else can change them until this transaction is through; and
    /// which of them cannot be read back.
    pub async fn leads(
        &mut self,
        ids: impl IntoIterator<Item = LeadId>,
    ) -> Result<(Vec<KnownLead>, BTreeSet<LeadId>), StoreError> {
        type Row = (
            i64,
            i64,
            String,
            i64,
            i64,
            Option<String>,
            String,
            String,
            Option<i64>,
        );
        let ids: Vec<i64> = ids.into_iter().map(|id| id.0).collect();
        if ids.is_empty() {
            return Ok((Vec::new(), BTreeSet::new()));
        }
        let connection = &mut self.connection();
        lock(connection, &ids).await?;
        // Only now: what is read with the lock may be older than the lock.
        let rows: Vec<Row> = query(LEADS).bind(Value::Ids(ids)).all(connection).await?;
        let mut damaged = BTreeSet::new();
        let mut leads = Vec::with_capacity(rows.len());
        for (
            id,
            created_at,
            record,
            content,
            received_at,
            salesforce_id,
            campaigns,
            followed,
            delivering,
        ) in rows
        {
            match record::decode(&record) {
                Ok(record) => leads.push(KnownLead {
                    lead: Lead {
                        id: LeadId(id),
                        created_at: Millis(created_at),
                        record,
                        // What cannot be read back is asked for once more; that does no harm.
                        campaigns: serde_json::from_str(&campaigns).unwrap_or_default(),
                        salesforce_id,
                        followed: serde_json::from_str(&followed).unwrap_or_default(),
                    },
                    last: LastSubmission {
                        content,
                        received_at: Millis(received_at),
                    },
                    delivering: delivering.map(DeliveryId),
                    is_stored: true,
                }),
                Err(error) => {
                    let reason = error.kind();
                    error!(lead.id = %LeadId(id), reason, "a lead cannot be read back; who matches it is a dead letter");
                    damaged.insert(LeadId(id));
                }
            }
        }
        Ok((leads, damaged))
    }

    /// Writes what a batch of events changes, with `ids` for its lines; see `Changes::ids_needed`.
    pub async fn apply(
        &mut self,
        changes: &Changes,
        mut ids: Ids,
        now: Millis,
    ) -> Result<(), StoreError> {
        let connection = &mut self.connection();
        insert_keys(connection, &changes.keys).await?;
        insert_leads(connection, &changes.leads, now).await?;
        let touches = new_touches(connection, changes).await?;
        insert_touches(connection, &touches, &mut ids).await?;
        timeline::insert(connection, &changes.timeline, &mut ids).await?;
        dead_letters::insert(connection, &changes.dead_letters, &mut ids).await?;
        outbox::insert(connection, &changes.deliveries).await?;
        insert_submissions(connection, &changes.submissions).await?;
        fetches::insert(connection, &changes.fetches, &mut ids, now).await?;
        records::upsert(connection, &changes.records).await?;
        dead_letters::finish_replays(connection, &changes.replayed).await
    }
}

/// Waits until nobody else changes those leads, and lets nobody else until the end of the
/// transaction. SQLite has one writer anyway.
pub(super) async fn lock(connection: &mut Connection<'_>, ids: &[i64]) -> Result<(), StoreError> {
    if connection.kind() == Kind::Postgres {
        query(LOCK)
            .bind(Value::Ids(ids.to_vec()))
            .all::<(i64,)>(connection)
            .await?;
    }
    Ok(())
}

impl Changes {
    /// How many ids `Write::apply` uses up.
    pub fn ids_needed(&self) -> usize {
        self.touches.len() + self.timeline.len() + self.dead_letters.len() + self.fetches.len()
    }
}

async fn insert_leads(
    connection: &mut Connection<'_>,
    leads: &[KnownLead],
    now: Millis,
) -> Result<(), StoreError> {
    const LEAD: &str = "INSERT INTO lead (id, created_at, updated_at, record, last_content, last_received_at, campaigns, followed) VALUES";
    const CHANGED: &str = "ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, \
         record = excluded.record, last_content = excluded.last_content, \
         last_received_at = excluded.last_received_at, campaigns = excluded.campaigns, \
         followed = excluded.followed";
    let (changed, new): (Vec<&KnownLead>, Vec<&KnownLead>) =
        leads.iter().partition(|known| known.is_stored);
    // A new lead whose id is another's must not take its place.
    for (leads, after) in [(new, ""), (changed, CHANGED)] {
        insert(connection, LEAD, after, &leads, |values, known| {
            values.push(known.lead.id.0)?;
            values.push(known.lead.created_at.0)?;
            values.push(now.0)?;
            values.push(record::encode(&known.lead.record))?;
            values.push(known.last.content)?;
            values.push(known.last.received_at.0)?;
            values.push(json(&known.lead.campaigns)?)?;
            values.push(json(&known.lead.followed)?)
        })
        .await?;
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

async fn insert_keys(connection: &mut Connection<'_>, keys: &[NewKey]) -> Result<(), StoreError> {
    const KEY: &str = "INSERT INTO match_key (key, nth, lead_id) VALUES";
    // In the order of the tree: neighbours share pages, and nodes that wait for each other's keys
    // wait in one direction.
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    let inserted = insert(
        connection,
        KEY,
        "ON CONFLICT DO NOTHING",
        &keys,
        |values, new| {
            values.push(new.key.0)?;
            values.push(new.nth as i64)?;
            values.push(new.lead.0)
        },
    )
    .await?;
    if inserted < keys.len() as u64 {
        return Err(StoreError::Conflict);
    }
    Ok(())
}

/// The touches of a batch without those that a replayed event has left before.
async fn new_touches<'c>(
    connection: &mut Connection<'_>,
    changes: &'c Changes,
) -> Result<Cow<'c, [Touch]>, StoreError> {
    if changes.replayed.is_empty() {
        return Ok(Cow::Borrowed(&changes.touches));
    }
    let leads = changes.touches.iter().map(|touch| touch.lead.0);
    let left: Vec<(i64, i64)> =
        query("SELECT lead_id, event_id FROM touch WHERE lead_id {in $1} AND event_id {in $2}")
            .bind(Value::ids(leads))
            .bind(Value::ids(changes.replayed.iter().map(|event| event.0)))
            .all(connection)
            .await?;
    let touches = changes.touches.iter();
    let new = touches.filter(|touch| !left.contains(&(touch.lead.0, touch.event.0)));
    Ok(new.cloned().collect())
}

async fn insert_touches(
    connection: &mut Connection<'_>,
    touches: &[Touch],
    ids: &mut Ids,
) -> Result<(), StoreError> {
    const TOUCH: &str =
        "INSERT INTO touch (id, lead_id, event_id, source, at, campaign, attribution) VALUES";
    let rows = ids.number(touches);
    insert(connection, TOUCH, "", &rows, |values, (id, touch)| {
        values.push(*id)?;
        values.push(touch.lead.0)?;
        values.push(touch.event.0)?;
        values.push(&*touch.source)?;
        values.push(touch.at.0)?;
        values.push(touch.campaign.as_deref())?;
        values.push(&*touch.attribution)
    })
    .await?;
    Ok(())
}

async fn insert_submissions(
    connection: &mut Connection<'_>,
    submissions: &[StoredSubmission],
) -> Result<(), StoreError> {
    const SUBMISSION: &str = "INSERT INTO submission (event_id, ordinal, source, received_at, at, vendor_id, lead_id, delivery_id, outcome, reason, config_hash, fields) VALUES";
    insert(connection, SUBMISSION, "", submissions, |values, row| {
        values.push(row.event.0)?;
        values.push(i64::from(row.ordinal))?;
        values.push(&*row.source)?;
        values.push(row.received_at.0)?;
        values.push(row.at.0)?;
        values.push(row.vendor_id.as_deref())?;
        values.push(row.lead.map(|lead| lead.0))?;
        values.push(row.delivery.map(|delivery| delivery.0))?;
        values.push(row.outcome.map(End::name))?;
        values.push(row.reason.as_deref())?;
        values.push(&*row.config_hash)?;
        values.push(&*row.fields)
    })
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreConfig;
    use crate::store::{Access, Store};

    #[tokio::test]
    async fn a_replay_adds_no_second_touch_and_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", folder.path().display());
        let store = Store::open(&StoreConfig::at(&url), Access::Daemon)
            .await
            .unwrap();
        let touch = |event| Touch {
            lead: LeadId(1),
            event: EventId(event),
            source: SourceName::new("demo"),
            at: Millis(0),
            campaign: None,
            attribution: "{}".to_owned(),
        };
        let apply = async |event, replayed: &[EventId]| {
            let changes = Changes {
                touches: vec![touch(event)],
                replayed: replayed.to_vec(),
                ..Changes::default()
            };
            let ids = store.take_ids(Millis(0), changes.ids_needed());
            let mut write = store.write().await.unwrap();
            write.apply(&changes, ids, Millis(0)).await.unwrap();
            write.commit().await.unwrap();
            let mut reader = store.database.read().await.unwrap();
            query("SELECT event_id FROM touch ORDER BY id")
                .column::<i64>(&mut reader.connection())
                .await
                .unwrap()
        };
        assert_eq!(apply(7, &[]).await, [7]);
        assert_eq!(apply(7, &[EventId(7)]).await, [7]);
        assert_eq!(apply(8, &[EventId(8)]).await, [7, 8]);
    }
}
