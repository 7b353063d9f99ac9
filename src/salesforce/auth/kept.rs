//! A token as it is kept for all nodes and the next start.

use async_trait::async_trait;
use http::HeaderValue;
use ring::digest;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::{SalesforceAuth, SalesforceConfig, Secret};
use crate::model::Millis;

/// Keeps what is secret, encrypted, under a name; changed by compare-and-swap. The store with its
/// key; tests bring their own.
#[async_trait]
pub trait TokenKeep: Send + Sync + std::fmt::Debug {
    /// Whether anything can be kept: whether there is a key.
    fn check(&self) -> Result<(), KeepError>;

    /// What is kept under `name`.
    async fn load(&self, name: &str) -> Result<Option<KeptBytes>, KeepError>;

    /// Keeps `plain` if the version is still `expected` (0: none yet), durably when it returns;
    /// false if somebody else was quicker.
    async fn save(
        &self,
        name: &str,
        plain: &[u8],
        expected: i64,
        now: Millis,
    ) -> Result<bool, KeepError>;
}

/// What is kept, and its version.
#[derive(Clone)]
pub struct KeptBytes {
    /// None if it was kept with another key, or is damaged.
    pub plain: Option<Vec<u8>>,
    /// Changes with each change.
    pub version: i64,
}

/// Without what is kept.
impl std::fmt::Debug for KeptBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptBytes")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Why nothing can be kept or read. Says it without anything secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct KeepError(pub String);

/// A token. It never prints.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct TokenText(pub String);

impl std::fmt::Debug for TokenText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What calls carry, and the only host that may be shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Access {
    pub token: TokenText,
    pub instance: Url,
    pub user_id: Option<String>,
}

impl Access {
    /// The header; none if the token cannot stand in one.
    pub fn authorization(&self) -> Option<HeaderValue> {
        let mut header = HeaderValue::from_str(&format!("Bearer {}", self.token.0)).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// All that is kept of one sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// The access token in use. Used until it is refused: Salesforce tells no end.
    pub access: Option<Access>,
    /// What new access tokens are had for, where a person gave their consent.
    pub refresh_token: Option<TokenText>,
    /// Who asks for a new token at this moment.
    pub claimed_by: Option<String>,
    /// When the refresh token was refused, for all nodes.
    pub refused_at: Option<Millis>,
    /// When the access token came.
    pub obtained_at: Option<Millis>,
}

impl Kept {
    /// None if it is not what we wrote.
    pub fn read(plain: &[u8]) -> Option<Self> {
        serde_json::from_slice(plain).ok()
    }

    pub fn write(&self) -> Result<Vec<u8>, KeepError> {
        serde_json::to_vec(self).map_err(|_| KeepError("a token cannot be written".to_owned()))
    }
}

/// Under which name a sign-in is kept: by a hash of all that it is made with. With another secret,
/// user or org it begins anew.
pub(super) fn name(config: &SalesforceConfig, credentials: Option<&Secret>) -> String {
    let origin = config.login_url.origin().ascii_serialization();
    let username = config.username.as_deref().unwrap_or_default();
    let way = match config.auth {
        SalesforceAuth::ClientCredentials => "client_credentials",
        SalesforceAuth::JwtBearer => "jwt_bearer",
        SalesforceAuth::AuthorizationCode => "authorization_code",
    };
    let parts: &[&str] = match config.auth {
        SalesforceAuth::ClientCredentials | SalesforceAuth::JwtBearer => &[
            &origin,
            &config.client_id,
            username,
            credentials.map_or("", Secret::expose),
        ],
        // A new secret of the app ends no consent.
        SalesforceAuth::AuthorizationCode => &[&origin, &config.client_id],
    };
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        // With its length: two parts are never taken for other two.
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    use std::fmt::Write as _;
    let mut name = format!("salesforce/{way}/");
    for byte in &context.finish().as_ref()[..16] {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}
