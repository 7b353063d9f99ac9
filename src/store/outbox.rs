use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::warn;

use super::dialect::{self, Connection, query};
use super::timeline::{self, TimelineEntry};
use super::{Node, Store, StoreError, Write, dead_letters, leads, record};
use crate::edge::random::Ids;
use crate::model::{
    DeadLetter, Delivery, DeliveryId, Destination, End, EventId, Held, Joining, LeadId, Millis,
    SourceName,
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

impl Backlog {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        let first = |one: Option<Millis>, other: Option<Millis>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self {
            due: self.due + other.due,
            oldest: first(self.oldest, other.oldest),
            newest: self.newest.max(other.newest),
            next: first(self.next, other.next),
        }
    }
}

/// All that is to be sent of one lead: its deliveries in order, taken together.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Whose.
    pub lead: LeadId,
    /// The id of its record in Salesforce, once known.
    pub salesforce_id: Option<String>,
    /// What is known of the person.
    pub record: BTreeMap<String, Held>,
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
    /// Its record in Salesforce, as far as that is known by now, whatever became of the rest.
    pub salesforce_id: Option<String>,
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
        /// For the timeline: notes.
        detail: Value,
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
        /// What it has in common with others that one fix cures: see `DeadLetter::cause`.
        cause: String,
        /// The destination's own message.
        message: String,
        /// What to do.
        hint: String,
    },
}

/// Submissions that came to their end, by source.
pub type Ended = Vec<(SourceName, End)>;

const INSERT: &str = "INSERT INTO delivery (id, lead_id, destination, fields, also, priority, state, attempts, unsure, \
     next_at, submitted_at, created_at) VALUES";

/// What a delivery does beside setting fields, as it is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Also {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    campaigns: BTreeMap<String, Joining>,
    #[serde(skip_serializing_if = "Option::is_none")]
    told_of: Option<String>,
}

