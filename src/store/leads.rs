use sqlx::sqlite::SqliteConnection;

use super::timeline::{self, TimelineEntry};
use super::{StoreError, Write, dead_letters, dialect, outbox, record};
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
    pub keys: Vec<(KeyHash, LeadId)>,
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
}

/// A lead as processing needs to know it.
#[derive(Debug, Clone)]
pub struct KnownLead {
    /// The lead.
    pub lead: Lead,
    /// Keyed hash of the last submission's source and content, and when that was received.
    pub last: LastSubmission,
    /// Whether a delivery of it is on its way.
    pub delivering: bool,
}

/// What tells a double click from a second submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSubmission {
    /// Keyed hash of source and content.
    pub content: i64,
    /// When it was received.
    pub received_at: Millis,
}

pub(super) const BY_KEYS: &str = concat!(
    "SELECT key, lead_id FROM match_key WHERE key IN ",
    dialect::listed!("$1")
);

pub(super) const LEADS: &str = concat!(
    "SELECT id, created_at, record, last_content, last_received_at, salesforce_id, EXISTS (SELECT 1 FROM delivery d \
     WHERE d.lead_id = lead.id AND d.state IN ('pending', 'sending')) FROM lead WHERE id IN ",
    dialect::listed!("$1")
);

/// Pairs of source and vendor's id, as a JSON array of arrays.
pub(super) const BY_VENDOR_ID: &str = "SELECT s.source, s.vendor_id, s.lead_id FROM json_each($1) AS wanted \
     JOIN submission s ON s.vendor_id = json_extract(wanted.value, '$[1]') \
     AND s.source = json_extract(wanted.value, '$[0]') WHERE s.lead_id IS NOT NULL";

impl Write {
    /// Which leads have one of `keys`.
    pub async fn leads_by_keys(
        &mut self,
        keys: &[KeyHash],
    ) -> Result<Vec<(KeyHash, LeadId)>, StoreError> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(BY_KEYS)
            .bind(dialect::id_list(keys.iter().map(|key| key.0)))
            .fetch_all(self.connection())
            .await?;
        Ok(rows
            .into_iter()
            .map(|(key, lead)| (KeyHash(key), LeadId(lead)))
            .collect())
    }

    /// The leads of those ids.
    pub async fn leads(
        &mut self,
        ids: impl IntoIterator<Item = LeadId>,
    ) -> Result<Vec<KnownLead>, StoreError> {
        type Row = (i64, i64, String, i64, i64, Option<String>, bool);
        let rows: Vec<Row> = sqlx::query_as(LEADS)
            .bind(dialect::id_list(ids.into_iter().map(|id| id.0)))
            .fetch_all(self.connection())
            .await?;
        rows.into_iter()
            .map(
                |(id, created_at, record, content, received_at, salesforce_id, delivering)| {
                    let record = record::decode(&record).map_err(|error| StoreError::Damaged {
                        table: "lead",
                        id,
                        reason: error.to_string(),
                    })?;
                    let created_at = Millis(created_at);
                    let lead = Lead {
                        id: LeadId(id),
                        created_at,
                        record,
                        salesforce_id,
                    };
                    let last = LastSubmission {
                        content,
                        received_at: Millis(received_at),
                    };
                    Ok(KnownLead {
                        lead,
                        last,
                        delivering,
                    })
                },
            )
            .collect()
    }

    /// Whose the submissions of those sources and vendor's ids were.
    pub async fn leads_by_vendor_ids(
        &mut self,
        wanted: &[(&str, &str)],
    ) -> Result<Vec<(SourceName, String, LeadId)>, StoreError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<(String, String, i64)> = sqlx::query_as(BY_VENDOR_ID)
            .bind(serde_json::json!(wanted).to_string())
            .fetch_all(self.connection())
            .await?;
        Ok(rows
            .into_iter()
            .map(|(source, vendor_id, lead)| (SourceName::new(&source), vendor_id, LeadId(lead)))
            .collect())
    }

    /// Writes what a batch of events changes. `first_id` and on are ids for its lines; see
    /// `Changes::ids_needed`.
    pub async fn apply(
        &mut self,
        changes: &Changes,
        first_id: i64,
        now: Millis,
    ) -> Result<(), StoreError> {
        let connection = self.connection();
        insert_leads(connection, &changes.leads, now).await?;
        insert_keys(connection, &changes.keys).await?;
        let mut next_id = first_id;
        insert_touches(connection, &changes.touches, next_id).await?;
        next_id += changes.touches.len() as i64;
        timeline::insert(connection, &changes.timeline, next_id).await?;
        next_id += changes.timeline.len() as i64;
        dead_letters::insert(connection, &changes.dead_letters, next_id).await?;
        outbox::insert(connection, &changes.deliveries).await?;
        insert_submissions(connection, &changes.submissions).await?;
        dead_letters::finish_replays(connection, &changes.replayed).await
    }
}

impl Changes {
    /// How many ids `Write::apply` uses up.
    pub fn ids_needed(&self) -> usize {
        self.touches.len() + self.timeline.len() + self.dead_letters.len()
    }
}

async fn insert_leads(
    connection: &mut SqliteConnection,
    leads: &[KnownLead],
    now: Millis,
) -> Result<(), StoreError> {
    const LEAD: &str = "INSERT INTO lead (id, created_at, updated_at, record, last_content, last_received_at) VALUES";
    const CHANGED: &str = "ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, \
         record = excluded.record, last_content = excluded.last_content, \
         last_received_at = excluded.last_received_at";
    dialect::insert(connection, LEAD, CHANGED, leads, |values, known| {
        values.push(known.lead.id.0)?;
        values.push(known.lead.created_at.0)?;
        values.push(now.0)?;
        values.push(record::encode(&known.lead.record))?;
        values.push(known.last.content)?;
        values.push(known.last.received_at.0)
    })
    .await?;
    Ok(())
}

async fn insert_keys(
    connection: &mut SqliteConnection,
    keys: &[(KeyHash, LeadId)],
) -> Result<(), StoreError> {
    const KEY: &str = "INSERT INTO match_key (key, lead_id) VALUES";
    // In the order of the tree, neighbours share pages.
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    dialect::insert(
        connection,
        KEY,
        "ON CONFLICT DO NOTHING",
        &keys,
        |values, (key, lead)| {
            values.push(key.0)?;
            values.push(lead.0)
        },
    )
    .await?;
    Ok(())
}

async fn insert_touches(
    connection: &mut SqliteConnection,
    touches: &[Touch],
    first_id: i64,
) -> Result<(), StoreError> {
    const TOUCH: &str =
        "INSERT INTO touch (id, lead_id, event_id, source, at, campaign, attribution) VALUES";
    let rows: Vec<_> = (first_id..).zip(touches).collect();
    dialect::insert(connection, TOUCH, "", &rows, |values, (id, touch)| {
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
    connection: &mut SqliteConnection,
    submissions: &[StoredSubmission],
) -> Result<(), StoreError> {
    const SUBMISSION: &str = "INSERT INTO submission (event_id, ordinal, source, received_at, at, vendor_id, lead_id, delivery_id, outcome, reason, config_hash, fields) VALUES";
    dialect::insert(connection, SUBMISSION, "", submissions, |values, row| {
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
