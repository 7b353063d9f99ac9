//! Calls one account of one vendor: where to, signed how, how fast, and what an error means.
//!
//! Promises: nothing goes to a host that neither the manifest nor the source names; a refused token
//! is renewed once for a call; one "too often" stops all sources of the account; no error holds a
//! secret, a query or a person's data. Never sees records.

mod address;
mod reaction;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use url::Url;

pub use address::hosts;

use self::address::{Base, shown};
use self::reaction::{Rules, Told, Verdict};
use super::auth::trouble::{pause, retry, secret};
use super::auth::{CredentialFacts, Edge, Overrides, SignIn, Signed};
use super::call::{Answer, CallError, Next, Request, Target, Vendor};
use super::rate::{Account, Accounts};
use crate::connector::Options;
use crate::connector::manifest::{Encode, Manifest, Method, Reaction};
use crate::edge::http::{HttpError, Limits};
use crate::model::SourceName;

const USUAL_ANSWER_BYTES: usize = 32 * 1024 * 1024;
const USUAL_TIMEOUT: Duration = Duration::from_secs(60);

/// One source's calls to its vendor.
pub struct VendorClient {
    source: SourceName,
    manifest: Arc<Manifest>,
    options: Options,
    overrides: Overrides,
    sign_in: Arc<SignIn>,
    rules: Rules,
    limits: Limits,
    accounts: Arc<Accounts>,
    /// Known with the first call: what tells accounts apart is read from secrets.
    account: Mutex<Option<Arc<Account>>>,
    edge: Edge,
}

/// Shows whose it is, and no option.
impl std::fmt::Debug for VendorClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VendorClient")
            .field("source", &self.source)
            .field("connector", &self.manifest.name)
            .finish_non_exhaustive()
    }
}

impl VendorClient {
    /// A client for one source. `accounts` is the process's, so that sources of one account share
    /// its pace. Fails with what a person has to set; no secret is read yet.
    pub fn new(
        source: &SourceName,
        manifest: Arc<Manifest>,
        options: Options,
        overrides: Overrides,
        accounts: Arc<Accounts>,
        edge: Edge,
    ) -> Result<Self, CallError> {
        let given = &manifest.limits;
        Ok(Self {
            source: source.clone(),
            sign_in: SignIn::new(source, &manifest, &options, &overrides)?,
            rules: Rules::new(&manifest.errors)?,
            limits: Limits {
                timeout: given
                    .timeout_seconds
                    .map_or(USUAL_TIMEOUT, Duration::from_secs),
                max_response_bytes: given.max_answer_bytes.unwrap_or(USUAL_ANSWER_BYTES),
            },
            manifest,
            options,
            overrides,
            accounts,
            account: Mutex::default(),
            edge,
        })
    }

    /// What may be shown of its credential.
    pub async fn facts(&self) -> Result<CredentialFacts, CallError> {
        self.sign_in.facts(&self.edge).await
    }

    /// The key of its account: sources with the same share credentials and pace.
    pub fn account_key(&self) -> Result<String, CallError> {
        self.sign_in.account_key()
    }

    fn account(&self) -> Result<Arc<Account>, CallError> {
        if let Some(account) = &*self.account.lock() {
            return Ok(account.clone());
        }
        let key = self.account_key()?;
        let limits = &self.manifest.limits;
        let account = self.accounts.account(&key, limits, &self.edge.clock);
        *self.account.lock() = Some(account.clone());
        Ok(account)
    }

    fn address(&self, target: &Target, signed: &Signed) -> Result<Url, CallError> {
        let base = Base::new(&self.manifest, &self.options, &self.overrides)?;
        let base = base.told(signed.base_url.as_deref(), &self.manifest)?;
        let mut url = base.resolve(target)?;
        if !signed.query.is_empty() {
            let mut query = url.query_pairs_mut();
            for (name, value) in &signed.query {
                query.append_pair(name, value);
            }
        }
        Ok(url)
    }

