//! Access tokens that are asked for by what the configuration holds.

use std::time::Duration;

use url::Url;

use super::credential::TokenText;
use super::token::{self, Token, TokenError, TokenRequest};
use super::trouble::pause;
use super::{Edge, Held, RefusedCredentials, SignIn, not_set, service_account};
use crate::config::Secret;
use crate::connector::manifest::{Auth, AuthType, Encode, Template};
use crate::connector::mechanism::call::CallError;
use crate::model::Millis;

/// How long refused credentials are not sent again. Others are tried at once.
const HOLD_OFF: Duration = Duration::from_secs(10 * 60);

impl SignIn {
    /// A token other than `refused`.
    pub(super) async fn obtain(
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
                let file = Secret::new(file);
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
    pub(super) fn parameters(&self, auth: &Auth) -> Result<Vec<(String, String)>, CallError> {
        let mut parameters = Vec::new();
        for (name, template) in &auth.parameters {
            if let Some(value) = self.fill(template, Encode::Plain, None)? {
                parameters.push((name.clone(), value));
            }
        }
        Ok(parameters)
    }

    pub(super) fn client(&self) -> Result<(String, Option<String>), CallError> {
        let id = self.option("client_id")?;
        let id = id.ok_or_else(|| not_set("client_id"))?;
        Ok((id, self.option("client_secret")?))
    }

    pub(super) fn token_url(&self, auth: &Auth) -> Result<Url, CallError> {
        self.endpoint(
            self.token_url.as_ref(),
            auth.token_url.as_ref(),
            "token_url",
        )
    }

    /// A URL of the source, or else of the manifest.
    pub(super) fn endpoint(
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
}
