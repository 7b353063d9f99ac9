//! Lists of people in a folder: badge scans, downloads, any CSV, Excel or JSON lines file.
//!
//! ```text
//! bytes ─ unpack ─ csv · xlsx · jsonl (rows of text) ─ table (header, people, faults)
//! row ─ extract ┬ column (what a column is for), reading (which value is which lead field)
//!               └ date, consent, identity
//! ```
//!
//! A file is read as a whole by [`read`]; each row becomes an event whose body is a JSON object of
//! column and text, and [`FileDrop`] reads that. How files are found and taken: `ingest::file`. How
//! lists look: `connectors/file-drop/README.md`.

mod column;
mod consent;
mod csv;
mod date;
mod encoding;
mod error;
mod extract;
mod identity;
mod jsonl;
pub mod limits;
mod options;
mod raw;
mod reading;
mod table;
#[cfg(test)]
mod tests;
mod unpack;
mod xlsx;

pub use column::Role;
pub use error::{FileError, RowFault, Warning};
pub use options::{ConsentRule, DateOrder, FileDropOptions};
pub use table::{Row, Table};

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::super::{Connector, ExtractError, Payload, Refusal, time};
use crate::config::SourceConfig;
use crate::model::{Event, Extracted};
use date::When;
use extract::RowReader;

/// The content type of a row's event.
pub const ROW_CONTENT_TYPE: &str = "application/json";

/// How deep files may be packed in each other: `list.csv.gz` in a zip.
const MOST_PACKINGS: usize = 2;

/// The connector of lists in a folder.
#[derive(Debug)]
pub struct FileDrop {
    reader: RowReader,
}

impl FileDrop {
    /// The connector of one source.
    pub fn new(source: &SourceConfig, options: &FileDropOptions) -> Self {
        let show = options.show.as_ref().or(source.campaign.as_ref());
        Self {
            reader: RowReader {
                fields: source.fields.clone(),
                options: options.clone(),
                show: show.cloned(),
                zone: time::zone(Some(&options.timezone)),
            },
        }
    }
}

impl Connector for FileDrop {
    fn receive(&self, _: Payload<'_>) -> Result<(), Refusal> {
        Err(Refusal::unsupported_type(
            "body.not_a_file_source",
            "this source reads files from its folder and takes no requests",
            "put the list into the folder, or send to a source with another connector",
        ))
    }

    fn extract(&self, event: &Event) -> Result<Vec<Extracted>, ExtractError> {
        let Ok(Value::Object(object)) = serde_json::from_slice(&event.body) else {
            return Err(ExtractError {
                code: "body.malformed_json",
                message: "the row is not kept as a JSON object".to_owned(),
                hint: "put the file into the folder once more".to_owned(),
            });
        };
        let cells: Vec<(String, String)> = object
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => (name, text),
                other => (name, other.to_string()),
            })
            .collect();
        Ok(vec![self.reader.extract(&cells, event)])
    }
}

/// Reads the list in a file of that name, as the source says.
pub fn read(
    name: &str,
    bytes: &[u8],
    source: &SourceConfig,
    options: &FileDropOptions,
) -> Result<Table, FileError> {
    let wanted: Vec<&str> = source
        .fields
        .values()
        .flat_map(|mapping| &mapping.from)
        .map(String::as_str)
        .chain(options.id_column.as_deref())
        .chain(options.consent.column.as_deref())
        .collect();
    let raw = read_raw(name, bytes, options)?;
    let mut table = Table::of(raw, options.header_row, &wanted)?;
    if let Some(column) = &options.consent.column
        && !table.has_column(column)
    {
        return Err(FileError::new(
            "file.no_consent_column",
            format!("there is no column `{column}`, which says who agreed to be contacted"),
            "add it to the list, correct `consent`, or write why all of these people may be contacted: `consent = { statement = \"…\" }`",
        ));
    }
    if !is_contact_known(&table, source) {
        return Err(FileError::new(
            "file.no_contact_column",
            "no column is known to hold e-mail addresses or phone numbers",
            format!(
                "say which does: `fields.email = {{ from = \"…\" }}`; there are: {}",
                table.header.join(", ")
            ),
        ));
    }
    warn(&mut table, source, options);
    Ok(table)
}