    fn build(
        &self,
        request: &Request,
        url: &Url,
        signed: &Signed,
    ) -> Result<http::Request<Bytes>, CallError> {
        let method = match request.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
        };
        let body = request.body.clone().unwrap_or_default();
        let unfit = || {
            pause(
                "vendor.address",
                format!("a request to {} cannot be built", shown(url)),
                "a value in its address or headers cannot stand there",
            )
        };
        let mut sent = http::Request::builder()
            .method(method)
            .uri(url.as_str())
            .body(Bytes::from(body))
            .map_err(|_| unfit())?;
        let headers = sent.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if request.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let mut given: Vec<(String, String)> = Vec::new();
        for (name, template) in &self.manifest.headers {
            let value = self.options.fill(template, Encode::Plain, &mut |_| None);
            // A header with an option that is not set is left out.
            if let Some(value) = value.map_err(|error| secret(&error))? {
                given.push((name.clone(), value));
            }
        }
        for (name, value) in given.iter().chain(&request.headers) {
            let name: HeaderName = name.parse().map_err(|_| unfit())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| unfit())?;
            // Such as a developer token.
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        for (name, value) in &signed.headers {
            headers.insert(name.clone(), value.clone());
        }
        Ok(sent)
    }

    /// Sends once. What came, or the verdict on it.
    async fn send(
        &self,
        request: &Request,
        signed: &Signed,
        account: &Account,
    ) -> Result<Result<Answer, Verdict>, CallError> {
        let url = self.address(&request.target, signed)?;
        let sent = self.build(request, &url, signed)?;
        let permit = account.enter().await.map_err(|wait| CallError {
            next: Next::Throttle(Some(wait)),
            code: "vendor.throttled",
            message: format!("{} is called too often, and rests", self.manifest.title),
            hint: String::new(),
        })?;
        let answer = self.edge.http.send(sent, self.limits).await;
        drop(permit);
        let answer = answer.map_err(|error| failed(&error, &url))?;
        let (parts, body) = answer.into_parts();
        let verdict = self.rules.judge(&Told {
            status: parts.status.as_u16(),
            headers: &parts.headers,
            body: &body,
            at: shown(&url),
            title: &self.manifest.title,
            now: self.edge.clock.now(),
        });
        match verdict {
            None => {
                account.learn(&parts.headers);
                Ok(Ok(Answer {
                    headers: parts.headers,
                    body,
                }))
            }
            Some(mut verdict) => {
                if verdict.reaction == Reaction::Throttle {
                    verdict.wait = Some(account.throttle(verdict.wait));
                } else {
                    account.learn(&parts.headers);
                }
                Ok(Err(verdict))
            }
        }
    }
}

#[async_trait]
impl Vendor for VendorClient {
    async fn credential(&self) -> Option<CredentialFacts> {
        self.facts().await.ok()
    }

    fn account(&self) -> Option<String> {
        self.account_key().ok()
    }

    async fn call(&self, request: Request) -> Result<Answer, CallError> {
        let account = self.account()?;
        let mut signed = self.sign_in.sign(&self.edge).await?;
        let mut renewed = false;
        loop {
            let mut verdict = match self.send(&request, &signed, &account).await? {
                Ok(answer) => {
                    self.sign_in.succeeded(&self.edge).await;
                    return Ok(answer);
                }
                Err(verdict) => verdict,
            };
            if verdict.reaction == Reaction::Reauthorize {
                if !renewed && let Some(other) = self.sign_in.renew(&signed, &self.edge).await? {
                    signed = other;
                    renewed = true;
                    continue;
                }
                if verdict.hint.is_empty() {
                    verdict.hint = self.sign_in.hint();
                }
            }
            return Err(reaction::error(verdict));
        }
    }
}

fn failed(error: &HttpError, url: &Url) -> CallError {
    let at = shown(url);
    match error {
        HttpError::HostNotAllowed(_) => pause(
            "vendor.host",
            format!("requests to {at} are not allowed"),
            "`hosts` in the manifest says who is called",
        ),
        HttpError::Timeout(_) => retry(
            "vendor.timeout",
            format!("{at} did not answer in time"),
            None,
        ),
        HttpError::Connect { .. } | HttpError::Broken { .. } => {
            retry("vendor.unreachable", error.to_string(), None)
        }
        HttpError::TooLarge { limit, .. } => CallError {
            next: Next::Shrink,
            code: "vendor.too_large",
            message: format!("{at} answered with more than {limit} bytes"),
            hint: "ask for smaller pages".to_owned(),
        },
    }
}
