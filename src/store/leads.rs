use sqlx::sqlite::SqliteConnection;

use super::timeline::{self, TimelineEntry};
use super::{StoreError, Write, dead_letters, dialect, outbox};
use crate::model::{
    DeadLetter, Delivery, DeliveryId, End, EventId, KeyHash, KeyKind, Lead, LeadId, Millis,
    SourceName,
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
    /// Keyed hash of what makes it the same submission as another; none if nothing was read.
    pub identity: Option<i64>,
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
    pub leads: Vec<Lead>,
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
    /// Whether a delivery of it is on its way.
    pub delivering: bool,
}

/// A submission that came before, as far as it decides whether another is the same.
#[derive(Debug, Clone)]
pub struct EarlierSubmission {
    /// Keyed hash; see `StoredSubmission`.
    pub identity: i64,
    /// Its event.
    pub event: EventId,
    /// When that was received.
    pub received_at: Millis,
    /// The sender's own id of it.
    pub vendor_id: Option<String>,
    /// Whose it was.
    pub lead: Option<LeadId>,
}

const BY_KEYS: &str = concat!(
    "SELECT key, lead_id FROM match_key WHERE kind = $1 AND key IN ",
    dialect::listed!("$2")
);

const LEADS: &str = concat!(
    "SELECT id, created_at, record, salesforce_id, EXISTS (SELECT 1 FROM delivery d \
     WHERE d.lead_id = lead.id AND d.state IN ('pending', 'sending')) FROM lead WHERE id IN ",
    dialect::listed!("$1")
);

const EARLIER: &str = concat!(
    "SELECT identity, event_id, received_at, vendor_id, lead_id FROM submission WHERE identity IN ",
    dialect::listed!("$1")
);

impl Write {
    /// Which leads have one of `keys`.
    pub async fn leads_by_keys(
        &mut self,
        keys: &[KeyHash],
    ) -> Result<Vec<(KeyHash, LeadId)>, StoreError> {
        let mut found = Vec::new();
        for kind in KeyKind::ALL {
            let hashes = dialect::id_list(
                keys.iter()
                    .filter(|key| key.kind == kind)
                    .map(|key| key.hash),
            );
            let rows: Vec<(i64, i64)> = sqlx::query_as(BY_KEYS)
                .bind(kind as i64)
                .bind(hashes)
                .fetch_all(self.connection())
                .await?;
            found.extend(
                rows.into_iter()
                    .map(|(hash, lead)| (KeyHash { kind, hash }, LeadId(lead))),
            );
        }
        Ok(found)
    }

    /// The leads of those ids.
    pub async fn leads(
        &mut self,
        ids: impl IntoIterator<Item = LeadId>,
    ) -> Result<Vec<KnownLead>, StoreError> {
        let rows: Vec<(i64, i64, String, Option<String>, bool)> = sqlx::query_as(LEADS)
            .bind(dialect::id_list(ids.into_iter().map(|id| id.0)))
            .fetch_all(self.connection())
            .await?;
        rows.into_iter()
            .map(|(id, created_at, record, salesforce_id, delivering)| {
                let record =
                    serde_json::from_str(&record).map_err(|error| StoreError::Damaged {
                        table: "lead",
                        id,
                        reason: error.to_string(),
                    })?;
                let lead = Lead {
                    id: LeadId(id),
                    created_at: Millis(created_at),
                    record,
                    salesforce_id,
                };
                Ok(KnownLead { lead, delivering })
            })
            .collect()
    }

    /// Submissions of those identities.
    pub async fn earlier_submissions(
        &mut self,
        identities: &[i64],
    ) -> Result<Vec<EarlierSubmission>, StoreError> {
        let rows: Vec<(i64, i64, i64, Option<String>, Option<i64>)> = sqlx::query_as(EARLIER)
            .bind(dialect::id_list(identities.iter().copied()))
            .fetch_all(self.connection())
            .await?;
        Ok(rows
            .into_iter()
            .map(
                |(identity, event, received_at, vendor_id, lead)| EarlierSubmission {
                    identity,
                    event: EventId(event),
                    received_at: Millis(received_at),
                    vendor_id,
                    lead: lead.map(LeadId),
                },
            )
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

fn encoded(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Encode(error.into())
}

async fn insert_leads(
    connection: &mut SqliteConnection,
    leads: &[Lead],
    now: Millis,
) -> Result<(), StoreError> {
    const LEAD: &str = "INSERT INTO lead (id, created_at, updated_at, record) VALUES";
    const CHANGED: &str =
        "ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, record = excluded.record";
    dialect::insert(connection, LEAD, 4, CHANGED, leads, |values, lead| {
        values.push(lead.id.0)?;
        values.push(lead.created_at.0)?;
        values.push(now.0)?;
        values.push(serde_json::to_string(&lead.record).map_err(encoded)?)
    })
    .await?;
    Ok(())
}

async fn insert_keys(
    connection: &mut SqliteConnection,
    keys: &[(KeyHash, LeadId)],
) -> Result<(), StoreError> {
    const KEY: &str = "INSERT INTO match_key (kind, key, lead_id) VALUES";
    // In the order of the tree, neighbours share pages.
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    dialect::insert(
        connection,
        KEY,
        3,
        "ON CONFLICT DO NOTHING",
        &keys,
        |values, (key, lead)| {
            values.push(key.kind as i64)?;
            values.push(key.hash)?;
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
    dialect::insert(connection, TOUCH, 7, "", &rows, |values, (id, touch)| {
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
    const SUBMISSION: &str = "INSERT INTO submission (event_id, ordinal, source, received_at, at, identity, \
         vendor_id, lead_id, delivery_id, outcome, reason, config_hash, fields) VALUES";
    dialect::insert(
        connection,
        SUBMISSION,
        13,
        "",
        submissions,
        |values, row| {
            values.push(row.event.0)?;
            values.push(i64::from(row.ordinal))?;
            values.push(&*row.source)?;
            values.push(row.received_at.0)?;
            values.push(row.at.0)?;
            values.push(row.identity)?;
            values.push(row.vendor_id.as_deref())?;
            values.push(row.lead.map(|lead| lead.0))?;
            values.push(row.delivery.map(|delivery| delivery.0))?;
            values.push(row.outcome.map(End::name))?;
            values.push(row.reason.as_deref())?;
            values.push(&*row.config_hash)?;
            values.push(&*row.fields)
        },
    )
    .await?;
    Ok(())
}
