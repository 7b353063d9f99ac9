//! Appends to PostgreSQL's inbox: a group of events is one statement, which is its own transaction.

use std::fmt;
use std::time::Duration;

use sqlx::Arguments as _;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection};

use super::InboxRow;
use crate::model::EventId;
use crate::store::StoreError;
use crate::store::dialect::{connect_postgres, in_time};

/// How long PostgreSQL may take to store a group. Whoever waits gets a 503 then, and tries again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// With the events, that they wait to be processed: a row for all of them.
const APPEND: &str = "WITH appended AS (INSERT INTO event (id, source, received_at, content_type, meta, body) \
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bytea[])) \
     INSERT INTO waiting (first_id, last_id) VALUES ($7, $8)";

/// One connection of its own, made anew when it is lost.
pub struct PostgresAppender {
    connection: Option<PgConnection>,
    options: Box<PgConnectOptions>,
}

/// Its options hold the password.
impl fmt::Debug for PostgresAppender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresAppender")
    }
}

impl PostgresAppender {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self {
            connection: None,
            options: Box::new(options),
        }
    }

    pub(super) async fn append(
        &mut self,
        first: EventId,
        rows: &[InboxRow],
    ) -> Result<(), StoreError> {
        // Taken out: what has failed, or was given up, is not used again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect_postgres(&self.options).await?,
        };
        append(&mut connection, first, rows).await?;
        self.connection = Some(connection);
        Ok(())
    }
}

async fn append(
    connection: &mut PgConnection,
    first: EventId,
    rows: &[InboxRow],
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
    let appended = sqlx::query_with(APPEND, arguments).execute(connection);
    in_time(ANSWER_TIMEOUT, appended).await?;
    Ok(())
}
