//! Signing in: what a request must carry so that the vendor takes it.
//!
//! Owns: which way a source signs in, its tokens and their renewal. Promises that a refresh token
//! that replaces another is kept durably before anything is done with it, that one of all nodes
//! renews at a time, that refused credentials are not sent again and again, and that nothing secret
//! prints. Secrets are read from where they are kept when they are used. Never sees leads.

mod consent;
mod credential;
mod facts;
mod refresh;
mod service_account;
#[cfg(test)]
mod tests;
mod token;
pub(in crate::connector::mechanism) mod trouble;
mod way;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use ring::{digest, hmac};
use url::Url;

pub use consent::{Connected, Consent};
pub use credential::{CredentialStore, CredentialStoreError, Vault, VaultError};
pub use facts::{CredentialFacts, WARNING_DAYS};
pub use way::Overrides;

use self::credential::{Credential, TokenText};
use self::refresh::Unsaved;
use self::token::{Token, TokenError, TokenRequest};
use self::trouble::{pause, retry, secret};
use crate::connector::Options;
use crate::connector::manifest::{Auth, AuthType, Encode, Manifest, Template};
use crate::connector::mechanism::call::CallError;
use crate::connector::mechanism::words::hex;
use crate::edge::clock::SharedClock;
use crate::edge::http::Http;
use crate::edge::random;
use crate::model::{Millis, SourceName};

/// How long refused credentials are not sent again. Others are tried at once.
const HOLD_OFF: Duration = Duration::from_secs(10 * 60);

