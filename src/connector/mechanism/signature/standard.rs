//! Standard Webhooks 1.0, and Svix, whose scheme it is.
//! Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.

use http::HeaderName;
use ring::{hmac, signature as asymmetric};
use subtle::{Choice, ConstantTimeEq as _};

use super::header;
use super::stamp::Stamp;
use super::{Denied, Key, Request, encoding};
use crate::connector::manifest::Signature;
use crate::model::Millis;

/// The most signatures that are looked at; a sender has one for each secret that is in force.
const MOST_SIGNATURES: usize = 16;

const WEBHOOK: [HeaderName; 3] = [
    HeaderName::from_static("webhook-id"),
    HeaderName::from_static("webhook-timestamp"),
    HeaderName::from_static("webhook-signature"),
];

const SVIX: [HeaderName; 3] = [
    HeaderName::from_static("svix-id"),
    HeaderName::from_static("svix-timestamp"),
    HeaderName::from_static("svix-signature"),
];

/// `id.timestamp.body`, by HMAC-SHA256 (`v1`) or ed25519 (`v1a`).
#[derive(Debug)]
pub struct Standard {
    stamp: Stamp,
}

impl Standard {
    /// Only the tolerance is the manifest's to say.
    pub fn new(signature: &Signature) -> Self {
        let stamp = signature.timestamp.as_ref();
        Self {
            stamp: stamp.map_or_else(Stamp::usual, Stamp::tolerating),
        }
    }

    /// Whether one of the signatures was made with one of the keys, not long ago.
    pub fn verify(&self, keys: &[Key], request: &Request<'_>, now: Millis) -> Result<(), Denied> {
        let headers = request.headers;
        let [id, timestamp, signatures] =
            if !headers.contains_key(&WEBHOOK[2]) && headers.contains_key(&SVIX[2]) {
                SVIX
            } else {
                WEBHOOK
            };
        let id = header::text(headers, &id)?;
        let timestamp = header::text(headers, &timestamp)?;
        let signatures = header::texts(headers, &signatures)?
            .flat_map(|value| value.split([' ', ',']).collect::<Vec<_>>())
            .filter(|text| !text.is_empty());
        // `v1,<signature> v1,<signature>`: the version and what it is the version of.
        let mut given = Vec::new();
        let mut version = "";
        for text in signatures.take(2 * MOST_SIGNATURES) {
            match text {
                "v1" | "v1a" => version = text,
                text => given.extend(encoding::base64(text).map(|bytes| (version, bytes))),
            }
        }
        let before = format!("{id}.{timestamp}.");
        let mut fits = Choice::from(0);
        for key in keys {
            match key {
                Key::Shared(key) => {
                    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
                    let mut context = hmac::Context::with_key(&key);
                    context.update(before.as_bytes());
                    context.update(request.body);
                    let expected = context.sign();
                    for (_, given) in given.iter().filter(|(version, _)| *version == "v1") {
                        fits |= expected.as_ref().ct_eq(given);
                    }
                }
                // Nothing secret is compared here.
                Key::Public(key) => {
                    let key = asymmetric::UnparsedPublicKey::new(&asymmetric::ED25519, key);
                    let signed = [before.as_bytes(), request.body].concat();
                    let mut given = given.iter().filter(|(version, _)| *version == "v1a");
                    let is_signed = given.any(|(_, given)| key.verify(&signed, given).is_ok());
                    fits |= Choice::from(u8::from(is_signed));
                }
            }
        }
        if !bool::from(fits) {
            return Err(Denied::Wrong);
        }
        self.stamp.check(timestamp, now)
    }
}
