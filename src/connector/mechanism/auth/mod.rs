//! Signing in: what a request must carry so that the vendor takes it.
//!
//! Owns: which way a source signs in, its tokens and their renewal. Promises that a refresh token
//! that replaces another is kept durably before anything is done with it, that one of all nodes
//! renews at a time, that refused credentials are not sent again and again, and that nothing secret
//! prints. Secrets are read from where they are kept when they are used. Never sees leads.

mod consent;
mod credential;
mod facts;
mod grant;
mod kept;
mod refresh;
mod service_account;
#[cfg(test)]
mod tests;
mod token;
pub(in crate::connector::mechanism) mod trouble;
mod way;

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use ring::hmac;
use url::Url;

pub use consent::{Connected, Consent};
pub use credential::{CredentialStore, CredentialStoreError, Vault, VaultError};
pub use facts::{CredentialFacts, WARNING_DAYS};
pub use way::Overrides;

use self::credential::TokenText;
use self::refresh::Unsaved;
use self::token::Token;
use self::trouble::{pause, retry, secret};
use crate::connector::Options;
use crate::connector::manifest::{Auth, AuthType, Encode, Manifest, Template};
use crate::connector::mechanism::call::CallError;
use crate::connector::mechanism::words::hex;
use crate::edge::clock::SharedClock;
use crate::edge::http::Http;
use crate::edge::random;
use crate::model::{Millis, SourceName};

/// What signing in needs of the world.
#[derive(Debug, Clone)]
pub struct Edge {
    /// The network. Its allowed hosts are those of `client::hosts`.
    pub http: Arc<dyn Http>,
    /// The time.
    pub clock: SharedClock,
    /// Where tokens are kept.
    pub vault: Arc<Vault>,
}

/// One source's way to sign in. Shared by all calls of the source.
pub struct SignIn {
    source: SourceName,
    connector: String,
    title: String,
    way: String,
    auth: Option<Auth>,
    options: Options,
    token_url: Option<Url>,
    authorize_url: Option<Url>,
    /// Tells this from other refreshers.
    me: String,
    /// Held while a token is asked for, so that all who need one wait for the same.
    held: Arc<tokio::sync::Mutex<Held>>,
    usage: Mutex<Usage>,
}

/// Shows whose it is and how, and no option.
impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn")
            .field("source", &self.source)
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Held {
    token: Option<Token>,
    unsaved: Option<Unsaved>,
    refused: Option<RefusedCredentials>,
}

#[derive(Debug)]
struct RefusedCredentials {
    /// A hash of them.
    which: String,
    at: Millis,
    error: CallError,
}

#[derive(Debug, Default)]
struct Usage {
    used: Option<Millis>,
    success: Option<Millis>,
    written: Option<Millis>,
}

/// What a request is to carry.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// Headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Query parameters, not encoded yet.
    pub query: Vec<(String, String)>,
    /// Where the API is, if the token's answer said so. Not checked yet.
    pub base_url: Option<String>,
    token: Option<TokenText>,
}

/// Shows nothing of it.
impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signed(***)")
    }
}

impl SignIn {
    /// The way that `overrides.auth` names, else the one whose options are set.
    pub fn new(
        source: &SourceName,
        manifest: &Manifest,
        options: &Options,
        overrides: &Overrides,
    ) -> Result<Arc<Self>, CallError> {
        let chosen = way::choose(manifest, options, overrides)?;
        Ok(Arc::new(Self {
            source: source.clone(),
            connector: manifest.name.clone(),
            title: manifest.title.clone(),
            way: chosen.map_or("none", |(way, _)| way).to_owned(),
            auth: chosen.map(|(_, auth)| auth.clone()),
            options: options.clone(),
            token_url: overrides.token_url.clone(),
            authorize_url: overrides.authorize_url.clone(),
            me: hex(&random::bytes::<12>()),
            held: Arc::default(),
            usage: Mutex::default(),
        }))
    }

    /// The way's name in the manifest; `none` if the vendor asks for no signing in.
    pub fn way(&self) -> &str {
        &self.way
    }

    /// Tells accounts apart: sources with the same credentials have the same, and it shows nothing of
    /// them.
    pub fn account_key(&self) -> Result<String, CallError> {
        self.credential_name()
    }

    /// What the next request is to carry. Asks for a token if there is none.
    pub async fn sign(self: &Arc<Self>, edge: &Edge) -> Result<Signed, CallError> {
        let signed = self.sign_other_than(None, edge).await?;
        self.usage.lock().used = Some(edge.clock.now());
        Ok(signed)
    }

    /// What is to be carried in place of `refused`, which the vendor did not take; none if there is
    /// nothing else to carry.
    pub async fn renew(
        self: &Arc<Self>,
        refused: &Signed,
        edge: &Edge,
    ) -> Result<Option<Signed>, CallError> {
        let signed = self.sign_other_than(refused.token.as_ref(), edge).await?;
        Ok((signed != *refused).then_some(signed))
    }

