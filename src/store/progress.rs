use super::dialect::query;
use super::{Store, StoreError};
use crate::model::{End, EventId, SourceName};

/// How far an event has come, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The event.
    pub event: EventId,
    /// Its source.
    pub source: SourceName,
    /// What became of it; none while it is in flight.
    pub end: Option<End>,
    /// Why it came to that end, where the end alone does not say it.
    pub reason: Option<String>,
    /// Code and message of its dead letter, if nobody has dealt with it.
    pub dead_letter: Option<(String, String)>,
    /// What was found in it, as JSON: `fields` and `attribution`. Blank before it is processed.
    pub found: String,
    /// The record that its lead has in Salesforce.
    pub salesforce_id: Option<String>,
}

type Row = (
    i64,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

const PROGRESS: &str = "SELECT e.id, e.source, s.outcome, s.reason, d.code, d.message, s.fields, l.salesforce_id \
     FROM event e LEFT JOIN submission s ON s.event_id = e.id LEFT JOIN lead l ON l.id = s.lead_id \
     LEFT JOIN dead_letter d ON d.event_id = s.event_id AND d.ordinal = s.ordinal AND d.resolved_at IS NULL \
     WHERE e.id > $1 ORDER BY e.id";

impl Store {
    /// How far all events after `after` have come, in the order of their commit: a row for each of
    /// their submissions, one for an event that was not yet processed.
    pub async fn progress(&self, after: EventId) -> Result<Vec<Progress>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<Row> = query(PROGRESS)
            .bind(after.0)
            .all(&mut reader.connection())
            .await?;
        Ok(rows
            .into_iter()
            .map(
                |(event, source, outcome, reason, code, message, found, salesforce_id)| Progress {
                    event: EventId(event),
                    source: SourceName::new(&source),
                    end: outcome.as_deref().and_then(End::from_name),
                    reason,
                    dead_letter: code.zip(message),
                    found: found.unwrap_or_default(),
                    salesforce_id,
                },
            )
            .collect())
    }
}
