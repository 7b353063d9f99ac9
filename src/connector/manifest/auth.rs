use std::collections::BTreeMap;

use serde::Deserialize;

use super::Template;

/// A way to sign in. Which keys belong to which type: `check`.
///
/// What all vendors call alike is taken from the options of these names: `client_id`,
/// `client_secret`, `refresh_token` (`oauth2`) and `account_id` (`account_credentials`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// How.
    #[serde(rename = "type")]
    pub kind: AuthType,
    /// `header`, `query`: the name of the header or parameter. Others: of the header that the token is
    /// sent in, `Authorization` if not said.
    pub name: Option<String>,
    /// `header`, `query`: what it holds. `bearer`: the token.
    pub value: Option<Template>,
    /// `basic`: the user.
    pub user: Option<Template>,
    /// `basic`: the password.
    pub password: Option<Template>,
    /// `oauth2…`, `service_account`: where tokens are had. A source's `token_url` replaces it.
    pub token_url: Option<Template>,
    /// `oauth2`: where a person gives their consent, for `leadstream connect`.
    pub authorize_url: Option<Template>,
    /// What is asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Further parameters of the token request.
    #[serde(default)]
    pub parameters: BTreeMap<String, Template>,
    /// Further parameters of the consent page's address.
    #[serde(default)]
    pub authorize_parameters: BTreeMap<String, Template>,
    /// How the client shows who it is.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Whether the consent is guarded by PKCE (RFC 7636). Not all vendors take it.
    #[serde(default = "yes")]
    pub pkce: bool,
    /// `service_account`: the option that holds the key file's JSON.
    pub key: Option<String>,
    /// `service_account`: `aud` of the assertion.
    pub audience: Option<String>,
    /// `service_account`: the option with the user to act as.
    pub subject: Option<String>,
    /// How the token is sent; `Bearer {token}` if not said.
    pub header: Option<Template>,
    /// How long a token is used if its answer does not say.
    pub expires_seconds: Option<u64>,
    /// How long a grant lives, for warnings before its end, if the answer does not say.
    pub grant_days: Option<u32>,
    /// The member of the token's answer that holds the base URL from then on (on the manifest's hosts
    /// only).
    pub base_url_from: Option<String>,
    /// Adds this query parameter: hex HMAC-SHA256 of the token under the option `proof_key` (Meta).
    pub proof_parameter: Option<String>,
    /// See `proof_parameter`.
    pub proof_key: Option<String>,
}

/// How to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthType {
    /// Not at all.
    None,
    /// A key in a header.
    Header,
    /// A key in the query.
    Query,
    /// User and password (RFC 7617).
    Basic,
    /// A token that lives long (RFC 6750).
    Bearer,
    /// A refresh token, from the configuration or from `leadstream connect` (RFC 6749, 6). A new one
    /// in an answer replaces it.
    Oauth2,
    /// The client's own rights (RFC 6749, 4.4).
    ClientCredentials,
    /// Zoom's server-to-server grant: as client credentials, with `account_id`.
    AccountCredentials,
    /// A signed assertion of a Google service account (RFC 7523).
    ServiceAccount,
}

/// How the client shows who it is (RFC 6749, 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the body.
    #[default]
    Body,
    /// HTTP Basic.
    Basic,
}

fn yes() -> bool {
    true
}
