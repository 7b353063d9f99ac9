//! Why signing in failed, and where to click.

use serde::Deserialize;
use url::Url;

use super::error::Class;
use crate::config::SecretError;
use crate::edge::http::HttpError;
use crate::rs256::KeyError;

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

/// What the token endpoint's refusal means.
/// Source: Salesforce Help, "OAuth 2.0 error codes", and texts seen from real orgs.
pub(super) fn refusal(status: u16, body: &[u8], clock_ahead: Option<i64>) -> TokenError {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Refusal {
        error: String,
        error_description: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let (error, description) = (refusal.error, refusal.error_description);
    if description.contains("already being processed") {
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
    let mut hint = refusal_hint(&error, &description).to_owned();
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

fn refusal_hint(error: &str, description: &str) -> &'static str {
    let says = |part| description.contains(part);
    match error {
        "invalid_client_id" => {
            "client_id is not the consumer key of an app in this org: compare it (Settings > OAuth \
             Settings > Consumer Key and Secret), and check that login_url is the same org's; a new \
             app takes up to ten minutes to be known"
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
        "invalid_grant" if says("assertion") || says("expired authorization code") => {
            "check that the certificate in the app belongs to private_key, that username is the \
             integration user's username (in a sandbox with its suffix), and this machine's clock"
        }
        "invalid_grant" if says("authentication failure") => {
            "the integration user is locked, or the app's IP relaxation keeps this machine out"
        }
        "invalid_app_access" => {
            "Setup > External Client App Manager > the app > Policies: add the integration user's \
             permission set or profile"
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

    fn check_refusal(status: u16, body: &str, code: &str, hint: &str) {
        let TokenError::Final(error) = refusal(status, body.as_bytes(), None) else {
            panic!("{body} is final");
        };
        assert_eq!(error.code, format!("salesforce.sign_in.{code}"));
        assert!(error.hint.contains(hint), "{}", error.hint);
    }

    #[test]
    fn a_refusal_says_where_to_click() {
        let grant = |text: &str| {
            serde_json::json!({ "error": "invalid_grant", "error_description": text }).to_string()
        };
        check_refusal(
            400,
            &grant("no client credentials user enabled"),
            "invalid_grant",
            "Run As",
        );
        check_refusal(
            400,
            &grant("user hasn't approved this consumer"),
            "invalid_grant",
            "pre-authorized",
        );
        check_refusal(
            400,
            &grant("audience is invalid"),
            "invalid_grant",
            "audience",
        );
        check_refusal(
            400,
            &grant("invalid assertion"),
            "invalid_grant",
            "certificate",
        );
        check_refusal(
            400,
            &grant("authentication failure"),
            "invalid_grant",
            "locked",
        );
        check_refusal(
            400,
            r#"{"error":"invalid_client_id"}"#,
            "invalid_client_id",
            "consumer key",
        );
        check_refusal(
            401,
            r#"{"error":"invalid_client"}"#,
            "invalid_client",
            "secret",
        );
        check_refusal(
            400,
            r#"{"error":"invalid_app_access"}"#,
            "invalid_app_access",
            "permission set",
        );
        check_refusal(
            400,
            r#"{"error":"unsupported_grant_type"}"#,
            "unsupported_grant_type",
            "flow",
        );
        check_refusal(
            400,
            r#"{"error":"inactive_user"}"#,
            "inactive_user",
            "activate",
        );
        check_refusal(
            400,
            r#"{"error":"inactive_org"}"#,
            "inactive_org",
            "Salesforce",
        );
        check_refusal(404, "<html>", "status_404", "login_url");
        check_refusal(503, "<html>", "status_503", "by itself");
    }

    #[test]
    fn a_wrong_clock_is_named_first() {
        let TokenError::Final(error) = refusal(400, br#"{"error":"invalid_grant"}"#, Some(-300))
        else {
            panic!("final");
        };
        let start = "set this machine's clock: it is 300 seconds behind";
        assert!(error.hint.starts_with(start), "{}", error.hint);
    }
}
