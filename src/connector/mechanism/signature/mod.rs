//! Proves that a vendor sent a webhook.
//!
//! Owns: what is signed, how, and with which secrets. Promises that without a secret nothing is
//! proved, that all comparing takes the same time whatever is compared, and that no error shows a
//! secret or a signature. Never sees: the store, the clock.
//!
//! ```text
//! Verifier ─ Proof (one [webhook.signature]) ┬ keys (secrets, read while it runs)
//!                                            ├ digest    HMAC, or a plain hash with the key in it
//!                                            ├ standard  Standard Webhooks, Svix
//!                                            ├ equals    the secret itself in a header or the body
//!                                            └ address   the secret in the address
//! ```

mod address;
mod digest;
mod encoding;
mod equals;
mod expand;
mod header;
mod keys;
mod stamp;
mod standard;

#[cfg(test)]
mod tests;

use http::HeaderMap;
use serde::Deserialize as _;
use serde::de::value::{Error as ValueError, StrDeserializer};
use url::Url;

pub use encoding::to_hex;
pub use keys::{Key, Keys, STANDS, Shape};

use self::digest::Digest;
use self::equals::Equals;
use self::standard::Standard;
use super::body::decode_with_headers;
use crate::connector::manifest::{BodyEncoding, Scheme, Signature, Webhook};
use crate::connector::{Options, Path, PathError};
use crate::model::Millis;

/// A request, as far as proving it is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `POST`.
    pub method: &'a str,
    /// `/hooks/<source>`, and what follows it.
    pub path: &'a str,
    /// The query string, undecoded.
    pub query: Option<&'a str>,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// Why a request proves nothing. Holds no secret, no signature and nothing of the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No secret is configured: whoever knows the address could send.
    #[error("no secret is set, so nothing can be proved")]
    NoSecret {
        /// The options that could hold one.
        options: Vec<String>,
    },
    /// A secret is configured, but none can be read.
    #[error("the secret in `{option}` cannot be read")]
    Unreadable {
        /// The option.
        option: String,
    },
    /// A header that the proof needs is not there.
    #[error("the header {header} is missing")]
    Missing {
        /// Its name.
        header: String,
    },
    /// It was not signed with our secret, or was changed on the way.
    #[error("the signature or secret does not fit")]
    Wrong,
    /// It was signed too long ago, or will be signed only later.
    #[error("it was signed {} seconds {}", seconds.unsigned_abs(), if *seconds < 0 { "ago" } else { "in the future" })]
    Stale {
        /// When it was signed, from now.
        seconds: i64,
    },
}

/// Why a manifest's way to prove cannot be used with a source's options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifierError {
    /// There is no such scheme, or the option with it is not set.
    #[error(
        "`{0}` is no way to prove a webhook: hmac_sha256, hmac_sha1, hmac_sha512, sha256, standard_webhooks, equals or url"
    )]
    Scheme(String),
    /// It is not said where the signature is.
    #[error("it is not said in which header the signature is")]
    NoHeader,
    /// A text that no header can be called.
    #[error("`{0}` is no name of a header")]
    Header(String),
    /// The format of the header.
    #[error(
        "the format of the header needs `{{signature}}`, and one name in braces for each of its items"
    )]
    Format,
    /// A name that means nothing here.
    #[error("`{{{0}}}` means nothing in a signature")]
    Name(String),
    /// A text with braces that cannot be read.
    #[error("{0}")]
    Template(String),
    /// What is signed proves nothing.
    #[error(
        "what is signed must hold `{{body}}`, and `{{key}}` if and only if it is a plain sha256"
    )]
    Signed,
    /// It is not said where the time is.
    #[error("`{{timestamp}}` is signed, and it is not said in which header it is")]
    NoTimestamp,
    /// The address is signed, and we do not know what it is outside.
    #[error("the address is signed: set server.public_url to what the vendor calls")]
    NoPublicUrl,
    /// The path of a secret.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// What proves the webhooks of one source, made ready.
#[derive(Debug)]
pub struct Verifier {
    proofs: Vec<Proof>,
    /// Options that must be set and are not, or of which one must be.
    missing: Vec<String>,
}

