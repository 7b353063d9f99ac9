//! What went wrong when signing in, in words that hold no secret.

use std::time::Duration;

use crate::config::SecretError;
use crate::connector::mechanism::call::{CallError, Next};

use super::credential::VaultError;

/// A person must do something.
pub(in crate::connector::mechanism) fn pause(
    code: &'static str,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> CallError {
    CallError {
        next: Next::Pause,
        code,
        message: message.into(),
        hint: hint.into(),
    }
}

/// It should pass by itself.
pub(in crate::connector::mechanism) fn retry(
    code: &'static str,
    message: impl Into<String>,
    after: Option<Duration>,
) -> CallError {
    CallError {
        next: Next::Retry(after),
        code,
        message: message.into(),
        hint: String::new(),
    }
}

/// A secret that is not where the configuration says.
pub(in crate::connector::mechanism) fn secret(error: &SecretError) -> CallError {
    pause(
        "vendor.secret",
        error.to_string(),
        "put the secret there; it is read anew at each try",
    )
}

impl From<VaultError> for CallError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(_) => retry("vendor.credential", error.to_string(), None),
            VaultError::Seal(_) | VaultError::Damaged(_) => pause(
                "vendor.credential",
                error.to_string(),
                "see `secret_key` of [store]; `leadstream connect <source>` makes the credential anew",
            ),
        }
    }
}
