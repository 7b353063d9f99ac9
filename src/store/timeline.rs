use sqlx::sqlite::SqliteConnection;

use super::{Store, StoreError, dialect};
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
    /// What happened: `created`, `merged`, `duplicate`, `synced`, `unchanged`, `retry`, `dead_letter`.
    pub kind: &'static str,
    /// Details, as JSON.
    pub detail: String,
}

const INSERT: &str = "INSERT INTO timeline (id, lead_id, event_id, at, kind, detail) VALUES";

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    entries: &[TimelineEntry],
    first_id: i64,
) -> Result<(), StoreError> {
    let rows: Vec<_> = (first_id..).zip(entries).collect();
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
        let rows: Vec<(i64, Option<i64>, String, String)> = sqlx::query_as(
            "SELECT at, event_id, kind, detail FROM timeline WHERE lead_id = $1 ORDER BY id",
        )
        .bind(lead.0)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(at, event, kind, detail)| (Millis(at), event.map(EventId), kind, detail))
            .collect())
    }
}
