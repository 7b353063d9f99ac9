//! Rows of cells under a header row, as objects.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use ring::digest::{SHA256, digest};
use serde_json::Value;
use serde_json::value::RawValue;

use super::RecordsError;
use crate::connector::manifest::BodyEncoding;
use crate::connector::mechanism::body;
use crate::connector::select::add_texts;

/// What spreadsheets show where a formula has no value.
const ERRORS: &[&str] = &[
    "#N/A",
    "#REF!",
    "#VALUE!",
    "#ERROR!",
    "#NAME?",
    "#DIV/0!",
    "#NUM!",
    "#NULL!",
    "Loading...",
];

/// How rows become objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowsReader {
    /// The header's row, from 1.
    pub header_row: usize,
}

impl RowsReader {
    /// The rows below the header as JSON objects, in which a cell stands under its column's name.
    /// Blank cells, and those whose formula failed, are left out; so are rows that hold nothing.
    ///
    /// Names of columns are trimmed and their blanks collapsed. A name that occurs again is numbered
    /// (`Email (2)`); a column without a name is called by its letter (`Column C`).
    pub fn records<'p>(self, rows: &[&'p str]) -> Result<Vec<Cow<'p, str>>, RecordsError> {
        let Some(below) = rows.get(self.header_row.saturating_sub(1)..) else {
            return if rows.is_empty() {
                Ok(Vec::new())
            } else {
                Err(RecordsError::NoHeader {
                    row: self.header_row,
                })
            };
        };
        let Some((header, rows)) = below.split_first() else {
            return if rows.is_empty() {
                Ok(Vec::new())
            } else {
                Err(RecordsError::NoHeader {
                    row: self.header_row,
                })
            };
        };
        let names: Vec<String> = names(&cells(header))
            .into_iter()
            .map(|name| json(&name))
            .collect();
        let records = rows.iter().filter_map(|row| object(&names, &cells(row)));
        Ok(records.map(Cow::Owned).collect())
    }
}

/// What tells a row from others, if no column does: a hash of what its cells hold, wherever they
/// stand, so that moving a column makes no row a new one. Two equal rows are one.
pub fn row_hash(record: &Value) -> String {
    let mut texts = Vec::new();
    if let Value::Object(cells) = record {
        for cell in cells.values() {
            add_texts(cell, &mut texts);
        }
    }
    texts.sort_unstable();
    let mut written = String::new();
    for text in &texts {
        // Writing to a String cannot fail.
        let _ = write!(written, "{}:{text}", text.len());
    }
    let hash = digest(&SHA256, written.as_bytes());
    hash.as_ref()[..16]
        .iter()
        .fold("row-".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// A row's cells as they are written. What is no row has none.
fn cells(row: &str) -> Vec<&RawValue> {
    serde_json::from_str(row).unwrap_or_default()
}

fn names(header: &[&RawValue]) -> Vec<String> {
    let mut taken = HashSet::new();
    // The number that each name got last: a header of one name throughout takes no longer.
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut names = Vec::with_capacity(header.len());
    for (place, cell) in header.iter().enumerate() {
        let mut texts = Vec::new();
        if let Ok(value) = body::decode(BodyEncoding::Json, "", cell.get().as_bytes()) {
            add_texts(&value, &mut texts);
        }
        let mut name = texts
            .join(" ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        if name.is_empty() {
            name = column(place);
        }
        let mut unique = name.clone();
        while !taken.insert(unique.to_lowercase()) {
            let number = numbers.entry(name.to_lowercase()).or_insert(1);
            *number += 1;
            unique = format!("{name} ({number})");
        }
        names.push(unique);
    }
    names
}

/// A column without a name: `Column C`.
fn column(place: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = place + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + (rest % 26) as u8));
        rest /= 26;
    }
    format!("Column {}", letters.iter().rev().collect::<String>())
}

fn object(names: &[String], cells: &[&RawValue]) -> Option<String> {
    let mut object = String::from("{");
    for (place, cell) in cells.iter().enumerate() {
        let text = cell.get();
        if is_blank(text) {
            continue;
        }
        if object.len() > 1 {
            object.push(',');
        }
        match names.get(place) {
            Some(name) => object.push_str(name),
            None => object.push_str(&json(&column(place))),
        }
        object.push(':');
        object.push_str(text);
    }
    object.push('}');
    (object.len() > 2).then_some(object)
}

fn is_blank(cell: &str) -> bool {
    let inner = cell
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(text) => text.trim().is_empty() || ERRORS.contains(&text.trim()),
        None => cell == "null",
    }
}

fn json(text: &str) -> String {
    Value::from(text).to_string()
}
