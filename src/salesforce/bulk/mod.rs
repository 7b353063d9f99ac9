//! Bulk API 2.0: many records by few calls, slowly.
//!
//! A query job reads a whole object page by page; an ingest job writes up to 10,000 rows. Either is
//! a row of short calls around a job that Salesforce works off by itself: make it, ask until it has
//! ended ([`poll_pause`]), read what became of it, delete it. A job's id is all that is needed to go
//! on after a restart, so whoever makes one writes the id down before the next call.
//!
//! Even one record takes seconds to minutes: never for what is urgent. Nothing here waits or
//! repeats by itself.
//!
//! Source: the Bulk API 2.0 developer guide (`api_asynch`).

mod csv;
mod ingest;
mod job;
mod query;

pub use csv::{BulkRow, Csv, CsvUpload};
pub use ingest::{IngestSpec, JobRow, MAX_UPLOAD_BYTES, MAX_UPLOAD_ROWS, Operation};
pub use job::{Job, JobId, JobKind, JobState, poll_pause};
pub use query::{BulkPage, MAX_PAGE_ROWS};
