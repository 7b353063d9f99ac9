//! All that differs between SQLite and PostgreSQL: opening, transactions, many rows a statement,
//! lists of ids, locks. Everything else in `store` is written once.

mod cells;
mod postgres;
mod rows;
mod size;
mod sqlite;
mod statement;
mod text;
mod value;

use sqlx::Transaction;
use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, Postgres};
use sqlx::sqlite::{Sqlite, SqliteConnection};

pub(super) use cells::Cells;
pub(super) use postgres::{PostgresDatabase, answered, connect_limited, in_time};
pub(super) use rows::insert;
pub(super) use size::{Rows, table as table_size};
pub(super) use sqlite::{
    BEGIN_WRITE as BEGIN_WRITE_SQLITE, BUSY_TIMEOUT, SqliteDatabase, file_of, inbox_file,
    inbox_pragmas,
};
pub(super) use statement::query;
pub(super) use value::Value;

use super::StoreError;

/// Where sqlx notes which migrations were carried out.
const VERSIONS: &str = "_sqlx_migrations";

/// Where a statement runs.
#[derive(Debug)]
pub(super) enum Connection<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

impl Connection<'_> {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Sqlite(_) => Kind::Sqlite,
            Self::Postgres(_) => Kind::Postgres,
        }
    }
}

/// A connection that only reads.
#[derive(Debug)]
pub(super) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Reader {
    pub(super) fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(connection) => Connection::Sqlite(connection),
            Self::Postgres(connection) => Connection::Postgres(connection),
        }
    }
}

/// A transaction. Dropped without a commit, it leaves no trace.
#[derive(Debug)]
pub(super) enum Open {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Open {
    pub(super) fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(transaction) => Connection::Sqlite(transaction),
            Self::Postgres(transaction) => Connection::Postgres(transaction),
        }
    }

    pub(super) async fn roll_back(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres(transaction) => answered(transaction.rollback()).await,
        }
    }

    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => answered(transaction.commit()).await,
        }
    }
}

/// The database behind a store.
#[derive(Debug)]
pub(super) enum Database {
    Sqlite(SqliteDatabase),
    Postgres(Box<PostgresDatabase>),
}

impl Database {
    /// Whether a store's address is PostgreSQL's.
    pub(super) fn is_postgres(url: &str) -> bool {
        url.starts_with("postgres://") || url.starts_with("postgresql://")
    }

    /// Waits for no writer.
    pub(super) async fn read(&self) -> Result<Reader, StoreError> {
        Ok(match self {
            Self::Sqlite(database) => Reader::Sqlite(database.readers.acquire().await?),
            Self::Postgres(database) => Reader::Postgres(database.pool.acquire().await?),
        })
    }

    /// One unchanging view of everything.
    pub(super) async fn view(&self) -> Result<Open, StoreError> {
        Ok(match self {
            Self::Sqlite(database) => {
                let mut view = database.readers.begin().await?;
                // A file is seen as it is when it is first read: both at once.
                for look in sqlite::LOOKS {
                    sqlx::query(look).fetch_optional(&mut *view).await?;
                }
                Open::Sqlite(view)
            }
            Self::Postgres(database) => {
                Open::Postgres(answered(database.pool.begin_with(postgres::BEGIN_VIEW)).await?)
            }
        })
    }

    /// On SQLite there is one at a time.
    pub(super) async fn write(&self) -> Result<Open, StoreError> {
        Ok(match self {
            Self::Sqlite(database) => {
                Open::Sqlite(database.writer.begin_with(sqlite::BEGIN_WRITE).await?)
            }
            Self::Postgres(database) => {
                Open::Postgres(answered(database.pool.begin_with(postgres::BEGIN_WRITE)).await?)
            }
        })
    }

    /// Commits so that it survives a loss of power, and with it all that was committed before.
    pub(super) async fn commit_durably(&self, mut open: Open) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(database) => {
                open.commit().await?;
                database.sync().await
            }
            Self::Postgres(_) => {
                query(postgres::WAIT_FOR_DISK)
                    .run(&mut open.connection())
                    .await?;
                Ok(open.commit().await?)
            }
        }
    }

    /// What there was to do at its opening.
    pub(super) fn migrated(&self) -> &[Migrated] {
        match self {
            Self::Sqlite(database) => &database.migrated,
            Self::Postgres(database) => std::slice::from_ref(&database.migrated),
        }
    }

    /// Closes all connections; what is open elsewhere is finished first.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(database) => database.close().await,
            Self::Postgres(database) => {
                // A connection that is cut off is never closed in order.
                let closed = async {
                    database.pool.close().await;
                    Ok(())
                };
                let _ = in_time(postgres::CLOSE_TIMEOUT, closed).await;
            }
        }
    }
}

/// What there was to do to bring tables up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The file, or which database.
    pub place: String,
    /// Their version before; none if there were no tables.
    pub from: Option<i64>,
    /// Their version now.
    pub to: i64,
}

async fn bring_up_to_date(
    connection: &mut impl Migrate,
    migrator: &Migrator,
    place: String,
) -> Result<Migrated, StoreError> {
    // Two nodes that start together on an empty database would both make the table of versions.
    connection.lock().await?;
    connection.ensure_migrations_table(VERSIONS).await?;
    let applied = connection.list_applied_migrations(VERSIONS).await?;
    migrator.run_direct(None, connection, false).await?;
    connection.unlock().await?;
    Ok(Migrated {
        place,
        from: applied.last().map(|migration| migration.version),
        to: migrator
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or(0),
    })
}

/// Whether the database refused because others were quicker: the same again may go through.
pub(super) fn is_conflict(error: &sqlx::Error) -> bool {
    // serialization_failure, deadlock_detected; unique_violation, of an id that another node has made
    // (postgresql.org/docs/current/errcodes-appendix.html).
    error
        .as_database_error()
        .and_then(DatabaseError::code)
        .is_some_and(|code| ["40001", "40P01", "23505"].contains(&&*code))
}
