use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::edge::{RowPage, Take, TakeError};
use crate::connector::custom::file_drop::limits::MAX_FILE_BYTES;
use crate::connector::custom::file_drop::{ROW_CONTENT_TYPE, Table};
use crate::model::{EventMeta, Millis, NewEvent, SourceName};
use crate::store::Lease;

/// Rows in one transaction.
pub(super) const PAGE: usize = 500;

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
pub(super) struct Taking<'a, T> {
    pub take: &'a T,
    pub source: &'a SourceName,
    pub sha256: &'a str,
    pub lease: &'a Lease,
}

impl<T: Take> Taking<'_, T> {
    fn key(&self) -> String {
        format!("file:{}", self.sha256)
    }

    /// How far it has been taken before, and the version of that; 0 if nothing has.
    pub async fn before(&self) -> Result<(Option<Taken>, i64), TakeError> {
        Ok(match self.take.progress(self.source, &self.key()).await? {
            // What cannot be read is begun anew: row ids make that harmless.
            Some(progress) => (serde_json::from_str(&progress.state).ok(), progress.version),
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
    ) -> Result<Taken, TakeError> {
        let rows = table.rows.get(before.rows..).unwrap_or_default();
        let page = &rows[..rows.len().min(PAGE)];
        let taken = Taken {
            rows: before.rows + page.len(),
            whole: page.len() == rows.len(),
            ..before.clone()
        };
        let events = page.iter().map(|row| {
            let event = NewEvent {
                source: self.source.clone(),
                received_at: now,
                content_type: ROW_CONTENT_TYPE.to_owned(),
                meta: EventMeta {
                    request_id: format!("file-{}-{}", &self.sha256[..12], row.number),
                    ..EventMeta::default()
                },
                body: Bytes::from(table.body(row)),
            };
            let context = json!({
                "file": before.name,
                "sha256": self.sha256,
                "sheet": table.sheet,
                "row": row.number,
            });
            (event, context)
        });
        let state = serde_json::to_string(&taken).map_err(|_| TakeError::Unavailable)?;
        self.take
            .append(RowPage {
                source: self.source.clone(),
                events: events.collect(),
                key: self.key(),
                expected: version,
                state,
                lease: self.lease.clone(),
            })
            .await?;
        Ok(taken)
    }
}
