use std::collections::BTreeMap;

use super::dialect::query;
use super::{Store, StoreError};
use crate::model::{End, SourceName};

/// The books of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditLine {
    /// Events in the inbox.
    pub accepted: u64,
    /// Events that came to an end, by the end of the least finished of their submissions.
    pub ends: BTreeMap<End, u64>,
    /// Events that wait to be processed.
    pub waiting: u64,
    /// Events whose delivery is on its way.
    pub delivering: u64,
    /// Events that name a record which is still to be fetched, and have no delivery on its way.
    pub fetching: u64,
}

impl AuditLine {
    /// Events that are not at their end.
    pub fn in_flight(&self) -> u64 {
        self.waiting + self.delivering + self.fetching
    }

    /// Accepted less all that is accounted for: above zero, leads are missing; below, counted twice.
    pub fn difference(&self) -> i64 {
        self.accepted as i64 - (self.ends.values().sum::<u64>() + self.in_flight()) as i64
    }
}

/// What the end of an event is: that of the least finished of its submissions.
macro_rules! ends_of {
    ($which:literal) => {
        concat!(
            "SELECT source, rank, COUNT(*) FROM (SELECT source, event_id, CAST(MIN(CASE outcome \
             WHEN 'dead_letter' THEN 1 WHEN 'in_review' THEN 2 WHEN 'synced' THEN 3 WHEN 'merged' THEN 4 \
             WHEN 'filtered' THEN 5 WHEN 'erased' THEN 6 ELSE 0 END) AS BIGINT) AS rank \
             FROM submission ",
            $which,
            " GROUP BY source, event_id) AS ended WHERE rank > 0 GROUP BY source, rank"
        )
    };
}

const ENDS: &str = ends_of!("");

/// Of these events only.
pub(super) const ENDS_OF: &str = ends_of!("WHERE event_id {in $1}");

/// In flight is counted from the outbox, not as what is left over: an event without an end whose
/// delivery is gone must show as a difference.
const DELIVERING: &str = "SELECT s.source, COUNT(DISTINCT s.event_id) FROM delivery d \
     JOIN submission s ON s.delivery_id = d.id \
     WHERE d.state IN ('pending', 'sending') AND s.outcome IS NULL GROUP BY s.source";

/// Likewise from what is to be fetched. An event of which a delivery is on its way counts there.
const FETCHING: &str = "SELECT s.source, COUNT(DISTINCT s.event_id) FROM fetch_task f \
     JOIN submission s ON s.event_id = f.event_id AND s.ordinal = f.ordinal \
     WHERE s.outcome IS NULL AND NOT EXISTS (SELECT 1 FROM submission o JOIN delivery d \
     ON d.id = o.delivery_id WHERE o.event_id = s.event_id AND o.outcome IS NULL \
     AND d.state IN ('pending', 'sending')) GROUP BY s.source";

/// With those that are no longer kept; what is about to leave the inbox stands in the ledger.
const ACCEPTED: &str = "SELECT source, COUNT(*) FROM event \
     WHERE id NOT IN (SELECT event_id FROM leaving) GROUP BY source";

const PRUNED: &str = "SELECT source, outcome, events FROM ledger";

/// Likewise from where processing stands, not as what is left over: an event that was passed by
/// must show as a difference.
const WAITING: &str = "SELECT source, COUNT(*) FROM (SELECT e.id, e.source FROM {waiting} \
     UNION ALL SELECT e.id, e.source FROM event e JOIN replay r ON e.id = r.event_id) AS e \
     WHERE NOT EXISTS (SELECT 1 FROM submission s WHERE s.event_id = e.id) GROUP BY source";

pub(super) fn end_of_rank(rank: i64) -> Option<End> {
    [
        End::DeadLetter,
        End::Review,
        End::Synced,
        End::Merged,
        End::Filtered,
        End::Erased,
    ]
    .get(usize::try_from(rank - 1).ok()?)
    .copied()
}

impl Store {
    /// The books, by source, at one moment.
    pub async fn audit(&self) -> Result<BTreeMap<SourceName, AuditLine>, StoreError> {
        // What became of events is read first: an event that is committed or processed meanwhile
        // then counts as accepted and waiting, both from one view of the inbox.
        let mut view = self.database.view().await?;
        let connection = &mut view.connection();
        let ends: Vec<(String, i64, i64)> = query(ENDS).all(connection).await?;
        let delivering: Vec<(String, i64)> = query(DELIVERING).all(connection).await?;
        let fetching: Vec<(String, i64)> = query(FETCHING).all(connection).await?;
        let pruned: Vec<(String, String, i64)> = query(PRUNED).all(connection).await?;
        let accepted: Vec<(String, i64)> = query(ACCEPTED).all(connection).await?;
        let waiting: Vec<(String, i64)> = query(WAITING).all(connection).await?;
        view.commit().await?;

        let mut books: BTreeMap<SourceName, AuditLine> = BTreeMap::new();
        let mut line = |source: &str, set: &dyn Fn(&mut AuditLine)| {
            set(books.entry(SourceName::new(source)).or_default());
        };
        for (source, count) in &accepted {
            line(source, &|line| line.accepted = *count as u64);
        }
        for (source, rank, count) in &ends {
            if let Some(end) = end_of_rank(*rank) {
                line(source, &|line| {
                    line.ends.insert(end, *count as u64);
                });
            }
        }
        for (source, outcome, count) in &pruned {
            if let Some(end) = End::from_name(outcome) {
                line(source, &|line| {
                    line.accepted += *count as u64;
                    *line.ends.entry(end).or_default() += *count as u64;
                });
            }
        }
        for (source, count) in &delivering {
            line(source, &|line| line.delivering = *count as u64);
        }
        for (source, count) in &fetching {
            line(source, &|line| line.fetching = *count as u64);
        }
        for (source, count) in &waiting {
            line(source, &|line| line.waiting = *count as u64);
        }
        Ok(books)
    }
}
