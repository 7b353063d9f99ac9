use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a secret is kept: `{ env = "NAME" }` or `{ file = "/path" }`, never text in the file.
///
/// It is read when it is used, so that a secret that was rotated on disk needs no restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// The environment variable that holds it.
    #[schemars(example = &"SF_CLIENT_SECRET")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// The file that holds it; one newline at its end is cut. Relative to the file that names it.
    #[schemars(example = &"/run/secrets/salesforce")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// A secret's value. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or blank.
    #[error("the environment variable {0} is not set")]
    EnvMissing(String),
    /// The file cannot be read.
    #[error("cannot read the secret file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is blank.
    #[error("the secret file {0} is blank")]
    Blank(PathBuf),
    /// Neither or both of `env` and `file`.
    #[error("a secret is {{ env = \"NAME\" }} or {{ file = \"/path\" }}")]
    NotOne,
}

impl SecretRef {
    /// Reads the secret from where it is kept.
    pub fn read(&self) -> Result<Secret, SecretError> {
        match (&self.env, &self.file) {
            (Some(name), None) => match std::env::var(name) {
                Ok(value) if !value.is_empty() => Ok(Secret(value)),
                _ => Err(SecretError::EnvMissing(name.clone())),
            },
            (None, Some(path)) => {
                let mut text =
                    std::fs::read_to_string(path).map_err(|source| SecretError::File {
                        path: path.clone(),
                        source,
                    })?;
                if text.ends_with('\n') {
                    text.pop();
                    if text.ends_with('\r') {
                        text.pop();
                    }
                }
                if text.is_empty() {
                    return Err(SecretError::Blank(path.clone()));
                }
                Ok(Secret(text))
            }
            _ => Err(SecretError::NotOne),
        }
    }
}
