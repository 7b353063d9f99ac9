use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::folder::FolderError;
use crate::connector::custom::file_drop::limits::MAX_FILE_BYTES;
use crate::connector::custom::file_drop::{ROW_CONTENT_TYPE, Row, Table};
use crate::ingest::{Inbox, Page};
use crate::model::{Door, EventMeta, Millis, NewEvent, SourceName};
use crate::store::{CursorMove, Lease, Store};

/// Rows in one transaction.
pub(super) const PAGE: usize = 500;

/// The most bytes of cells in one transaction; a row has 256 KiB at most.
const PAGE_BYTES: usize = 16 << 20;

/// How many of `rows` go into one transaction.
fn page_rows(table: &Table, rows: &[Row]) -> usize {
    let names: usize = table.header.iter().map(|name| name.len() + 6).sum();
    let mut bytes = 0;
    let fits = rows.iter().take(PAGE).take_while(|row| {
        bytes += names + row.cells.iter().map(String::len).sum::<usize>();
        bytes <= PAGE_BYTES
    });
    fits.count().max(1).min(rows.len())
}

/// A file's bytes, unless they are more than any list has, and their SHA-256 in hex.
pub fn read_limited(path: &Path) -> io::Result<Option<(Vec<u8>, String)>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    // One byte more than allowed shows that there is more.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Ok(None);
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
    let mut hex = String::new();
    for byte in digest.as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(Some((bytes, hex)))
}

/// How far a file has been taken, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    /// Its name when it was begun.
    pub name: String,
    /// When it was begun.
    pub at: Millis,
    /// How many of its rows are events.
    pub rows: usize,
    /// Whether that is all of them.
    pub whole: bool,
}

/// A file that is being taken.
pub(super) struct Taking<'a> {
    pub store: &'a Store,
    pub inbox: &'a Inbox,
    pub source: &'a SourceName,
    pub sha256: &'a str,
    pub lease: &'a Lease,
}

impl Taking<'_> {
    fn key(&self) -> String {
        format!("file:{}", self.sha256)
    }

    /// How far it has been taken before, and the version of that; 0 if nothing has.
    pub async fn before(&self) -> Result<(Option<Taken>, i64), FolderError> {
        Ok(match self.store.cursor(self.source, &self.key()).await? {
            // What cannot be read is begun anew: row ids make that harmless.
            Some(cursor) => (serde_json::from_str(&cursor.state).ok(), cursor.version),
            None => (None, 0),
        })
    }

    /// Appends the next page of rows; returns how far it is then.
    pub async fn page(
        &self,
        table: &Table,
        before: &Taken,
        version: i64,
        now: Millis,
    ) -> Result<Taken, FolderError> {
        let rows = table.rows.get(before.rows..).unwrap_or_default();
        let page = &rows[..page_rows(table, rows)];
        let taken = Taken {
            rows: before.rows + page.len(),
            whole: page.len() == rows.len(),
            ..before.clone()
        };
        let events = page.iter().map(|row| NewEvent {
            source: self.source.clone(),
            received_at: now,
            content_type: ROW_CONTENT_TYPE.to_owned(),
            meta: EventMeta {
                request_id: format!("file-{}-{}", &self.sha256[..12], row.number),
                door: Door::File,
                context: Some(json!({
                    "file": before.name,
                    "sha256": self.sha256,
                    "sheet": table.sheet,
                    "row": row.number,
                })),
                ..EventMeta::default()
            },
            body: Bytes::from(table.body(row)),
        });
        let cursor = CursorMove {
            source: self.source.clone(),
            key: self.key(),
            expected: version,
            state: Some(serde_json::to_string(&taken).map_err(io::Error::other)?),
        };
        self.inbox
            .append_page(Page {
                events: events.collect(),
                cursors: vec![cursor],
                lease: Some(self.lease.clone()),
            })
            .await?;
        Ok(taken)
    }
}
