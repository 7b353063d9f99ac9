//! How far each source has been read. A cursor moves in the transaction that appends what was read
//! (`append`), so on SQLite it is in the inbox's file. It moves only from where its reader saw it:
//! who was overtaken is refused, with all that it wanted to append.

use super::dialect::{BEGIN_WRITE_SQLITE, Connection, Database, query};
use super::{Store, StoreError};
use crate::model::{Millis, SourceName};

/// A cursor that is to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorMove {
    /// Whose.
    pub source: SourceName,
    /// Which of the source's: `<stream>`, `<stream>/<item>`, or `file:<sha256>`.
    pub key: String,
    /// The version that was read before; 0 if there was none yet. The new one is one higher.
    pub expected: i64,
    /// Where it is then, as JSON; `None` removes it.
    pub state: Option<String>,
}

/// A cursor as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCursor {
    /// Which of the source's.
    pub key: String,
    /// Where it is, as JSON.
    pub state: String,
    /// How often it has been moved since it was made.
    pub version: i64,
    /// When it was last moved.
    pub updated_at: Millis,
}

pub(super) const BY_SOURCE: &str =
    "SELECT key, state, version, updated_at FROM cursor WHERE source = $1 ORDER BY key";

pub(super) const BY_KEY: &str =
    "SELECT key, state, version, updated_at FROM cursor WHERE source = $1 AND key = $2";

// The parameters of these stand in the order of their numbers: rusqlite counts them so.

pub(super) const MAKE: &str = "INSERT INTO cursor (source, key, state, updated_at, version) \
     VALUES ($1, $2, $3, $4, 1) ON CONFLICT DO NOTHING";

pub(super) const MOVE: &str = "UPDATE cursor SET state = $1, updated_at = $2, version = version + 1 \
     WHERE source = $3 AND key = $4 AND version = $5";

pub(super) const REMOVE: &str =
    "DELETE FROM cursor WHERE source = $1 AND key = $2 AND version = $3";

pub(super) const EXISTS: &str = "SELECT COUNT(*) FROM cursor WHERE source = $1 AND key = $2";

type Row = (String, String, i64, i64);

fn stored((key, state, version, updated_at): Row) -> StoredCursor {
    StoredCursor {
        key,
        state,
        version,
        updated_at: Millis(updated_at),
    }
}

impl Store {
    /// All cursors of a source, by key.
    pub async fn cursors(&self, source: &SourceName) -> Result<Vec<StoredCursor>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<Row> = query(BY_SOURCE)
            .bind(&**source)
            .all(&mut reader.connection())
            .await?;
        Ok(rows.into_iter().map(stored).collect())
    }

    /// One cursor of a source, if there is one yet.
    pub async fn cursor(
        &self,
        source: &SourceName,
        key: &str,
    ) -> Result<Option<StoredCursor>, StoreError> {
        let mut reader = self.database.read().await?;
        let row: Option<Row> = query(BY_KEY)
            .bind(&**source)
            .bind(key)
            .first(&mut reader.connection())
            .await?;
        Ok(row.map(stored))
    }

    /// Moves cursors without events, as a command that rewinds them does; all of them or none
    /// ([`StoreError::Conflict`]). Survives a loss of power when this returns. Works beside a running
    /// daemon, whose next page is then refused.
    pub async fn move_cursors(&self, moves: &[CursorMove], now: Millis) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        match &self.database {
            Database::Sqlite(database) => {
                let mut keeper = database.keeper().await;
                let mut transaction =
                    sqlx::Connection::begin_with(&mut *keeper, BEGIN_WRITE_SQLITE).await?;
                move_all(&mut Connection::Sqlite(&mut transaction), moves, now).await?;
                transaction.commit().await?;
                // In the other file is only the word for a copy that is under way.
                write.commit().await
            }
            Database::Postgres(_) => {
                move_all(&mut write.connection(), moves, now).await?;
                self.commit_durably(write).await
            }
        }
    }
}