    async fn sign_other_than(
        self: &Arc<Self>,
        refused: Option<&TokenText>,
        edge: &Edge,
    ) -> Result<Signed, CallError> {
        let mut signed = Signed {
            headers: Vec::new(),
            query: Vec::new(),
            base_url: None,
            token: None,
        };
        let Some(auth) = &self.auth else {
            return Ok(signed);
        };
        match auth.kind {
            AuthType::None => {}
            AuthType::Header => {
                let value = self.needed(auth.value.as_ref(), "value", None)?;
                let name = auth.name.as_deref().unwrap_or("authorization");
                signed.header(name, &value)?;
            }
            AuthType::Query => {
                let value = self.needed(auth.value.as_ref(), "value", None)?;
                let name = auth.name.as_deref().unwrap_or("token");
                signed.query.push((name.to_owned(), value));
            }
            AuthType::Basic => {
                use base64::Engine as _;
                let user = self.needed(auth.user.as_ref(), "user", None)?;
                let password = match &auth.password {
                    Some(password) => self.needed(Some(password), "password", None)?,
                    None => String::new(),
                };
                let both = format!("{user}:{password}");
                let both = base64::engine::general_purpose::STANDARD.encode(both);
                signed.header("authorization", &format!("Basic {both}"))?;
            }
            AuthType::Bearer => {
                let token = self.needed(auth.value.as_ref(), "value", None)?;
                self.carry(auth, &token, &mut signed)?;
            }
            AuthType::Oauth2
            | AuthType::ClientCredentials
            | AuthType::AccountCredentials
            | AuthType::ServiceAccount => {
                let token = self.token(refused, edge).await?;
                self.carry(auth, &token.access.0, &mut signed)?;
                signed.base_url = token.base_url;
                signed.token = Some(token.access);
            }
        }
        Ok(signed)
    }

    /// Puts a token where the manifest says, with the proof that we know the app's secret (Meta).
    fn carry(&self, auth: &Auth, token: &str, signed: &mut Signed) -> Result<(), CallError> {
        let value = match &auth.header {
            Some(header) => self.needed(Some(header), "header", Some(token))?,
            None => format!("Bearer {token}"),
        };
        signed.header(auth.name.as_deref().unwrap_or("authorization"), &value)?;
        if let (Some(parameter), Some(key)) = (&auth.proof_parameter, &auth.proof_key) {
            let key = self.option(key)?.ok_or_else(|| not_set(key))?;
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
            let proof = hex(hmac::sign(&key, token.as_bytes()).as_ref());
            signed.query.push((parameter.clone(), proof));
        }
        Ok(())
    }

    async fn token(
        self: &Arc<Self>,
        refused: Option<&TokenText>,
        edge: &Edge,
    ) -> Result<Token, CallError> {
        let mut held = self.held.clone().lock_owned().await;
        if let Some(token) = &held.token
            && token.is_usable(edge.clock.now())
            && Some(&token.access) != refused
        {
            return Ok(token.clone());
        }
        // In a task of its own: an answer that holds a new refresh token must be kept even if
        // whoever asked is gone by then.
        let (this, edge, refused) = (self.clone(), edge.clone(), refused.cloned());
        let asking = tokio::spawn(async move {
            held.token = None;
            let token = this.obtain(&mut held, refused.as_ref(), &edge).await?;
            held.token = Some(token.clone());
            Ok(token)
        });
        asking.await.unwrap_or_else(|_| {
            Err(retry(
                "vendor.token_answer",
                "asking for a token was broken off",
                None,
            ))
        })
    }

    fn needed(
        &self,
        template: Option<&Template>,
        key: &str,
        token: Option<&str>,
    ) -> Result<String, CallError> {
        let Some(template) = template else {
            return Err(not_set(key));
        };
        let filled = self.fill(template, Encode::Plain, token)?;
        filled.ok_or_else(|| {
            let names: Vec<&str> = template.names().collect();
            not_set(&names.join(", "))
        })
    }

    fn fill(
        &self,
        template: &Template,
        encode: Encode,
        token: Option<&str>,
    ) -> Result<Option<String>, CallError> {
        self.options
            .fill(template, encode, &mut |name| {
                token.filter(|_| name == "token").map(str::to_owned)
            })
            .map_err(|error| secret(&error))
    }

    fn option(&self, name: &str) -> Result<Option<String>, CallError> {
        self.options.text(name).map_err(|error| secret(&error))
    }
}

impl Signed {
    fn header(&mut self, name: &str, value: &str) -> Result<(), CallError> {
        let unfit = || {
            pause(
                "vendor.secret",
                "what signs requests cannot stand in a header",
                "check the secret: it may hold a line's end or a letter that is not ASCII",
            )
        };
        let name: HeaderName = name.parse().map_err(|_| unfit())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| unfit())?;
        value.set_sensitive(true);
        self.headers.push((name, value));
        Ok(())
    }
}

fn not_set(name: &str) -> CallError {
    pause(
        "vendor.sign_in",
        format!("`{name}` is not set, and requests cannot be signed without it"),
        "set it in the source's table",
    )
}
