//! Appends to the inbox. There is one writer in a process, and it belongs to ingest's group commit.

mod postgres;
mod sqlite;

use std::sync::Arc;

use super::StoreError;
use super::dialect::Database;
use crate::model::{EventId, Millis, NewEvent};

pub use postgres::PostgresAppender;
pub use sqlite::SqliteAppender;

/// Appends to the inbox.
#[derive(Debug)]
pub enum InboxWriter {
    /// Blocks its thread.
    Sqlite(SqliteAppender),
    /// Waits for the network.
    Postgres(PostgresAppender),
}

impl InboxWriter {
    pub(super) fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(match database {
            Database::Sqlite(database) => Self::Sqlite(SqliteAppender::open(database.path())?),
            Database::Postgres(database) => {
                Self::Postgres(PostgresAppender::new(database.options().clone()))
            }
        })
    }

    /// Appends `rows`, whose ids are `first`, `first` + 1, …, in one transaction. When this
    /// returns they are on disk; if it fails they may be.
    pub async fn append(&mut self, first: EventId, rows: &[InboxRow]) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(appender) => appender.append(first, rows),
            Self::Postgres(appender) => appender.append(first, rows).await,
        }
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