fn read_raw(name: &str, bytes: &[u8], options: &FileDropOptions) -> Result<raw::Raw, FileError> {
    let mut name = name.to_lowercase();
    let mut bytes = Cow::Borrowed(bytes);
    for _ in 0..=MOST_PACKINGS {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match ending {
            "gz" => {
                bytes = Cow::Owned(unpack::gunzip(&bytes)?);
                name.truncate(name.len() - ".gz".len());
            }
            "zip" => {
                let (inner, content) = unpack::unzip(&bytes)?;
                bytes = Cow::Owned(content);
                name = inner.to_lowercase();
            }
            "csv" | "tsv" | "txt" | "tab" => return csv::read(&bytes, options),
            "xlsx" | "xlsm" | "xls" => return xlsx::read(&bytes, options),
            "jsonl" | "ndjson" => return jsonl::read(&bytes, options),
            "pgp" | "gpg" | "asc" => {
                return Err(FileError::new(
                    "file.encrypted",
                    "the file is encrypted",
                    "put it into the folder decrypted",
                ));
            }
            _ => break,
        }
    }
    Err(FileError::new(
        "file.unknown_type",
        "the file is of no type that is read",
        "save it as .csv, .tsv, .xlsx or .jsonl; each may be packed as .gz or .zip",
    ))
}

fn is_contact_known(table: &Table, source: &SourceConfig) -> bool {
    const CONTACTS: [&str; 3] = ["email", "phone", "mobile"];
    let mut configured = CONTACTS
        .iter()
        .filter_map(|field| source.fields.get(*field))
        .flat_map(|mapping| &mapping.from);
    configured.any(|from| table.has_column(from))
        || table
            .columns()
            .any(|(_, role)| matches!(role, Role::Field(field) if CONTACTS.contains(&field)))
}

fn warn(table: &mut Table, source: &SourceConfig, options: &FileDropOptions) {
    let mut warnings = Vec::new();
    for (field, mapping) in &source.fields {
        if !mapping.from.iter().any(|from| table.has_column(from)) {
            let names = mapping.from.join("` or `");
            warnings.push(Warning::new(
                "file.missing_column",
                format!(
                    "there is no column `{names}`, which the configuration names for `{field}`"
                ),
            ));
        }
    }
    if let Some(column) = &options.id_column
        && !table.has_column(column)
    {
        let message = format!("there is no column `{column}`, which `id_column` names");
        warnings.push(Warning::new("file.missing_column", message));
    }
    let said = table
        .columns()
        .find(|(_, role)| *role == Role::Field("consent"));
    if let (true, Some((column, _))) = (options.consent.unknown, said) {
        warnings.push(Warning::new(
            "file.consent_not_used",
            format!("`{column}` looks as if it said who agreed to be contacted, but `consent` says that nobody knows: only a no is taken from it"),
        ));
    }
    let reader = FileDrop::new(source, options).reader;
    let (mut ambiguous, mut unreadable, mut spoiled) = (0, 0, 0);
    for row in &table.rows {
        let cells = table.cells(row);
        match reader.met_text(&cells).map(|met| met.when) {
            Some(When::Ambiguous) => ambiguous += 1,
            Some(When::Unreadable) => unreadable += 1,
            Some(When::At(_)) | None => {}
        }
        let is_number =
            |name: &str| matches!(Role::of(name), Role::Field("phone" | "mobile" | "fax"));
        let mut numbers = cells.iter().filter(|(name, _)| is_number(name));
        spoiled += usize::from(numbers.any(|(_, text)| extract::is_spoiled(text)));
    }
    for (count, code, what) in [
        (
            ambiguous,
            "file.ambiguous_dates",
            "have a date that could be read two ways, and count as of today: set `date_order`",
        ),
        (
            unreadable,
            "file.unreadable_dates",
            "have a date that cannot be read, and count as of today",
        ),
        (
            spoiled,
            "file.spoiled_phones",
            "have a phone number that a sheet has rounded (`4,8E+11`): it is lost. Format the column as text before it is filled",
        ),
    ] {
        if count > 0 {
            let people = if count == 1 { "row" } else { "rows" };
            warnings.push(Warning::new(code, format!("{count} {people} {what}")));
        }
    }
    table.warnings.extend(warnings);
}

impl Table {
    /// Column and text of each cell of a row that is not blank.
    pub fn cells(&self, row: &Row) -> Vec<(String, String)> {
        let cells = self.header.iter().zip(&row.cells);
        cells
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(name, cell)| (name.clone(), cell.clone()))
            .collect()
    }

    /// The body of a row's event.
    pub fn body(&self, row: &Row) -> String {
        let object: Map<String, Value> = self
            .cells(row)
            .into_iter()
            .map(|(name, cell)| (name, Value::String(cell)))
            .collect();
        Value::Object(object).to_string()
    }
}