/// How often it is written down when a credential was last used.
const FACTS_EVERY: Duration = Duration::from_secs(60 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

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
    last_used_at: Option<Millis>,
    last_success_at: Option<Millis>,
    written_at: Option<Millis>,
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
        self.usage.lock().last_used_at = Some(edge.clock.now());
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

    async fn obtain(
        &self,
        held: &mut Held,
        refused: Option<&TokenText>,
        edge: &Edge,
    ) -> Result<Token, CallError> {
        let Some(auth) = &self.auth else {
            return Err(not_set("auth"));
        };
        if auth.kind == AuthType::Oauth2 {
            return self.refreshed(auth, held, refused, edge).await;
        }
        let which = self.credential_name()?;
        let now = edge.clock.now();
        if let Some(before) = &held.refused
            && before.which == which
            && before.at.was_within(HOLD_OFF, now)
        {
            return Err(before.error.clone());
        }
        let (form, client) = self.grant(auth, now)?;
        let request = TokenRequest {
            url: &self.token_url(auth)?,
            auth,
            form,
            client,
            source: &self.source,
        };
        match token::ask(request, edge.http.as_ref(), &edge.clock).await {
            Ok(answer) => {
                held.refused = None;
                Ok(answer.token)
            }
            Err(TokenError::Refused(error)) => {
                held.refused = Some(RefusedCredentials {
                    which,
                    at: now,
                    error: error.clone(),
                });
                Err(error)
            }
            Err(TokenError::Passing(error)) => Err(error),
        }
    }

    /// The form of a grant that needs no refresh token, and the client if it shows who it is.
    #[expect(clippy::type_complexity, reason = "a form, and id and secret")]
    fn grant(
        &self,
        auth: &Auth,
        now: Millis,
    ) -> Result<(Vec<(String, String)>, Option<(String, Option<String>)>), CallError> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut form = Vec::new();
        let mut client = None;
        match auth.kind {
            AuthType::ServiceAccount => {
                let key = auth.key.as_deref().unwrap_or("key");
                let file = self.option(key)?.ok_or_else(|| not_set(key))?;
                let subject = match &auth.subject {
                    Some(subject) => self.option(subject)?,
                    None => None,
                };
                // `aud` is the vendor's own endpoint, whatever stand-in the assertion is sent to.
                let endpoint = auth.token_url.as_ref().map(ToString::to_string);
                let audience = auth.audience.clone().or(endpoint).unwrap_or_default();
                let asked = service_account::Asked {
                    scopes: &auth.scopes,
                    audience: &audience,
                    subject: subject.as_deref(),
                };
                let file = crate::config::Secret::new(file);
                let assertion = service_account::assertion(&file, &asked, now)?;
                form.push(pair(
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:jwt-bearer",
                ));
                form.push(("assertion".to_owned(), assertion));
            }
            AuthType::AccountCredentials => {
                form.push(pair("grant_type", "account_credentials"));
                let account = self.option("account_id")?;
                let account = account.ok_or_else(|| not_set("account_id"))?;
                form.push(("account_id".to_owned(), account));
                client = Some(self.client()?);
            }
            _ => {
                form.push(pair("grant_type", "client_credentials"));
                if !auth.scopes.is_empty() {
                    form.push(("scope".to_owned(), auth.scopes.join(" ")));
                }
                client = Some(self.client()?);
            }
        }
        form.extend(self.parameters(auth)?);
        Ok((form, client))
    }

    /// The manifest's further parameters; those with an option that is not set are left out.
    fn parameters(&self, auth: &Auth) -> Result<Vec<(String, String)>, CallError> {
        let mut parameters = Vec::new();
        for (name, template) in &auth.parameters {
            if let Some(value) = self.fill(template, Encode::Plain, None)? {
                parameters.push((name.clone(), value));
            }
        }
        Ok(parameters)
    }

    fn client(&self) -> Result<(String, Option<String>), CallError> {
        let id = self.option("client_id")?;
        let id = id.ok_or_else(|| not_set("client_id"))?;
        Ok((id, self.option("client_secret")?))
    }

    fn token_url(&self, auth: &Auth) -> Result<Url, CallError> {
        self.endpoint(
            self.token_url.as_ref(),
            auth.token_url.as_ref(),
            "token_url",
        )
    }

    /// A URL of the source, or else of the manifest.
    fn endpoint(
        &self,
        own: Option<&Url>,
        manifests: Option<&Template>,
        key: &'static str,
    ) -> Result<Url, CallError> {
        if let Some(url) = own {
            return Ok(url.clone());
        }
        let text = match manifests {
            Some(template) => self.fill(template, Encode::Plain, None)?,
            None => None,
        };
        let url = text.and_then(|text| Url::parse(&text).ok());
        url.ok_or_else(|| {
            pause(
                "vendor.sign_in",
                format!("`{key}` of the way `{}` is no web address", self.way),
                "check the options that stand in it",
            )
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

    /// Under which name the credential is kept. By hash of what the configuration holds, so that
    /// sources that share it share what it became, and another one begins anew; by the source's name
    /// for what a person gave by `leadstream connect`.
    fn credential_name(&self) -> Result<String, CallError> {
        let (connector, way) = (&self.connector, &self.way);
        let Some(auth) = &self.auth else {
            return Ok(format!("{connector}/{way}"));
        };
        let mut parts: Vec<String> = Vec::new();
        match auth.kind {
            AuthType::None => {}
            AuthType::Oauth2 => match self.option("refresh_token")? {
                Some(token) => {
                    parts.extend(self.option("client_id")?);
                    parts.push(token);
                }
                None => return Ok(self.connected_name()),
            },
            AuthType::ClientCredentials | AuthType::AccountCredentials => {
                let (id, client_secret) = self.client()?;
                parts.extend(
                    [Some(id), client_secret, self.option("account_id")?]
                        .into_iter()
                        .flatten(),
                );
            }
            AuthType::ServiceAccount => {
                let key = self.option(auth.key.as_deref().unwrap_or("key"))?;
                let subject = auth.subject.as_deref().map(|name| self.option(name));
                parts.extend([key, subject.transpose()?.flatten()].into_iter().flatten());
            }
            AuthType::Header | AuthType::Query | AuthType::Bearer | AuthType::Basic => {
                for template in [&auth.value, &auth.user, &auth.password]
                    .into_iter()
                    .flatten()
                {
                    parts.extend(self.fill(template, Encode::Plain, None)?);
                }
            }
        }
        let mut context = digest::Context::new(&digest::SHA256);
        for part in &parts {
            // With its length: two parts are never taken for other two.
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        let which = hex(&context.finish().as_ref()[..16]);
        Ok(format!("{connector}/{way}/{which}"))
    }

    fn connected_name(&self) -> String {
        format!("{}/{}/source:{}", self.connector, self.way, self.source)
    }

    /// What a person does when the vendor no longer takes what signs requests.
    pub fn hint(&self) -> String {
        let source = &self.source;
        match &self.auth {
            Some(auth) if auth.kind == AuthType::Oauth2 => {
                format!(
                    "sign in anew: `leadstream connect {source}`, or replace its `refresh_token`"
                )
            }
            _ => format!(
                "put a valid key or token in place of the one of [sources.{source}]; it is read anew at each try"
            ),
        }
    }

    /// Notes that the vendor took what was signed, and now and then writes it down.
    pub async fn succeeded(&self, edge: &Edge) {
        let now = edge.clock.now();
        {
            let mut usage = self.usage.lock();
            usage.last_success_at = Some(now);
            if usage
                .written_at
                .is_some_and(|at| at.was_within(FACTS_EVERY, now))
            {
                return;
            }
            usage.written_at = Some(now);
        }
        if let Err(error) = self.write_facts(edge, now).await {
            tracing::debug!(source = %self.source, %error, "the facts of a credential were not kept");
        }
    }

    async fn write_facts(&self, edge: &Edge, now: Millis) -> Result<(), CallError> {
        if self
            .auth
            .as_ref()
            .is_none_or(|auth| auth.kind == AuthType::None)
        {
            return Ok(());
        }
        let name = self.credential_name()?;
        let kept = edge.vault.load(&name).await?;
        let (mut credential, version) = kept.map_or((Credential::default(), 0), |kept| {
            (kept.credential, kept.version)
        });
        let facts = &mut credential.facts;
        facts.way.clone_from(&self.way);
        facts.obtained_at = facts.obtained_at.or(Some(now));
        if let Some(auth) = &self.auth {
            facts.grant_ends_at = grant_end(auth, facts.obtained_at);
        }
        self.add_usage(facts);
        // If somebody else was quicker, they have written their own.
        edge.vault.save(&name, &credential, version, now).await?;
        Ok(())
    }

    fn add_usage(&self, facts: &mut CredentialFacts) {
        let usage = self.usage.lock();
        facts.last_used_at = facts.last_used_at.max(usage.last_used_at);
        facts.last_success_at = facts.last_success_at.max(usage.last_success_at);
    }

    /// What may be shown of the credential: how old it is, when it ends, when it was last taken.
    pub async fn facts(&self, edge: &Edge) -> Result<CredentialFacts, CallError> {
        let kept = edge.vault.load(&self.credential_name()?).await?;
        let mut facts = kept.map(|kept| kept.credential.facts).unwrap_or_default();
        facts.way.clone_from(&self.way);
        self.add_usage(&mut facts);
        Ok(facts)
    }
}

impl Signed {
    fn header(&mut self, name: &str, value: &str) -> Result<(), CallError> {
        let unfit = |_| {
            pause(
                "vendor.secret",
                "what signs requests cannot stand in a header",
                "check the secret: it may hold a line's end or a letter that is not ASCII",
            )
        };
        let name: HeaderName = name.parse().map_err(|_| unfit(()))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| unfit(()))?;
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

/// When a consent ends of which the manifest knows how long it lives.
fn grant_end(auth: &Auth, obtained_at: Option<Millis>) -> Option<Millis> {
    let days = auth.grant_days?;
    obtained_at.map(|at| at.after(DAY * days))
}
