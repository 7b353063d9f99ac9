use super::dialect::{self, Connection, query};
use super::{Store, StoreError};
use crate::edge::random::Ids;
use crate::model::{EventId, LeadId, Millis};

/// One line of a lead's timeline.
#[derive(Debug, Clone)]
pub struct TimelineEntry {
    /// Whose.
    pub lead: LeadId,
    /// The event that it is about, if any.
    pub event: Option<EventId>,
    /// When.
    pub at: Millis,
    /// What happened: `created`, `merged`, `duplicate`, `opted_out`, `withdrawn`, `synced`,
    /// `unchanged`, `retry`, `dead_letter`; and in Salesforce, by somebody else: `status_changed`,
    /// `owner_changed`, `converted`, `merged_in_salesforce`, `deleted_in_salesforce`,
    /// `restored_in_salesforce`.
    pub kind: &'static str,
    /// Details, as JSON.
    pub detail: String,
}

const INSERT: &str = "INSERT INTO timeline (id, lead_id, event_id, at, kind, detail) VALUES";

pub(super) async fn insert(
    connection: &mut Connection<'_>,
    entries: &[TimelineEntry],
    ids: &mut Ids,
) -> Result<(), StoreError> {
    let rows = ids.number(entries);
    dialect::insert(connection, INSERT, "", &rows, |values, (id, entry)| {
        values.push(*id)?;
        values.push(entry.lead.0)?;
        values.push(entry.event.map(|event| event.0))?;
        values.push(entry.at.0)?;
        values.push(entry.kind)?;
        values.push(&*entry.detail)
    })
    .await?;
    Ok(())
}

/// A line of a timeline as it is read: when, about which event, kind, details as JSON.
pub type TimelineLine = (Millis, Option<EventId>, String, String);

impl Store {
    /// All that happened to a lead, in order.
    pub async fn timeline(&self, lead: LeadId) -> Result<Vec<TimelineLine>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<(i64, Option<i64>, String, String)> =
            query("SELECT at, event_id, kind, detail FROM timeline WHERE lead_id = $1 ORDER BY id")
                .bind(lead.0)
                .all(&mut reader.connection())
                .await?;
        Ok(rows
            .into_iter()
            .map(|(at, event, kind, detail)| (Millis(at), event.map(EventId), kind, detail))
            .collect())
    }
}
