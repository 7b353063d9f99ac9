//! Appends to the inbox. There is one writer in a process, and it belongs to ingest's group commit.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Arguments as _;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};

use super::StoreError;
use super::dialect::{Database, connect_postgres, connect_sqlite_inbox, in_time, padded_rows};
use crate::model::{EventId, Millis, NewEvent};

/// How long PostgreSQL may take to store a group. Whoever waits gets a 503 then, and tries again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Appends to the inbox.
#[derive(Debug)]
pub enum InboxWriter {
    /// The connection is the only one that writes the inbox's file.
    Sqlite(SqliteConnection),
    /// The connection, if it is not lost, and how to make another.
    Postgres(Option<PgConnection>, Box<PgConnectOptions>),
}

/// The rows that are missing to the next power of two are NULL.
const APPEND_SQLITE: &str =
    "INSERT INTO event (id, source, received_at, content_type, meta, body) SELECT * FROM (VALUES";
const APPENDED_SQLITE: &str = ") WHERE column1 IS NOT NULL";

const APPEND_POSTGRES: &str = "WITH appended AS (INSERT INTO event (id, source, received_at, content_type, meta, body) \
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bytea[])) \
     INSERT INTO waiting (first_id, last_id) VALUES ($7, $8)";

impl InboxWriter {
    pub(super) async fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(match database {
            Database::Sqlite(database) => {
                Self::Sqlite(connect_sqlite_inbox(database.path()).await?)
            }
            Database::Postgres(database) => {
                Self::Postgres(None, Box::new(database.options().clone()))
            }
        })
    }

    /// Appends `rows`, whose ids are `first`, `first` + 1, …, in one transaction. When this
    /// returns they are on disk; if it fails they may be.
    pub async fn append(&mut self, first: EventId, rows: Vec<InboxRow>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection) => append_sqlite(connection, first, rows).await,
            Self::Postgres(connection, options) => {
                // Taken out: what has failed, or was given up, is not used again.
                let mut ready = match connection.take() {
                    Some(ready) => ready,
                    None => connect_postgres(options).await?,
                };
                append_postgres(&mut ready, first, rows).await?;
                *connection = Some(ready);
                Ok(())
            }
        }
    }
}

async fn append_sqlite(
    connection: &mut SqliteConnection,
    first: EventId,
    rows: Vec<InboxRow>,
) -> Result<(), StoreError> {
    let mut arguments = SqliteArguments::default();
    let count = rows.len();
    for (id, row) in (first.0..).zip(rows) {
        arguments.add(id).map_err(sqlx::Error::Encode)?;
        arguments.add(&*row.source).map_err(sqlx::Error::Encode)?;
        arguments
            .add(row.received_at.0)
            .map_err(sqlx::Error::Encode)?;
        arguments
            .add(row.content_type)
            .map_err(sqlx::Error::Encode)?;
        arguments.add(row.meta).map_err(sqlx::Error::Encode)?;
        arguments.add(row.body).map_err(sqlx::Error::Encode)?;
    }
    let text = padded_rows(APPEND_SQLITE, arguments.len(), count, APPENDED_SQLITE);
    sqlx::query_with(AssertSqlSafe(text), arguments)
        .execute(connection)
        .await?;
    Ok(())
}

async fn append_postgres(
    connection: &mut PgConnection,
    first: EventId,
    rows: Vec<InboxRow>,
) -> Result<(), StoreError> {
    let last = first.0 + rows.len() as i64 - 1;
    let ids: Vec<i64> = (first.0..=last).collect();
    let sources: Vec<&str> = rows.iter().map(|row| &*row.source).collect();
    let times: Vec<i64> = rows.iter().map(|row| row.received_at.0).collect();
    let content_types: Vec<&str> = rows.iter().map(|row| &*row.content_type).collect();
    let metas: Vec<&str> = rows.iter().map(|row| &*row.meta).collect();
    let bodies: Vec<&[u8]> = rows.iter().map(|row| &*row.body).collect();
    let mut arguments = PgArguments::default();
    arguments.add(ids).map_err(sqlx::Error::Encode)?;
    arguments.add(sources).map_err(sqlx::Error::Encode)?;
    arguments.add(times).map_err(sqlx::Error::Encode)?;
    arguments.add(content_types).map_err(sqlx::Error::Encode)?;
    arguments.add(metas).map_err(sqlx::Error::Encode)?;
    arguments.add(bodies).map_err(sqlx::Error::Encode)?;
    arguments.add(first.0).map_err(sqlx::Error::Encode)?;
    arguments.add(last).map_err(sqlx::Error::Encode)?;
    let appended = sqlx::query_with(APPEND_POSTGRES, arguments).execute(connection);
    in_time(ANSWER_TIMEOUT, appended).await?;
    Ok(())
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
