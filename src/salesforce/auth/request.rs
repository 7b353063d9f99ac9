//! One token request and its answer. Source: Salesforce Help, "OAuth Authorization Flows".

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderMap, Method, Request};
use serde::Deserialize;
use url::Url;

use super::super::id::to_18;
use super::super::jwt::{Claims, assertion};
use super::super::sign_in_error::{Flow, SignInError, TokenError, refusal};
use super::Edge;
use super::hosts::may_be_instance;
use super::kept::{Access, TokenText};
use crate::config::{SalesforceAuth, SalesforceConfig, Secret};
use crate::edge::http::Limits;
use crate::model::Millis;
use crate::telemetry::PurposeLabel;

const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(30),
    max_response_bytes: 64 * 1024,
};

/// Salesforce serves one token request of a user at a time, and refuses those that overlap.
const OVERLAP_TRIES: u32 = 3;
pub(super) const OVERLAP_WAIT: Duration = Duration::from_secs(1);

/// Clocks that differ by more than this are worth a warning; Salesforce grants 180 seconds.
const CLOCK_TOLERANCE_SECONDS: i64 = 60;

/// What a token is asked for with.
pub(super) enum Grant<'a> {
    ClientCredentials {
        secret: &'a Secret,
    },
    JwtBearer {
        key: &'a Secret,
    },
    /// What the browser came back with.
    Code {
        code: &'a str,
        redirect_uri: &'a str,
        verifier: &'a str,
        secret: Option<&'a Secret>,
    },
    Refresh {
        token: &'a TokenText,
        /// Where the API was: an answer may leave it out.
        instance: Option<&'a Url>,
        secret: Option<&'a Secret>,
    },
}

/// What a token request brings.
#[derive(Debug)]
pub(super) struct Tokens {
    pub access: Access,
    /// Comes with a consent, and from then on where tokens rotate.
    pub refresh_token: Option<TokenText>,
    pub scope: Option<String>,
    /// By how many seconds our clock is ahead of Salesforce's, if that is worth a word.
    pub clock_ahead: Option<i64>,
}

/// Asks until there is an answer other than that another request is being served.
pub(super) async fn request_token(grant: &Grant<'_>, edge: &Edge) -> Result<Tokens, SignInError> {
    let mut tries = 1;
    loop {
        match request_once(grant, edge).await {
            Err(TokenError::Overlap) if tries < OVERLAP_TRIES => {
                tries += 1;
                edge.clock.sleep(OVERLAP_WAIT).await;
            }
            Err(TokenError::Overlap) => return Err(SignInError::overlap()),
            Err(TokenError::Final(error)) => return Err(error),
            Ok(token) => return Ok(token),
        }
    }
}

/// An endpoint of OAuth at the login host.
pub(super) fn endpoint(config: &SalesforceConfig, name: &str) -> Url {
    let mut url = config.login_url.clone();
    url.set_path(&format!("/services/oauth2/{name}"));
    url.set_query(None);
    url.set_fragment(None);
    url
}

async fn request_once(grant: &Grant<'_>, edge: &Edge) -> Result<Tokens, TokenError> {
    let form = form(&edge.config, grant, edge.clock.now())?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(endpoint(&edge.config, "token").as_str())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(form))
        .map_err(|error| SignInError::answer(&error.to_string()))?;
    let purpose = PurposeLabel { purpose: "token" };
    edge.metrics.salesforce_calls.get_or_create(&purpose).inc();
    let answer = edge
        .http
        .send(request, LIMITS)
        .await
        .map_err(|error| SignInError::unreachable(&error))?;
    let clock_ahead = clock_ahead_seconds(answer.headers(), edge.clock.now());
    if !answer.status().is_success() {
        // Only an assertion tells the time.
        let clock = clock_ahead.filter(|_| edge.config.auth == SalesforceAuth::JwtBearer);
        let status = answer.status().as_u16();
        return Err(refusal(flow(grant), status, answer.body(), clock));
    }
    if let Some(seconds) = clock_ahead {
        tracing::warn!(
            seconds,
            "this machine's clock and Salesforce's differ; signing in may fail"
        );
    }

    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        instance_url: Option<Url>,
        /// `https://login.salesforce.com/id/<organisation>/<user>`
        id: Option<String>,
        refresh_token: Option<String>,
        scope: Option<String>,
    }
    // The parser's own words could quote the token.
    let unusable = || SignInError::answer("it holds no access_token and instance_url");
    let token: Answer = serde_json::from_slice(answer.body()).map_err(|_| unusable())?;
    let before = match grant {
        Grant::Refresh { instance, .. } => instance.cloned(),
        _ => None,
    };
    let instance = token.instance_url.or(before).ok_or_else(unusable)?;
    if !may_be_instance(&edge.config.login_url, &instance) {
        return Err(SignInError::foreign_instance(&instance).into());
    }
    let access = Access {
        token: TokenText(token.access_token),
        instance,
        user_id: token
            .id
            .and_then(|id| to_18(id.rsplit('/').next().unwrap_or_default())),
    };
    if access.authorization().is_none() {
        return Err(SignInError::answer("the access_token is not one").into());
    }
    Ok(Tokens {
        access,
        refresh_token: token.refresh_token.map(TokenText),
        scope: token.scope,
        clock_ahead,
    })
}

fn flow(grant: &Grant<'_>) -> Flow {
    match grant {
        Grant::ClientCredentials { .. } => Flow::ClientCredentials,
        Grant::JwtBearer { .. } => Flow::JwtBearer,
        Grant::Code { .. } => Flow::Code,
        Grant::Refresh { .. } => Flow::Refresh,
    }
}

fn form(config: &SalesforceConfig, grant: &Grant<'_>, now: Millis) -> Result<String, SignInError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let client_secret = match grant {
        Grant::ClientCredentials { secret } => {
            form.append_pair("grant_type", "client_credentials");
            Some(*secret)
        }
        Grant::JwtBearer { key } => {
            let origin = config.login_url.origin().ascii_serialization();
            let claims = Claims {
                issuer: &config.client_id,
                subject: config.username.as_deref().unwrap_or_default(),
                audience: config.audience.as_deref().unwrap_or(&origin),
            };
            let assertion = assertion(&claims, key, now).map_err(SignInError::key)?;
            form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
                .append_pair("assertion", &assertion);
            // The assertion names the app.
            return Ok(form.finish());
        }
        Grant::Code {
            code,
            redirect_uri,
            verifier,
            secret,
        } => {
            form.append_pair("grant_type", "authorization_code")
                .append_pair("code", code)
                .append_pair("redirect_uri", redirect_uri)
                .append_pair("code_verifier", verifier);
            *secret
        }
        Grant::Refresh { token, secret, .. } => {
            form.append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", &token.0);
            *secret
        }
    };
    form.append_pair("client_id", &config.client_id);
    if let Some(secret) = client_secret {
        form.append_pair("client_secret", secret.expose());
    }
    Ok(form.finish())
}

/// By how many seconds our clock is ahead of Salesforce's, if that is worth a word.
fn clock_ahead_seconds(headers: &HeaderMap, now: Millis) -> Option<i64> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .ok()?;
    let ahead = now.0 / 1000 - theirs.as_second();
    (ahead.abs() > CLOCK_TOLERANCE_SECONDS).then_some(ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_named() {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, "Sun, 01 Mar 2026 10:00:00 GMT".parse().unwrap());
        let ten = Millis(1_772_359_200_000);
        assert_eq!(clock_ahead_seconds(&headers, ten), None);
        let later = ten.after(Duration::from_secs(300));
        assert_eq!(clock_ahead_seconds(&headers, later), Some(300));
    }
}
