//! A person's consent (RFC 6749, 4.1), guarded by a state and PKCE (RFC 7636, S256).
//! Source: Salesforce Help, "OAuth 2.0 Web Server Flow for Web App Integration".

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use subtle::ConstantTimeEq as _;
use url::Url;

use super::super::Client;
use super::super::sign_in_error::SignInError;
use super::Edge;
use super::kept::{Kept, TokenKeep, name};
use super::obtain::read_optional_secret;
use super::request::{Grant, endpoint, request_token};
use super::rotate::keep;
use super::sessions::Sessions;
use crate::config::SalesforceAuth;
use crate::edge::random;
use crate::model::Millis;

/// `api` for REST, Bulk and SOAP; the other for a token that outlives the session.
const SCOPES: &str = "api refresh_token";

/// The longest code that is taken.
const MOST_CODE_BYTES: usize = 8 * 1024;

const TRIES: u32 = 20;

/// A consent that was asked for and not yet given.
pub struct Consent {
    /// The page at which it is given.
    pub url: Url,
    redirect_uri: String,
    state: String,
    verifier: String,
}

/// Without the verifier and the state.
impl std::fmt::Debug for Consent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consent")
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}

/// A consent that was given and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// The org's own address.
    pub instance: Url,
    /// The 18-character id of the user who gave it, if the answer told.
    pub user_id: Option<String>,
    /// What it is good for.
    pub scope: Option<String>,
}

impl Consent {
    /// Whether a redirect belongs to this consent. In constant time.
    pub fn is_of(&self, state: &str) -> bool {
        self.state.as_bytes().ct_eq(state.as_bytes()).into()
    }
}

impl Client {
    /// Asks for consent, to be told at `redirect_uri`, which the app in the org must name. Fails if
    /// there is nobody to ask, or if what it brings could not be kept.
    pub fn consent(&self, redirect_uri: &str) -> Result<Consent, SignInError> {
        let edge = self.edge();
        if edge.config.auth != SalesforceAuth::AuthorizationCode {
            return Err(SignInError::nobody_to_ask());
        }
        // Told now, not when the token has come and cannot be kept.
        keep(&edge)?;
        let state = URL_SAFE_NO_PAD.encode(random::bytes::<24>());
        // 128 characters, the longest that RFC 7636 allows.
        let verifier = URL_SAFE_NO_PAD.encode(random::bytes::<96>());
        let challenge = digest::digest(&digest::SHA256, verifier.as_bytes());
        let mut url = endpoint(&edge.config, "authorize");
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &edge.config.client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", SCOPES)
            .append_pair("state", &state)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
            .append_pair("code_challenge_method", "S256");
        Ok(Consent {
            url,
            redirect_uri: redirect_uri.to_owned(),
            state,
            verifier,
        })
    }

    /// Changes the code of a redirect into tokens, and keeps them in place of those of before.
    pub async fn connect(&self, consent: &Consent, code: &str) -> Result<Connected, SignInError> {
        self.sessions().connect(consent, code, &self.edge()).await
    }
}

impl Sessions {
    async fn connect(
        &self,
        consent: &Consent,
        code: &str,
        edge: &Edge,
    ) -> Result<Connected, SignInError> {
        if code.is_empty() || code.len() > MOST_CODE_BYTES {
            return Err(SignInError::no_code());
        }
        let keep = keep(edge)?;
        let secret = read_optional_secret(&edge.config)?;
        // The same lock as whoever renews: a renewal under way is not written over this one.
        let mut held = self.held.lock().await;
        let grant = Grant::Code {
            code,
            redirect_uri: &consent.redirect_uri,
            verifier: &consent.verifier,
            secret: secret.as_ref(),
        };
        let token = request_token(&grant, edge).await?;
        if token.refresh_token.is_none() {
            return Err(SignInError::no_refresh_token());
        }
        let now = edge.clock.now();
        let kept = Kept {
            access: Some(token.access.clone()),
            refresh_token: token.refresh_token,
            obtained_at: Some(now),
            ..Kept::default()
        };
        replace(&*keep, &name(&edge.config, None), &kept, now).await?;
        *held = super::obtain::Held::default();
        Ok(Connected {
            instance: token.access.instance,
            user_id: token.access.user_id,
            scope: token.scope,
        })
    }
}

/// Keeps it whatever is there: a person has signed in anew.
async fn replace(
    keep: &dyn TokenKeep,
    name: &str,
    kept: &Kept,
    now: Millis,
) -> Result<(), SignInError> {
    let failed = |error| SignInError::store(&error);
    let plain = kept.write().map_err(failed)?;
    for _ in 0..TRIES {
        // What is there may be of another key; only its version matters.
        let found = keep.load(name).await.map_err(failed)?;
        let version = found.map_or(0, |found| found.version);
        if keep
            .save(name, &plain, version, now)
            .await
            .map_err(failed)?
        {
            return Ok(());
        }
    }
    Err(SignInError::overlap())
}
