//! Many rows in one statement.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe};

use super::postgres::answered;
use super::statement::add_sqlite;
use super::{Connection, Kind, Value};

/// The most rows in one of SQLite's statements, which takes 32,766 values in all.
const MOST_SQLITE_ROWS: usize = 256;

/// The most rows in one of PostgreSQL's.
const MOST_POSTGRES_ROWS: usize = 4096;

/// The values of many rows, row by row.
#[derive(Debug)]
pub(in crate::store) struct Rows<'v>(Cells<'v>);

#[derive(Debug)]
enum Cells<'v> {
    Sqlite(SqliteArguments),
    /// PostgreSQL takes an array a column; the next value belongs to the column after the last.
    Postgres {
        columns: Vec<Column<'v>>,
        next: usize,
    },
}

#[derive(Debug)]
enum Column<'v> {
    Integer(Vec<Option<i64>>),
    Text(Vec<Option<Cow<'v, str>>>),
    Boolean(Vec<bool>),
    Bytes(Vec<Cow<'v, [u8]>>),
}

impl<'v> Rows<'v> {
    fn of(kind: Kind) -> Self {
        Self(match kind {
            Kind::Sqlite => Cells::Sqlite(SqliteArguments::default()),
            Kind::Postgres => Cells::Postgres {
                columns: Vec::new(),
                next: 0,
            },
        })
    }

    /// The next value of the current row.
    pub(in crate::store) fn push(
        &mut self,
        value: impl Into<Value<'v>>,
    ) -> Result<(), sqlx::Error> {
        let value = value.into();
        match &mut self.0 {
            Cells::Sqlite(arguments) => add_sqlite(arguments, value),
            Cells::Postgres { columns, next } => {
                if *next == columns.len() {
                    columns.push(Column::for_value(&value));
                }
                columns[*next].push(value.for_postgres())?;
                *next += 1;
                Ok(())
            }
        }
    }

    fn end_row(&mut self) {
        if let Cells::Postgres { next, .. } = &mut self.0 {
            *next = 0;
        }
    }
}

impl<'v> Column<'v> {
    fn for_value(value: &Value<'_>) -> Self {
        match value {
            Value::Integer(_) | Value::Ids(_) => Self::Integer(Vec::new()),
            Value::Text(_) => Self::Text(Vec::new()),
            Value::Boolean(_) => Self::Boolean(Vec::new()),
            Value::Bytes(_) => Self::Bytes(Vec::new()),
        }
    }

    fn push(&mut self, value: Value<'v>) -> Result<(), sqlx::Error> {
        match (self, value) {
            (Self::Integer(values), Value::Integer(value)) => values.push(value),
            (Self::Text(values), Value::Text(value)) => values.push(value),
            (Self::Boolean(values), Value::Boolean(value)) => values.push(value),
            (Self::Bytes(values), Value::Bytes(value)) => values.push(value),
            _ => {
                return Err(sqlx::Error::Encode(
                    "a column has values of one type".into(),
                ));
            }
        }
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Integer(_) => "bigint",
            Self::Text(_) => "text",
            Self::Boolean(_) => "boolean",
            Self::Bytes(_) => "bytea",
        }
    }

    fn bind(self, arguments: &mut PgArguments) -> Result<(), sqlx::Error> {
        match self {
            Self::Integer(values) => arguments.add(values),
            Self::Text(values) => arguments.add(values),
            Self::Boolean(values) => arguments.add(values),
            Self::Bytes(values) => {
                let values: Vec<&[u8]> = values.iter().map(AsRef::as_ref).collect();
                arguments.add(values)
            }
        }
        .map_err(sqlx::Error::Encode)
    }
}

