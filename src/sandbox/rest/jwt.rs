use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value as Json;

use crate::model::Millis;

/// How far ahead a JWT may end, and how far the two clocks may differ (seconds).
const MAX_AHEAD: i64 = 180;
const SKEW: i64 = 180;

/// An RSA public key, of the certificate that an app has on file.
#[derive(Clone)]
pub struct RsaPublicKey {
    /// PKCS#1 `RSAPublicKey`, DER.
    der: Vec<u8>,
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaPublicKey").finish_non_exhaustive()
    }
}

impl RsaPublicKey {
    /// Reads `BEGIN PUBLIC KEY` or `BEGIN RSA PUBLIC KEY`. None if it is neither.
    pub fn from_pem(pem: &str) -> Option<Self> {
        let text: String = pem
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("-----"))
            .collect();
        let der = STANDARD.decode(text).ok()?;
        if pem.contains("BEGIN RSA PUBLIC KEY") {
            return Some(Self { der });
        }
        // SubjectPublicKeyInfo: an algorithm, then the key as a string of whole bytes.
        let (info, _) = der_value(&der, 0x30)?;
        let (_algorithm, rest) = der_value(info, 0x30)?;
        let (bits, _) = der_value(rest, 0x03)?;
        let key = bits.strip_prefix(&[0])?;
        Some(Self { der: key.to_vec() })
    }

    /// The key of this DER `RSAPublicKey`, as `ring` gives it.
    pub fn from_pkcs1_der(der: &[u8]) -> Self {
        Self { der: der.to_vec() }
    }

    fn verifies(&self, message: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.der)
            .verify(message.as_bytes(), signature)
            .is_ok()
    }
}

/// The content of a DER value with this tag, and what follows it.
fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f).min(4))?;
        let length = digits
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        (length, rest)
    };
    (found == tag)
        .then(|| rest.split_at_checked(length))
        .flatten()
}

/// What a JWT that holds says.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) subject: String,
}

/// Reads a JWT and checks its audience, its end and, with a key, its signature. The error is the
/// `error_description` of `invalid_grant`.
pub(super) fn check(
    assertion: &str,
    key: Option<&RsaPublicKey>,
    own_address: &str,
    now: Millis,
) -> Result<Claims, &'static str> {
    const INVALID: &str = "invalid assertion";
    let mut parts = assertion.split('.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(INVALID);
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| INVALID);
    let json = |part: &str| serde_json::from_slice::<Json>(&decode(part)?).map_err(|_| INVALID);
    if json(header)?["alg"] != "RS256" {
        return Err(INVALID);
    }
    let signed = format!("{header}.{claims}");
    let signature = decode(signature)?;
    if key.is_some_and(|key| !key.verifies(&signed, &signature)) {
        return Err(INVALID);
    }
    let claims = json(claims)?;
    let text = |name: &str| claims[name].as_str().map(str::to_owned).ok_or(INVALID);
    let audience = text("aud")?;
    let known = [
        "https://login.salesforce.com",
        "https://test.salesforce.com",
        own_address,
    ];
    if !known.contains(&audience.as_str()) {
        return Err("audience is invalid");
    }
    // Clients send the seconds as a number or as text; Salesforce takes both.
    let expires = &claims["exp"];
    let expires = expires
        .as_i64()
        .or_else(|| expires.as_str()?.parse().ok())
        .ok_or(INVALID)?;
    let now = now.0.div_euclid(1000);
    if expires.saturating_add(SKEW) < now {
        return Err("expired authorization code");
    }
    if expires > now + MAX_AHEAD + SKEW {
        return Err(INVALID);
    }
    Ok(Claims {
        issuer: text("iss")?,
        subject: text("sub")?,
    })
}
