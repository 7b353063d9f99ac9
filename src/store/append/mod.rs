//! Appends to the inbox. There is one writer in a process, and it belongs to ingest's group commit.

mod postgres;
mod sqlite;

use std::sync::Arc;

use super::dialect::Database;
use super::{CursorMove, Lease, StoreError};
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
            Database::Postgres(database) => Self::Postgres(PostgresAppender::new(
                database.options().clone(),
                database.lease(),
            )),
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

    /// Appends the events of `page`, whose ids are `first`, `first` + 1, …, and moves its cursors,
    /// in one transaction of its own. When this returns they are on disk. Refused as a whole if a
    /// cursor is not where it is expected ([`StoreError::Conflict`]), or the lease is another's
    /// ([`StoreError::Fenced`]; on PostgreSQL, see [`super::Store::confirm_lease`]).
    pub async fn append_page(
        &mut self,
        first: EventId,
        page: &InboxPage,
        now: Millis,
    ) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(appender) => appender.append_page(first, page, now),
            Self::Postgres(appender) => appender.append_page(first, page, now).await,
        }
    }
}

/// Events that were read together, as the inbox keeps them, and how far that has come.
#[derive(Debug)]
pub struct InboxPage {
    /// The events, in their order.
    pub rows: Vec<InboxRow>,
    /// The cursors that move with them.
    pub cursors: Vec<CursorMove>,
    /// Who may read it, where only one may.
    pub lease: Option<Lease>,
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
            // Strings, lists and maps of them, and JSON are always JSON.
            meta: serde_json::to_string(&event.meta).unwrap_or_default(),
            body: event.body.into(),
        }
    }
}

impl InboxRow {
    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        self.content_type.len() + self.meta.len() + self.body.len()
    }
}