/// Inserts many rows: `before` is `INSERT INTO t (…) VALUES`, `after` an `ON CONFLICT` or nothing.
/// Returns how many were inserted or changed.
///
/// SQLite takes them by powers of two, so that few statements need preparing: a row of 256 a
/// statement costs a twentieth of a statement a row. PostgreSQL takes an array a column.
pub(in crate::store) async fn insert<'r, R>(
    connection: &mut Connection<'_>,
    before: &'static str,
    after: &'static str,
    rows: &'r [R],
    bind: impl Fn(&mut Rows<'r>, &'r R) -> Result<(), sqlx::Error>,
) -> Result<u64, sqlx::Error> {
    let mut rest = rows;
    let mut changed = 0;
    while !rest.is_empty() {
        let count = match connection.kind() {
            Kind::Sqlite => (1 << rest.len().ilog2()).min(MOST_SQLITE_ROWS),
            Kind::Postgres => rest.len().min(MOST_POSTGRES_ROWS),
        };
        let (now, later) = rest.split_at(count);
        let mut values = Rows::of(connection.kind());
        for row in now {
            bind(&mut values, row)?;
            values.end_row();
        }
        changed += execute(connection, before, after, count, values).await?;
        rest = later;
    }
    Ok(changed)
}

async fn execute(
    connection: &mut Connection<'_>,
    before: &'static str,
    after: &'static str,
    count: usize,
    values: Rows<'_>,
) -> Result<u64, sqlx::Error> {
    match (connection, values.0) {
        (Connection::Sqlite(connection), Cells::Sqlite(arguments)) => {
            let text = values_text(before, arguments.len() / count, count, after);
            let done = sqlx::query_with(AssertSqlSafe(text), arguments)
                .execute(&mut **connection)
                .await?;
            Ok(done.rows_affected())
        }
        (Connection::Postgres(connection), Cells::Postgres { columns, .. }) => {
            let text = arrays_text(before, &columns, after);
            let mut arguments = PgArguments::default();
            for column in columns {
                column.bind(&mut arguments)?;
            }
            let done = sqlx::query_with(AssertSqlSafe(text), arguments).execute(&mut **connection);
            Ok(answered(done).await?.rows_affected())
        }
        // The rows were made for this connection.
        _ => Err(sqlx::Error::Encode("rows of another database".into())),
    }
}

/// `before (?,?),(?,?) after`, made once for each shape.
fn values_text(before: &'static str, columns: usize, rows: usize, after: &'static str) -> Arc<str> {
    type Shape = (&'static str, usize, &'static str);
    static MADE: LazyLock<Mutex<HashMap<Shape, Arc<str>>>> = LazyLock::new(Mutex::default);
    MADE.lock()
        .entry((before, rows, after))
        .or_insert_with(|| {
            let row = format!("({})", vec!["?"; columns].join(","));
            let mut text =
                String::with_capacity(before.len() + after.len() + rows * (row.len() + 1));
            text.push_str(before);
            for index in 0..rows {
                // Writing to a String cannot fail.
                let _ = write!(text, "{}{row}", if index == 0 { " " } else { "," });
            }
            text.push(' ');
            text.push_str(after);
            text.into()
        })
        .clone()
}

/// `INSERT INTO t (…) SELECT * FROM unnest($1::bigint[], …) after`, made once.
fn arrays_text(before: &'static str, columns: &[Column<'_>], after: &'static str) -> Arc<str> {
    type Made = HashMap<(&'static str, &'static str), Arc<str>>;
    static MADE: LazyLock<Mutex<Made>> = LazyLock::new(Mutex::default);
    MADE.lock()
        .entry((before, after))
        .or_insert_with(|| {
            let arrays: Vec<String> = (1..)
                .zip(columns)
                .map(|(number, column)| format!("${number}::{}[]", column.type_name()))
                .collect();
            let target = before.strip_suffix("VALUES").unwrap_or(before);
            let arrays = arrays.join(", ");
            // Named, so that `ON CONFLICT … WHERE` after it cannot be taken for a join.
            format!("{target}SELECT * FROM unnest({arrays}) AS new_row {after}").into()
        })
        .clone()
}