/// Moves cursors within a transaction, which is to be given up if this fails.
pub(super) async fn move_all(
    connection: &mut Connection<'_>,
    moves: &[CursorMove],
    now: Millis,
) -> Result<(), StoreError> {
    for cursor in moves {
        let (source, key) = (&*cursor.source, &*cursor.key);
        let moved = match &cursor.state {
            Some(state) if cursor.expected == 0 => {
                let made = query(MAKE).bind(source).bind(key);
                let made = made.bind(&**state).bind(now.0);
                made.run(connection).await?
            }
            Some(state) => {
                let moved = query(MOVE).bind(&**state).bind(now.0);
                let moved = moved.bind(source).bind(key).bind(cursor.expected);
                moved.run(connection).await?
            }
            None if cursor.expected == 0 => {
                let exists = query(EXISTS).bind(source).bind(key);
                let (count,): (i64,) = exists.one(connection).await?;
                u64::from(count == 0)
            }
            None => {
                let removed = query(REMOVE).bind(source).bind(key);
                removed.bind(cursor.expected).run(connection).await?
            }
        };
        if moved == 0 {
            return Err(StoreError::Conflict);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::StoreConfig;
    use crate::store::Access;
    use crate::store::plans::postgres;

    async fn check(url: &str) {
        let store = Store::open(&StoreConfig::at(url), Access::Daemon)
            .await
            .unwrap();
        let beside = Store::open(&StoreConfig::at(url), Access::Command)
            .await
            .unwrap();
        let demo = SourceName::new("demo");
        let to = |key: &str, expected, state: Option<&str>| CursorMove {
            source: demo.clone(),
            key: key.to_owned(),
            expected,
            state: state.map(str::to_owned),
        };
        let moved = async |store: &Arc<Store>, moves: &[CursorMove], at| match store
            .move_cursors(moves, Millis(at))
            .await
        {
            Ok(()) => true,
            Err(StoreError::Conflict) => false,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(store.cursor(&demo, "a").await.unwrap(), None);
        assert!(moved(&store, &[to("a", 0, Some("1")), to("a/x", 0, Some("2"))], 5).await);
        assert!(
            !moved(&store, &[to("a", 0, Some("3"))], 6).await,
            "made before"
        );
        assert!(
            !moved(&store, &[to("b", 1, Some("3"))], 6).await,
            "never made"
        );
        // A command's rewind overtakes who has read it before.
        assert!(moved(&beside, &[to("a", 1, Some("0"))], 7).await);
        assert!(!moved(&store, &[to("a/x", 1, None), to("a", 1, Some("4"))], 8).await);
        let cursor = |key: &str, state: &str, version, at| StoredCursor {
            key: key.to_owned(),
            state: state.to_owned(),
            version,
            updated_at: Millis(at),
        };
        let found = store.cursors(&demo).await.unwrap();
        assert_eq!(found, [cursor("a", "0", 2, 7), cursor("a/x", "2", 1, 5)]);
        assert_eq!(
            store.cursor(&demo, "a").await.unwrap().as_ref(),
            found.first()
        );
        assert_eq!(store.cursors(&SourceName::new("other")).await.unwrap(), []);

        assert!(!moved(&store, &[to("a", 0, None)], 9).await, "it is there");
        assert!(moved(&store, &[to("a", 2, None), to("gone", 0, None)], 9).await);
        assert_eq!(store.cursor(&demo, "a").await.unwrap(), None);
        beside.close().await;
        store.close().await;
    }

    #[tokio::test]
    async fn a_cursor_moves_only_from_where_it_was_seen() {
        let folder = tempfile::tempdir().unwrap();
        check(&format!("sqlite:{}/test.db", folder.path().display())).await;
    }

    #[tokio::test]
    async fn a_cursor_moves_only_from_where_it_was_seen_on_postgresql() {
        if let Some(url) = postgres::database() {
            check(&url).await;
        }
    }
}
