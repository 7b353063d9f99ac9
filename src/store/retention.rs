//! What is too old to be kept goes in small steps, each a transaction of its own, so that nobody
//! waits for it.
//!
//! An event leaves in three: its ends are added to the ledger and what was read in it goes; then it
//! goes itself; then it is forgotten that it was about to. Stopped anywhere between, the books
//! balance, and the next step goes on. On SQLite the inbox is another file, which no transaction
//! spans; elsewhere it is done the same way.

use super::audit::{ENDS_OF, end_of_rank};
use super::calls::FORGET;
use super::dialect::{Connection, Database, Value, insert, query};
use super::{Lease, Store, StoreError};
use crate::config::StoreConfig;
use crate::edge::random::first_id_at;
use crate::model::Millis;

/// The most rows that go in one step.
const STEP: i64 = 500;

/// The most pages that SQLite gives back in one step.
const PAGES: &str = "PRAGMA incremental_vacuum(250)";

/// What is older than these goes. Ids tell the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoffs {
    events: i64,
    timeline: i64,
    deliveries: i64,
    /// Not by ids: calls have none.
    calls: Millis,
}

/// Calls are counted for so long.
const KEEP_CALLS_DAYS: u32 = 90;

/// How far a pass over all tables has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pass {
    event: i64,
    delivery: i64,
}

/// What a step has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Events, with their submissions.
    pub events: u64,
    /// Lines of timelines.
    pub timeline: u64,
    /// Deliveries that were done.
    pub deliveries: u64,
    /// There may be more.
    pub more: bool,
}

impl Cutoffs {
    /// As configured, at `now`.
    pub fn of(config: &StoreConfig, now: Millis) -> Self {
        let days_ago = |days: u32| Millis(now.0 - i64::from(days) * 24 * 60 * 60 * 1000);
        let before = |days: u32| first_id_at(days_ago(days));
        Self {
            events: before(config.keep_events_days),
            timeline: before(config.keep_timeline_days),
            deliveries: before(config.keep_deliveries_days),
            calls: days_ago(KEEP_CALLS_DAYS),
        }
    }
}

/// Old events that are at an end that needs nobody.
pub(super) const ENDED: &str = "SELECT e.id FROM event e WHERE e.id > $1 AND e.id < $2 \
     AND EXISTS (SELECT 1 FROM submission s WHERE s.event_id = e.id) \
     AND NOT EXISTS (SELECT 1 FROM submission s WHERE s.event_id = e.id \
     AND (s.outcome IS NULL OR s.outcome IN ('dead_letter', 'in_review'))) \
     AND e.id NOT IN (SELECT event_id FROM leaving) ORDER BY e.id LIMIT $3";

/// Those of them for which that is still so, now that nobody can change it.
const STILL_ENDED: &str = "SELECT event_id FROM submission WHERE event_id {in $1} \
     AND event_id NOT IN (SELECT event_id FROM replay) \
     GROUP BY event_id HAVING COUNT(*) = SUM(CASE WHEN outcome IN ('synced', 'merged', 'filtered', 'erased') \
     THEN 1 ELSE 0 END)";

const OLD_LINES: &str = "DELETE FROM timeline WHERE id IN \
     (SELECT id FROM timeline WHERE id < $1 ORDER BY id LIMIT $2)";

pub(super) const OLD_DELIVERIES: &str = "SELECT id FROM delivery WHERE id > $1 AND id < $2 \
     AND state IN ('done', 'superseded') ORDER BY id LIMIT $3";