impl Verifier {
    /// Of a manifest's webhook and a source's options. `public_url` is where the outside world
    /// reaches the server.
    ///
    /// A source without the secrets that are needed gets a verifier that denies all.
    pub fn new(
        webhook: &Webhook,
        options: &Options,
        public_url: Option<&Url>,
    ) -> Result<Self, VerifierError> {
        let mut proofs = Vec::new();
        let mut missing = Vec::new();
        for signature in &webhook.signature {
            if options.is_set(&signature.key) {
                let proof = Proof::new(signature, webhook.body, options, public_url)?;
                proofs.extend(proof);
            } else if !signature.optional {
                missing.push(signature.key.clone());
            }
        }
        if proofs.is_empty() && missing.is_empty() {
            let keys = webhook.signature.iter().map(|it| it.key.clone());
            missing.extend(keys);
            missing.dedup();
            // A manifest without any way to prove has a closed door as well.
            return Ok(Self {
                proofs: Vec::new(),
                missing,
            });
        }
        Ok(Self { proofs, missing })
    }

    /// Whether `request` is the vendor's: all that is configured must prove it.
    pub fn verify(&self, request: &Request<'_>, now: Millis) -> Result<(), Denied> {
        if self.proofs.is_empty() || !self.missing.is_empty() {
            return Err(Denied::NoSecret {
                options: self.missing.clone(),
            });
        }
        self.proofs
            .iter()
            .try_for_each(|proof| proof.verify(request, now))
    }

    /// Where secrets stand in the body. What is kept must not hold them.
    pub fn secret_paths(&self) -> impl Iterator<Item = &Path> {
        self.proofs.iter().filter_map(|proof| match &proof.way {
            Way::Equals(equals) => equals.body_path(),
            _ => None,
        })
    }
}

/// One of a manifest's signatures.
#[derive(Debug)]
struct Proof {
    keys: Keys,
    way: Way,
    body: BodyEncoding,
}

#[derive(Debug)]
enum Way {
    Digest(Digest),
    Standard(Standard),
    Equals(Equals),
    Address,
}

impl Proof {
    /// `None` if the key is not set after all.
    fn new(
        signature: &Signature,
        body: BodyEncoding,
        options: &Options,
        public_url: Option<&Url>,
    ) -> Result<Option<Self>, VerifierError> {
        let scheme = expand::filled(&signature.scheme, options)?;
        let scheme = scheme.unwrap_or_else(|| signature.scheme.to_string());
        let deserializer: StrDeserializer<'_, ValueError> = StrDeserializer::new(&scheme);
        let way = match Scheme::deserialize(deserializer) {
            Err(_) => return Err(VerifierError::Scheme(scheme)),
            Ok(Scheme::HmacSha256) => Way::Digest(Digest::new(
                digest::Algorithm::Hmac(ring::hmac::HMAC_SHA256),
                signature,
                options,
                public_url,
            )?),
            Ok(Scheme::HmacSha1) => Way::Digest(Digest::new(
                digest::Algorithm::Hmac(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
                signature,
                options,
                public_url,
            )?),
            Ok(Scheme::HmacSha512) => Way::Digest(Digest::new(
                digest::Algorithm::Hmac(ring::hmac::HMAC_SHA512),
                signature,
                options,
                public_url,
            )?),
            Ok(Scheme::Sha256) => Way::Digest(Digest::new(
                digest::Algorithm::Sha256,
                signature,
                options,
                public_url,
            )?),
            Ok(Scheme::StandardWebhooks) => Way::Standard(Standard::new(signature)),
            Ok(Scheme::Equals) => Way::Equals(Equals::new(signature, options)?),
            Ok(Scheme::Url) => Way::Address,
        };
        let shape = match way {
            Way::Standard(_) => Shape::Standard,
            _ => Shape::Plain {
                format: signature.key_format,
                prefix: signature.key_prefix.clone(),
            },
        };
        Ok(Keys::new(options, &signature.key, shape).map(|keys| Self { keys, way, body }))
    }

    fn verify(&self, request: &Request<'_>, now: Millis) -> Result<(), Denied> {
        let keys = self.keys.read(now, STANDS)?;
        match self.with(&keys, request, now) {
            Err(Denied::Wrong) => {
                let newer = self.keys.read(now, keys::STANDS_IF_WRONG)?;
                if std::sync::Arc::ptr_eq(&keys, &newer) {
                    return Err(Denied::Wrong);
                }
                self.with(&newer, request, now)
            }
            other => other,
        }
    }

    fn with(&self, keys: &[Key], request: &Request<'_>, now: Millis) -> Result<(), Denied> {
        match &self.way {
            Way::Digest(digest) => digest.verify(keys, request, now),
            Way::Standard(standard) => standard.verify(keys, request, now),
            Way::Equals(equals) => equals.verify(keys, request, || {
                decode_with_headers(self.body, request.headers, request.body).ok()
            }),
            Way::Address => address::verify(keys, request),
        }
    }
}
