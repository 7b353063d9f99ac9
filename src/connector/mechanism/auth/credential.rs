//! What a vendor gave us, as it is kept: sealed, changed by compare-and-swap.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::facts::CredentialFacts;
use crate::config::StoreConfig;
use crate::connector::mechanism::sealed::{SealError, Sealer};
use crate::model::Millis;

/// Keeps sealed credentials. The store; tests bring their own.
#[async_trait]
pub trait CredentialStore: Send + Sync + std::fmt::Debug {
    /// What is kept under `name`, and its version.
    async fn get(&self, name: &str) -> Result<Option<(Vec<u8>, i64)>, CredentialStoreError>;

    /// Keeps it if the version is still `expected` (0: none yet), durably when it returns; false if
    /// somebody else was quicker.
    async fn put(
        &self,
        name: &str,
        sealed: &[u8],
        expected: i64,
        now: Millis,
    ) -> Result<bool, CredentialStoreError>;
}

/// The store failed. Says why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct CredentialStoreError(pub String);

/// Why a credential cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The store failed.
    #[error("the store of credentials failed: {0}")]
    Store(#[from] CredentialStoreError),
    /// It cannot be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It opens, but is not what we wrote.
    #[error("the credential {0} is damaged")]
    Damaged(String),
}

/// A token. It never prints.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct TokenText(pub String);

impl std::fmt::Debug for TokenText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A credential as it is sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credential {
    /// What new access tokens are had for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<TokenText>,
    /// The access token in use, for all nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<TokenText>,
    /// Until when it is used: some time before its end. None: until it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_until: Option<Millis>,
    /// Where the API is, if the token's answer said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Who asks for a new token at this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_by: Option<String>,
    /// When the refresh token was refused, for all nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<Millis>,
    /// What may be shown.
    pub facts: CredentialFacts,
}

/// A credential and its version.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub credential: Credential,
    pub version: i64,
}

/// The store of credentials together with the key to it. The key is read when it is first needed:
/// who keeps no token needs none.
#[derive(Debug)]
pub struct Vault {
    store: Arc<dyn CredentialStore>,
    config: StoreConfig,
    sealer: Mutex<Option<Arc<Sealer>>>,
}

impl Vault {
    /// A vault over `store`, with the key that `config` names.
    pub fn new(store: Arc<dyn CredentialStore>, config: StoreConfig) -> Self {
        Self {
            store,
            config,
            sealer: Mutex::default(),
        }
    }

    fn sealer(&self) -> Result<Arc<Sealer>, SealError> {
        let mut sealer = self.sealer.lock();
        if let Some(sealer) = &*sealer {
            return Ok(sealer.clone());
        }
        let made = Arc::new(Sealer::of(&self.config)?);
        *sealer = Some(made.clone());
        Ok(made)
    }

    /// Whether tokens can be kept, so that one is told before a person gives their consent.
    pub fn check(&self) -> Result<(), VaultError> {
        self.sealer().map(|_| ()).map_err(VaultError::from)
    }

    /// What is kept under `name`, opened, and its version. What does not open has a version all the
    /// same, so that it can be replaced.
    pub(crate) async fn open(
        &self,
        name: &str,
    ) -> Result<Option<(Result<Vec<u8>, SealError>, i64)>, VaultError> {
        let Some((sealed, version)) = self.store.get(name).await? else {
            return Ok(None);
        };
        Ok(Some((self.sealer()?.open(name, &sealed), version)))
    }

    /// Seals `plain` and keeps it durably; false if somebody else was quicker.
    pub(crate) async fn seal(
        &self,
        name: &str,
        plain: &[u8],
        expected: i64,
        now: Millis,
    ) -> Result<bool, VaultError> {
        let sealed = self.sealer()?.seal(name, plain)?;
        Ok(self.store.put(name, &sealed, expected, now).await?)
    }

    pub(crate) async fn load(&self, name: &str) -> Result<Option<Kept>, VaultError> {
        let Some((plain, version)) = self.open(name).await? else {
            return Ok(None);
        };
        let plain = plain?;
        let credential = serde_json::from_slice(&plain)
            // The parser's words could quote a token.
            .map_err(|_| VaultError::Damaged(name.to_owned()))?;
        Ok(Some(Kept {
            credential,
            version,
        }))
    }

    /// Keeps it durably; false if somebody else was quicker.
    pub(crate) async fn save(
        &self,
        name: &str,
        credential: &Credential,
        expected: i64,
        now: Millis,
    ) -> Result<bool, VaultError> {
        let plain =
            serde_json::to_vec(credential).map_err(|_| VaultError::Damaged(name.to_owned()))?;
        self.seal(name, &plain, expected, now).await
    }

    /// Keeps it whatever is there: a person has signed in anew.
    pub(crate) async fn replace(
        &self,
        name: &str,
        credential: &Credential,
        now: Millis,
    ) -> Result<(), VaultError> {
        const TRIES: u32 = 20;
        for _ in 0..TRIES {
            // What is there may be of another key; only its version matters.
            let version = self
                .store
                .get(name)
                .await?
                .map_or(0, |(_, version)| version);
            if self.save(name, credential, version, now).await? {
                return Ok(());
            }
        }
        Err(CredentialStoreError("it is changed all the time by others".to_owned()).into())
    }
}
