//! A statement with its values, on either database.

use std::fmt::Write as _;

use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, FromRow};

use super::postgres::answered;
use super::text::text;
use super::{Connection, Kind, Value};

/// What can be read from a row of either database.
pub(in crate::store) trait Record:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Record for T where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

/// A statement with its values.
#[derive(Debug)]
pub(in crate::store) struct Query<'v> {
    text: &'static str,
    values: Vec<Value<'v>>,
}

/// A statement in the words of both; see `text`.
pub(in crate::store) fn query<'v>(text: &'static str) -> Query<'v> {
    Query {
        text,
        values: Vec::new(),
    }
}

/// Repeats `$run` for each database: `$c` is its connection, `$q` the statement with its values.
macro_rules! on {
    ($self:ident, $connection:expr, |$c:ident, $text:ident, $values:ident| $run:expr) => {{
        let statement = AssertSqlSafe(text($self.text, $connection.kind()));
        match $connection {
            Connection::Sqlite($c) => {
                let ($text, $values) = (statement, sqlite($self.values)?);
                as_long_as_it_takes(async { $run }).await
            }
            Connection::Postgres($c) => {
                let ($text, $values) = (statement, postgres($self.values)?);
                answered(async { $run }).await
            }
        }
    }};
}

/// A file answers.
async fn as_long_as_it_takes<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    answer.await
}

impl<'v> Query<'v> {
    /// Gives the next `$1`, `$2`, … its value.
    pub(in crate::store) fn bind(mut self, value: impl Into<Value<'v>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it; returns how many rows it changed.
    pub(in crate::store) async fn run(
        self,
        connection: &mut Connection<'_>,
    ) -> Result<u64, sqlx::Error> {
        on!(self, connection, |c, text, values| {
            let done = sqlx::query_with(text, values).execute(&mut **c).await?;
            Ok(done.rows_affected())
        })
    }

    /// Its rows.
    pub(in crate::store) async fn all<R: Record>(
        self,
        connection: &mut Connection<'_>,
    ) -> Result<Vec<R>, sqlx::Error> {
        on!(self, connection, |c, text, values| {
            sqlx::query_as_with(text, values).fetch_all(&mut **c).await
        })
    }

    /// Its rows as long as `wanted` says so; the others are not read.
    pub(in crate::store) async fn all_while<R: Record>(
        self,
        connection: &mut Connection<'_>,
        mut wanted: impl FnMut(&R) -> bool,
    ) -> Result<Vec<R>, sqlx::Error> {
        on!(self, connection, |c, text, values| {
            let mut rows = sqlx::query_as_with(text, values).fetch(&mut **c);
            let mut taken = Vec::new();
            while let Some(row) = rows.try_next().await? {
                if !wanted(&row) {
                    break;
                }
                taken.push(row);
            }
            Ok(taken)
        })
    }

    /// Its first row, if there is one.
    pub(in crate::store) async fn first<R: Record>(
        self,
        connection: &mut Connection<'_>,
    ) -> Result<Option<R>, sqlx::Error> {
        on!(self, connection, |c, text, values| {
            sqlx::query_as_with(text, values)
                .fetch_optional(&mut **c)
                .await
        })
    }

    /// Its only row.
    pub(in crate::store) async fn one<R: Record>(
        self,
        connection: &mut Connection<'_>,
    ) -> Result<R, sqlx::Error> {
        self.first(connection)
            .await?
            .ok_or(sqlx::Error::RowNotFound)
    }

    /// The first column of its rows.
    pub(in crate::store) async fn column<T>(
        self,
        connection: &mut Connection<'_>,
    ) -> Result<Vec<T>, sqlx::Error>
    where
        (T,): Record,
    {
        let rows: Vec<(T,)> = self.all(connection).await?;
        Ok(rows.into_iter().map(|(value,)| value).collect())
    }
}

fn sqlite(values: Vec<Value<'_>>) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        add_sqlite(&mut arguments, value)?;
    }
    Ok(arguments)
}

pub(super) fn add_sqlite(
    arguments: &mut SqliteArguments,
    value: Value<'_>,
) -> Result<(), sqlx::Error> {
    match value {
        Value::Integer(value) => arguments.add(value),
        Value::Text(value) => arguments.add(value),
        Value::Boolean(value) => arguments.add(value),
        Value::Bytes(value) => arguments.add(value.as_ref()),
        Value::Ids(ids) => arguments.add(json_list(&ids)),
    }
    .map_err(sqlx::Error::Encode)
}

fn postgres(values: Vec<Value<'_>>) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        match value.for_postgres() {
            Value::Integer(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Boolean(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value.as_ref()),
            Value::Ids(ids) => arguments.add(ids),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn json_list(ids: &[i64]) -> String {
    let mut text = String::with_capacity(ids.len() * 20 + 2);
    text.push('[');
    for (index, id) in ids.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{id}");
    }
    text.push(']');
    text
}

impl Kind {
    /// `text` in its words.
    #[cfg(test)]
    pub(in crate::store) fn translate(self, statement: &'static str) -> std::sync::Arc<str> {
        text(statement, self)
    }
}