impl Store {
    /// Removes a little of what is older than `cutoffs`, as the holder of `lease`. `pass` begins
    /// anew when there is no more.
    pub async fn prune(
        &self,
        lease: &Lease,
        cutoffs: &Cutoffs,
        pass: &mut Pass,
    ) -> Result<Pruned, StoreError> {
        let removed_events = self.finish_leaving().await?;
        let (events, all_found) = self.let_events_go(lease, cutoffs, pass).await?;
        let mut write = self.write().await?;
        write.guard(lease).await?;
        let connection = &mut write.connection();
        let timeline = query(OLD_LINES)
            .bind(cutoffs.timeline)
            .bind(STEP)
            .run(connection)
            .await?;
        let deliveries: Vec<i64> = query(OLD_DELIVERIES)
            .bind(pass.delivery)
            .bind(cutoffs.deliveries)
            .bind(STEP)
            .column(connection)
            .await?;
        let removed = deliveries.len();
        pass.delivery = deliveries.last().copied().unwrap_or(pass.delivery);
        query("DELETE FROM delivery WHERE id {in $1}")
            .bind(Value::Ids(deliveries))
            .run(connection)
            .await?;
        query(FORGET)
            .bind(cutoffs.calls.0)
            .run(&mut write.connection())
            .await?;
        write.commit().await?;
        let full = STEP as u64;
        let pruned = Pruned {
            events,
            timeline,
            deliveries: removed as u64,
            more: !all_found || events > 0 || timeline == full || removed as u64 == full,
        };
        if removed_events + pruned.events + pruned.timeline + pruned.deliveries > 0 {
            self.give_pages_back().await?;
        }
        if !pruned.more {
            *pass = Pass::default();
        }
        Ok(pruned)
    }

    /// Moves the ends of old events into the ledger, and removes what was read in them. Returns how
    /// many, and whether those are all.
    async fn let_events_go(
        &self,
        lease: &Lease,
        cutoffs: &Cutoffs,
        pass: &mut Pass,
    ) -> Result<(u64, bool), StoreError> {
        let found: Vec<i64> = query(ENDED)
            .bind(pass.event)
            .bind(cutoffs.events)
            .bind(STEP)
            .column(&mut self.database.read().await?.connection())
            .await?;
        let Some(last) = found.last().copied() else {
            return Ok((0, true));
        };
        let all_found = (found.len() as i64) < STEP;
        let mut write = self.write().await?;
        write.guard(lease).await?;
        let connection = &mut write.connection();
        let going: Vec<i64> = query(STILL_ENDED)
            .bind(Value::Ids(found))
            .column(connection)
            .await?;
        let ends: Vec<(String, i64, i64)> = query(ENDS_OF)
            .bind(Value::Ids(going.clone()))
            .all(connection)
            .await?;
        insert(
            connection,
            "INSERT INTO ledger (source, outcome, events) VALUES",
            "ON CONFLICT (source, outcome) DO UPDATE SET events = ledger.events + excluded.events",
            &ends,
            |values, (source, rank, count)| {
                values.push(&**source)?;
                values.push(end_of_rank(*rank).map(crate::model::End::name))?;
                values.push(*count)
            },
        )
        .await?;
        insert(
            connection,
            "INSERT INTO leaving (event_id) VALUES",
            "",
            &going,
            |values, id| values.push(*id),
        )
        .await?;
        for forget in [
            "DELETE FROM dead_letter WHERE event_id {in $1}",
            "DELETE FROM submission WHERE event_id {in $1}",
        ] {
            query(forget)
                .bind(Value::Ids(going.clone()))
                .run(connection)
                .await?;
        }
        write.commit().await?;
        pass.event = last;
        Ok((going.len() as u64, all_found))
    }

    /// Removes the events that stand in the ledger: not in the step that put them there, so that
    /// whoever balances the books has long begun to read by then. Returns how many.
    async fn finish_leaving(&self) -> Result<u64, StoreError> {
        let leaving: Vec<i64> = query("SELECT event_id FROM leaving ORDER BY event_id LIMIT $1")
            .bind(STEP)
            .column(&mut self.database.read().await?.connection())
            .await?;
        let count = leaving.len() as u64;
        if count == 0 {
            return Ok(0);
        }
        const REMOVE: &str = "DELETE FROM event WHERE id {in $1}";
        if let Database::Sqlite(database) = &self.database {
            // Once the events are gone, nobody else knows their ends.
            database.sync().await?;
            let mut keeper = database.keeper().await;
            query(REMOVE)
                .bind(Value::Ids(leaving.clone()))
                .run(&mut Connection::Sqlite(&mut keeper))
                .await?;
        }
        let mut write = self.write().await?;
        let connection = &mut write.connection();
        if let Database::Postgres(_) = self.database {
            query(REMOVE)
                .bind(Value::Ids(leaving.clone()))
                .run(connection)
                .await?;
        }
        query("DELETE FROM leaving WHERE event_id {in $1}")
            .bind(Value::Ids(leaving))
            .run(connection)
            .await?;
        write.commit().await?;
        Ok(count)
    }

