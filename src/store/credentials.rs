//! Tokens that vendors gave us. They come here encrypted; this knows no key.

use async_trait::async_trait;

use super::dialect::query;
use super::{Store, StoreError};
use crate::connector::mechanism::auth::{CredentialStore, CredentialStoreError};
use crate::model::Millis;

/// A credential as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredCredential {
    /// Encrypted.
    pub sealed: Vec<u8>,
    /// How often it has been changed since it was made.
    pub version: i64,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// Without what is sealed.
impl std::fmt::Debug for StoredCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredCredential")
            .field("version", &self.version)
            .field("updated_at", &self.updated_at)
            .finish_non_exhaustive()
    }
}

const BY_NAME: &str = "SELECT sealed, version, updated_at FROM credential WHERE name = $1";

const MAKE: &str = "INSERT INTO credential (name, sealed, version, updated_at) \
     VALUES ($1, $2, 1, $3) ON CONFLICT DO NOTHING";

const CHANGE: &str = "UPDATE credential SET sealed = $2, version = version + 1, updated_at = $3 \
     WHERE name = $1 AND version = $4";

impl Store {
    /// The credential of that name, if there is one.
    pub async fn credential(&self, name: &str) -> Result<Option<StoredCredential>, StoreError> {
        let mut reader = self.database.read().await?;
        let row: Option<(Vec<u8>, i64, i64)> = query(BY_NAME)
            .bind(name)
            .first(&mut reader.connection())
            .await?;
        Ok(row.map(|(sealed, version, updated_at)| StoredCredential {
            sealed,
            version,
            updated_at: Millis(updated_at),
        }))
    }

    /// Keeps a credential, if its version is still `expected`: 0 if there was none yet. False if
    /// somebody else was quicker. Survives a loss of power when this returns: a vendor that rotates
    /// tokens takes the old one no more.
    pub async fn put_credential(
        &self,
        name: &str,
        sealed: &[u8],
        expected: i64,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let put = match expected {
            0 => query(MAKE).bind(name).bind(sealed).bind(now.0),
            _ => query(CHANGE)
                .bind(name)
                .bind(sealed)
                .bind(now.0)
                .bind(expected),
        };
        let changed = put.run(&mut write.connection()).await?;
        if changed == 0 {
            write.roll_back().await?;
            return Ok(false);
        }
        self.commit_durably(write).await?;
        Ok(true)
    }
}

#[async_trait]
impl CredentialStore for Store {
    async fn get(&self, name: &str) -> Result<Option<(Vec<u8>, i64)>, CredentialStoreError> {
        let found = self.credential(name).await.map_err(failed)?;
        Ok(found.map(|found| (found.sealed, found.version)))
    }

    async fn put(
        &self,
        name: &str,
        sealed: &[u8],
        expected: i64,
        now: Millis,
    ) -> Result<bool, CredentialStoreError> {
        let put = self.put_credential(name, sealed, expected, now);
        put.await.map_err(failed)
    }
}

fn failed(error: StoreError) -> CredentialStoreError {
    CredentialStoreError(error.to_string())
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
        let put = async |sealed: &[u8], expected, at| {
            store
                .put_credential("zoom", sealed, expected, Millis(at))
                .await
                .unwrap()
        };
        assert_eq!(store.credential("zoom").await.unwrap(), None);
        assert!(!put(b"early", 1, 1).await, "there is none yet");
        assert!(put(b"\0one", 0, 2).await);
        assert!(!put(b"other", 0, 3).await, "another was quicker");
        assert!(put(b"two\xff", 1, 4).await);
        assert!(!put(b"late", 1, 5).await, "another was quicker");
        let expected = StoredCredential {
            sealed: b"two\xff".to_vec(),
            version: 2,
            updated_at: Millis(4),
        };
        let found = store.credential("zoom").await.unwrap().unwrap();
        assert_eq!(found, expected);
        assert!(!format!("{found:?}").contains("sealed"), "{found:?}");
        assert_eq!(store.credential("other").await.unwrap(), None);
        store.close().await;
    }

    #[tokio::test]
    async fn of_two_who_change_a_credential_at_once_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        check(&format!("sqlite:{}/test.db", folder.path().display())).await;
    }

    #[tokio::test]
    async fn of_two_who_change_a_credential_at_once_one_is_told_on_postgresql() {
        if let Some(url) = postgres::database() {
            check(&url).await;
        }
    }
}
