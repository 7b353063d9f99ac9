use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use super::timeline::{self, TimelineEntry};
use super::{Store, StoreError, Write, dead_letters, dialect};
use crate::model::{
    DeadLetter, Delivery, DeliveryId, Destination, End, EventId, LeadId, Millis, SourceName,
};

/// How much waits to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Deliveries that may be sent now; counted up to the limit asked for.
    pub due: usize,
    /// When the longest waiting of them became due.
    pub oldest: Option<Millis>,
    /// When the last of them became due.
    pub newest: Option<Millis>,
    /// When the next one becomes due that is not.
    pub next: Option<Millis>,
}

/// All that is to be sent of one lead: its deliveries in order, taken together.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Whose.
    pub lead: LeadId,
    /// The id of its record in Salesforce, once known.
    pub salesforce_id: Option<String>,
    /// Its deliveries, oldest first; there is at least one.
    pub deliveries: Vec<Delivery>,
}

/// What became of a claim.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The claim's lead.
    pub lead: LeadId,
    /// The claim's deliveries.
    pub deliveries: Vec<DeliveryId>,
    /// What became of them.
    pub outcome: Outcome,
}

/// What became of the deliveries of one claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// They are in Salesforce.
    Synced {
        /// The record's id.
        salesforce_id: String,
        /// Whether the record was made.
        created: bool,
        /// For the timeline: names of the fields that were written, notes.
        detail: Value,
    },
    /// Salesforce holds it all already; nothing was written.
    Unchanged {
        /// The record's id.
        salesforce_id: String,
    },
    /// They are to be sent again.
    Retry {
        /// When.
        at: Millis,
        /// Whether this sending may have been carried out.
        unsure: bool,
        /// Whether this sending counts toward giving up.
        counts: bool,
        /// Why, as a stable code.
        code: String,
    },
    /// They need a person.
    Dead {
        /// Stable reason code.
        code: String,
        /// The destination's own message.
        message: String,
        /// What to do.
        hint: String,
    },
}

/// Submissions that came to their end, by source.
pub type Ended = Vec<(SourceName, End)>;

const INSERT: &str = "INSERT INTO delivery (id, lead_id, destination, fields, state, attempts, unsure, \
     next_at, submitted_at, created_at) VALUES";

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    deliveries: &[Delivery],
) -> Result<(), StoreError> {
    dialect::insert(connection, INSERT, "", deliveries, |values, delivery| {
        values.push(delivery.id.0)?;
        values.push(delivery.lead.0)?;
        values.push(delivery.destination.name())?;
        values.push(
            serde_json::to_string(&delivery.fields)
                .map_err(|error| sqlx::Error::Encode(error.into()))?,
        )?;
        values.push("pending")?;
        values.push(i64::from(delivery.attempts))?;
        values.push(delivery.unsure)?;
        values.push(delivery.created_at.0)?;
        values.push(delivery.submitted_at.0)?;
        values.push(delivery.created_at.0)
    })
    .await?;
    Ok(())
}

