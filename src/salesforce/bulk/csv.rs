//! The tables of bulk jobs: RFC 4180, UTF-8, LF.

use std::collections::HashMap;

use ::csv::{ByteRecord, QuoteStyle, ReaderBuilder, StringRecord, Terminator, WriterBuilder};
use bytes::Bytes;
use serde_json::Value;

use super::super::Map;
use super::super::call::{CallError, Unsendable};
use super::ingest::{MAX_UPLOAD_BYTES, MAX_UPLOAD_ROWS};
use super::job::{JobKind, unreadable};

/// What Salesforce takes as "make it blank". We never mean that, and a person who typed it neither.
const SET_NULL: &str = "#N/A";

/// The longest value, and the longest row, that a job takes. Source: Bulk API limits.
const MAX_VALUE_CHARS: usize = 32_000;
const MAX_ROW_CHARS: usize = 400_000;

/// A table as a job gives it: rows with their values by column.
///
/// It prints without its values.
pub struct Csv {
    columns: HashMap<String, usize>,
    names: StringRecord,
    rows: Vec<StringRecord>,
}

impl std::fmt::Debug for Csv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns: Vec<&str> = self.names.iter().collect();
        f.debug_struct("Csv")
            .field("columns", &columns)
            .field("rows", &self.rows.len())
            .finish()
    }
}

/// A row of a table.
#[derive(Clone, Copy)]
pub struct BulkRow<'t> {
    table: &'t Csv,
    values: &'t StringRecord,
}

impl std::fmt::Debug for BulkRow<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BulkRow({} values)", self.values.len())
    }
}

impl<'t> BulkRow<'t> {
    /// The value in `column`, in any case of its name: none where it is blank, or not there.
    /// All are text: booleans are `true` and `false`, times `2026-03-01T10:00:00.000Z`.
    pub fn get(&self, column: &str) -> Option<&'t str> {
        let position = self.table.column(column)?;
        self.values.get(position).filter(|value| !value.is_empty())
    }

    /// The row as a query of REST would give it: every value text, null where it is blank.
    pub fn to_map(&self) -> Map {
        let value = |value: &str| match value {
            "" => Value::Null,
            value => Value::String(value.to_owned()),
        };
        let pairs = self.table.names.iter().zip(self.values);
        pairs
            .map(|(name, text)| (name.to_owned(), value(text)))
            .collect()
    }
}

impl Csv {
    /// Reads an answer of a job.
    pub(super) fn read(kind: JobKind, body: &Bytes) -> Result<Self, CallError> {
        let mut reader = ReaderBuilder::new().from_reader(&body[..]);
        // The parser's own words are not shown: they are about values.
        let broken = |error: ::csv::Error| {
            let line = error.position().map_or(0, ::csv::Position::line);
            unreadable(kind, format!("its table is broken at line {line}"))
        };
        let names = reader.headers().map_err(broken)?.clone();
        if names.is_empty() {
            return Err(unreadable(kind, "its table has no columns"));
        }
        let columns = names
            .iter()
            .enumerate()
            .map(|(position, name)| (name.to_ascii_lowercase(), position))
            .collect();
        let rows = reader
            .records()
            .collect::<Result<Vec<_>, _>>()
            .map_err(broken)?;
        Ok(Self {
            columns,
            names,
            rows,
        })
    }

    /// A table without columns or rows.
    pub(super) fn empty() -> Self {
        Self {
            columns: HashMap::new(),
            names: StringRecord::new(),
            rows: Vec::new(),
        }
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.columns
            .get(name)
            .or_else(|| self.columns.get(&name.to_ascii_lowercase()))
            .copied()
    }

    /// Whether there is such a column.
    pub fn has(&self, column: &str) -> bool {
        self.column(column).is_some()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows.
    pub fn iter(&self) -> impl Iterator<Item = BulkRow<'_>> {
        let row = |values| BulkRow {
            table: self,
            values,
        };
        self.rows.iter().map(row)
    }
}

