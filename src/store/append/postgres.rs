//! Appends to PostgreSQL's inbox: a group of events is one statement, which is its own transaction.
//! A page is a transaction with its cursors, guarded by its lease.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection};
use sqlx::{Arguments as _, Connection as _};

use super::{InboxPage, InboxRow};
use crate::model::{EventId, Millis};
use crate::store::dialect::{Connection, answered, connect_limited, in_time};
use crate::store::{StoreError, cursors};

/// How long PostgreSQL may take to store a group. Whoever waits gets a 503 then, and tries again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take to store the events of a page, for which no request waits.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// With the events, that they wait to be processed: a row for all of them.
const APPEND: &str = "WITH appended AS (INSERT INTO event (id, source, received_at, content_type, meta, body) \
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bytea[])) \
     INSERT INTO waiting (first_id, last_id) VALUES ($7, $8)";

/// One connection of its own, made anew when it is lost.
pub struct PostgresAppender {
    connection: Option<PgConnection>,
    options: Box<PgConnectOptions>,
    lease: Duration,
}

/// Its options hold the password.
impl fmt::Debug for PostgresAppender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresAppender")
    }
}

impl PostgresAppender {
    pub(super) fn new(options: PgConnectOptions, lease: Duration) -> Self {
        Self {
            connection: None,
            options: Box::new(options),
            lease,
        }
    }

    pub(super) async fn append(
        &mut self,
        first: EventId,
        rows: &[InboxRow],
    ) -> Result<(), StoreError> {
        let mut connection = self.take().await?;
        append(&mut connection, first, rows, ANSWER_TIMEOUT).await?;
        self.connection = Some(connection);
        Ok(())
    }

    pub(super) async fn append_page(
        &mut self,
        first: EventId,
        page: &InboxPage,
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut connection = self.take().await?;
        let mut transaction = answered(connection.begin()).await?;
        let refused = match fill(&mut transaction, first, page, now).await {
            Ok(()) => {
                answered(transaction.commit()).await?;
                None
            }
            Err(refused @ (StoreError::Fenced | StoreError::Conflict)) => {
                // At once, so that whoever was quicker need not wait.
                answered(transaction.rollback()).await?;
                Some(refused)
            }
            Err(error) => return Err(error),
        };
        self.connection = Some(connection);
        refused.map_or(Ok(()), Err)
    }

    /// Taken out: what has failed, or was given up, is not used again.
    async fn take(&mut self) -> Result<PgConnection, StoreError> {
        Ok(match self.connection.take() {
            Some(connection) => connection,
            None => connect_limited(&self.options, self.lease).await?,
        })
    }
}

async fn fill(
    transaction: &mut PgConnection,
    first: EventId,
    page: &InboxPage,
    now: Millis,
) -> Result<(), StoreError> {
    let connection = &mut Connection::Postgres(transaction);
    if let Some(lease) = &page.lease {
        lease.guard(connection).await?;
    }
    cursors::move_all(connection, &page.cursors, now).await?;
    if page.rows.is_empty() {
        return Ok(());
    }
    append(transaction, first, &page.rows, PAGE_TIMEOUT).await
}

async fn append(
    connection: &mut PgConnection,
    first: EventId,
    rows: &[InboxRow],
    limit: Duration,
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
    in_time(limit, appended).await?;
    Ok(())
}
