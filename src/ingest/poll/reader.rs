//! The records of a page, with what the poll needs to know of each.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use http::HeaderMap;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::plan::{Stream, Words};
use crate::connector::ManifestSource;
use crate::connector::manifest::{Of, PagingStyle, Record, TimeFormat};
use crate::connector::{Path, PathError};
use crate::connector::select::{Scope, Taker, add_texts};
use crate::connector::time;
use crate::model::Millis;

/// The most records of a page.
const MOST_RECORDS: usize = 20_000;

/// Reads a source's pages.
pub trait PageReader: Send + Sync + Debug {
    /// What the answer to `stream` holds. `context` is what will be kept with each of its records.
    fn read(
        &self,
        stream: &Stream,
        page: &Bytes,
        headers: &HeaderMap,
        context: &Value,
    ) -> Result<ReadPage, PageError>;
}

/// An answer, read.
#[derive(Debug, Default)]
pub struct ReadPage {
    /// Its records, in their order.
    pub records: Vec<RawRecord>,
    /// What it says of the pages after it.
    pub words: Words,
    /// The cursor, where that is in the answer.
    pub token: Option<String>,
}

/// One record, as it will be stored.
#[derive(Debug, Clone)]
pub struct RawRecord {
    /// Its JSON.
    pub body: Bytes,
    /// The vendor's ids of the submissions in it, with their versions. None if it says none.
    pub ids: Vec<(String, Option<String>)>,
    /// When the person sent it, if it says so.
    pub at: Option<Millis>,
    /// Where it stands, as the vendor writes it.
    pub cursor: Option<String>,
    /// The value that the next page is asked for by.
    pub after: Option<String>,
}

/// Why a page cannot be read. Holds nothing of the page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PageError(pub String);

/// Reads pages by the manifest.
#[derive(Debug)]
pub struct ManifestReader {
    streams: BTreeMap<String, Paths>,
}

#[derive(Debug)]
struct Paths {
    records: Path,
    id: Vec<Taker>,
    version: Option<Taker>,
    split: Option<Path>,
    at: Vec<Path>,
    at_format: Option<TimeFormat>,
    zone: TimeZone,
    cursor: Vec<Path>,
    after: Option<Path>,
}

impl ManifestReader {
    /// A reader of a source's pages.
    pub fn new(source: &ManifestSource) -> Result<Self, PathError> {
        let manifest = &source.manifest;
        let streams = manifest.poll.iter().map(|poll| {
            let record: &Record = poll.record.as_ref().unwrap_or(&manifest.record);
            let cursor = poll.cursor.as_ref().map_or(&[][..], |cursor| &cursor.from.0);
            let after = poll
                .paging
                .from
                .as_deref()
                .filter(|_| poll.paging.style == PagingStyle::AfterLast);
            let at = record.at.as_ref().filter(|at| at.of == Of::Record);
            let zone = at.and_then(|at| at.zone.as_deref());
            let zone = zone.and_then(|option| source.options.text(option).ok().flatten());
            let paths = Paths {
                at: parsed(at.map_or(&[], |at| &at.from.0))?,
                at_format: at.and_then(|at| at.format),
                zone: time::zone(zone.as_deref()),
                records: Path::parse(&poll.records)?,
                id: record.id.iter().map(Taker::new).collect::<Result<_, _>>()?,
                version: record.version.as_ref().map(Taker::new).transpose()?,
                split: record.split.as_deref().map(Path::parse).transpose()?,
                cursor: parsed(cursor)?,
                after: after.map(Path::parse).transpose()?,
            };
            Ok((poll.name.clone(), paths))
        });
        Ok(Self {
            streams: streams.collect::<Result<_, _>>()?,
        })
    }
}

impl PageReader for ManifestReader {
    fn read(
        &self,
        stream: &Stream,
        page: &Bytes,
        headers: &HeaderMap,
        context: &Value,
    ) -> Result<ReadPage, PageError> {
        let Some(paths) = self.streams.get(stream.name()) else {
            return Err(PageError(format!("there is no poll `{}`", stream.name())));
        };
        let page: Value = serde_json::from_slice(page).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            PageError(format!(
                "the answer is not valid JSON: line {line}, column {column}"
            ))
        })?;
        let found: Vec<&Value> = flat(paths.records.all(&page));
        if found.iter().any(|record| !record.is_object()) {
            let path = &paths.records;
            return Err(PageError(format!(
                "there are no records at `{path}` of the answer, but a value of another type"
            )));
        }
        if found.len() > MOST_RECORDS {
            return Err(PageError(format!(
                "the answer holds more than {MOST_RECORDS} records"
            )));
        }
        let records = found.into_iter();
        Ok(ReadPage {
            records: records.map(|record| paths.record(record, context)).collect(),
            words: stream.paging.words(&page, headers),
            token: if stream.rules.is_token() {
                paths.cursor.iter().find_map(|path| text(path, &page))
            } else {
                None
            },
        })
    }
}

impl Paths {
    fn record(&self, record: &Value, context: &Value) -> RawRecord {
        let parts = match &self.split {
            Some(split) => flat(split.all(record)),
            None => vec![record],
        };
        let ids = parts.into_iter().filter_map(|part| {
            let scope = Scope {
                parent: Some(record),
                context: Some(context),
                ..Scope::record(part)
            };
            let values: Option<Vec<String>> =
                self.id.iter().map(|taker| taker.text(&scope)).collect();
            let id = values.filter(|values| !values.is_empty())?.join(":");
            let version = self.version.as_ref().and_then(|taker| taker.text(&scope));
            Some((id, version))
        });
        let at: Option<String> = self.at.iter().find_map(|path| text(path, record));
        RawRecord {
            ids: ids.collect(),
            at: at.and_then(|at| time::parse(&at, self.at_format, &self.zone)),
            cursor: self.cursor.iter().find_map(|path| text(path, record)),
            after: self.after.as_ref().and_then(|path| text(path, record)),
            body: Bytes::from(record.to_string()),
        }
    }
}

fn parsed(paths: &[String]) -> Result<Vec<Path>, PathError> {
    paths.iter().map(|path| Path::parse(path)).collect()
}

/// Values, lists among them taken apart.
pub fn flat(values: Vec<&Value>) -> Vec<&Value> {
    let mut all = Vec::new();
    for value in values {
        match value {
            Value::Array(items) => all.extend(items),
            Value::Null => {}
            other => all.push(other),
        }
    }
    all
}

/// The first text there.
pub fn text(path: &Path, value: &Value) -> Option<String> {
    let mut texts = Vec::new();
    add_texts(path.first(value)?, &mut texts);
    texts.into_iter().next()
}
