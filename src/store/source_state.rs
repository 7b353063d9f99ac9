//! How each source is doing, as the loop that reads it says: for people, and for the next start.

use std::collections::BTreeMap;

use super::dialect::query;
use super::{Store, StoreError};
use crate::model::{Millis, SourceName};

const ONE: &str = "SELECT state FROM source_state WHERE source = $1";

const ALL: &str = "SELECT source, state FROM source_state";

const PUT: &str = "INSERT INTO source_state (source, state, updated_at) VALUES ($1, $2, $3) \
     ON CONFLICT (source) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at";

impl Store {
    /// How a source is doing, as JSON, if it was ever said.
    pub async fn source_state(&self, source: &SourceName) -> Result<Option<String>, StoreError> {
        let mut reader = self.database.read().await?;
        let row: Option<(String,)> = query(ONE)
            .bind(&**source)
            .first(&mut reader.connection())
            .await?;
        Ok(row.map(|(state,)| state))
    }

    /// How all sources are doing of which it was ever said, those too that are no longer configured.
    pub async fn source_states(&self) -> Result<BTreeMap<SourceName, String>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<(String, String)> = query(ALL).all(&mut reader.connection()).await?;
        Ok(rows
            .into_iter()
            .map(|(source, state)| (SourceName::new(&source), state))
            .collect())
    }

    /// Says how a source is doing.
    pub async fn put_source_state(
        &self,
        source: &SourceName,
        state: &str,
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        query(PUT)
            .bind(&**source)
            .bind(state)
            .bind(now.0)
            .run(&mut write.connection())
            .await?;
        write.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreConfig;
    use crate::store::Access;
    use crate::store::plans::postgres;

    async fn check(url: &str) {
        let store = Store::open(&StoreConfig::at(url), Access::Daemon)
            .await
            .unwrap();
        let [one, other] = ["one", "other"].map(SourceName::new);
        assert_eq!(store.source_state(&one).await.unwrap(), None);
        for (source, state) in [(&one, "1"), (&other, "2"), (&one, "3")] {
            let put = store.put_source_state(source, state, Millis(5)).await;
            put.unwrap();
        }
        assert_eq!(store.source_state(&one).await.unwrap().unwrap(), "3");
        let all = [(one, "3".to_owned()), (other, "2".to_owned())];
        assert_eq!(store.source_states().await.unwrap(), all.into());
        store.close().await;
    }

    #[tokio::test]
    async fn the_last_word_on_a_source_counts() {
        let folder = tempfile::tempdir().unwrap();
        check(&format!("sqlite:{}/test.db", folder.path().display())).await;
    }

    #[tokio::test]
    async fn the_last_word_on_a_source_counts_on_postgresql() {
        if let Some(url) = postgres::database() {
            check(&url).await;
        }
    }
}