    /// SQLite's files get smaller, if they were made by a version that saw to it; PostgreSQL sees to
    /// it itself.
    async fn give_pages_back(&self) -> Result<(), StoreError> {
        if let Database::Sqlite(database) = &self.database {
            sqlx::query(PAGES).execute(&database.writer).await?;
            let mut keeper = database.keeper().await;
            sqlx::query(PAGES).execute(&mut *keeper).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventId, EventMeta, NewEvent, SourceName};
    use crate::store::{Access, HOUR_MS, HourCalls};

    const EVENTS: i64 = 1_200;

    #[tokio::test]
    async fn calls_are_counted_for_ninety_days() {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::at(&format!("sqlite:{}/test.db", folder.path().display()));
        let store = Store::open(&config, Access::Daemon).await.unwrap();
        let now = Millis(2_000_000_000_000);
        let line = |days: i64| HourCalls {
            hour: Millis(now.0 - days * 24 * HOUR_MS),
            purpose: "upsert".to_owned(),
            calls: 1,
        };
        store
            .add_calls(&[line(91), line(89), line(0)])
            .await
            .unwrap();
        let lease = store.acquire("retention").await.unwrap().unwrap();
        let cutoffs = Cutoffs::of(&config, now);
        let pruned = store.prune(&lease, &cutoffs, &mut Pass::default()).await;
        assert!(!pruned.unwrap().more);
        let left = store.calls_since(Millis(0)).await.unwrap();
        assert_eq!(left, [line(89), line(0)]);
        store.close().await;
    }

    #[tokio::test]
    async fn the_inbox_file_gets_smaller_by_what_goes() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", folder.path().display());
        let config = StoreConfig::at(&url);
        let store = Store::open(&config, Access::Daemon).await.unwrap();
        let Database::Sqlite(database) = &store.database else {
            panic!("{url}");
        };
        let rows: Vec<_> = (0..EVENTS)
            .map(|_| {
                NewEvent {
                    source: SourceName::new("demo"),
                    received_at: Millis(0),
                    content_type: "text/plain".to_owned(),
                    meta: EventMeta::default(),
                    body: vec![7; 2_000].into(),
                }
                .into()
            })
            .collect();
        let mut writer = store.inbox_writer().unwrap();
        writer.append(EventId(1), &rows).await.unwrap();
        let ended = "INSERT INTO submission (event_id, ordinal, source, received_at, at, outcome, config_hash, fields) \
             SELECT value, 0, 'demo', 0, 0, 'synced', '', '{}' FROM json_each($1)";
        let ids: Vec<i64> = (1..=EVENTS).collect();
        sqlx::query(ended)
            .bind(serde_json::json!(ids).to_string())
            .execute(&database.writer)
            .await
            .unwrap();
        let pages = async || {
            let mut keeper = database.keeper().await;
            let (pages,): (i64,) = sqlx::query_as("PRAGMA page_count")
                .fetch_one(&mut *keeper)
                .await
                .unwrap();
            pages
        };
        let before = pages().await;

        let now = Millis(2_000_000_000_000);
        let lease = store.acquire("retention").await.unwrap().unwrap();
        let mut pass = Pass::default();
        let mut gone = 0;
        loop {
            let cutoffs = Cutoffs::of(&config, now);
            let step = store.prune(&lease, &cutoffs, &mut pass).await.unwrap();
            gone += step.events;
            if !step.more {
                break;
            }
        }
        assert_eq!(gone, EVENTS as u64);
        let after = pages().await;
        assert!(after * 10 < before, "{before} pages, then {after}");
    }
}
