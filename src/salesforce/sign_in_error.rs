//! Why signing in failed, and where to click.

use serde::Deserialize;
use url::Url;

use super::auth::KeepError;
use super::error::Class;
use crate::config::SecretError;
use crate::edge::http::HttpError;
use crate::rs256::KeyError;

const CONNECT: &str = "run `leadstream connect salesforce` and sign in as the integration user";

const CONNECT_ANEW: &str = "run `leadstream connect salesforce`: the refresh token was revoked, used by another program, pushed \
     out by a sixth approval of the same user and app, or ended with a changed password";

/// Why there is no token. Holds no secret and no personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot sign in to Salesforce: {message}")]
pub struct SignInError {
    /// `SignIn`: a person has to mend the credentials or the app. `RetrySoon`: it passes.
    pub class: Class,
    /// Stable reason code, e.g. `salesforce.sign_in.invalid_client`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl SignInError {
    pub(super) fn secret(setting: &str, error: &SecretError) -> Self {
        Self {
            class: Class::SignIn,
            code: "salesforce.sign_in.secret".to_owned(),
            message: error.to_string(),
            hint: format!(
                "set {setting} in [salesforce] to {{ env = \"NAME\" }} or {{ file = \"/path\" }}, and \
             provide it"
            ),
        }
    }

    /// Only a person can mend it.
    fn person(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            class: Class::SignIn,
            code: format!("salesforce.sign_in.{code}"),
            message: message.into(),
            hint: hint.into(),
        }
    }

    pub(super) fn not_connected() -> Self {
        Self::person(
            "not_connected",
            "nobody has given leadstream access to the org yet",
            CONNECT,
        )
    }

    pub(super) fn refused_before() -> Self {
        Self::person(
            "invalid_grant",
            "Salesforce has refused to renew the access; it is asked again within ten minutes",
            CONNECT_ANEW,
        )
    }

    pub(super) fn unreadable() -> Self {
        Self::person(
            "unreadable",
            "the access to the org was kept with another key than that of [store] now, or is damaged",
            "put the key back (secret_key in [store], or the file <store>-key), or run `leadstream \
             connect salesforce`",
        )
    }

    pub(super) fn no_keep() -> Self {
        Self::person(
            "no_store",
            "there is no store that could keep the access to the org",
            "run `leadstream connect salesforce` where the daemon's configuration and store are",
        )
    }

    pub(super) fn key_of_store(error: &KeepError) -> Self {
        Self::person(
            "no_store",
            error.to_string(),
            "set secret_key in [store]: the tokens of `auth = \"authorization_code\"` are kept \
             encrypted there",
        )
    }

    pub(super) fn nobody_to_ask() -> Self {
        Self::person(
            "nothing_to_connect",
            "`auth` in [salesforce] is a way to sign in that asks nobody",
            "there is nothing to connect; write auth = \"authorization_code\" in [salesforce] to sign \
             in as a person",
        )
    }

    pub(super) fn no_code() -> Self {
        Self::person("no_code", "Salesforce sent no usable code", CONNECT)
    }

    pub(super) fn no_refresh_token() -> Self {
        Self::person(
            "no_refresh_token",
            "Salesforce gave no refresh token, so that the access would end within hours",
            "Setup > External Client App Manager > the app > Settings > OAuth Settings: add the scope \
             \"Perform requests at any time (refresh_token, offline_access)\", and in Policies let \
             refresh tokens be valid until revoked; then run `leadstream connect salesforce`",
        )
    }

    pub(super) fn store(error: &KeepError) -> Self {
        Self {
            class: Class::RetrySoon,
            code: "salesforce.sign_in.store".to_owned(),
            message: format!("the access to the org cannot be kept: {error}"),
            hint: "it is tried again by itself; look at the store".to_owned(),
        }
    }

    pub(super) fn overlap() -> Self {
        Self {
            class: Class::RetrySoon,
            code: "salesforce.sign_in.overlap".to_owned(),
            message: "another token request is being processed".to_owned(),
            hint: "it is tried again by itself".to_owned(),
        }
    }

    pub(super) fn unreachable(error: &HttpError) -> Self {
        let not_allowed = matches!(error, HttpError::HostNotAllowed(_));
        Self {
            class: if not_allowed {
                Class::SignIn
            } else {
                Class::RetrySoon
            },
            code: "salesforce.sign_in.unreachable".to_owned(),
            message: error.to_string(),
            hint: "check login_url in [salesforce], the network, and https://status.salesforce.com"
                .to_owned(),
        }
    }

    pub(super) fn answer(reason: &str) -> Self {
        Self {
            class: Class::RetrySoon,
            code: "salesforce.sign_in.answer".to_owned(),
            message: format!("the login host's answer cannot be used: {reason}"),
            hint: "check that login_url in [salesforce] is the org's My Domain, as in \
               https://acme.my.salesforce.com"
                .to_owned(),
        }
    }

    pub(super) fn key(error: KeyError) -> Self {
        Self {
            class: Class::SignIn,
            code: "salesforce.sign_in.private_key".to_owned(),
            hint: match error {
                KeyError::Encrypted => {
                    "take the passphrase off: openssl pkcs8 -in key.pem -out plain.pem"
                }
                _ => "private_key is an RSA key in PEM form: openssl genrsa -out key.pem 2048",
            }
            .to_owned(),
            message: error.to_string(),
        }
    }

    pub(super) fn foreign_instance(instance: &Url) -> Self {
        let host = instance.host_str().unwrap_or("a host without a name");
        Self {
            class: Class::SignIn,
            code: "salesforce.sign_in.instance".to_owned(),
            message: format!("the login host names an instance that is not Salesforce's: {host}"),
            hint: "login_url in [salesforce] must be the org's own address; the token was not used"
                .to_owned(),
        }
    }
}

