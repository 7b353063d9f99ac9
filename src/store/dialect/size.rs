//! What a database says of itself, each in its own way.

use std::path::{Path, PathBuf};

use super::sqlite::inbox_file;
use super::{Connection, Database, Kind, Reader, postgres, query};
use crate::store::StoreError;

/// PostgreSQL counts the rows of a table of fewer bytes; of a larger one it is asked for its
/// estimate, which costs nothing.
const COUNTED: i64 = 64 << 20;

/// How many rows a table has, as far as that can be known quickly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Rows {
    Counted(i64),
    Estimated(i64),
}

impl Database {
    /// Its address, without a password.
    pub(in crate::store) fn place(&self) -> String {
        match self {
            Self::Sqlite(database) => format!("sqlite:{}", database.path().display()),
            Self::Postgres(database) => postgres::place(database.options()),
        }
    }

    /// What it is, with its version.
    pub(in crate::store) async fn version(&self) -> Result<String, StoreError> {
        let mut reader = self.read().await?;
        let (said,): (String,) = match &reader {
            Reader::Sqlite(_) => {
                query("SELECT 'SQLite ' || sqlite_version()")
                    .one(&mut reader.connection())
                    .await?
            }
            Reader::Postgres(_) => {
                query("SELECT version()")
                    .one(&mut reader.connection())
                    .await?
            }
        };
        // `PostgreSQL 15.8 (Debian …) on x86_64-pc-linux-gnu, compiled by …`
        let name = said.split(" (").next().unwrap_or_default();
        Ok(name.split(" on ").next().unwrap_or_default().to_owned())
    }

    /// Its files with their sizes, those that are there; for PostgreSQL the database as a whole, if
    /// it says.
    pub(in crate::store) async fn sizes(&self) -> Result<Vec<(String, u64)>, StoreError> {
        match self {
            Self::Sqlite(database) => {
                let path = database.path();
                let files = [path.to_owned(), inbox_file(path)];
                let files = files.iter().flat_map(|file| [file.clone(), log_of(file)]);
                Ok(files
                    .filter_map(|file| {
                        let size = std::fs::metadata(&file).ok()?.len();
                        Some((file.display().to_string(), size))
                    })
                    .collect())
            }
            Self::Postgres(_) => {
                let mut reader = self.read().await?;
                let size = query("SELECT pg_database_size(current_database())");
                let size = if_known(size.one::<(i64,)>(&mut reader.connection()).await)?;
                Ok(size
                    .map(|(size,)| (self.place(), size as u64))
                    .into_iter()
                    .collect())
            }
        }
    }
}

/// How many rows `table` has, which `count` counts, and how many bytes it takes with its indexes, if
/// that is known.
pub(in crate::store) async fn table(
    connection: &mut Connection<'_>,
    table: &'static str,
    count: &'static str,
) -> Result<(Rows, Option<u64>), StoreError> {
    type Sizes = (i64, i64, i64);
    let sizes: Option<Sizes> = match connection.kind() {
        Kind::Sqlite => None,
        Kind::Postgres => {
            let sizes = query(
                "SELECT pg_relation_size(oid), pg_total_relation_size(oid), reltuples::bigint \
                 FROM pg_class WHERE oid = to_regclass($1)",
            );
            if_known(sizes.bind(table).first(connection).await)?.flatten()
        }
    };
    let bytes = sizes.map(|(_, total, _)| total as u64);
    if let Some((rows_bytes, _, estimate)) = sizes
        && rows_bytes > COUNTED
        && estimate >= 0
    {
        return Ok((Rows::Estimated(estimate), bytes));
    }
    let (rows,): (i64,) = query(count).one(connection).await?;
    Ok((Rows::Counted(rows), bytes))
}

/// None if the engine does not know what it was asked for: not every one that speaks PostgreSQL has
/// its catalogue.
fn if_known<T>(answer: Result<T, sqlx::Error>) -> Result<Option<T>, sqlx::Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.as_database_error().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

fn log_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}
