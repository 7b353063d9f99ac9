//! Appends to SQLite's inbox, without sqlx: its SQLite lives on a thread of its own, and a message
//! there and back for each commit costs more than the commit's own work.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::{InboxPage, InboxRow};
use crate::model::{EventId, Millis};
use crate::store::cursors::{EXISTS, MAKE, MOVE, REMOVE};
use crate::store::dialect::{BUSY_TIMEOUT, inbox_file, inbox_pragmas};
use crate::store::{CursorMove, StoreError};

const APPEND: &str = "INSERT INTO event (id, source, received_at, content_type, meta, body) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// The only connection that appends to the inbox's file.
#[derive(Debug)]
pub struct SqliteAppender {
    connection: Connection,
}

impl SqliteAppender {
    /// Opens the inbox beside the store at `path`, whose tables are there.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        // It belongs to one thread at a time: no mutex within SQLite is needed.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(inbox_file(path), flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch(&inbox_pragmas())?;
        Ok(Self { connection })
    }

    /// Appends `rows`, whose ids are `first`, `first` + 1, …, in one transaction. When this
    /// returns they are on disk. Blocks its thread for as long as that takes.
    pub(super) fn append(&mut self, first: EventId, rows: &[InboxRow]) -> Result<(), StoreError> {
        // Dropped on the way out, it is rolled back.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        append(&transaction, first, rows)?;
        Ok(transaction.commit()?)
    }

    /// The same with the cursors of a page, which are moved from where they are expected or refuse
    /// all of it.
    pub(super) fn append_page(
        &mut self,
        first: EventId,
        page: &InboxPage,
        now: Millis,
    ) -> Result<(), StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for cursor in &page.cursors {
            if !move_cursor(&transaction, cursor, now)? {
                return Err(StoreError::Conflict);
            }
        }
        append(&transaction, first, &page.rows)?;
        Ok(transaction.commit()?)
    }
}

fn append(
    transaction: &Transaction<'_>,
    first: EventId,
    rows: &[InboxRow],
) -> Result<(), rusqlite::Error> {
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
    Ok(())
}

/// `cursors::move_all` in the words of the other library; a test has both do the same.
fn move_cursor(
    transaction: &Transaction<'_>,
    cursor: &CursorMove,
    now: Millis,
) -> Result<bool, rusqlite::Error> {
    let (source, key, expected) = (&*cursor.source, &cursor.key, cursor.expected);
    match &cursor.state {
        Some(state) if expected == 0 => {
            let mut make = transaction.prepare_cached(MAKE)?;
            Ok(make.execute(params![source, key, state, now.0])? > 0)
        }
        Some(state) => {
            let mut to = transaction.prepare_cached(MOVE)?;
            Ok(to.execute(params![state, now.0, source, key, expected])? > 0)
        }
        None if expected == 0 => {
            let mut exists = transaction.prepare_cached(EXISTS)?;
            let count: i64 = exists.query_row(params![source, key], |row| row.get(0))?;
            Ok(count == 0)
        }
        None => {
            let mut remove = transaction.prepare_cached(REMOVE)?;
            Ok(remove.execute(params![source, key, expected])? > 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::StoreConfig;
    use crate::store::{Access, InboxWriter, Store};

    #[tokio::test]
    async fn a_commit_is_synced_and_the_log_is_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", folder.path().display());
        let store = Store::open(&StoreConfig::at(&url), Access::Daemon)
            .await
            .unwrap();
        let InboxWriter::Sqlite(appender) = store.inbox_writer().unwrap() else {
            panic!("{url}");
        };
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
