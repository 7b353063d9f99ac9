//! A person's consent (RFC 6749, 4.1), guarded by a state and PKCE (RFC 7636, S256).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use subtle::ConstantTimeEq as _;
use url::Url;

use super::credential::Credential;
use super::facts::CredentialFacts;
use super::token::{self, TokenRequest};
use super::trouble::{pause, secret};
use super::{Edge, SignIn, refresh};
use crate::connector::manifest::{Auth, AuthType, Encode};
use crate::connector::mechanism::call::CallError;
use crate::edge::http::is_loopback;
use crate::edge::random;

/// The longest code that is taken.
const MOST_CODE_BYTES: usize = 8 * 1024;

/// A consent that was asked for and not yet given.
pub struct Consent {
    /// The page at which it is given.
    pub url: Url,
    redirect_uri: String,
    state: String,
    verifier: Option<String>,
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
    /// What may be shown of it.
    pub facts: CredentialFacts,
    /// Whether access is renewed by itself.
    pub renews: bool,
}

impl Consent {
    /// Whether a redirect belongs to this consent. In constant time.
    pub fn is_of(&self, state: &str) -> bool {
        self.state.as_bytes().ct_eq(state.as_bytes()).into()
    }
}

impl SignIn {
    /// Asks for consent, to be told at `redirect_uri`. Fails if there is nobody to ask: the source
    /// signs in another way, or has its refresh token from the configuration.
    pub fn consent(&self, redirect_uri: &str, edge: &Edge) -> Result<Consent, CallError> {
        let auth = self.consenting()?;
        // Told now, not when the token has come and cannot be kept.
        edge.vault.check()?;
        let mut url = self.endpoint(
            self.authorize_url.as_ref(),
            auth.authorize_url.as_ref(),
            "authorize_url",
        )?;
        let encrypted = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        if !encrypted {
            return Err(pause(
                "vendor.sign_in",
                "`authorize_url` is not encrypted",
                "it begins with `https://`; plain http is taken for this machine only",
            ));
        }
        let state = URL_SAFE_NO_PAD.encode(random::bytes::<24>());
        let verifier = auth
            .pkce
            .then(|| URL_SAFE_NO_PAD.encode(random::bytes::<48>()));
        let (client_id, _) = self.client()?;
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &client_id)
                .append_pair("redirect_uri", redirect_uri)
                .append_pair("state", &state);
            if !auth.scopes.is_empty() {
                query.append_pair("scope", &auth.scopes.join(" "));
            }
            if let Some(verifier) = &verifier {
                let challenge = digest::digest(&digest::SHA256, verifier.as_bytes());
                query
                    .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
                    .append_pair("code_challenge_method", "S256");
            }
            for (name, template) in &auth.authorize_parameters {
                let value = self
                    .options
                    .fill(template, Encode::Plain, &mut |_| None)
                    .map_err(|error| secret(&error))?;
                if let Some(value) = value {
                    query.append_pair(name, &value);
                }
            }
        }
        Ok(Consent {
            url,
            redirect_uri: redirect_uri.to_owned(),
            state,
            verifier,
        })
    }

    fn consenting(&self) -> Result<&Auth, CallError> {
        let auth = self
            .auth
            .as_ref()
            .filter(|auth| auth.kind == AuthType::Oauth2);
        let Some(auth) = auth else {
            return Err(pause(
                "vendor.sign_in",
                format!(
                    "{} is signed in to by the way `{}`, which asks nobody",
                    self.title, self.way
                ),
                "there is nothing to connect: the options in the source's table are all that it takes",
            ));
        };
        if self.options.is_set("refresh_token") {
            return Err(pause(
                "vendor.sign_in",
                "the source's `refresh_token` is set, and goes before what `connect` would keep",
                "take `refresh_token` out of the source's table, then connect",
            ));
        }
        Ok(auth)
    }

    /// Changes the code of a redirect into tokens, and keeps them.
    pub async fn connect(
        &self,
        consent: &Consent,
        code: &str,
        edge: &Edge,
    ) -> Result<Connected, CallError> {
        let auth = self.consenting()?;
        if code.is_empty() || code.len() > MOST_CODE_BYTES {
            return Err(pause(
                "vendor.signed_out",
                "the vendor sent no usable code",
                "run `leadstream connect` once more",
            ));
        }
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut form = vec![
            pair("grant_type", "authorization_code"),
            pair("code", code),
            pair("redirect_uri", &consent.redirect_uri),
        ];
        if let Some(verifier) = &consent.verifier {
            form.push(pair("code_verifier", verifier));
        }
        form.extend(self.parameters(auth)?);
        let request = TokenRequest {
            url: &self.token_url(auth)?,
            auth,
            form,
            client: Some(self.client()?),
            source: &self.source,
        };
        let answer = token::ask(request, edge.http.as_ref(), &edge.clock).await?;
        let now = edge.clock.now();
        let empty = Credential {
            facts: CredentialFacts {
                way: self.way.clone(),
                connected: true,
                ..CredentialFacts::default()
            },
            ..Credential::default()
        };
        let credential = refresh::renewed(&empty, answer, auth, now);
        // The same lock as whoever renews: a renewal under way is not written over this one.
        let mut held = self.held.lock().await;
        edge.vault
            .replace(&self.connected_name(), &credential, now)
            .await?;
        *held = super::Held::default();
        let renews = credential.refresh_token.is_some();
        Ok(Connected {
            facts: credential.facts,
            renews,
        })
    }
}
