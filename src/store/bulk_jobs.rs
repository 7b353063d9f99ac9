//! Bulk jobs that we have made in Salesforce and not yet seen to their end. A job writes by itself,
//! whether or not we are there: whoever goes on after a crash has to know of it, or an old row could
//! be written after a newer one.

use super::dialect::query;
use super::{Node, Store, StoreError};
use crate::model::Millis;

/// A job that somebody left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftJob {
    /// Its id in Salesforce.
    pub id: String,
    /// Nobody has told Salesforce to begin, so that nothing of it is written.
    pub never_begun: bool,
    /// When it was made.
    pub made_at: Millis,
}

const NOTE: &str = "INSERT INTO bulk_job (id, node, state, made_at) VALUES ($1, $2, 'open', $3)";

const SET_STATE: &str = "UPDATE bulk_job SET state = $2 WHERE id = $1";

const FORGET: &str = "DELETE FROM bulk_job WHERE id = $1";

/// Of nodes that are gone, or that their own node has given up.
pub(super) const LEFT: &str = "SELECT id, state, made_at FROM bulk_job WHERE state = 'left' \
     OR node NOT IN (SELECT token * 256 + slot FROM node WHERE name <> '') ORDER BY made_at, id";

impl Store {
    /// Notes a job that `node` has made, before anything is uploaded. Survives a loss of power.
    pub async fn note_bulk_job(&self, node: Node, id: &str, now: Millis) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        query(NOTE)
            .bind(id)
            .bind(node.mark())
            .bind(now.0)
            .run(&mut write.connection())
            .await?;
        self.commit_durably(write).await
    }

    /// Notes that Salesforce is about to be told to begin. Survives a loss of power.
    pub async fn begin_bulk_job(&self, id: &str) -> Result<(), StoreError> {
        self.set_bulk_state(id, "closed", true).await
    }

    /// Gives a job up whose end its node could not see: it is for whoever looks next.
    pub async fn leave_bulk_job(&self, id: &str) -> Result<(), StoreError> {
        self.set_bulk_state(id, "left", false).await
    }

    async fn set_bulk_state(
        &self,
        id: &str,
        state: &'static str,
        durably: bool,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        query(SET_STATE)
            .bind(id)
            .bind(state)
            .run(&mut write.connection())
            .await?;
        if durably {
            self.commit_durably(write).await
        } else {
            write.commit().await
        }
    }

    /// Forgets a job whose end is known.
    pub async fn forget_bulk_job(&self, id: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        query(FORGET).bind(id).run(&mut write.connection()).await?;
        write.commit().await
    }

    /// Jobs that somebody has left behind, oldest first. Their leads are not to be sent before their
    /// end is known. Almost always none.
    pub async fn left_bulk_jobs(&self) -> Result<Vec<LeftJob>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<(String, String, i64)> = query(LEFT).all(&mut reader.connection()).await?;
        Ok(rows
            .into_iter()
            .map(|(id, state, made_at)| LeftJob {
                id,
                never_begun: state == "open",
                made_at: Millis(made_at),
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreConfig;
    use crate::store::Access;
    use crate::store::plans::postgres;

    async fn left(store: &Store) -> Vec<(String, bool)> {
        let jobs = store.left_bulk_jobs().await.unwrap();
        jobs.into_iter()
            .map(|job| (job.id, job.never_begun))
            .collect()
    }

    async fn check(url: &str) {
        let config = StoreConfig::at(url);
        let store = Store::open(&config, Access::Daemon).await.unwrap();
        let node = store.node().unwrap();
        for (at, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let note = store.note_bulk_job(node, id, Millis(at as i64));
            note.await.unwrap();
        }
        assert_eq!(left(&store).await, []);
        store.begin_bulk_job("b").await.unwrap();
        store.begin_bulk_job("c").await.unwrap();
        store.leave_bulk_job("c").await.unwrap();
        assert_eq!(left(&store).await, [("c".to_owned(), false)]);
        store.forget_bulk_job("d").await.unwrap();
        store.close().await;
        drop(store);

        let store = Store::open(&config, Access::Daemon).await.unwrap();
        let all = [("a", true), ("b", false), ("c", false)];
        assert_eq!(
            left(&store).await,
            all.map(|(id, never_begun)| (id.to_owned(), never_begun))
        );
        store.close().await;
    }

    #[tokio::test]
    async fn what_a_node_leaves_behind_is_found_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        check(&format!("sqlite:{}/test.db", folder.path().display())).await;
    }

    #[tokio::test]
    async fn what_a_node_leaves_behind_is_found_by_the_next_on_postgresql() {
        if let Some(url) = postgres::database() {
            check(&url).await;
        }
    }
}