impl Store {
    /// Deliveries that are not at their end, and when the oldest of them was decided.
    pub async fn outbox_size(&self) -> Result<(u64, Option<Millis>), StoreError> {
        let (count, oldest): (i64, Option<i64>) = sqlx::query_as(
            "SELECT COUNT(*), MIN(created_at) FROM delivery WHERE state IN ('pending', 'sending')",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok((count as u64, oldest.map(Millis)))
    }
}

/// The oldest open delivery of each lead, if it is due: what is younger waits its turn.
const CLAIMABLE: &str = "SELECT d.lead_id FROM delivery d WHERE d.state = 'pending' AND d.next_at <= $1 \
     AND NOT EXISTS (SELECT 1 FROM delivery o WHERE o.lead_id = d.lead_id AND o.id < d.id \
     AND o.state IN ('pending', 'sending')) ORDER BY d.next_at, d.id LIMIT $2";

/// Says the state twice: the index of open deliveries is only used for its own condition.
const CLAIMED: &str = concat!(
    "SELECT d.id, d.lead_id, d.fields, d.attempts, d.unsure, d.submitted_at, d.created_at, l.salesforce_id \
     FROM delivery d JOIN lead l ON l.id = d.lead_id \
     WHERE d.state IN ('pending', 'sending') AND d.state = 'pending' AND d.lead_id IN ",
    dialect::listed!("$1"),
    " ORDER BY d.id"
);

type ClaimedRow = (i64, i64, String, i64, bool, i64, i64, Option<String>);

/// From here on, until it is settled, we cannot know whether the destination has carried it out.
const CLAIM: &str = concat!(
    "UPDATE delivery SET state = 'sending', unsure = TRUE, attempts = attempts + 1 WHERE id IN ",
    dialect::listed!("$1")
);

impl Write {
    /// How much waits to be sent, counted up to `limit`.
    pub async fn backlog(&mut self, now: Millis, limit: usize) -> Result<Backlog, StoreError> {
        let times: Vec<i64> = sqlx::query_scalar(
            "SELECT next_at FROM delivery WHERE state = 'pending' ORDER BY next_at LIMIT $1",
        )
        .bind(limit as i64)
        .fetch_all(self.connection())
        .await?;
        let due = times.partition_point(|time| *time <= now.0);
        Ok(Backlog {
            due,
            oldest: times[..due].first().copied().map(Millis),
            newest: times[..due].last().copied().map(Millis),
            next: times.get(due).copied().map(Millis),
        })
    }

    /// Gives back what a process that has ended was sending. Its answers may have been lost; its
    /// end says nothing of what was sent, so it counts as no try.
    pub async fn release_claims(&mut self) -> Result<u64, StoreError> {
        Ok(sqlx::query(
            "UPDATE delivery SET state = 'pending', unsure = TRUE, attempts = attempts - 1 \
             WHERE state IN ('pending', 'sending') AND state = 'sending'",
        )
        .execute(self.connection())
        .await?
        .rows_affected())
    }

    /// Takes what is due of at most `limit` leads, longest waiting first. All open deliveries of a
    /// lead go together, so that none overtakes another.
    pub async fn claim(&mut self, now: Millis, limit: usize) -> Result<Vec<Claim>, StoreError> {
        let leads: Vec<i64> = sqlx::query_scalar(CLAIMABLE)
            .bind(now.0)
            .bind(limit as i64)
            .fetch_all(self.connection())
            .await?;
        if leads.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<ClaimedRow> = sqlx::query_as(CLAIMED)
            .bind(dialect::id_list(leads.iter().copied()))
            .fetch_all(self.connection())
            .await?;
        sqlx::query(CLAIM)
            .bind(dialect::id_list(rows.iter().map(|row| row.0)))
            .execute(self.connection())
            .await?;

        let mut place: HashMap<i64, usize> = HashMap::new();
        let mut claims: Vec<Claim> = Vec::with_capacity(leads.len());
        for (id, lead, fields, attempts, unsure, submitted_at, created_at, salesforce_id) in rows {
            let fields: BTreeMap<String, Value> =
                serde_json::from_str(&fields).map_err(|error| StoreError::Damaged {
                    table: "delivery",
                    id,
                    reason: error.to_string(),
                })?;
            let delivery = Delivery {
                id: DeliveryId(id),
                lead: LeadId(lead),
                destination: Destination::SalesforceLead,
                fields,
                attempts: attempts as u32,
                unsure,
                submitted_at: Millis(submitted_at),
                created_at: Millis(created_at),
            };
            let index = *place.entry(lead).or_insert_with(|| {
                claims.push(Claim {
                    lead: LeadId(lead),
                    salesforce_id,
                    deliveries: Vec::new(),
                });
                claims.len() - 1
            });
            claims[index].deliveries.push(delivery);
        }
        Ok(claims)
    }