/// A table to be uploaded.
#[derive(Debug)]
pub struct CsvUpload {
    pub(super) csv: Bytes,
    /// How many of the rows that were offered are in it, from the first on.
    pub taken: usize,
    /// Which of them are not in it after all, by position: no job takes a row as long as these.
    pub too_long: Vec<usize>,
}

impl CsvUpload {
    /// Writes as many of `rows` as fit into one job. Columns are the names that occur in them; a
    /// record in a record is a relationship by external id (`Campaign.Key__c`). What a row does not
    /// have, and null, is left as it is in Salesforce.
    pub fn write(rows: &[&Map]) -> Result<Self, CallError> {
        let rows = &rows[..rows.len().min(MAX_UPLOAD_ROWS)];
        let columns = Columns::of(rows);
        let mut writer = WriterBuilder::new()
            .terminator(Terminator::Any(b'\n'))
            .quote_style(QuoteStyle::Necessary)
            .from_writer(Vec::new());
        let mut record = ByteRecord::new();
        columns
            .names
            .iter()
            .for_each(|name| record.push_field(name.as_bytes()));
        writer.write_byte_record(&record).map_err(malformed)?;
        // Of the rows so far, with room for quotes.
        let mut bytes = record.as_slice().len();
        let mut too_long = Vec::new();
        let mut taken = 0;
        for (position, row) in rows.iter().enumerate() {
            if !columns.fill(&mut record, row) {
                too_long.push(position);
                taken += 1;
                continue;
            }
            // The results repeat every value in quotes, blank ones too.
            let more = record.as_slice().len() + record.len() * 3;
            if bytes + more > MAX_UPLOAD_BYTES && taken > too_long.len() {
                break;
            }
            writer.write_byte_record(&record).map_err(malformed)?;
            bytes += more;
            taken += 1;
        }
        let csv = writer
            .into_inner()
            .map_err(|error| malformed(error.into_error()))?;
        Ok(Self {
            csv: csv.into(),
            taken,
            too_long,
        })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.csv
    }
}

fn malformed(error: impl std::fmt::Display) -> CallError {
    Unsendable::Malformed(error.to_string()).into()
}

/// The columns of an upload and where they stand.
struct Columns<'r> {
    names: Vec<String>,
    positions: HashMap<(&'r str, Option<&'r str>), usize>,
}

impl<'r> Columns<'r> {
    fn of(rows: &[&'r Map]) -> Self {
        let mut columns = Self {
            names: Vec::new(),
            positions: HashMap::new(),
        };
        for (name, value) in rows.iter().flat_map(|row| row.iter()) {
            match value {
                Value::Object(parent) => {
                    for field in parent.keys().filter(|field| *field != "attributes") {
                        columns.add(name, Some(field));
                    }
                }
                _ => columns.add(name, None),
            }
        }
        columns
    }

    fn add(&mut self, name: &'r str, field: Option<&'r str>) {
        let next = self.names.len();
        self.positions.entry((name, field)).or_insert_with(|| {
            self.names.push(match field {
                Some(field) => format!("{name}.{field}"),
                None => name.to_owned(),
            });
            next
        });
    }

    /// Makes `record` the row; false if no job takes it.
    fn fill(&self, record: &mut ByteRecord, row: &Map) -> bool {
        let mut values = vec![String::new(); self.names.len()];
        let mut set = |name: &str, field: Option<&str>, value: &Value| {
            if let Some(position) = self.positions.get(&(name, field)) {
                values[*position] = text(value);
            }
        };
        for (name, value) in row {
            match value {
                Value::Object(parent) => parent
                    .iter()
                    .for_each(|(field, value)| set(name, Some(field), value)),
                value => set(name, None, value),
            }
        }
        record.clear();
        let mut chars = 0;
        for value in &values {
            let length = value.chars().count();
            if length > MAX_VALUE_CHARS {
                return false;
            }
            chars += length;
            record.push_field(value.as_bytes());
        }
        chars <= MAX_ROW_CHARS
    }
}

/// A value as a cell. Blank says "no change".
fn text(value: &Value) -> String {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) if value.trim().eq_ignore_ascii_case(SET_NULL) => String::new(),
        // The job declares LF, and is refused whole if the table has another line ending.
        Value::String(value) if value.contains('\r') => {
            value.replace("\r\n", "\n").replace('\r', "\n")
        }
        Value::String(value) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rows(values: &[Value]) -> Vec<Map> {
        let row = |value: &Value| value.as_object().unwrap().clone();
        values.iter().map(row).collect()
    }

