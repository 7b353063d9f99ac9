//! The records of a page, as the JSON text that the vendor sent: no value is built of what is only
//! passed on, which is five times quicker.
//!
//! Owns: where records are in a page, rows under a header, lists beside the records. Promises that a
//! record's text is as it was sent, and that a page has a limit. Never sees: what a record means.

mod descend;
mod join;
mod pick;
mod rows;

pub use join::{Joiner, Joins};
pub use rows::{RowsReader, row_hash};

use std::borrow::Cow;

use serde::de::DeserializeSeed;
use serde_json::Value;

use super::manifest::BodyEncoding;
use super::mechanism::body;
use super::path::{Path, Step};
use descend::{Descend, Ends, Found};

/// The most records on one page. Vendors' largest pages hold 10,000.
pub const MOST_RECORDS: usize = 20_000;

/// The most rows of one page: a spreadsheet's tab comes in one answer.
pub const MOST_ROWS: usize = 100_000;

/// An answer of a vendor.
#[derive(Debug)]
pub struct Page<'p> {
    text: Cow<'p, str>,
}

/// Why a page's records cannot be had. Holds nothing of the page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// It is no JSON.
    #[error("the answer is not valid JSON: line {line}, column {column}")]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// There is something else where the records should be.
    #[error("there are no records at `{path}` of the answer, but a value of another type")]
    WrongType {
        /// Where.
        path: String,
    },
    /// There are too many.
    #[error("the answer holds more than {most} records")]
    TooMany {
        /// The limit.
        most: usize,
    },
    /// There is no header row.
    #[error("the answer has no row {row}, which should be the header")]
    NoHeader {
        /// From 1.
        row: usize,
    },
}

impl<'p> Page<'p> {
    /// A page's bytes. What is not UTF-8 in it is replaced: one bad byte must not hold up all records.
    pub fn new(bytes: &'p [u8]) -> Self {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        Self {
            text: String::from_utf8_lossy(bytes),
        }
    }

    /// Its records: the objects at `path`, or in the array there. Nothing or `null` there is no
    /// record; anything else is an error.
    pub fn records(&self, path: &Path) -> Result<Vec<Cow<'_, str>>, RecordsError> {
        let Some(steps) = path.steps() else {
            return self.queried(path);
        };
        let raw = self.raw(path, steps, MOST_RECORDS)?;
        if raw.iter().any(|record| !record.starts_with('{')) {
            return Err(wrong_type(path));
        }
        Ok(raw.into_iter().map(Cow::Borrowed).collect())
    }

    /// Its rows as objects.
    pub fn rows(&self, path: &Path, rows: &RowsReader) -> Result<Vec<Cow<'_, str>>, RecordsError> {
        // `values[*]` are the rows of `values`.
        let steps = path.steps().ok_or_else(|| wrong_type(path))?;
        let steps = match steps.split_last() {
            Some((Step::Each, before)) => before,
            _ => steps,
        };
        let raw = self.raw(path, steps, MOST_ROWS)?;
        if raw.iter().any(|row| !row.starts_with('[')) {
            return Err(wrong_type(path));
        }
        rows.records(&raw)
    }

    /// The texts at `paths`, each as [`pick`] gives it.
    pub fn pick(&self, paths: &[&Path]) -> Vec<Option<String>> {
        pick(&self.text, paths)
    }

    /// The whole of it.
    pub fn value(&self) -> Result<Value, RecordsError> {
        body::decode(BodyEncoding::Json, "", self.text.as_bytes()).map_err(|_| {
            self.malformed()
                .unwrap_or(RecordsError::Malformed { line: 1, column: 1 })
        })
    }

    fn raw(&self, path: &Path, steps: &[Step], most: usize) -> Result<Vec<&str>, RecordsError> {
        let ends = match steps.last() {
            Some(Step::Each) => Ends::Whole,
            _ => Ends::Items,
        };
        let mut found = self.descend(steps, ends, most)?;
        if found.has_object {
            found = self.descend(steps, Ends::Whole, most)?;
        }
        if found.has_other {
            return Err(wrong_type(path));
        }
        if found.has_more {
            return Err(RecordsError::TooMany { most });
        }
        Ok(found.raw)
    }

    fn descend(&self, steps: &[Step], ends: Ends, most: usize) -> Result<Found<'_>, RecordsError> {
        let mut found = Found::new(most);
        let mut deserializer = serde_json::Deserializer::from_str(&self.text);
        Descend::new(steps, ends, &mut found)
            .deserialize(&mut deserializer)
            .and_then(|()| deserializer.end())
            .map_err(|error| malformed(&error))?;
        Ok(found)
    }

    /// What no plain path can say.
    fn queried(&self, path: &Path) -> Result<Vec<Cow<'_, str>>, RecordsError> {
        let page = self.value()?;
        let mut records = Vec::new();
        for found in path.all(&page) {
            match found {
                Value::Array(items) => records.extend(items),
                Value::Null => {}
                other => records.push(other),
            }
        }
        if records.len() > MOST_RECORDS {
            return Err(RecordsError::TooMany { most: MOST_RECORDS });
        }
        if records.iter().any(|record| !record.is_object()) {
            return Err(wrong_type(path));
        }
        Ok(records
            .into_iter()
            .map(|record| Cow::Owned(record.to_string()))
            .collect())
    }

    fn malformed(&self) -> Option<RecordsError> {
        let error = serde_json::from_str::<serde::de::IgnoredAny>(&self.text).err()?;
        Some(malformed(&error))
    }
}

/// The texts at `paths` of a record or page, without a value of the whole: several at one path are
/// joined by `;`, as a [`Taker`](super::select::Taker) joins them. What is no JSON has none.
pub fn pick(json: &str, paths: &[&Path]) -> Vec<Option<String>> {
    if paths.is_empty() {
        return Vec::new();
    }
    let plain: Option<Vec<&[Step]>> = paths.iter().map(|path| path.steps()).collect();
    if let Some(plain) = plain {
        return pick::texts(json, &plain);
    }
    let value = body::decode(BodyEncoding::Json, "", json.as_bytes()).ok();
    paths
        .iter()
        .map(|path| pick::joined(path.all(value.as_ref()?)))
        .collect()
}

fn wrong_type(path: &Path) -> RecordsError {
    RecordsError::WrongType {
        path: path.to_string(),
    }
}

fn malformed(error: &serde_json::Error) -> RecordsError {
    RecordsError::Malformed {
        line: error.line(),
        column: error.column(),
    }
}

#[cfg(test)]
mod tests;
