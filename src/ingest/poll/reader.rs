//! The records of a page, with what the poll needs to know of each.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::connector::manifest::{Of, PagingStyle, TimeFormat};
use crate::connector::mechanism::plan::{Stream, Words};
use crate::connector::reader::Reader;
use crate::connector::records::{self, Page};
use crate::connector::time;
use crate::connector::{ManifestSource, Path, PathError};
use crate::model::Millis;

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

    /// When the person sent a record of `stream`, if it says so.
    fn sent_at(&self, stream: &Stream, record: &RawRecord) -> Option<Millis>;
}

/// An answer, read.
#[derive(Debug, Default)]
pub struct ReadPage {
    /// Its records, in their order.
    pub records: Vec<RawRecord>,
    /// The last record's value that the next page is asked for by.
    pub last_value: Option<String>,
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
    /// Where it stands, as the vendor writes it.
    pub cursor: Option<String>,
}

/// Why a page cannot be read. Holds nothing of the page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PageError(pub String);

/// Reads pages by the manifest: no value is built of what is only passed on.
#[derive(Debug)]
pub struct ManifestReader {
    reader: Reader,
    streams: BTreeMap<String, Paths>,
}

#[derive(Debug)]
struct Paths {
    at: Vec<Path>,
    at_format: Option<TimeFormat>,
    zone: jiff::tz::TimeZone,
    token: Vec<Path>,
    after: Option<Path>,
}

impl ManifestReader {
    /// A reader of a source's pages.
    pub fn new(source: &ManifestSource, reader: Reader) -> Result<Self, PathError> {
        let manifest = &source.manifest;
        let streams = manifest.poll.iter().map(|poll| {
            let record = poll.record.as_ref().unwrap_or(&manifest.record);
            let at = record.at.as_ref().filter(|at| at.of == Of::Record);
            // A zone is no secret, so that reading it cannot fail.
            let zone = at.and_then(|at| at.zone.as_deref());
            let zone = zone.and_then(|option| source.options.text(option).ok().flatten());
            let cursor = poll.cursor.as_ref();
            let after = poll
                .paging
                .from
                .as_deref()
                .filter(|_| poll.paging.style == PagingStyle::AfterLast);
            let paths = Paths {
                at: parsed(at.map_or(&[], |at| &at.from.0))?,
                at_format: at.and_then(|at| at.format),
                zone: time::zone(zone.as_deref()),
                token: parsed(cursor.map_or(&[], |cursor| &cursor.from.0))?,
                after: after.map(Path::parse).transpose()?,
            };
            Ok((poll.name.clone(), paths))
        });
        Ok(Self {
            reader,
            streams: streams.collect::<Result<_, _>>()?,
        })
    }
}

impl PageReader for ManifestReader {
    fn read(
        &self,
        stream: &Stream,
        body: &Bytes,
        headers: &HeaderMap,
        context: &Value,
    ) -> Result<ReadPage, PageError> {
        let name = stream.name();
        let (Some(reader), Some(paths)) = (self.reader.page(name), self.streams.get(name)) else {
            return Err(PageError(format!("there is no poll `{name}`")));
        };
        let failed = |error: records::RecordsError| PageError(error.to_string());
        let page = Page::new(body);
        let found = reader.records(&page).map_err(failed)?;
        let last_value = paths.after.as_ref().and_then(|path| {
            let last = found.last()?;
            records::pick(last, &[path]).into_iter().flatten().next()
        });
        let records = found.iter().map(|record| {
            let marks = reader.marks(record, Some(context));
            let ids = marks.submissions.into_iter();
            RawRecord {
                body: bytes_of(record, body),
                ids: ids
                    .filter_map(|mark| Some((mark.id?, mark.version)))
                    .collect(),
                cursor: marks.cursor,
            }
        });
        let words = match stream.paging.sparse(&page) {
            Some(said) => said,
            None => page.value().map_err(failed)?,
        };
        let token = stream.rules.is_token().then(|| {
            let picked = page.pick(&paths.token.iter().collect::<Vec<_>>());
            picked.into_iter().flatten().next()
        });
        Ok(ReadPage {
            records: records.collect(),
            last_value,
            words: stream.paging.words(&words, headers),
            token: token.flatten(),
        })
    }

    fn sent_at(&self, stream: &Stream, record: &RawRecord) -> Option<Millis> {
        let paths = self.streams.get(stream.name())?;
        let text = String::from_utf8_lossy(&record.body);
        let picked = records::pick(&text, &paths.at.iter().collect::<Vec<_>>());
        let at = picked.into_iter().flatten().next()?;
        time::parse(&at, paths.at_format, &paths.zone)
    }
}

/// A record's bytes: those of the page that it stands in, if it does.
fn bytes_of(record: &str, page: &Bytes) -> Bytes {
    let start = (record.as_ptr() as usize).checked_sub(page.as_ptr() as usize);
    match start.map(|start| start..start + record.len()) {
        // Where it was made anew, it stands elsewhere.
        Some(range) if range.end <= page.len() => page.slice(range),
        _ => Bytes::copy_from_slice(record.as_bytes()),
    }
}

fn parsed(paths: &[String]) -> Result<Vec<Path>, PathError> {
    paths.iter().map(|path| Path::parse(path)).collect()
}
