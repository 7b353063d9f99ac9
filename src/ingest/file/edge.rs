use std::future::Future;

use serde_json::Value;

use crate::model::{NewEvent, SourceName};
use crate::store::Lease;

/// How far a file has been taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// As JSON.
    pub state: String,
    /// Grows with each move.
    pub version: i64,
}

/// Rows of a file and how far it has been taken with them: stored together or not at all.
#[derive(Debug)]
pub struct RowPage {
    /// The source.
    pub source: SourceName,
    /// An event a row, and where the row stands.
    pub events: Vec<(NewEvent, Value)>,
    /// The file: `file:<sha256>`.
    pub key: String,
    /// The version that was read before; 0 if there was none. The new one is one higher.
    pub expected: i64,
    /// How far it has been taken then, as JSON.
    pub state: String,
    /// Who may read the folder.
    pub lease: Lease,
}

/// Why a page was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    /// Another node reads this folder now, or has taken this page.
    #[error("another node has taken over what this one was reading")]
    Overtaken,
    /// The store cannot be read or written.
    #[error("the store cannot be read or written")]
    Unavailable,
}

/// Where rows go: the inbox and its cursors, or what a test has in their place.
pub trait Take: Send + Sync + 'static {
    /// How far a file has been taken; none if nothing of it has.
    fn progress(
        &self,
        source: &SourceName,
        key: &str,
    ) -> impl Future<Output = Result<Option<Progress>, TakeError>> + Send;

    /// Returns once the page is on disk.
    fn append(&self, page: RowPage) -> impl Future<Output = Result<(), TakeError>> + Send;
}
