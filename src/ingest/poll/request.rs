//! What a command asks of the daemon: on SQLite only the daemon may append. The order is kept where
//! cursors are, as those can be moved from another process, and only from where they were seen.

use serde::{Deserialize, Serialize};

use super::{Job, Tally};
use crate::connector::mechanism::cursor::Span;
use crate::model::{Millis, SourceName};
use crate::store::{CursorMove, Store, StoreError};

/// How old an order may be that nobody has taken up: whoever gave it does not wait any more.
const FORGOTTEN: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// The kinds of orders; each source has at most one of each.
pub const KINDS: [&str; 3] = ["backfill", "reconcile", "poll"];

/// An order, and how far it has been carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Order {
    /// When it was given, in milliseconds since 1970.
    pub asked: i64,
    /// Backfill: from when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Millis>,
    /// Backfill: until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// Only counts.
    pub dry_run: bool,
    /// Whether it was taken up.
    pub begun: bool,
    /// How much was read.
    pub tally: Tally,
    /// Why it waits, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// How it ended: well, or what was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Result<(), String>>,
}

impl Order {
    /// The key that it is kept under.
    pub fn key(kind: &str) -> String {
        format!("request:{kind}")
    }

    /// The job that it asks for.
    pub fn job(&self, kind: &str, reconciliation: Job) -> Job {
        match kind {
            "backfill" => Job::Backfill {
                span: Span {
                    since: self.since,
                    until: self.until,
                },
                dry_run: self.dry_run,
            },
            "reconcile" => reconciliation,
            _ => Job::Poll,
        }
    }

    /// Whether it asks for the same as `other`. How long ago is meant is reckoned anew each time, so
    /// that some seconds make no difference.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_near = |one: Option<Millis>, other: Option<Millis>| match (one, other) {
            (Some(one), Some(other)) => one.0.abs_diff(other.0) < 24 * 60 * 60 * 1_000,
            (one, other) => one == other,
        };
        is_near(self.since, other.since)
            && is_near(self.until, other.until)
            && self.dry_run == other.dry_run
    }

    /// Whether it is still to be carried out.
    pub fn is_open(&self, now: Millis) -> bool {
        self.ended.is_none() && Millis(self.asked).was_within(FORGOTTEN, now)
    }
}

/// An order as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOrder {
    /// The order.
    pub order: Order,
    /// The version of its row; 0 if there is none yet.
    pub version: i64,
}

impl StoredOrder {
    /// A source's order of that kind.
    pub async fn load(
        store: &Store,
        source: &SourceName,
        kind: &str,
    ) -> Result<Option<Self>, StoreError> {
        let stored = store.cursor(source, &Order::key(kind)).await?;
        Ok(stored.and_then(|stored| {
            Some(Self {
                order: serde_json::from_str(&stored.state).ok()?,
                version: stored.version,
            })
        }))
    }

    /// Stores it as it is now; [`StoreError::Conflict`] if somebody else has changed it.
    pub async fn save(
        &mut self,
        store: &Store,
        source: &SourceName,
        kind: &str,
        now: Millis,
    ) -> Result<(), StoreError> {
        let moves = CursorMove {
            source: source.clone(),
            key: Order::key(kind),
            expected: self.version,
            state: serde_json::to_string(&self.order).ok(),
        };
        store.move_cursors(&[moves], now).await?;
        self.version += 1;
        Ok(())
    }
}