    /// Records what became of claims. `ids(n)` gives the first of `n` fresh ids in a row. Returns
    /// the submissions that came to their end.
    pub async fn settle(
        &mut self,
        settlements: &[Settlement],
        ids: &(dyn Fn(usize) -> i64 + Sync),
        now: Millis,
    ) -> Result<Ended, StoreError> {
        let mut ended = Vec::new();
        let mut timeline = Vec::with_capacity(settlements.len());
        let mut synced = Vec::new();
        let mut unchanged = Vec::new();
        let mut records = Vec::new();
        let mut retries = Vec::new();
        let mut dead = Vec::new();
        for settlement in settlements {
            let deliveries = settlement.deliveries.iter().map(|id| id.0);
            let (kind, detail) = match &settlement.outcome {
                Outcome::Synced {
                    salesforce_id,
                    created,
                    detail,
                } => {
                    synced.extend(deliveries);
                    records.push((settlement.lead.0, salesforce_id));
                    let mut detail = detail.clone();
                    detail["salesforce_id"] = json!(salesforce_id);
                    detail["created"] = json!(created);
                    ("synced", detail)
                }
                Outcome::Unchanged { salesforce_id } => {
                    unchanged.extend(deliveries);
                    records.push((settlement.lead.0, salesforce_id));
                    ("unchanged", json!({ "salesforce_id": salesforce_id }))
                }
                Outcome::Retry {
                    at,
                    unsure,
                    counts,
                    code,
                } => {
                    retries
                        .extend(deliveries.map(|id| json!([id, at, unsure, i32::from(!counts)])));
                    ("retry", json!({ "code": code, "at": at.to_string() }))
                }
                Outcome::Dead {
                    code,
                    message,
                    hint,
                } => {
                    dead.extend(deliveries.map(|id| (id, settlement)));
                    (
                        "dead_letter",
                        json!({ "code": code, "message": message, "hint": hint }),
                    )
                }
            };
            timeline.push(TimelineEntry {
                lead: settlement.lead,
                event: None,
                at: now,
                kind,
                detail: detail.to_string(),
            });
        }
        let connection = self.connection();
        timeline::insert(connection, &timeline, ids(timeline.len())).await?;
        end_deliveries(
            connection,
            "done",
            synced.iter().chain(&unchanged).copied(),
            now,
        )
        .await?;
        end_submissions(connection, End::Synced, &synced, &mut ended).await?;
        end_submissions(connection, End::Merged, &unchanged, &mut ended).await?;
        remember_records(connection, &records, now, &mut ended).await?;
        retry(connection, retries).await?;
        bury(connection, &dead, ids, now, &mut ended).await?;
        Ok(ended)
    }
}

async fn end_deliveries(
    connection: &mut SqliteConnection,
    state: &str,
    ids: impl Iterator<Item = i64>,
    now: Millis,
) -> Result<(), StoreError> {
    const END: &str = concat!(
        "UPDATE delivery SET state = $1, ended_at = $2 WHERE id IN ",
        dialect::listed!("$3")
    );
    sqlx::query(END)
        .bind(state)
        .bind(now.0)
        .bind(dialect::id_list(ids))
        .execute(connection)
        .await?;
    Ok(())
}

async fn end_submissions(
    connection: &mut SqliteConnection,
    end: End,
    deliveries: &[i64],
    ended: &mut Ended,
) -> Result<(), StoreError> {
    const END: &str = concat!(
        "UPDATE submission SET outcome = $1 WHERE delivery_id IN ",
        dialect::listed!("$2"),
        " AND (outcome IS NULL OR outcome = 'dead_letter') RETURNING source"
    );
    if deliveries.is_empty() {
        return Ok(());
    }
    let sources: Vec<String> = sqlx::query_scalar(END)
        .bind(end.name())
        .bind(dialect::id_list(deliveries.iter().copied()))
        .fetch_all(connection)
        .await?;
    ended.extend(sources.iter().map(|source| (SourceName::new(source), end)));
    Ok(())
}

/// Sets the leads' Salesforce ids. A lead that has just got its first one was sent whole: what of
/// it had died before is thereby in Salesforce as well.
async fn remember_records(
    connection: &mut SqliteConnection,
    records: &[(i64, &String)],
    now: Millis,
    ended: &mut Ended,
) -> Result<(), StoreError> {
    const REMEMBER: &str = "UPDATE lead SET salesforce_id = record.salesforce_id FROM \
         (SELECT json_extract(value, '$[0]') AS lead_id, json_extract(value, '$[1]') AS salesforce_id \
          FROM json_each($1)) AS record WHERE lead.id = record.lead_id \
          AND (lead.salesforce_id IS NULL OR lead.salesforce_id <> record.salesforce_id) RETURNING lead.id";
    const OVERTAKE: &str = concat!(
        "UPDATE delivery SET state = 'superseded' WHERE state = 'dead' AND lead_id IN ",
        dialect::listed!("$1"),
        " RETURNING id"
    );
    const RESOLVE: &str = concat!(
        "UPDATE dead_letter SET resolved_at = $1 WHERE resolved_at IS NULL AND delivery_id IN ",
        dialect::listed!("$2")
    );
    if records.is_empty() {
        return Ok(());
    }
    let first: Vec<i64> = sqlx::query_scalar(REMEMBER)
        .bind(json!(records).to_string())
        .fetch_all(&mut *connection)
        .await?;
    if first.is_empty() {
        return Ok(());
    }
    let overtaken: Vec<i64> = sqlx::query_scalar(OVERTAKE)
        .bind(dialect::id_list(first))
        .fetch_all(&mut *connection)
        .await?;
    if !overtaken.is_empty() {
        let list = dialect::id_list(overtaken.iter().copied());
        sqlx::query(RESOLVE)
            .bind(now.0)
            .bind(list)
            .execute(&mut *connection)
            .await?;
        end_submissions(connection, End::Synced, &overtaken, ended).await?;
    }
    Ok(())
}

async fn retry(connection: &mut SqliteConnection, retries: Vec<Value>) -> Result<(), StoreError> {
    const RETRY: &str = "UPDATE delivery SET state = 'pending', next_at = again.at, unsure = again.unsure, \
         attempts = attempts - again.uncounted FROM \
         (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS at, \
          json_extract(value, '$[2]') AS unsure, json_extract(value, '$[3]') AS uncounted \
          FROM json_each($1)) AS again WHERE delivery.id = again.id";
    if !retries.is_empty() {
        sqlx::query(RETRY)
            .bind(Value::from(retries).to_string())
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn bury(
    connection: &mut SqliteConnection,
    dead: &[(i64, &Settlement)],
    ids: &(dyn Fn(usize) -> i64 + Sync),
    now: Millis,
    ended: &mut Ended,
) -> Result<(), StoreError> {
    const STOP: &str = concat!(
        "UPDATE submission SET outcome = 'dead_letter' WHERE outcome IS NULL AND delivery_id IN ",
        dialect::listed!("$1"),
        " RETURNING event_id, ordinal, source, delivery_id"
    );
    if dead.is_empty() {
        return Ok(());
    }
    end_deliveries(connection, "dead", dead.iter().map(|(id, _)| *id), now).await?;
    let stopped: Vec<(i64, i64, String, i64)> = sqlx::query_as(STOP)
        .bind(dialect::id_list(dead.iter().map(|(id, _)| *id)))
        .fetch_all(&mut *connection)
        .await?;
    let why: HashMap<i64, &Settlement> = dead.iter().copied().collect();
    let mut letters = Vec::with_capacity(stopped.len());
    for (event, ordinal, source, delivery) in stopped {
        let Some(Settlement {
            lead,
            outcome:
                Outcome::Dead {
                    code,
                    message,
                    hint,
                },
            ..
        }) = why.get(&delivery)
        else {
            continue;
        };
        let source = SourceName::new(&source);
        ended.push((source.clone(), End::DeadLetter));
        let letter = DeadLetter {
            event: EventId(event),
            lead: Some(*lead),
            delivery: Some(DeliveryId(delivery)),
            code: code.clone(),
            message: message.clone(),
            hint: hint.clone(),
            at: now,
        };
        letters.push((source, ordinal as u32, letter));
    }
    dead_letters::insert(connection, &letters, ids(letters.len())).await
}
