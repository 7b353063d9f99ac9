//! Appends to SQLite's inbox, without sqlx: its SQLite lives on a thread of its own, and a message
//! there and back for each commit costs more than the commit's own work.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use super::inbox::InboxRow;
use super::{StoreError, dialect};
use crate::model::EventId;

const APPEND: &str = "INSERT INTO event (id, source, received_at, content_type, meta, body) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// Appends to the inbox. There is one in a process, and it belongs to ingest's group commit.
#[derive(Debug)]
pub struct SqliteAppender {
    connection: Connection,
    highest: EventId,
}

impl SqliteAppender {
    /// Opens the inbox beside the store at `path`, whose tables are there.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        // It belongs to one thread at a time: no mutex within SQLite is needed.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(dialect::inbox_file(path), flags)?;
        connection.busy_timeout(dialect::BUSY_TIMEOUT)?;
        connection.execute_batch(&dialect::inbox_pragmas())?;
        let highest: Option<i64> =
            connection.query_row("SELECT MAX(id) FROM event", [], |row| row.get(0))?;
        Ok(Self {
            connection,
            highest: EventId(highest.unwrap_or(0)),
        })
    }

    /// The highest id in use, at the time of opening.
    pub fn highest(&self) -> EventId {
        self.highest
    }

    /// Appends `rows`, whose ids are `first`, `first` + 1, …, in one transaction. When this
    /// returns they are on disk. Blocks its thread for as long as that takes.
    pub fn append(&mut self, first: EventId, rows: &[InboxRow]) -> Result<(), StoreError> {
        // Dropped on the way out, it is rolled back.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut append = transaction.prepare_cached(APPEND)?;
            for (id, row) in (first.0..).zip(rows) {
                append.execute(params![
                    id,
                    &*row.source,
                    row.received_at.0,
                    row.content_type,
                    row.meta,
                    &row.body[..],
                ])?;
            }
        }
        Ok(transaction.commit()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Access, Store};

    #[tokio::test]
    async fn a_commit_is_synced_and_the_log_is_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", folder.path().display());
        let store = Store::open(&url, Access::Daemon).await.unwrap();
        let appender = store.inbox_appender().unwrap();
        assert_eq!(appender.highest(), EventId(0));
        let text = |pragma: &str| -> String {
            let value = appender
                .connection
                .query_row(&format!("PRAGMA {pragma}"), [], |row| {
                    row.get::<_, rusqlite::types::Value>(0)
                });
            format!("{:?}", value.unwrap())
        };
        assert_eq!(text("synchronous"), "Integer(2)", "FULL");
        assert_eq!(text("journal_mode"), "Text(\"wal\")");
        assert_eq!(text("wal_autocheckpoint"), "Integer(4000)");
    }
}
