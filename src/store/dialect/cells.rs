use std::borrow::Cow;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column as _, FromRow, Row, TypeInfo as _};

use super::Value;

/// A row as it stands in a table, whichever that is: each value is of the type that its column was
/// declared with, also where it is NULL.
#[derive(Debug, Clone)]
pub(in crate::store) struct Cells(pub(in crate::store) Vec<Value<'static>>);

/// The same for each driver.
macro_rules! cells {
    ($row:expr) => {
        (0..$row.len())
            .map(|index| {
                Ok(match $row.column(index).type_info().name() {
                    "INTEGER" | "INT8" => Value::Integer($row.try_get(index)?),
                    "TEXT" => {
                        Value::Text($row.try_get::<Option<String>, _>(index)?.map(Cow::Owned))
                    }
                    "BOOLEAN" | "BOOL" => Value::Boolean($row.try_get(index)?),
                    "BLOB" | "BYTEA" => {
                        Value::Bytes(Cow::Owned($row.try_get::<Vec<u8>, _>(index)?))
                    }
                    other => {
                        return Err(sqlx::Error::Decode(
                            format!("a column of the type {other}").into(),
                        ));
                    }
                })
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Self)
    };
}

impl<'r> FromRow<'r, SqliteRow> for Cells {
    fn from_row(row: &'r SqliteRow) -> Result<Self, sqlx::Error> {
        cells!(row)
    }
}

impl<'r> FromRow<'r, PgRow> for Cells {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        cells!(row)
    }
}