    fn write(rows: &[Map]) -> CsvUpload {
        let rows: Vec<&Map> = rows.iter().collect();
        CsvUpload::write(&rows).unwrap()
    }

    #[test]
    fn a_table_has_every_column_once_and_blanks_where_there_is_nothing() {
        let rows = rows(&[
            json!({ "Key__c": "a", "LastName": "O\"Hara, J.", "Seats__c": 3 }),
            json!({ "Key__c": "b", "Email": null, "LastName": "Müller\r\nTwo", "Ok__c": true }),
            json!({ "Key__c": "c", "Campaign": { "attributes": {}, "Key__c": "x" }, "LastName": "#n/a" }),
        ]);
        let upload = write(&rows);
        assert_eq!((upload.taken, upload.too_long.len()), (3, 0));
        assert_eq!(
            std::str::from_utf8(upload.bytes()).unwrap(),
            "Key__c,LastName,Seats__c,Email,Ok__c,Campaign.Key__c\n\
             a,\"O\"\"Hara, J.\",3,,,\n\
             b,\"Müller\nTwo\",,,true,\n\
             c,,,,,x\n"
        );
    }

    #[test]
    fn a_row_that_no_job_takes_is_left_out_and_told() {
        let long = "x".repeat(MAX_VALUE_CHARS + 1);
        let rows = rows(&[
            json!({ "Key__c": "a", "Description": long }),
            json!({ "Key__c": "b" }),
        ]);
        let upload = write(&rows);
        assert_eq!((upload.taken, upload.too_long.as_slice()), (2, &[0][..]));
        assert_eq!(upload.bytes(), b"Key__c,Description\nb,\n");
    }

    #[test]
    fn a_table_stays_below_the_limits_of_a_job() {
        let row = rows(&[json!({ "Key__c": "a", "Description": "x".repeat(30_000) })]);
        let many: Vec<&Map> = std::iter::repeat_n(&row[0], 1_000).collect();
        let upload = CsvUpload::write(&many).unwrap();
        assert!(upload.bytes().len() <= MAX_UPLOAD_BYTES);
        assert!((200..1_000).contains(&upload.taken), "{}", upload.taken);
        let small = rows(&[json!({ "Key__c": "a" })]);
        let many: Vec<&Map> = std::iter::repeat_n(&small[0], 20_000).collect();
        assert_eq!(CsvUpload::write(&many).unwrap().taken, MAX_UPLOAD_ROWS);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            values in prop::collection::vec(prop::collection::vec("[^\r]{0,20}", 3), 1..20),
        ) {
            let rows: Vec<Map> = values
                .iter()
                .map(|row| rows(&[json!({ "A": row[0], "B": row[1], "C": row[2] })]).remove(0))
                .collect();
            let table = Csv::read(JobKind::Ingest, &write(&rows).csv).unwrap();
            prop_assert_eq!(table.len(), values.len());
            for (row, values) in table.iter().zip(&values) {
                for (column, value) in ["A", "B", "C"].into_iter().zip(values) {
                    let blank = value.is_empty() || value.trim().eq_ignore_ascii_case(SET_NULL);
                    prop_assert_eq!(row.get(column), (!blank).then_some(value.as_str()));
                }
            }
        }
    }
}
