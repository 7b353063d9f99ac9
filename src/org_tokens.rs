//! Where the Salesforce client keeps its tokens: the store, encrypted by the store's key, beside those
//! of vendors. The client knows neither.

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::StoreConfig;
use crate::connector::mechanism::auth::{Vault, VaultError};
use crate::model::Millis;
use crate::salesforce::{KeepError, KeptBytes, TokenKeep};
use crate::store::Store;

/// Keeps tokens in `store`, by the key that `config` names.
pub fn keep(store: Arc<Store>, config: &StoreConfig) -> Arc<dyn TokenKeep> {
    Arc::new(Vault::new(store, config.clone()))
}

#[async_trait]
impl TokenKeep for Vault {
    fn check(&self) -> Result<(), KeepError> {
        Self::check(self).map_err(failed)
    }

    async fn load(&self, name: &str) -> Result<Option<KeptBytes>, KeepError> {
        let found = self.open(name).await.map_err(failed)?;
        Ok(found.map(|(plain, version)| KeptBytes {
            plain: plain.ok(),
            version,
        }))
    }

    async fn save(
        &self,
        name: &str,
        plain: &[u8],
        expected: i64,
        now: Millis,
    ) -> Result<bool, KeepError> {
        let kept = self.seal(name, plain, expected, now);
        kept.await.map_err(failed)
    }
}

fn failed(error: VaultError) -> KeepError {
    KeepError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Access;

    #[tokio::test]
    async fn tokens_are_sealed_in_the_store_and_those_of_another_key_can_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", folder.path().display());
        let config = StoreConfig::at(&url);
        let store = Store::open(&config, Access::Daemon).await.unwrap();
        let tokens = keep(Arc::clone(&store), &config);
        tokens.check().unwrap();
        assert!(tokens.save("org", b"a-token", 0, Millis(1)).await.unwrap());
        assert!(!tokens.save("org", b"late", 0, Millis(1)).await.unwrap());
        let found = tokens.load("org").await.unwrap().unwrap();
        assert_eq!(found.plain.as_deref(), Some(&b"a-token"[..]));
        let sealed = store.credential("org").await.unwrap().unwrap().sealed;
        assert!(!sealed.windows(7).any(|part| part == b"a-token"));

        std::fs::remove_file(folder.path().join("test.db-key")).unwrap();
        let others = keep(Arc::clone(&store), &config);
        let found = others.load("org").await.unwrap().unwrap();
        assert_eq!((found.plain, found.version), (None, 1));
        assert!(others.save("org", b"anew", 1, Millis(2)).await.unwrap());
        store.close().await;
    }
}
