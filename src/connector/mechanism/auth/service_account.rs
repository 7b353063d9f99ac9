//! The assertion of a Google service account (RFC 7523).
//! Source: developers.google.com/identity/protocols/oauth2/service-account

use serde::Deserialize;
use serde_json::json;

use super::trouble::pause;
use crate::config::Secret;
use crate::connector::mechanism::call::CallError;
use crate::model::Millis;
use crate::rs256;

/// The longest life that Google takes.
const LIFE_SECONDS: i64 = 3600;

/// The key file's JSON. `token_uri` in it is not used: a file must not say where assertions go.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
}

/// What an assertion asks for.
pub(super) struct Asked<'a> {
    pub scopes: &'a [String],
    pub audience: &'a str,
    pub subject: Option<&'a str>,
}

/// An assertion, signed by the key in `file`.
pub(super) fn assertion(
    file: &Secret,
    asked: &Asked<'_>,
    now: Millis,
) -> Result<String, CallError> {
    let bad_key = |message: String| {
        pause(
            "vendor.key_file",
            message,
            "the key is the whole JSON file that Google Cloud made for the service account",
        )
    };
    // The parser's words could quote the key.
    let key: KeyFile = serde_json::from_str(file.expose()).map_err(|_| {
        bad_key("the service account's key is no JSON with client_email and private_key".to_owned())
    })?;
    let mut header = json!({ "alg": "RS256", "typ": "JWT" });
    if let Some(id) = &key.private_key_id {
        header["kid"] = id.as_str().into();
    }
    let issued = now.0.div_euclid(1000);
    let mut claims = json!({
        "iss": key.client_email,
        "scope": asked.scopes.join(" "),
        "aud": asked.audience,
        "iat": issued,
        "exp": issued + LIFE_SECONDS,
    });
    if let Some(subject) = asked.subject {
        claims["sub"] = subject.into();
    }
    let private_key = Secret::new(key.private_key);
    rs256::sign(&header.to_string(), &claims.to_string(), &private_key)
        .map_err(|error| bad_key(format!("the service account's key cannot be used: {error}")))
}
