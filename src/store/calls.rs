//! Calls that were made to Salesforce, by hour and purpose: by all nodes together, and across
//! restarts. And how the budget for them stands, as the daemon last said.

use super::dialect::{insert, query};
use super::{Store, StoreError, set_fact};
use crate::model::Millis;

/// An hour, as calls are counted.
pub const HOUR_MS: i64 = 60 * 60 * 1000;

/// The fact that says how the budget stands.
const BUDGET: &str = "salesforce_budget";

/// Calls of one purpose in one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourCalls {
    /// When the hour began.
    pub hour: Millis,
    /// What the calls were for, as in metrics.
    pub purpose: String,
    /// How many there were.
    pub calls: u64,
}

/// The beginning of the hour that `at` is in.
pub fn hour_of(at: Millis) -> Millis {
    Millis(at.0.div_euclid(HOUR_MS) * HOUR_MS)
}

const ADD: &str = "INSERT INTO api_call (hour, purpose, calls) VALUES";

const SINCE: &str =
    "SELECT hour, purpose, calls FROM api_call WHERE hour >= $1 ORDER BY hour, purpose";

pub(super) const FORGET: &str = "DELETE FROM api_call WHERE hour < $1";

impl Store {
    /// Adds calls to what is counted already.
    pub async fn add_calls(&self, calls: &[HourCalls]) -> Result<(), StoreError> {
        if calls.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        insert(
            &mut write.connection(),
            ADD,
            "ON CONFLICT (hour, purpose) DO UPDATE SET calls = api_call.calls + excluded.calls",
            calls,
            |values, line| {
                values.push(line.hour.0)?;
                values.push(&*line.purpose)?;
                values.push(line.calls as i64)
            },
        )
        .await?;
        write.commit().await
    }

    /// The calls of the hours that began at `since` or later, oldest first.
    pub async fn calls_since(&self, since: Millis) -> Result<Vec<HourCalls>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<(i64, String, i64)> = query(SINCE)
            .bind(since.0)
            .all(&mut reader.connection())
            .await?;
        Ok(rows
            .into_iter()
            .map(|(hour, purpose, calls)| HourCalls {
                hour: Millis(hour),
                purpose,
                calls: calls as u64,
            })
            .collect())
    }

    /// Says how the budget stands, as JSON, for commands beside the daemon.
    pub async fn put_budget(&self, state: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        set_fact(&mut write.connection(), BUDGET, state).await?;
        write.commit().await
    }

    /// How the budget stands, if a daemon has ever said so.
    pub async fn budget(&self) -> Result<Option<String>, StoreError> {
        let mut reader = self.database.read().await?;
        let row: Option<(String,)> = query("SELECT value FROM store_info WHERE name = $1")
            .bind(BUDGET)
            .first(&mut reader.connection())
            .await?;
        Ok(row.map(|(state,)| state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreConfig;
    use crate::store::Access;
    use crate::store::plans::postgres;

    fn line(hour: i64, purpose: &str, calls: u64) -> HourCalls {
        HourCalls {
            hour: Millis(hour * HOUR_MS),
            purpose: purpose.to_owned(),
            calls,
        }
    }

    async fn check(url: &str) {
        let store = Store::open(&StoreConfig::at(url), Access::Daemon)
            .await
            .unwrap();
        store.add_calls(&[]).await.unwrap();
        let first = [line(1, "query", 2), line(2, "upsert", 3)];
        store.add_calls(&first).await.unwrap();
        let more = [line(2, "upsert", 4), line(2, "query", 1)];
        store.add_calls(&more).await.unwrap();
        let since = store.calls_since(Millis(2 * HOUR_MS)).await.unwrap();
        assert_eq!(since, [line(2, "query", 1), line(2, "upsert", 7)]);

        assert_eq!(store.budget().await.unwrap(), None);
        for state in ["{}", r#"{"state":"batches"}"#] {
            store.put_budget(state).await.unwrap();
            assert_eq!(store.budget().await.unwrap().as_deref(), Some(state));
        }
        store.close().await;
    }

    #[tokio::test]
    async fn calls_add_up() {
        let folder = tempfile::tempdir().unwrap();
        check(&format!("sqlite:{}/test.db", folder.path().display())).await;
    }

    #[tokio::test]
    async fn calls_add_up_on_postgresql() {
        if let Some(url) = postgres::database() {
            check(&url).await;
        }
    }

    #[test]
    fn an_hour_begins_at_its_beginning() {
        for (at, hour) in [(0, 0), (HOUR_MS - 1, 0), (HOUR_MS, HOUR_MS), (-1, -HOUR_MS)] {
            assert_eq!(hour_of(Millis(at)), Millis(hour));
        }
    }
}
