use std::sync::Arc;

use bytes::Bytes;

use super::{Store, StoreError};
use crate::model::{Event, EventId, EventMeta, Millis, NewEvent, SourceName};

/// Events after the last one that all before it are processed, which have no submission yet.
pub(super) const UNPROCESSED: &str = "SELECT id, source, received_at, content_type, meta, body FROM event \
     WHERE id > $1 ORDER BY id LIMIT $2";

/// By a list of ids: a join would be read in the order of events, all of them.
pub(super) const TO_REPLAY: &str = "SELECT id, source, received_at, content_type, meta, body FROM event \
     WHERE id IN (SELECT event_id FROM replay ORDER BY event_id LIMIT $1) ORDER BY id";

pub(super) const ONE: &str =
    "SELECT id, source, received_at, content_type, meta, body FROM event WHERE id = $1";

/// An event as the inbox keeps it: made by whoever received it, so that the one writer has nothing
/// left to do but write.
#[derive(Debug)]
pub struct InboxRow {
    pub(super) source: Arc<str>,
    pub(super) received_at: Millis,
    pub(super) content_type: String,
    pub(super) meta: String,
    pub(super) body: Vec<u8>,
}

impl From<NewEvent> for InboxRow {
    fn from(event: NewEvent) -> Self {
        Self {
            source: event.source.into(),
            received_at: event.received_at,
            content_type: event.content_type,
            // Strings and lists of strings are always JSON.
            meta: serde_json::to_string(&event.meta).unwrap_or_default(),
            body: event.body.into(),
        }
    }
}

type Row = (i64, String, i64, String, String, Vec<u8>);

fn event((id, source, received_at, content_type, meta, body): Row) -> Result<Event, StoreError> {
    let meta: EventMeta = serde_json::from_str(&meta).map_err(|error| StoreError::Damaged {
        table: "event",
        id,
        reason: error.to_string(),
    })?;
    Ok(Event {
        id: EventId(id),
        received: NewEvent {
            source: SourceName::new(&source),
            received_at: Millis(received_at),
            content_type,
            meta,
            body: Bytes::from(body),
        },
    })
}

impl Store {
    /// The next events in order of their ids, after `floor` (see `Write::raise_floor`).
    pub async fn events_after(
        &self,
        floor: EventId,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(UNPROCESSED)
            .bind(floor.0)
            .bind(limit as i64)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(event).collect()
    }

    /// Events that are to be processed once more, in order of their ids.
    pub async fn events_to_replay(&self, limit: usize) -> Result<Vec<Event>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(TO_REPLAY)
            .bind(limit as i64)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(event).collect()
    }

    /// One event, if the inbox still holds it.
    pub async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let row: Option<Row> = sqlx::query_as(ONE)
            .bind(id.0)
            .fetch_optional(&self.readers)
            .await?;
        row.map(event).transpose()
    }
}
