//! What became of the leads of a span of time, by source: for people. The books of all time are in
//! `audit`.

use std::collections::BTreeMap;

use super::dialect::query;
use super::{Store, StoreError};
use crate::edge::random::first_id_at;
use crate::model::{End, Millis, SourceName};

/// What became of the submissions of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeadCounts {
    /// All of them.
    pub taken: u64,
    /// Those that came to an end.
    pub ends: BTreeMap<End, u64>,
    /// Those that are on their way.
    pub on_the_way: u64,
}

impl LeadCounts {
    /// How many came to this end.
    pub fn ended(&self, end: End) -> u64 {
        self.ends.get(&end).copied().unwrap_or(0)
    }

    /// Those that came through: they are in Salesforce, or had nothing to change there.
    pub fn came_through(&self) -> u64 {
        self.ended(End::Synced) + self.ended(End::Merged)
    }

    /// Adds those of another source.
    pub fn add(&mut self, other: &Self) {
        self.taken += other.taken;
        self.on_the_way += other.on_the_way;
        for (end, count) in &other.ends {
            *self.ends.entry(*end).or_default() += count;
        }
    }
}

/// Ids of events tell the time.
pub(super) const COUNTS: &str = "SELECT source, outcome, COUNT(*) FROM submission \
     WHERE event_id >= $1 GROUP BY source, outcome";

impl Store {
    /// What became of the submissions that came in since then, as far as they are kept.
    pub async fn lead_counts(
        &self,
        since: Millis,
    ) -> Result<BTreeMap<SourceName, LeadCounts>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<(String, Option<String>, i64)> = query(COUNTS)
            .bind(first_id_at(since))
            .all(&mut reader.connection())
            .await?;
        let mut sources: BTreeMap<SourceName, LeadCounts> = BTreeMap::new();
        for (source, outcome, count) in rows {
            let counts = sources.entry(SourceName::new(&source)).or_default();
            counts.taken += count as u64;
            match outcome.as_deref().and_then(End::from_name) {
                Some(end) => *counts.ends.entry(end).or_default() += count as u64,
                None => counts.on_the_way += count as u64,
            }
        }
        Ok(sources)
    }
}