/// Why one token request brought none.
pub(super) enum TokenError {
    /// Another token request of this user is being served.
    Overlap,
    Final(SignInError),
}

impl From<SignInError> for TokenError {
    fn from(error: SignInError) -> Self {
        Self::Final(error)
    }
}

/// What was asked for; the same words mean different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    ClientCredentials,
    JwtBearer,
    Code,
    Refresh,
}

/// What the token endpoint's refusal means. Only what passes by itself is tried again: blind repeats
/// of bad credentials lock the user out.
/// Source: Salesforce Help, "OAuth 2.0 error codes", and texts seen from real orgs.
pub(super) fn refusal(
    flow: Flow,
    status: u16,
    body: &[u8],
    clock_ahead: Option<i64>,
) -> TokenError {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Refusal {
        error: String,
        error_description: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let (error, description) = (refusal.error, refusal.error_description);
    // What parallel refreshes got before late 2024 (segmentio/action-destinations#2300).
    let is_old_overlap =
        flow == Flow::Refresh && description.contains("expired authorization code");
    if description.contains("already being processed") || is_old_overlap {
        return TokenError::Overlap;
    }
    if status >= 500 || matches!(status, 408 | 420 | 429) {
        return TokenError::Final(SignInError {
            class: Class::RetrySoon,
            code: format!("salesforce.sign_in.status_{status}"),
            message: format!("the login host answered {status}"),
            hint: "it is tried again by itself; if it stays, check https://status.salesforce.com"
                .to_owned(),
        });
    }
    let mut hint = refusal_hint(flow, &error, &description).to_owned();
    if let Some(seconds) = clock_ahead {
        let (by, way) = (seconds.abs(), if seconds > 0 { "ahead" } else { "behind" });
        hint = format!("set this machine's clock: it is {by} seconds {way}; {hint}");
    }
    let known = !error.is_empty()
        && error.len() <= 40
        && error
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    TokenError::Final(SignInError {
        class: Class::SignIn,
        code: if known {
            format!("salesforce.sign_in.{error}")
        } else {
            format!("salesforce.sign_in.status_{status}")
        },
        message: if known {
            let description: String = description.chars().take(200).collect();
            format!("{error}: {description}")
        } else {
            format!("the login host answered {status} without saying why")
        },
        hint,
    })
}

fn refusal_hint(flow: Flow, error: &str, description: &str) -> &'static str {
    let says = |part| description.contains(part);
    match error {
        "invalid_client_id" => {
            "client_id is not the consumer key of an app in this org: compare it (Settings > OAuth \
             Settings > Consumer Key and Secret), and check that login_url is the same org's: a \
             production key is unknown at test.salesforce.com and at a sandbox's address; a new app \
             takes up to ten minutes to be known"
        }
        "invalid_client" => {
            "client_secret is not this app's consumer secret: copy it anew (Settings > OAuth \
             Settings > Consumer Key and Secret)"
        }
        "invalid_grant" if says("no client credentials user enabled") => {
            "Setup > External Client App Manager > the app > Policies > OAuth Policies: enable the \
             Client Credentials Flow and set Run As to the integration user's username"
        }
        "invalid_grant" if says("hasn't approved this consumer") => {
            "Setup > External Client App Manager > the app > Policies: set Permitted Users to \
             \"Admin approved users are pre-authorized\" and add the integration user's permission \
             set"
        }
        "invalid_grant" if says("audience") => {
            "set audience in [salesforce] to https://login.salesforce.com (production) or \
             https://test.salesforce.com (sandbox)"
        }
        "invalid_grant" if says("expired access/refresh token") => CONNECT_ANEW,
        "invalid_grant" if says("authorization code") && flow == Flow::Code => {
            "the code of a consent is good once and for 15 minutes: run `leadstream connect salesforce` \
             once more"
        }
        "redirect_uri_mismatch" => {
            "Setup > External Client App Manager > the app > Settings > OAuth Settings > Callback URL: \
             add the address exactly as `leadstream connect salesforce` says it"
        }
        "invalid_grant" if says("assertion") || says("expired authorization code") => {
            "check that the certificate in the app belongs to private_key, that username is the \
             integration user's username (in a sandbox with its suffix), and this machine's clock"
        }
        "invalid_grant" if says("authentication failure") => {
            "the integration user is locked, or the app's IP relaxation keeps this machine out; the \
             password flow is not used"
        }
        "invalid_grant" if flow == Flow::Refresh => CONNECT_ANEW,
        "invalid_app_access" => {
            "Setup > External Client App Manager > the app > Policies: add the integration user's \
             permission set or profile"
        }
        "unsupported_grant_type" if matches!(flow, Flow::Code | Flow::Refresh) => {
            "the app or the org does not let people sign in by the web server flow: turn on OAuth in \
             the app's settings, and allow the flow in Setup > OAuth and OpenID Connect Settings"
        }
        "unsupported_grant_type" => {
            "turn on this flow in the app (Settings > OAuth Settings > Flow Enablement), and use \
             the org's My Domain as login_url"
        }
        "inactive_user" => "the integration user is inactive: activate it in Setup > Users",
        "inactive_org" => "the org is inactive or locked: ask Salesforce",
        _ => {
            "check login_url (the org's My Domain), client_id and the secret in [salesforce], and \
             the app's policies in Setup > External Client App Manager"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use Flow::{ClientCredentials, Code, JwtBearer, Refresh};

    /// A refusal of `error` with `description` in `flow` is final, and its hint says `hint`.
    fn check(flow: Flow, error: &str, description: &str, hint: &str) {
        let body = serde_json::json!({ "error": error, "error_description": description });
        let TokenError::Final(found) = refusal(flow, 400, body.to_string().as_bytes(), None) else {
            panic!("{error} {description} is final");
        };
        assert_eq!(found.class, Class::SignIn, "{error} {description}");
        assert_eq!(found.code, format!("salesforce.sign_in.{error}"));
        assert!(
            found.hint.contains(hint),
            "{error} {description}: {}",
            found.hint
        );
    }

    #[test]
    fn every_refusal_says_where_to_click() {
        check(
            ClientCredentials,
            "invalid_client_id",
            "client identifier invalid",
            "consumer key",
        );
        check(
            JwtBearer,
            "invalid_client_id",
            "client identifier invalid",
            "test.salesforce.com",
        );
        check(
            ClientCredentials,
            "invalid_client",
            "invalid client credentials",
            "consumer secret",
        );
        let grant = "invalid_grant";
        check(
            ClientCredentials,
            grant,
            "no client credentials user enabled",
            "Run As",
        );
        check(
            JwtBearer,
            grant,
            "user hasn't approved this consumer",
            "pre-authorized",
        );
        check(JwtBearer, grant, "audience is invalid", "audience");
        check(JwtBearer, grant, "invalid assertion", "certificate");
        check(JwtBearer, grant, "expired authorization code", "clock");
        check(Code, grant, "expired authorization code", "15 minutes");
        check(
            Refresh,
            grant,
            "expired access/refresh token",
            "leadstream connect salesforce",
        );
        check(
            Refresh,
            grant,
            "something new",
            "leadstream connect salesforce",
        );
        check(ClientCredentials, grant, "authentication failure", "locked");
        let text = "user is not admin approved to access this app";
        check(
            ClientCredentials,
            "invalid_app_access",
            text,
            "permission set",
        );
        let text = "grant type not supported";
        check(ClientCredentials, "unsupported_grant_type", text, "flow");
        check(Code, "unsupported_grant_type", text, "web server flow");
        check(
            ClientCredentials,
            "inactive_user",
            "user is inactive",
            "activate",
        );
        check(
            ClientCredentials,
            "inactive_org",
            "organization is inactive",
            "Salesforce",
        );
        check(
            Code,
            "redirect_uri_mismatch",
            "redirect_uri must match",
            "Callback URL",
        );
        check(Code, "access_denied", "no", "login_url");
    }

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        let overlap = |flow, text: &str| {
            let body = serde_json::json!({ "error": "invalid_grant", "error_description": text });
            matches!(
                refusal(flow, 400, body.to_string().as_bytes(), None),
                TokenError::Overlap
            )
        };
        assert!(overlap(Refresh, "token request is already being processed"));
        assert!(overlap(
            ClientCredentials,
            "token request is already being processed"
        ));
        assert!(overlap(Refresh, "expired authorization code"));
        assert!(!overlap(Code, "expired authorization code"));
        for (status, class) in [
            (404, Class::SignIn),
            (503, Class::RetrySoon),
            (429, Class::RetrySoon),
        ] {
            let TokenError::Final(error) = refusal(Refresh, status, b"<html>", None) else {
                panic!("{status}");
            };
            assert_eq!(error.class, class, "{status}");
            assert_eq!(error.code, format!("salesforce.sign_in.status_{status}"));
        }
    }

    #[test]
    fn a_wrong_clock_is_named_first() {
        let TokenError::Final(error) =
            refusal(JwtBearer, 400, br#"{"error":"invalid_grant"}"#, Some(-300))
        else {
            panic!("final");
        };
        let start = "set this machine's clock: it is 300 seconds behind";
        assert!(error.hint.starts_with(start), "{}", error.hint);
    }
}