pub(super) async fn insert(
    connection: &mut Connection<'_>,
    deliveries: &[Delivery],
) -> Result<(), StoreError> {
    dialect::insert(connection, INSERT, "", deliveries, |values, delivery| {
        values.push(delivery.id.0)?;
        values.push(delivery.lead.0)?;
        values.push(delivery.destination.name())?;
        let json = |json: serde_json::Result<String>| {
            json.map_err(|error| sqlx::Error::Encode(error.into()))
        };
        values.push(json(serde_json::to_string(&delivery.fields))?)?;
        let also = Also {
            campaigns: delivery.campaigns.clone(),
            told_of: delivery.told_of.clone(),
        };
        values.push(json(serde_json::to_string(&also))?)?;
        values.push(delivery.priority)?;
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
    /// How many deliveries and lines of timelines are kept.
    pub async fn history_size(&self) -> Result<(u64, u64), StoreError> {
        let mut reader = self.database.read().await?;
        let (deliveries, lines): (i64, i64) =
            query("SELECT (SELECT COUNT(*) FROM delivery), (SELECT COUNT(*) FROM timeline)")
                .one(&mut reader.connection())
                .await?;
        Ok((deliveries as u64, lines as u64))
    }

    /// Deliveries that are not at their end, and when the oldest of them was decided.
    pub async fn outbox_size(&self) -> Result<(u64, Option<Millis>), StoreError> {
        let mut reader = self.database.read().await?;
        let (count, oldest): (i64, Option<i64>) = query(
            "SELECT COUNT(*), MIN(created_at) FROM delivery WHERE state IN ('pending', 'sending')",
        )
        .one(&mut reader.connection())
        .await?;
        Ok((count as u64, oldest.map(Millis)))
    }
}

/// Leads whose oldest open delivery is due: what is younger waits its turn. Longest waiting first.
pub(super) const LONGEST_WAITING: &str = "SELECT d.lead_id FROM delivery d WHERE d.state = 'pending' AND d.priority = $3 \
     AND d.next_at <= $1 AND NOT EXISTS (SELECT 1 FROM delivery o WHERE o.lead_id = d.lead_id AND o.id < d.id \
     AND o.state IN ('pending', 'sending')) ORDER BY d.next_at, d.id LIMIT $2 {skip locked}";

/// The same, newest first.
pub(super) const NEWEST: &str = "SELECT d.lead_id FROM delivery d WHERE d.state = 'pending' AND d.priority = $3 \
     AND d.next_at <= $1 AND NOT EXISTS (SELECT 1 FROM delivery o WHERE o.lead_id = d.lead_id AND o.id < d.id \
     AND o.state IN ('pending', 'sending')) ORDER BY d.next_at DESC, d.id DESC LIMIT $2 {skip locked}";

/// Which part of a call goes to the newest leads while there is a backlog.
const NEWEST_SHARE: usize = 4;

/// Says the state twice: the index of open deliveries is only used for its own condition.
pub(super) const CLAIMED: &str = "SELECT d.id, d.lead_id, d.fields, d.also, d.priority, d.attempts, d.unsure, d.submitted_at, \
     d.created_at, l.salesforce_id, l.record FROM delivery d LEFT JOIN lead l ON l.id = d.lead_id \
     WHERE d.state IN ('pending', 'sending') AND d.state = 'pending' AND d.lead_id {in $1} ORDER BY d.id";

type ClaimedRow = (
    i64,
    i64,
    String,
    String,
    i64,
    i64,
    bool,
    i64,
    i64,
    Option<String>,
    Option<String>,
);

/// From here on, until it is settled, we cannot know whether the destination has carried it out.
pub(super) const CLAIM: &str = "UPDATE delivery SET state = 'sending', unsure = TRUE, attempts = attempts + 1, \
     claimed_by = $2 WHERE id {in $1}";

/// What is still ours to settle: a node that was silent for too long finds nothing.
pub(super) const OWN: &str = "SELECT id FROM delivery WHERE id {in $1} AND state = 'sending' AND claimed_by = $2 \
     ORDER BY id {lock}";

pub(super) const BACKLOG: &str = "SELECT next_at FROM delivery WHERE state = 'pending' AND priority = $2 ORDER BY next_at LIMIT $1";

/// What waits longer than anything is ever told to: the clock was set back.
pub(super) const BRING_FORWARD: &str =
    "UPDATE delivery SET next_at = $1 WHERE state = 'pending' AND next_at > $2";

/// Longer than any waiting time.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(2 * 60 * 60);

impl Write {
    /// How much waits to be sent of `priority`, counted up to `limit`.
    pub async fn backlog(
        &mut self,
        now: Millis,
        limit: usize,
        priority: i64,
    ) -> Result<Backlog, StoreError> {
        let times: Vec<i64> = query(BACKLOG)
            .bind(limit as i64)
            .bind(priority)
            .column(&mut self.connection())
            .await?;
        let due = times.partition_point(|time| *time <= now.0);
        Ok(Backlog {
            due,
            oldest: times[..due].first().copied().map(Millis),
            newest: times[..due].last().copied().map(Millis),
            next: times.get(due).copied().map(Millis),
        })
    }

    /// Makes due what would wait for a time that is out of reach, because the clock was set back
    /// since. Returns how many.
    pub async fn bring_forward(&mut self, now: Millis) -> Result<u64, StoreError> {
        Ok(query(BRING_FORWARD)
            .bind(now.0)
            .bind(now.after(LONGEST_WAIT).0)
            .run(&mut self.connection())
            .await?)
    }

    /// Takes, as `node`, what is due of at most `limit` leads. All open deliveries of a lead go
    /// together, so that none overtakes another. `ids(n)` gives `n` fresh ids. Of `priorities`, the
    /// first goes first.
    ///
    /// In each, longest waiting first; but of a backlog that does not fit, a quarter of the call goes to the
    /// newest. So after an outage of hours a lead of this minute is there with the next call, and
    /// what is behind still drains at three quarters of the speed, in order.
    pub async fn claim(
        &mut self,
        node: Node,
        now: Millis,
        limit: usize,
        priorities: &[i64],
        ids: &(dyn Fn(usize) -> Ids + Sync),
    ) -> Result<Vec<Claim>, StoreError> {
        let connection = &mut self.connection();
        let mut leads = Vec::new();
        for priority in priorities {
            if leads.len() < limit {
                let more = due_leads(connection, now, limit - leads.len(), *priority).await?;
                leads.extend(
                    more.into_iter()
                        .filter(|lead| !leads.contains(lead))
                        .collect::<Vec<_>>(),
                );
            }
        }
        if leads.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<ClaimedRow> = query(CLAIMED)
            .bind(dialect::Value::Ids(leads.clone()))
            .all(connection)
            .await?;
        query(CLAIM)
            .bind(dialect::Value::ids(rows.iter().map(|row| row.0)))
            .bind(node.mark())
            .run(connection)
            .await?;

        let mut place: HashMap<i64, usize> = HashMap::new();
        let mut claims: Vec<Claim> = Vec::with_capacity(leads.len());
        let mut damaged = Vec::new();
        for (
            id,
            lead,
            fields,
            also,
            priority,
            attempts,
            unsure,
            submitted_at,
            created_at,
            salesforce_id,
            record,
        ) in rows
        {
            let fields = serde_json::from_str::<BTreeMap<String, Value>>(&fields);
            let also = serde_json::from_str::<Also>(&also);
            let known = place.contains_key(&lead).then(BTreeMap::new);
            let record = known.or_else(|| record::decode(record.as_deref()?).ok());
            let (Ok(fields), Ok(also), Some(record)) = (fields, also, record) else {
                damaged.push((id, LeadId(lead)));
                continue;
            };
            let delivery = Delivery {
                id: DeliveryId(id),
                lead: LeadId(lead),
                destination: Destination::SalesforceLead,
                fields,
                campaigns: also.campaigns,
                told_of: also.told_of,
                priority,
                attempts: attempts as u32,
                unsure,
                submitted_at: Millis(submitted_at),
                created_at: Millis(created_at),
            };
            let index = *place.entry(lead).or_insert_with(|| {
                claims.push(Claim {
                    lead: LeadId(lead),
                    salesforce_id,
                    record,
                    deliveries: Vec::new(),
                });
                claims.len() - 1
            });
            claims[index].deliveries.push(delivery);
        }
        bury_damaged(connection, &damaged, ids, now).await?;
        Ok(claims)
    }

    /// Records what became of claims that `node` made. `ids(n)` gives `n` fresh ids. Returns the
    /// submissions that came to their end. What has been taken from `node` meanwhile is left to
    /// whoever has it now.
    pub async fn settle(
        &mut self,
        node: Node,
        settlements: &[Settlement],
        ids: &(dyn Fn(usize) -> Ids + Sync),
        now: Millis,
    ) -> Result<Ended, StoreError> {
        let mut ended = Vec::new();
        let own = self.own(node, settlements).await?;
        let settlements: Vec<&Settlement> = settlements
            .iter()
            .filter(|settlement| settlement.deliveries.iter().all(|id| own.contains(&id.0)))
            .collect();
        let mut timeline = Vec::with_capacity(settlements.len());
        let mut synced = Vec::new();
        let mut unchanged = Vec::new();
        let mut records = Vec::new();
        let mut retries = Vec::new();
        let mut dead = Vec::new();
        let mut part_way = Vec::new();
        for settlement in &settlements {
            let deliveries = settlement.deliveries.iter().map(|id| id.0);
            if let Some(id) = &settlement.salesforce_id
                && !matches!(
                    settlement.outcome,
                    Outcome::Synced { .. } | Outcome::Unchanged { .. }
                )
            {
                part_way.push(json!([settlement.lead.0, id]));
            }
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
                Outcome::Unchanged {
                    salesforce_id,
                    detail,
                } => {
                    unchanged.extend(deliveries);
                    records.push((settlement.lead.0, salesforce_id));
                    let mut detail = detail.clone();
                    detail["salesforce_id"] = json!(salesforce_id);
                    ("unchanged", detail)
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
                    ..
                } => {
                    dead.extend(deliveries.map(|id| (id, *settlement)));
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
        let connection = &mut self.connection();
        timeline::insert(connection, &timeline, &mut ids(timeline.len())).await?;
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
        remember_part_way(connection, &part_way).await?;
        retry(connection, retries).await?;
        bury(connection, &dead, ids, now, &mut ended).await?;
        Ok(ended)
    }

    async fn own(
        &mut self,
        node: Node,
        settlements: &[Settlement],
    ) -> Result<HashSet<i64>, StoreError> {
        let ids = settlements.iter().flat_map(|settled| &settled.deliveries);
        let ids: Vec<i64> = ids.map(|id| id.0).collect();
        let count = ids.len();
        let own: Vec<i64> = query(OWN)
            .bind(dialect::Value::Ids(ids))
            .bind(node.mark())
            .column(&mut self.connection())
            .await?;
        if own.len() < count {
            warn!(
                deliveries = count - own.len(),
                "this node was silent for too long: others have taken over what it was sending"
            );
        }
        Ok(own.into_iter().collect())
    }
}

/// The leads whose turn it is, at most `limit`.
async fn due_leads(
    connection: &mut Connection<'_>,
    now: Millis,
    limit: usize,
    priority: i64,
) -> Result<Vec<i64>, StoreError> {
    let mut leads: Vec<i64> = query(LONGEST_WAITING)
        .bind(now.0)
        .bind(limit as i64)
        .bind(priority)
        .column(connection)
        .await?;
    let share = limit / NEWEST_SHARE;
    if leads.len() == limit && share > 0 {
        let mut newest: Vec<i64> = query(NEWEST)
            .bind(now.0)
            .bind(share as i64)
            .bind(priority)
            .column(connection)
            .await?;
        newest.retain(|lead| !leads.contains(lead));
        leads.truncate(limit - newest.len());
        leads.append(&mut newest);
    }
    Ok(leads)
}

/// What cannot be read back stops alone, and for a person to see.
async fn bury_damaged(
    connection: &mut Connection<'_>,
    damaged: &[(i64, LeadId)],
    ids: &(dyn Fn(usize) -> Ids + Sync),
    now: Millis,
) -> Result<(), StoreError> {
    let settlements: Vec<(i64, Settlement)> = damaged
        .iter()
        .map(|(id, lead)| {
            let outcome = Outcome::Dead {
                code: "delivery.damaged".to_owned(),
                cause: "delivery.damaged".to_owned(),
                message: "it, or its lead, cannot be read back from the store".to_owned(),
                hint: "replay the event; check the disk if there are more of these".to_owned(),
            };
            let settlement = Settlement {
                lead: *lead,
                deliveries: vec![DeliveryId(*id)],
                salesforce_id: None,
                outcome,
            };
            (*id, settlement)
        })
        .collect();
    let dead: Vec<(i64, &Settlement)> = settlements
        .iter()
        .map(|(id, settlement)| (*id, settlement))
        .collect();
    bury(connection, &dead, ids, now, &mut Vec::new()).await
}

async fn end_deliveries(
    connection: &mut Connection<'_>,
    state: &str,
    ids: impl Iterator<Item = i64>,
    now: Millis,
) -> Result<(), StoreError> {
    query("UPDATE delivery SET state = $1, ended_at = $2, claimed_by = NULL WHERE id {in $3}")
        .bind(state)
        .bind(now.0)
        .bind(dialect::Value::ids(ids))
        .run(connection)
        .await?;
    Ok(())
}

async fn end_submissions(
    connection: &mut Connection<'_>,
    end: End,
    deliveries: &[i64],
    ended: &mut Ended,
) -> Result<(), StoreError> {
    const END: &str = "UPDATE submission SET outcome = $1 WHERE delivery_id {in $2} \
         AND (outcome IS NULL OR outcome = 'dead_letter') RETURNING source";
    if deliveries.is_empty() {
        return Ok(());
    }
    let sources: Vec<String> = query(END)
        .bind(end.name())
        .bind(dialect::Value::ids(deliveries.iter().copied()))
        .column(connection)
        .await?;
    ended.extend(sources.iter().map(|source| (SourceName::new(source), end)));
    Ok(())
}

/// Sets the leads' Salesforce ids. A lead that has just got its first one was sent whole: what of
/// it had died before is thereby in Salesforce as well.
async fn remember_records(
    connection: &mut Connection<'_>,
    records: &[(i64, &String)],
    now: Millis,
    ended: &mut Ended,
) -> Result<(), StoreError> {
    const REMEMBER: &str = "UPDATE lead SET salesforce_id = record.salesforce_id \
         FROM {rows $1: lead_id bigint, salesforce_id text} AS record WHERE lead.id = record.lead_id \
         AND (lead.salesforce_id IS NULL OR lead.salesforce_id <> record.salesforce_id)";
    const FIRST: &str = "SELECT id FROM lead WHERE id {in $1} AND salesforce_id IS NULL";
    const OVERTAKE: &str = "UPDATE delivery SET state = 'superseded' WHERE state = 'dead' AND lead_id {in $1} RETURNING id";
    const RESOLVE: &str =
        "UPDATE dead_letter SET resolved_at = $1 WHERE resolved_at IS NULL AND delivery_id {in $2}";
    if records.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = records.iter().map(|(lead, _)| *lead).collect();
    leads::lock(connection, &ids).await?;
    let records: Vec<Value> = records.iter().map(|record| json!(record)).collect();
    let first: Vec<i64> = query(FIRST)
        .bind(dialect::Value::Ids(ids))
        .column(connection)
        .await?;
    query(REMEMBER)
        .bind(dialect::Value::rows(&records))
        .run(connection)
        .await?;
    if first.is_empty() {
        return Ok(());
    }
    let overtaken: Vec<i64> = query(OVERTAKE)
        .bind(dialect::Value::Ids(first))
        .column(connection)
        .await?;
    if !overtaken.is_empty() {
        query(RESOLVE)
            .bind(now.0)
            .bind(dialect::Value::ids(overtaken.iter().copied()))
            .run(connection)
            .await?;
        end_submissions(connection, End::Synced, &overtaken, ended).await?;
    }
    Ok(())
}

/// Sets the Salesforce ids of leads whose record is known, though not all was done: what had died
/// before is not overtaken by that.
async fn remember_part_way(
    connection: &mut Connection<'_>,
    records: &[Value],
) -> Result<(), StoreError> {
    const REMEMBER: &str = "UPDATE lead SET salesforce_id = record.salesforce_id \
         FROM {rows $1: lead_id bigint, salesforce_id text} AS record WHERE lead.id = record.lead_id \
         AND (lead.salesforce_id IS NULL OR lead.salesforce_id <> record.salesforce_id)";
    if !records.is_empty() {
        let ids: Vec<i64> = records.iter().filter_map(|row| row[0].as_i64()).collect();
        leads::lock(connection, &ids).await?;
        query(REMEMBER)
            .bind(dialect::Value::rows(records))
            .run(connection)
            .await?;
    }
    Ok(())
}

async fn retry(connection: &mut Connection<'_>, retries: Vec<Value>) -> Result<(), StoreError> {
    const RETRY: &str = "UPDATE delivery SET state = 'pending', next_at = again.at, unsure = again.unsure, \
         attempts = attempts - again.uncounted, claimed_by = NULL \
         FROM {rows $1: id bigint, at bigint, unsure boolean, uncounted bigint} AS again \
         WHERE delivery.id = again.id";
    if !retries.is_empty() {
        query(RETRY)
            .bind(dialect::Value::rows(&retries))
            .run(connection)
            .await?;
    }
    Ok(())
}

async fn bury(
    connection: &mut Connection<'_>,
    dead: &[(i64, &Settlement)],
    ids: &(dyn Fn(usize) -> Ids + Sync),
    now: Millis,
    ended: &mut Ended,
) -> Result<(), StoreError> {
    const STOP: &str = "UPDATE submission SET outcome = 'dead_letter' WHERE outcome IS NULL \
         AND delivery_id {in $1} RETURNING event_id, ordinal, source, delivery_id";
    if dead.is_empty() {
        return Ok(());
    }
    end_deliveries(connection, "dead", dead.iter().map(|(id, _)| *id), now).await?;
    let stopped: Vec<(i64, i64, String, i64)> = query(STOP)
        .bind(dialect::Value::ids(dead.iter().map(|(id, _)| *id)))
        .all(connection)
        .await?;
    let why: HashMap<i64, &Settlement> = dead.iter().copied().collect();
    let mut letters = Vec::with_capacity(stopped.len());
    for (event, ordinal, source, delivery) in stopped {
        let Some(Settlement {
            lead,
            outcome:
                Outcome::Dead {
                    code,
                    cause,
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
            cause: cause.clone(),
            message: message.clone(),
            hint: hint.clone(),
            at: now,
        };
        letters.push((source, ordinal as u32, letter));
    }
    dead_letters::insert(connection, &letters, &mut ids(letters.len())).await
}
