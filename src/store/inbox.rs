use std::sync::Arc;

use bytes::Bytes;
use sqlx::sqlite::SqliteConnection;

use super::{Store, StoreError, dialect};
use crate::model::{Event, EventId, EventMeta, Millis, NewEvent, SourceName};

const APPEND: &str =
    "INSERT INTO event (id, source, received_at, content_type, meta, body) SELECT * FROM (VALUES";
const APPENDED: &str = ") WHERE column1 IS NOT NULL";

/// Events after the last one that all before it are processed, which have no submission yet.
const UNPROCESSED: &str = "SELECT id, source, received_at, content_type, meta, body FROM event \
     WHERE id > $1 ORDER BY id LIMIT $2";

/// By a list of ids: a join would be read in the order of events, all of them.
const TO_REPLAY: &str = "SELECT id, source, received_at, content_type, meta, body FROM event \
     WHERE id IN (SELECT event_id FROM replay ORDER BY event_id LIMIT $1) ORDER BY id";

const ONE: &str =
    "SELECT id, source, received_at, content_type, meta, body FROM event WHERE id = $1";

/// Appends to the inbox. There is one in a process, and it belongs to ingest's group commit.
#[derive(Debug)]
pub struct InboxWriter {
    connection: SqliteConnection,
    highest: EventId,
}

impl InboxWriter {
    pub(super) async fn open(path: &std::path::Path) -> Result<Self, StoreError> {
        let mut connection = dialect::connect_inbox(path).await?;
        sqlx::migrate!("src/store/migrations/sqlite/inbox")
            .run_direct(None, &mut connection, false)
            .await?;
        let highest: Option<i64> = sqlx::query_scalar("SELECT MAX(id) FROM event")
            .fetch_one(&mut connection)
            .await?;
        Ok(Self {
            connection,
            highest: EventId(highest.unwrap_or(0)),
        })
    }

    /// The highest id in use, at the time of opening.
    pub fn highest(&self) -> EventId {
        self.highest
    }

    pub(super) fn into_connection(self) -> SqliteConnection {
        self.connection
    }

    /// Appends `rows`, whose ids are `first`, `first` + 1, …, in one transaction. When this
    /// returns they are on disk.
    pub async fn append(&mut self, first: EventId, rows: Vec<InboxRow>) -> Result<(), StoreError> {
        let rows = (first.0..).zip(rows);
        dialect::insert_at_once(
            &mut self.connection,
            APPEND,
            APPENDED,
            rows,
            |values, (id, row)| {
                values.push(id)?;
                values.push(row.source)?;
                values.push(row.received_at.0)?;
                values.push(row.content_type)?;
                values.push(row.meta)?;
                values.push(row.body)
            },
        )
        .await?;
        Ok(())
    }
}

/// An event as the inbox keeps it: made by whoever received it, so that the one writer has nothing
/// left to do but write.
#[derive(Debug)]
pub struct InboxRow {
    source: Arc<str>,
    received_at: Millis,
    content_type: String,
    meta: String,
    body: Vec<u8>,
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
