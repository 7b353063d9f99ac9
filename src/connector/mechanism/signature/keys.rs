//! The secrets that webhooks are proved by, read from where they are kept while the daemon runs.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::warn;

use super::Denied;
use super::encoding;
use crate::config::SecretRef;
use crate::connector::Options;
use crate::connector::manifest::KeyFormat;
use crate::model::Millis;

/// How long a secret that was read stands, in milliseconds.
pub const STANDS: i64 = 10_000;

/// How long it stands when it did not fit, in milliseconds: a vendor that has begun to sign with a
/// new secret is not refused for long, and who sends nonsense makes us read once a second only.
pub const STANDS_IF_WRONG: i64 = 1_000;

/// How a secret becomes the bytes of a key.
#[derive(Debug, Clone)]
pub enum Shape {
    /// The prefix is taken off, if it is there; the rest is decoded.
    Plain {
        /// How it is written.
        format: KeyFormat,
        /// `whsec_`, for instance.
        prefix: Option<String>,
    },
    /// Standard Webhooks: base 64 after `whsec_`, or a public key after `whpk_`.
    Standard,
}

/// One key. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub enum Key {
    /// Known to both sides.
    Shared(Vec<u8>),
    /// The vendor's public half, of ed25519.
    Public(Vec<u8>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The keys of one option.
#[derive(Debug)]
pub struct Keys {
    option: String,
    kept: Vec<SecretRef>,
    /// Of an option that is no secret: a token that the user made up.
    text: Option<String>,
    shape: Shape,
    read: Mutex<Option<Read>>,
}

#[derive(Debug, Clone)]
struct Read {
    at: Millis,
    keys: Arc<[Key]>,
}

impl Keys {
    /// Those of an option that is set; none if it is not.
    pub fn new(options: &Options, option: &str, shape: Shape) -> Option<Self> {
        if !options.is_set(option) {
            return None;
        }
        let kept = options.secret_refs(option).to_vec();
        let text = match kept.as_slice() {
            [] => options.text(option).ok()?,
            _ => None,
        };
        Some(Self {
            option: option.to_owned(),
            kept,
            text,
            shape,
            read: Mutex::default(),
        })
    }

    /// The keys, none older than `stands` milliseconds; the newest secret first, as it is configured.
    /// A secret that cannot be read, or is blank, is left out: it proves nothing. `Unreadable` if
    /// none is left.
    pub fn read(&self, now: Millis, stands: i64) -> Result<Arc<[Key]>, Denied> {
        let mut read = self.read.lock();
        let fresh = read.as_ref().is_some_and(|read| {
            // A clock that was set back makes nothing stand longer.
            (0..stands).contains(&now.0.saturating_sub(read.at.0))
        });
        let keys = match &mut *read {
            Some(read) if fresh => Arc::clone(&read.keys),
            other => {
                let new = self.read_now();
                // The same keys stay the same `Arc`, by which callers see that nothing has changed.
                let keys = match other {
                    Some(old) if *old.keys == *new => Arc::clone(&old.keys),
                    _ => Arc::from(new),
                };
                *other = Some(Read {
                    at: now,
                    keys: Arc::clone(&keys),
                });
                keys
            }
        };
        if keys.is_empty() {
            return Err(Denied::Unreadable {
                option: self.option.clone(),
            });
        }
        Ok(keys)
    }

    fn read_now(&self) -> Vec<Key> {
        let mut keys = Vec::with_capacity(self.kept.len().max(1));
        if let Some(text) = &self.text {
            keys.extend(self.shape.key(text));
        }
        for kept in &self.kept {
            let option = self.option.as_str();
            match kept.read() {
                Ok(secret) => {
                    if let Some(key) = self.shape.key(secret.expose()) {
                        keys.push(key);
                    } else {
                        warn!(option, "a secret is blank or not written as it should be");
                    }
                }
                Err(error) => warn!(option, %error, "a secret cannot be read"),
            }
        }
        keys
    }
}

impl Shape {
    /// As it is, in UTF-8.
    pub const TEXT: Self = Self::Plain {
        format: KeyFormat::Text,
        prefix: None,
    };

    /// The key; none if the secret is blank or cannot be decoded.
    fn key(&self, secret: &str) -> Option<Key> {
        if secret.trim().is_empty() {
            return None;
        }
        let key = match self {
            Self::Plain { format, prefix } => {
                let bare = prefix
                    .as_deref()
                    .and_then(|prefix| secret.strip_prefix(prefix))
                    .unwrap_or(secret);
                Key::Shared(match format {
                    KeyFormat::Text => bare.as_bytes().to_vec(),
                    KeyFormat::Base64 => encoding::base64(bare.trim())?,
                    KeyFormat::Hex => encoding::hex(bare.trim())?,
                })
            }
            Self::Standard => {
                let secret = secret.trim();
                match secret.strip_prefix("whpk_") {
                    Some(public) => Key::Public(encoding::base64(public)?),
                    None => Key::Shared(encoding::base64(
                        secret.strip_prefix("whsec_").unwrap_or(secret),
                    )?),
                }
            }
        };
        let (Key::Shared(bytes) | Key::Public(bytes)) = &key;
        (!bytes.is_empty()).then_some(key)
    }
}
